"""Pages as files: what they hold, that text stays text, and that they are written whole."""

import base64
import hashlib
import json
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import altair as alt
import numpy as np
import polars as pl
import pytest

pytest.importorskip("jinja2")
pytest.importorskip("sklearn")
pytest.importorskip("vl_convert")

from matinee import errors
from matinee.analysis import describe, find_clusters, project
from matinee.data import read
from matinee.models import ALS, EASE, Bias, ImplicitALS, Popularity
from matinee.models.head import fitted_params
from matinee.models.registry import format_value
from matinee.plots.theme import framed, rows
from matinee.report import document as pages
from matinee.report import run_report as reports
from matinee.report import (
    write_clusters_report,
    write_dataset_report,
    write_map_report,
    write_report,
)
from matinee.report.document import (
    Card,
    Cards,
    Command,
    Facts,
    Figure,
    Folded,
    KeyMetric,
    KeyMetrics,
    Number,
    Section,
    Table,
    figure,
    render,
    table,
    write_page,
)

HOSTILE = [
    "<script>alert(1)</script>",
    "</script><script>alert(2)</script>",
    "</title></style><img src=x onerror=alert(3)>",
    "<!-- <script>",
    "]]> --> ' onmouseover='alert(4)' \" onclick=\"alert(5)",
    '"}]}; alert(6); //',
    "&lt;b&gt; &amp; &",
    "two\u2028lines\u2029and {{ 7 * 7 }} {% raw %}",
    "back\\slash \\u003c/script\\u003e",
]
EXECUTABLE = 2  # Vega, and the page's own script


class Read(HTMLParser):
    """A page as a browser splits it: elements, their text, scripts, the policy."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.scripts, self.texts, self.headings = [], [], [], []
        self.comments, self.inside = 0, ""
        self.feed(text)
        self.close()
        self.text = " ".join(" ".join(self.texts).split())
        self.attributes = [(tag, *one) for tag, own in self.elements for one in own.items()]
        self.data = self.of("application/json")
        (self.policy,) = [own["content"] for _, own in self.elements if "http-equiv" in own]

    def of(self, kind):
        return next((text for own, text in self.scripts if own.get("type") == kind), None)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.inside = tag
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_endtag(self, tag):
        self.inside = ""

    def handle_comment(self, data):
        self.comments += 1

    def handle_data(self, data):
        if self.inside == "script":
            own, text = self.scripts.pop()
            self.scripts.append((own, text + data))
        elif self.inside != "style":
            self.texts.append(data)
            if self.inside == "h2":
                self.headings.append(data)


def bars(values, title="Bars"):
    """A chart of these rows."""
    data = rows(pl.DataFrame(values))
    return framed(alt.Chart(data).mark_bar().encode(x="name:N", y="n:Q"), title, "how to", "read")


def every_block(text):
    return [
        text,
        Command(text),
        Facts([(text, f"fact {text}")]),
        KeyMetrics([KeyMetric(text, text, text, text, [text])]),
        Folded(text, [text]),
        Cards([Card(text, f"line {text}", {text: [text, text]})]),
        Table([text], [[text], [[text, text]], [Number(1)]], text),
        figure(bars({"name": [text], "n": [1]}, text)),
        Figure({text: bars({"name": [text], "n": [1]}), "other": bars({"name": ["b"], "n": [2]})}),
    ]


def check_harmless(text):
    """Two scripts may run, both named in the policy, and nothing is fetched."""
    page = Read(text)
    kinds = [own for own, _ in page.scripts]
    assert kinds == [{"type": "application/json", "id": "data"}, *[{}] * EXECUTABLE]
    hashes = {
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for own, script in page.scripts
        if not own
    }
    rules = dict(rule.strip().split(" ", 1) for rule in page.policy.split(";"))
    assert rules.pop("default-src") == "'none'"
    assert set(rules.pop("script-src").split()) == hashes
    assert len(hashes) == EXECUTABLE
    assert rules == {
        "style-src": "'unsafe-inline'",
        "img-src": "data: blob:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    first = next(at for at, (_, own) in enumerate(page.elements) if "http-equiv" in own)
    assert {tag for tag, _ in page.elements[:first]} <= {"html", "head", "meta"}
    assert not page.comments
    assert all(name != "src" and not name.startswith("on") for _, name, _ in page.attributes)
    links = [value for _, name, value in page.attributes if name in ("href", "action", "srcset")]
    assert all(link.startswith("#part-") for link in links)
    assert {tag for tag, _ in page.elements}.isdisjoint(
        {"img", "svg", "iframe", "link", "object", "embed", "base", "form", 'a"', "b"}
    )
    style = text[text.index("<style>") : text.index("</style>")]
    assert not re.search(r"url\(|@import", style)
    json.loads(page.data)
    return page


@pytest.mark.parametrize("text", HOSTILE)
def test_text_from_files_stays_text_in_every_block(text):
    shown = render(text, text, [Section(text, every_block(text)), Section("two", [])])
    page = check_harmless(shown)
    data = json.loads(page.data)
    # what the browser sees is the very text, in all places: words, buttons and charts
    plain = " ".join(text.split())
    assert page.text.count(plain) == 28
    names = {row[0] for found in data["datasets"].values() for row in found["rows"]}
    assert names == {text, "b"}
    assert not set("<>&\u2028\u2029") & set(page.data)


def test_charts_and_data_come_back_as_they_went_in():
    values = {"name": ["ä", "<b>"], "n": [1.5, None]}
    one, two = bars(values, "One"), bars({"name": ["c"], "n": [3]}, "Two")
    page = Read(render("t", "l", [Section("s", [figure(one), Figure({"x": one, "y": two})])]))
    data = json.loads(page.data)
    assert set(data["themes"]) == {"light", "dark"}
    assert len(data["charts"]) == 3
    names = [chart["data"]["name"] for chart in data["charts"]]
    # the same rows once, however many charts draw them
    assert names[0] == names[1] != names[2]
    assert set(data["datasets"]) == set(names)
    assert data["datasets"][names[0]] == {
        "columns": ["name", "n"],
        "rows": [["ä", 1.5], ["<b>", None]],
    }
    for chart in data["charts"]:
        assert chart["width"] == "container"
        assert not {"title", "config", "datasets"} & set(chart)
        assert "values" not in json.dumps(chart)
    drawn = [own for tag, own in page.elements if tag == "figure"]
    assert [own["data-chart"] for own in drawn] == ["0", "1", "2"]
    assert ["hidden" in own for own in drawn] == [False, False, True]
    pressed = [own["aria-pressed"] for tag, own in page.elements if "aria-pressed" in own]
    assert pressed == ["true", "false"]
    assert page.text.count("One how to read") == 2


@pytest.mark.slow
def test_a_map_in_four_colours_has_its_movies_once(layout, tmp_path):
    page = check_harmless(read_page(write_map_report(layout[0], layout[1], tmp_path / "map.html")))
    data = json.loads(page.data)
    maps = [rows for rows in data["datasets"].values() if "neighbours" in rows["columns"]]
    assert len(maps) == 1
    assert len(maps[0]["rows"]) == layout[1].points.height
    assert len(data["charts"]) == 6  # two of norms


def test_a_chart_without_rows_stands_there_and_one_with_nan_is_refused():
    empty = bars({"name": [], "n": []})
    page = Read(render("t", "l", [Section("s", [figure(empty)])]))
    assert list(json.loads(page.data)["datasets"].values()) == [{"columns": [], "rows": []}]
    with pytest.raises(ValueError, match="JSON compliant"):
        render("t", "l", [Section("s", [figure(bars({"name": ["a"], "n": [float("nan")]}))])])


def test_tables_show_numbers_on_the_right_and_nothing_for_nothing():
    frame = pl.DataFrame(
        {"a": [1234567, None], "b": [0.25, 1.0], "c": ["x", None], "d": [["p", "q"], []]}
    )
    built = table(frame, {"d": "D", "a": "A", "b": "B", "c": "C"}, {"b": ".0%"}, "Cap", wide=False)
    assert built.headings == ["D", "A", "B", "C"]
    assert built.rows == [[["p", "q"], "1,234,567", "25%", "x"], [[], "", "100%", ""]]
    assert [isinstance(cell, Number) for cell in built.rows[0]] == [False, True, True, False]
    page = Read(render("t", "l", [Section("s", [built])]))
    assert [tag for tag, _ in page.elements].count("td") == 8
    numbers = [own for tag, own in page.elements if tag == "td" and own.get("class") == "number"]
    assert len(numbers) == 3
    assert "Cap D A B C p q 1,234,567 25% x 100%" in page.text


def test_one_section_needs_no_navigation_and_two_have_links_that_lead_to_them():
    def links(sections):
        page = Read(render("t", "l", [Section(name) for name in sections]))
        ids = [own["id"] for tag, own in page.elements if tag == "section"]
        assert page.headings == (sections if len(sections) > 1 else [])
        return [own["href"] for tag, own in page.elements if tag == "a"], ids

    assert links(["a"]) == ([], ["part-1"])
    assert links(["a", "b"]) == (["#part-1", "#part-2"], ["part-1", "part-2"])


def test_a_failing_page_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "deep" / "page.html"
    assert write_page(path, "Old", "", []) == path
    old = path.read_bytes()
    with pytest.raises(pages.jinja2.UndefinedError):  # a block of no kind
        write_page(path, "New", "", [Section("s", [object()])])
    monkeypatch.setattr(pages, "render", lambda *_: "\ud800")  # fails half way into the file
    with pytest.raises(UnicodeEncodeError):
        write_page(path, "New", "", [])
    assert path.read_bytes() == old
    assert list(path.parent.iterdir()) == [path]


def read_page(path):
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def layout(both):
    return both, project(both, "pca", clusters=find_clusters(both, 4))


@pytest.fixture
def quick(monkeypatch):
    """Reports with the quick layout, and few clusters tried."""
    monkeypatch.setattr(reports, "project", lambda model, **kwargs: project(model, "pca", **kwargs))
    monkeypatch.setattr(
        reports, "find_clusters", lambda model, **kwargs: find_clusters(model, 4, **kwargs)
    )


def report(model, folder, *args, **how):
    path = write_report(model, folder / "report.html", *args, **how)
    return check_harmless(read_page(path))


LEARNED = ["Clusters of movies", "Clusters of users", "Neighbours", "Axes"]
QUALITY = ["Accuracy", "Performance by group"]
LAST = "Provenance"


@pytest.mark.slow
def test_a_report_of_both_heads_and_the_data_has_every_section(
    both, generated, parts, quick, tmp_path
):
    data = replace(generated[0], licence="a licence <of> sorts")
    summary = {
        "data": {"name": "my <data>", "licence": data.licence},
        "split": {"method": "random"},
    }
    model = replace(both, metadata=summary)
    page = report(model, tmp_path, (data, *parts), users=[7, 9, 7])
    assert page.headings == [
        *("Key metrics", "User 7", "Map", *QUALITY, *LEARNED),
        *("User 9", "Training", "Data", LAST),
    ]
    assert "RMSE lower is better" in page.text
    assert "averages of users and movies (Bias)" in page.text
    assert (tmp_path / "report.html").stat().st_size < 5e6
    assert "Report on my <data>" in page.text
    assert "Terms of use of the data: a licence <of> sorts." in page.text
    assert "ALS and ImplicitALS, trained on my <data>." in page.text
    for head in both.heads.values():
        for name, value in fitted_params(head).items():
            assert f"{name} {format_value(value)}" in page.text
    assert "split: method random" in page.text
    assert f"polars {pl.__version__}" in page.text
    drawn = [own["data-chart"] for tag, own in page.elements if tag == "figure"]
    assert len(drawn) == len(json.loads(page.data)["charts"]) >= 25


@pytest.mark.slow
def test_a_report_without_data_says_so(both, quick, tmp_path):
    page = report(both, tmp_path, users=[7])
    assert page.headings == ["User 7", "Map", "Accuracy", *LEARNED, "Training", LAST]
    assert "data and accuracy are left out" in page.text
    assert "unknown; ask whoever gave them to you" in page.text


@pytest.mark.slow
def test_by_default_two_users_are_shown(model, quick, tmp_path):
    page = report(model, tmp_path)
    shown = [int(one.removeprefix("User ")) for one in page.headings if "User " in one]
    many = [len(model.user_profile(user).items) for user in shown]
    counts = sorted(len(model.user_profile(user).items) for user in model.user_ids.values)
    assert many == [pytest.approx(counts[len(counts) * q // 10], abs=2) for q in (5, 9)]


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.parametrize(
    ("estimator", "sections"),
    [
        (ImplicitALS(factors=4, iterations=2), ["Map", *LEARNED]),
        (EASE(), [name for name in ["Map", *LEARNED] if name != "Clusters of users"]),
        (Popularity(), []),
        (Bias(), []),
    ],
    ids=lambda one: type(one).__name__,
)
def test_models_with_one_head_get_what_it_allows(
    estimator, sections, generated, parts, quick, tmp_path
):
    model = estimator.fit(parts[0])
    page = report(model, tmp_path, (generated[0], *parts), users=[3])
    steps = [name for name in page.headings if name == "Training"]
    assert steps == (["Training"] if len(estimator_steps(model)) > 1 else [])
    expected = ["Key metrics", "User 3", *sections[:1], *QUALITY, *sections[1:]]
    expected += [*steps, "Data", LAST]
    assert page.headings == expected
    assert ("RMSE" in page.text) == (model.rating_head is not None)
    assert f"{type(estimator).__name__}, trained on " in page.text


def estimator_steps(model):
    return next(iter(model.heads.values())).history


def tiny():
    """Three movies, of which none has ten ratings."""
    interactions = {
        "user": [1, 1, 2, 2, 3],
        "item": [1, 2, 2, 3, 1],
        "rating": [5.0, 3.0, 4.0, 2.0, 1.0],
    }
    return read(pl.DataFrame(interactions))


@pytest.mark.slow
def test_of_tiny_data_a_report_says_what_it_lacks(tmp_path):
    data = tiny()
    train, test = data.split("random", test_fraction=0.3, seed=0)
    model = ALS(factors=2, iterations=2).fit(train)
    page = report(model, tmp_path, (data, train, test), users=[1])
    assert "Only 0 items have 10 or more ratings" in page.text
    assert page.headings[:2] == ["Key metrics", "User 1"]
    assert page.headings[-2:] == ["Data", LAST]


@pytest.mark.thorough
@pytest.mark.slow
def test_a_report_of_a_model_whose_factors_are_all_zero(tmp_path):
    code = f"""
import polars as pl
from matinee import ALS, read
from matinee.report import write_report
rated = pl.DataFrame({{"user": [u for u in range(20) for _ in range(9)], "rating": 3.0,
    "item": [i for u in range(20) for i in range(u % 3, u % 3 + 9)]}})
write_report(ALS(factors=2, iterations=1).fit(read(rated)), {str(tmp_path / "same.html")!r})
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    check_harmless(read_page(tmp_path / "same.html"))


def test_an_unknown_user_is_refused_before_the_work(model, generated, parts, tmp_path, monkeypatch):
    def work(*_, **__):
        raise AssertionError("worked")

    for name in ("describe", "find_clusters", "project", "quality_sections", "training_section"):
        monkeypatch.setattr(reports, name, work)
    for users in (["nobody"], [7, 100_000]):
        with pytest.raises(errors.UnknownIdError):
            write_report(model, tmp_path / "r.html", (generated[0], *parts), users=users)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_page_of_clusters_has_a_card_for_each(model, tmp_path):
    for of in ("items", "users"):
        found = find_clusters(model, 4, of=of)
        page = check_harmless(read_page(write_clusters_report(found, tmp_path / f"{of}.html")))
        noun = found.embeddings.noun
        assert f"4 clusters of {noun}s" in page.text
        assert [tag for tag, _ in page.elements].count("article") == 4
        for row in found.table.rows(named=True):
            card = f"{row['cluster']} {row['name']} {row['size']} {noun}s"
            lift = dict(found.traits.filter(cluster=row["cluster"])["trait", "lift"].rows())
            traits = ", ".join(f"{trait} {lift[trait]:.1f}x" for trait in row["named_by"])
            assert card + (f" more than average {traits}" if traits else "") in page.text


@pytest.mark.slow
def test_the_page_of_a_data_set_shows_its_first_rows(generated, tmp_path):
    data = replace(generated[0], name="<mine>", licence="free <for> all")
    page = check_harmless(read_page(write_dataset_report(data, str(tmp_path / "data.html"))))
    assert page.headings == ["Data", "Sample"]
    assert "Terms of use of the data: free <for> all." in page.text
    summary = describe(data)
    for title in summary.sample_items["title"]:
        assert title in page.text
    unknown = check_harmless(read_page(write_dataset_report(tiny(), tmp_path / "tiny.html")))
    assert "Terms of use of the data: unknown." in unknown.text


@pytest.mark.slow
def test_users_of_few_ratings_cost_a_report_their_clusters_only(tmp_path):
    rng = np.random.default_rng(0)
    interactions = {
        "user": np.repeat(np.arange(400), 5),
        "item": np.concatenate([rng.choice(40, 5, replace=False) for _ in range(400)]),
        "rating": rng.integers(1, 6, 2000).astype(float),
    }
    model = ALS(factors=3, iterations=2).fit(read(pl.DataFrame(interactions)))
    page = report(model, tmp_path, users=[1])
    assert "Only 0 users have 10 or more ratings" in page.text
    assert {"Map", "Clusters of items", "Neighbours", "Axes"} <= set(page.headings)


@pytest.mark.slow
def test_a_page_of_data_without_genres_has_no_empty_charts(tmp_path, quick):
    rng = np.random.default_rng(0)
    pairs = rng.choice(60 * 40, 1500, replace=False)
    values = rng.integers(1, 6, 1500).astype(float)
    data = read(pl.DataFrame({"user": pairs // 40, "item": pairs % 40, "rating": values}))
    page = report(
        ALS(factors=3, iterations=2).fit(data), tmp_path, (data, *data.split()), users=[1]
    )
    everything = json.loads(page.data)
    shown = {name for chart in everything["charts"] for name in names_in(chart)}
    assert shown
    assert all(everything["datasets"][name]["rows"] for name in shown)


def names_in(part):
    """Data that a specification names, wherever in it."""
    if isinstance(part, list):
        return [name for one in part for name in names_in(one)]
    if not isinstance(part, dict):
        return []
    own = [part["data"]["name"]] if "data" in part else []
    return own + [name for one in part.values() for name in names_in(one)]
