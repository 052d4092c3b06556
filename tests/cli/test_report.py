"""`matinee cluster`, `map`, `report` and `describe --html`."""

import shutil

import pytest

from matinee.data.synthetic import write_generated

pytest.importorskip("altair")
pytest.importorskip("jinja2")
pytest.importorskip("sklearn")
pytest.importorskip("vl_convert")

PCA = ["--method", "pca"]


@pytest.fixture
def out(shell):
    """A folder for what one test writes, gone after it."""
    folder = shell.folder / "out"
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def unchanged(shell):
    """That the test leaves the files as they are."""
    before = shell.files()
    yield
    assert shell.files() == before


def is_page(path):
    text = path.read_text(encoding="utf-8")
    return text.startswith("<!doctype html>") and text.rstrip().endswith("</html>")


# --- cluster


@pytest.mark.slow
def test_cluster_names_its_groups_and_writes_nothing(shell, unchanged):
    found = shell.json("cluster", "als", "-k", 3)
    assert set(found) == {"of", "head", "k", "silhouette", "genre_agreement", "stability",
                          "left_out", "clusters", "traits", "silhouettes", "html"}  # fmt: skip
    assert (found["of"], found["head"], found["k"], found["html"]) == ("items", "rating", 3, None)
    sizes = [one["size"] for one in found["clusters"]]
    assert sizes == sorted(sizes, reverse=True)
    text = shell("cluster", "als", "-k", 3)
    assert f"3 clusters of {sum(sizes)} movies" in text
    for number, one in enumerate(found["clusters"], 1):
        lines = [line for line in text.splitlines()[1:] if line.strip().startswith(f"{number} ")]
        assert len(lines) == 1
        assert f" {one['size']} " in lines[0]
        assert one["name"].split(",")[0] in lines[0]
    assert f"Silhouette {found['silhouette']:.2f}" in text


@pytest.mark.slow
def test_cluster_finds_the_number_itself_for_the_newest_run(shell):
    by_default, by_name = shell.json("cluster"), shell.json("cluster", "als")
    assert by_default == by_name
    tried = {one["k"]: one["silhouette"] for one in by_default["silhouettes"]}
    assert len(tried) > 5
    assert tried[by_default["k"]] == max(tried.values())


@pytest.mark.slow
def test_users_and_either_head_are_grouped(shell):
    users = shell.json("cluster", "als", "-k", 3, "--users")
    assert users["of"] == "users"
    assert sum(one["size"] for one in users["clusters"]) <= 80
    assert "3 clusters of" in shell("cluster", "als", "-k", 3, "--users")
    head = [shell.json("cluster", "als", "-k", 3, "--head", one) for one in ("rating", "ranking")]
    assert [one["head"] for one in head] == ["rating", "ranking"]
    assert head[0]["silhouette"] != head[1]["silhouette"]


@pytest.mark.slow
@pytest.mark.parametrize("users", [[], ["--users"]], ids=["items", "users"])
def test_cluster_writes_a_page_where_it_says(shell, out, users):
    page = shell.folder / "runs" / "als" / "clusters.html"
    try:
        assert shell.json("cluster", "als", "-k", 3, "--html", *users)["html"] == (
            "runs/als/clusters.html"
        )
        assert is_page(page)
    finally:
        page.unlink(missing_ok=True)
    text = shell("cluster", "als", "-k", 3, "--out", "out/deep/mine.html", *users)
    assert "More in out/deep/mine.html" in text
    assert is_page(out / "deep" / "mine.html")
    assert [path.name for path in out.rglob("*")] == ["deep", "mine.html"]
    assert not page.exists()


# --- map


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.parametrize(
    ("ending", "start"), [("html", b"<!doctype"), ("png", b"\x89PNG"), ("svg", b"<svg")]
)
def test_a_map_is_a_page_or_a_picture(shell, out, ending, start):
    found = shell.json("map", "als", *PCA, "--color", "cluster", "--out", f"out/m.{ending}")
    assert set(found) == {"map", "items", "left_out"}
    assert found["map"] == f"out/m.{ending}"
    assert (out / f"m.{ending}").read_bytes().startswith(start)
    assert [path.name for path in out.iterdir()] == [f"m.{ending}"]
    assert 3 <= found["items"] <= 70


@pytest.mark.slow
def test_a_map_goes_into_the_run_unless_said(shell):
    page = shell.folder / "runs" / "als" / "map.html"
    try:
        text = shell("map", *PCA, "--head", "ranking")
        assert text.startswith("Map of ")
        assert "in runs/als/map.html." in text
        assert is_page(page)
        assert shell.json("recommend", "als", "--user", 7, "-n", 1)  # a run may hold a page
    finally:
        page.unlink(missing_ok=True)


@pytest.mark.thorough
@pytest.mark.slow
def test_a_map_is_of_neighbours_unless_said(shell, out):
    for method, name in (([], "t-SNE"), (PCA, "principal components")):
        shell("map", "als", *method, "--out", "out/m.svg")
        assert f"projected by {name}." in (out / "m.svg").read_text(encoding="utf-8")


# --- report


@pytest.mark.thorough
@pytest.mark.slow
def test_a_report_shows_who_is_asked_for(shell, out):
    found = shell.json("report", "als", "--user", 7, "--user", 11, "--out", "out/r.html")
    assert found == {"report": "out/r.html", "note": ""}
    text = (out / "r.html").read_text(encoding="utf-8")
    assert is_page(out / "r.html")
    for heading in ("User 7", "User 11"):
        assert f"<h2>{heading}</h2>" in text
    assert text.count("<h2>") > 8
    assert text.count("<h2>User ") == 2
    assert [path.name for path in out.iterdir()] == ["r.html"]


@pytest.mark.slow
def test_a_report_goes_into_the_run_whatever_heads_it_has(shell):
    for run in ("biases", "ease"):
        page = shell.folder / "runs" / run / "report.html"
        try:
            assert f"Report in runs/{run}/report.html" in shell("report", run)
            assert is_page(page)
            assert page.read_text(encoding="utf-8").count("<h2>User ") == 2
        finally:
            page.unlink(missing_ok=True)


@pytest.mark.thorough
@pytest.mark.slow
def test_a_report_without_its_data_says_so(shell, out, monkeypatch):
    data = shell.cache / "small"
    elsewhere = data.rename(shell.cache.parent / "moved")
    try:
        gone = shell.json("report", "als", "--user", 7, "--out", "out/gone.html")
        assert "small" in gone["note"]
        write_generated(data, users=80, items=70, ratings=2400, seed=3)
        said = shell("report", "als", "--user", 7, "--out", "out/other.html")
        assert "Without data and accuracy: " in said
        assert "the ratings have changed" in said
    finally:
        shutil.rmtree(data, ignore_errors=True)
        elsewhere.rename(data)
    for name in ("gone", "other"):
        text = (out / f"{name}.html").read_text(encoding="utf-8")
        assert "data and accuracy are left out" in text
        assert str(shell.cache) not in text  # where things lie here is private
        assert "<h2>Data</h2>" not in text
        assert "<h2>Map</h2>" in text


# --- describe --html


@pytest.mark.slow
def test_a_description_is_a_page_beside_or_where_said(shell, out):
    page = shell.folder / "small.html"
    try:
        assert "small.html; open it" in shell("describe", "small", "--html")
        assert is_page(page)
    finally:
        page.unlink(missing_ok=True)
    assert shell.json("describe", "small", "--out", "out/d.html") == {"html": "out/d.html"}
    assert is_page(out / "d.html")
    assert not page.exists()


# --- what is refused, before anything is written


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cluster", "als", "-k", 1], "k must be between 2 and"),
        (["cluster", "als", "-k", 1000, "--html"], "got 1000"),
        (["cluster", "als", "-k", 0], "got 0"),
        (["cluster", "als", "--head", "magic"], "magic"),
        (["cluster", "biases"], "without factors"),
        (["cluster", "popular", "--head", "ranking", "--html"], "without factors"),
        (["cluster", "biases", "--head", "ranking"], "ranking head"),
        (["cluster", "ease", "--head", "ranking", "--users"], "no user factors"),
        (["cluster", "nowhere"], "no run has this name"),
        (["cluster", "als", "--out", "c.png"], "must end in .html"),
        (["cluster", "als", "--out", "runs"], "must end in .html"),
        (["map", "als", "--method", "magic"], "'magic'"),
        (["map", "als", "--color", "mood"], "--color must be one of genre, cluster, year, rating"),
        (["map", "als", "--out", "m.pdf"], "must end in .html or .png or .svg"),
        (["map", "als", "--out", "m"], "must end in"),
        (["map", "biases", *PCA, "--out", "out/m.html"], "without factors"),
        (["map", "popular", *PCA, "--head", "ranking", "--out", "out/m.png"], "without factors"),
        (["report", "als", "--out", "r.png"], "must end in .html"),
        (["report", "als", "--user", "stranger", "--out", "out/r.html"], "stranger"),
        (["report", "als", "--user", 7, "--user", 9999, "--out", "out/r.html"], "9999"),
        (["describe", "small", "--out", "d.txt"], "must end in .html"),
        (["describe", "nothing", "--html"], "nothing"),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else "",
)
def test_what_makes_no_sense_is_refused_and_leaves_nothing(shell, unchanged, arguments, message):
    assert message in shell(*arguments, fails=True)
    assert not (shell.folder / "out").exists()


@pytest.mark.parametrize("command", [["cluster", "als"], ["map", "als"], ["report", "als"],
                                     ["describe", "small"]], ids=lambda one: one[0])  # fmt: skip
def test_a_folder_is_no_file(shell, command):
    folder = shell.folder / "folder.html"
    folder.mkdir(exist_ok=True)
    message = shell(*command, "--out", "folder.html", fails=True)
    assert "--out folder.html: this is a folder; name a file." in message
    assert not list(folder.iterdir())
    folder.rmdir()


@pytest.mark.parametrize(
    ("command", "work"),
    [
        (["map", "als", "--out", "m.pdf"], "matinee.analysis.projection.project"),
        (["map", "als", "--color", "mood"], "matinee.analysis.projection.project"),
        (["cluster", "als", "--out", "c.pdf"], "matinee.analysis.clusters.find_clusters"),
        (["report", "als", "--user", "stranger"], "matinee.report.run_report.describe"),
        (["report", "als", "--user", "stranger"], "matinee.report.run_report.find_clusters"),
    ],
)
def test_it_is_refused_before_the_work(shell, command, work, monkeypatch):
    def worked(*_, **__):
        raise AssertionError("this is the work")

    monkeypatch.setattr(work, worked)
    shell(*command, fails=True)  # what the work raises would not be one line


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "work"),
    [
        (["map", "als", *PCA, "--out", "out/x.html"], "matinee.report.document.render"),
        (["map", "als", *PCA, "--out", "out/x.png"], "vl_convert.vegalite_to_png"),
        (["cluster", "als", "-k", 3, "--out", "out/x.html"], "matinee.report.document.render"),
        (["describe", "small", "--out", "out/x.html"], "matinee.report.document.render"),
    ],
    ids=["map", "picture", "cluster", "describe"],
)
def test_nothing_half_written_remains(shell, out, command, work, monkeypatch):
    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    out.mkdir()
    target = out / command[-1].split("/")[1]
    target.write_text("as it was")
    monkeypatch.setattr(work, fail)
    assert "the disk is full" in shell(*command, fails=True)
    assert shell.files("out") == {target}
    assert target.read_text() == "as it was"


# --- extras that are not there


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.parametrize(
    ("package", "command"),
    [
        ("sklearn", ["cluster", "als"]),
        ("altair", ["map", "als"]),
        ("sklearn", ["map", "als"]),
        ("altair", ["report", "als"]),
        ("jinja2", ["describe", "small", "--html"]),
        ("vl_convert", ["cluster", "als", "-k", 3, "--html"]),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_a_missing_package_is_named_with_the_extra(shell, unchanged, package, command):
    message = shell.without(package, *command, fails=True)
    assert package in message
    assert "matinee[charts]" in message


@pytest.mark.slow
def test_without_charts_a_description_is_still_text(shell):
    assert "2,400 ratings" in shell.without("altair", "describe", "small")


def test_a_place_that_cannot_be_written_is_refused_before_the_work(shell):
    (shell.folder / "afile").write_text("in the way")
    message = shell("map", "als", "--out", "afile/map.html", fails=True)
    assert message.startswith("matinee: afile/map.html: not writable: ")
    assert "a file is in the place of a folder" in message
    assert (shell.folder / "afile").read_text() == "in the way"
