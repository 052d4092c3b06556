"""matinee map"""

from typing import Annotated

import typer

from matinee.cli.options import By, Json, Out, RunArgument, Seed, find_run, place_of
from matinee.cli.output import print_json, say
from matinee.errors import SettingError

PICTURES = (".html", ".png", ".svg")


def draw_map(
    run: RunArgument = None,
    method: Annotated[
        str, typer.Option(metavar="tsne|pca|umap", help="How to lay the movies out.")
    ] = "tsne",
    color: Annotated[
        str,
        typer.Option(
            metavar="genre|cluster|year|stars",
            help="What colours say; on the page one can change it.",
        ),
    ] = "genre",
    by: By = None,
    seed: Seed = 0,
    out: Out = None,
    json: Json = False,
) -> None:
    """Draw the movies in two dimensions, near where alike: a page to search, or a .png or .svg."""
    from matinee.explore import READINGS, lay_out, movie_map, save_chart, write_map
    from matinee.models import load

    folder = find_run(run)
    place = place_of(out, folder / "map.html", *PICTURES)
    if color not in READINGS:
        raise SettingError(f"--color is one of {', '.join(READINGS)}, not {color!r}.")
    model = load(folder)
    layout = lay_out(model, method, by=by, seed=seed)
    if place.suffix == ".html":
        write_map(model, layout, place, color)
    else:
        save_chart(movie_map(layout, color), place)
    movies, left_out = len(layout.space), layout.space.left_out
    if json:
        print_json({"map": str(place), "movies": movies, "left_out": left_out})
        return
    say(f"Map of {movies:,} movies in {place}. {left_out}")
