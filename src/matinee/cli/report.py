"""matinee report"""

from typing import Annotated

import typer

from matinee.cli.options import Json, Out, RunArgument, find_run, place_of
from matinee.cli.output import print_json, say
from matinee.errors import MatineeError


def report(
    run: RunArgument = None,
    user: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="A viewer to show; may be repeated. By default two."),
    ] = None,
    out: Out = None,
    json: Json = False,
) -> None:
    """Write all there is to see of a run into one HTML file, which needs no network.

    Data, training, accuracy and its limits, clusters, map, neighbours, dimensions, single viewers.
    """
    from matinee.evaluation import data_of
    from matinee.explore import write_report
    from matinee.models import load

    folder = find_run(run)
    place = place_of(out, folder / "report.html", ".html")
    model = load(folder)
    parts, note = None, ""
    try:
        parts = data_of(model)
    except MatineeError as problem:  # the run is worth a report without its data, too
        note = str(problem)
    write_report(model, place, parts, users=user)
    if json:
        print_json({"report": str(place), "note": note})
        return
    if note:
        say(f"Without data and accuracy: {note}")
    say(f"Report in {place}; open it in a browser.")
