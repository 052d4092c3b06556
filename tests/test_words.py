"""No retired word of the glossary is left, in the sense in which it was retired."""

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
READ = ("src", "tests", "docs", "notebooks", "bench", "README.md")
SUFFIXES = {".py", ".pyi", ".md", ".toml", ".html", ".js", ".css", ".ipynb"}
WORDS = {  # what to say instead (of what): a pattern of what is wrong
    "user (viewer)": r"(?<![a-z])viewer",
    "user, new user (somebody, newcomer)": r"somebody|newcomer",
    "default (usual, when nobody says)": (
        r"nobody says|(?<!is )(?<!all )(?<![a-z])usual(?![a-z])(?! (names|order))"
        r"|\b(?!test_)\w+_nobody|\bnobody(_\w+)? ?="
    ),
    "rating (stars, unless after a number)": (
        r"(?<![\d.}½][ -])(?<!one )(?<!two )(?<!three )(?<!four )(?<!five )(?<!half )(?<!many )"
        r"(?<!in )(?<!squared )(?<![a-z-])stars(?![a-z])"
    ),
    "estimator, preset (recipe, trainer)": r"recipe|(?<![a-z])(?<!neural[./])trainer(?!\.py)",
    "metric (figure)": r"(?<![a-z<])figures?(?![a-z])",
    "evaluate, ranking task (judge, exam)": r"(?<![a-z])(exams?|judge[sd]?|judging)(?![a-z])",
    "training, validation, test set (part)": (
        r"(?<!def )\b(train|training|test|validation)[ -]parts?\b|(train|training|validation)_part"
    ),
    "validation set (kept aside)": r"\b(keep|keeps|kept|set|sets|put|laid|left) aside\b",
    "regularization, prior (pull)": r"(?<![a-z])pull(?! request)",
    "recorded, provenance (noted)": r"(?<![a-z])noted(?![a-z])",
    "reproduce (remade, again as a name)": (
        r"remade|\bagain ?=(?!=)|\bagain\(|\b(?!test_)\w+_again\b"
    ),
    "resume, continue (go on)": r"(?<![a-z])(go|goes|going|gone|went)[ _]on\b(?! to )",
    "factors, embedding (vectors)": (
        r"(?<!bit )(?<!embedding )(?<!factor )(?<!unit )(?<!normal )(?<![a-z])"
        r"vectors?(?![a-z])(?! (instruction|or scalar|path|register))"
    ),
    "ranking (lists)": r"""["']lists\b(?! of)|best_lists|judging lists|training for lists""",
    "lower is better": r"the (less|more|lower|higher) the better",
    "95 % CI": r"with other (users|viewers),? (it|\{|\d)",
}
ALLOWED = {  # (file, what its line holds): why
    (r"docs/.*(changelog|migration)", r""): "says what was called how",
    (
        r"docs/architecture",
        r"(?i)^\|.*\|.*(viewer|recipe|exam|noted|vectors|stars)",
    ): "the glossary",
    (
        r"(src|tests)/.*data/",
        r"(?i)viewer|,stars|\"stars\"|column stars",
    ): "a column in others' tables",
    (r"", r"(WHOLE|HALF)_STARS"): "the unit of a scale",
    (r"tests/", r"\bnot in\b"): "a test that the word is not printed",
    (r"", r"(?i)\bfigures? \d"): "a figure of a paper",
    (r"src/matinee/report/templates/|tests/report/test_browser|bench/looks", r"figure"): (
        "an element of HTML"
    ),
    (
        r"(src/matinee|tests)/report/",
        r"\bFigure\b|figure\(|figure,$|\(figure,|== \"figure\"|/figure",
    ): "the block of a page that holds a picture, and its element",
    (r"src/matinee/kernels/(simd|linalg|parallel)", r"vector"): "registers of a processor",
}


@cache
def lines():
    """(file:line, its text) of all that is read; no pictures within notebooks."""
    files = [file for name in READ for file in [ROOT / name, *(ROOT / name).rglob("*")]]
    return [
        (f"{file.relative_to(ROOT)}:{number}", line)
        for file in sorted(files)
        if file.suffix in SUFFIXES and file != Path(__file__)
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if '"image/' not in line
    ]


def is_allowed(place, line):
    return any(re.match(file, place) and re.search(text, line) for file, text in ALLOWED)


@pytest.mark.slow
@pytest.mark.parametrize("say", WORDS)
def test_the_fields_words_are_used(say):
    wrong = re.compile(WORDS[say], re.IGNORECASE)
    found = [
        f"{place}: {line.strip()[:120]}"
        for place, line in lines()
        if wrong.search(line) and not is_allowed(place, line)
    ]
    assert not found, f"say {say}:\n" + "\n".join(found)
