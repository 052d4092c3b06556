"""matinee compare"""

from itertools import combinations
from pathlib import Path
from typing import Annotated

import typer

from matinee.cli.options import Html, Json, Out, find_run, place_of
from matinee.cli.output import heading, print_json, print_table, say
from matinee.errors import SettingError


def compare(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN RUN...", help="Folders or names; the others are compared with the first."
        ),
    ] = None,
    html: Html = False,
    out: Out = None,
    json: Json = False,
) -> None:
    """Which of several runs with the same test ratings is better, how sure that is, what differs.

    Shows the settings that differ, figures of stars and lists, and by how much each run differs
    from the first, with 95 % intervals from the same viewers for both.
    """
    import polars as pl

    from matinee.evaluation import compare as compare_models
    from matinee.evaluation.comparison import LESS_OR_MORE, short_names
    from matinee.evaluation.figures import MAIN
    from matinee.models import load

    if not runs or len(runs) < 2:
        raise SettingError("Name two runs or more to compare; matinee runs lists them.")
    places = [find_run(run) for run in runs]
    for place, other in combinations(places, 2):
        if place.samefile(other):
            raise SettingError(f"{place} is named twice; name different runs.")
    folders = [str(place) for place in places]
    letters = short_names(folders)
    page = place_of(out, Path("comparison.html"), ".html") if html or out else None
    if page:  # so that what is missing is told now
        from matinee.explore import write_comparison
    models = {folder: load(folder) for folder in folders}
    found = compare_models(models)
    if page:
        write_comparison(found, models, page)
    if json:
        print_json({**found.as_json(), "html": str(page) if page else None})
        return
    for folder, letter in letters.items():  # names may be long, and figures must not give way
        say(f"{letter}  {folder}")
    found = found.called(letters)
    say()
    heading(found.tested)
    rows = pl.DataFrame(found.run_rows())
    print_table(rows, {name: name.replace("_", " ") for name in rows.columns})
    say()
    heading("Settings that differ")
    if differ := found.settings.rows(found.runs):
        print_table(pl.DataFrame(differ), {name: name for name in differ[0]})
    say(found.settings.rest)
    say()
    heading("Figures, with 95 % intervals over viewers")
    first = next(iter(found.runs))
    columns = {name: name for name in ("figure", "run", "value", "interval")}
    print_table(
        pl.DataFrame(found.figure_rows()), {**columns, "difference": f"minus that of {first}"}
    )
    say(LESS_OR_MORE)
    for note in found.notes:
        say(note)
    for one in found.differences:
        if one.figure in MAIN.values():
            say(str(one))
    if page:
        say(f"More in {page}; open it in a browser.")
