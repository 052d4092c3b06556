"""matinee recipes"""

from matinee.cli.options import Json
from matinee.cli.output import heading, print_json, say


def recipes(json: Json = False) -> None:
    """The known set-ups that `matinee train DATASET --recipe NAME` runs."""
    from dataclasses import asdict

    from matinee.evaluation import SETUPS

    if json:
        print_json([asdict(setup) for setup in SETUPS])
        return
    for setup in SETUPS:
        heading(setup.name)
        say(f"  {setup.what}")
        say(f"  from: {setup.source}; made for {setup.made_for}")
        say(f"  reaches: {setup.reaches}")
        say(f"  not as there: {setup.differs}")
    say("Run one: matinee train DATASET --recipe NAME")
