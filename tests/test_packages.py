"""Wheel, sdist and what else is said about the package: the same bytes twice, and they work."""

import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from wheels import install

import matinee
from first_steps import EXTRAS, PIP, first_recommendation, further_steps, installed, said

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OF_OTHERS = ("runs", "studies", "ml-", "dist", ".ci", ".venv", ".git/", "cache", "__pycache__")


@pytest.fixture(scope="session")
def dist(tmp_path_factory):
    """A folder with the sdist, and the wheel that was built from it."""
    return _built(tmp_path_factory.mktemp("dist"))


def _built(folder):
    for package in ("build", "hatchling"):
        pytest.importorskip(package)
    line = [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}
    subprocess.run(line, check=True, capture_output=True, env=environment)
    return folder


@pytest.fixture(scope="session")
def index(tmp_path_factory):
    """Whether pip reaches an index."""
    line = [*PIP, "download", "--quiet", "--no-deps", "--retries", "0", "--timeout", "10"]
    line += ["--no-cache-dir", "--dest", tmp_path_factory.mktemp("index"), "lazy_loader"]
    if subprocess.run(line, capture_output=True, timeout=120).returncode:
        pytest.skip("pip cannot reach an index")


def names(folder):
    """(files of the wheel, files of the sdist), the latter without the folder they are in."""
    (wheel,) = folder.glob("*.whl")
    (sdist,) = folder.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as archive, tarfile.open(sdist) as tar:
        return archive.namelist(), [name.split("/", 1)[1] for name in tar.getnames()]


@pytest.mark.slow
def test_the_same_bytes_twice(dist, tmp_path):
    first, second = ({path.name: path.read_bytes() for path in folder.iterdir()}
                     for folder in (dist, _built(tmp_path)))  # fmt: skip
    assert len(first) == 2
    assert first == second


@pytest.mark.slow
def test_an_index_would_take_them(dist):
    pytest.importorskip("twine")
    line = [sys.executable, "-m", "twine", "check", "--strict", *dist.iterdir()]
    done = subprocess.run(line, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_nothing_else(dist):
    held, _ = names(dist)
    source = ROOT / "src" / "matinee"
    files = {
        path.relative_to(source.parent).as_posix()
        for path in source.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in held if ".dist-info/" not in name} == files
    for needed in ("py.typed", "report/templates", "service/page", "service/store/migrations"):
        assert any(name.startswith(f"matinee/{needed}") for name in held), needed


@pytest.mark.slow
def test_the_sdist_holds_what_builds_and_tests_the_package(dist):
    _, held = names(dist)
    for needed in ("pyproject.toml", "LICENSE", "README.md", "Makefile", "constraints.txt",
                   "CITATION.cff", "src/conftest.py", "tests/conftest.py", "bench/peers.py",
                   "docs/architecture.md", "deploy/Containerfile", "notebooks/README.md",
                   ".dockerignore"):  # fmt: skip
        assert needed in held, needed
    assert [name for name in held if name.startswith(OF_OTHERS) or "__pycache__" in name] == []
    assert [name for name in held if name.endswith((".zip", ".parquet", ".nbi", ".nbc"))] == []


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="links to the Python of this environment")
def test_the_installed_wheel_starts_outside_the_checkout(tmp_path):
    """With the packages of this environment, which are quick to get."""
    programs = install(tmp_path).parent
    assert said(programs, tmp_path, "--version").strip().endswith(matinee.__version__)
    assert str(ROOT) not in said(programs, tmp_path, "doctor")


@pytest.mark.thorough
@pytest.mark.usefixtures("index")
def test_a_new_user_gets_everything_from_an_index(dist, tmp_path):
    (wheel,) = dist.glob("*.whl")
    constraints = ROOT / "constraints.txt"
    programs = installed(tmp_path / "python", "-c", constraints, f"{wheel}[{EXTRAS}]")
    first_recommendation(programs, tmp_path)
    further_steps(programs, tmp_path)


def test_the_extra_all_is_all_extras():
    extras = dict(PROJECT["optional-dependencies"])
    assert extras.pop("all") == [f"matinee[{','.join(extras)}]"]


def test_every_requirement_has_a_lower_bound_and_no_upper_one():
    for requirement in sum(PROJECT["optional-dependencies"].values(), PROJECT["dependencies"]):
        assert re.match(r"matinee\[|[\w.-]+(\[\w+\])?>=[\d.]+(;|$)", requirement), requirement


def test_pythons_that_are_promised_are_those_that_are_tested():
    yaml = pytest.importorskip("yaml")
    promised = [
        found[1]
        for name in PROJECT["classifiers"]
        if (found := re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", name))
    ]
    assert f">={promised[0]}" == PROJECT["requires-python"]
    for workflow, job in (("test", "test"), ("wheels", "first-steps")):
        text = (ROOT / f".github/workflows/{workflow}.yml").read_text(encoding="utf-8")
        assert yaml.safe_load(text)["jobs"][job]["strategy"]["matrix"]["python"] == promised


def test_workflows_run_targets_that_there_are():
    yaml = pytest.importorskip("yaml")
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for path in (ROOT / ".github" / "workflows").iterdir():
        for job in yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].values():
            for step in job["steps"]:
                assert re.fullmatch(r"[\w/-]+@v\d+\.\d+\.\d+", step.get("uses", "a@v1.0.0"))
                assert set(re.findall(r"\bmake ([\w-]+)", step.get("run", ""))) <= targets, path


def test_conda_needs_what_the_package_needs():
    yaml = pytest.importorskip("yaml")
    (path,) = (ROOT / "deploy" / "conda").iterdir()
    conda = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert conda["context"]["version"] == matinee.__version__
    needed = [requirement.replace(">=", " >=") for requirement in PROJECT["dependencies"]]
    python = f"python {PROJECT['requires-python']}"
    assert conda["requirements"]["run"] == [python, *needed]
    assert conda["requirements"]["host"][0] == python
    (script,) = PROJECT["scripts"].items()
    assert conda["build"]["python"]["entry_points"] == [" = ".join(script)]
    assert conda["about"]["summary"] == PROJECT["description"]


def test_the_citation_is_of_this_version():
    yaml = pytest.importorskip("yaml")
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == matinee.__version__
    assert citation["license"] == PROJECT["license"]
    assert citation["authors"] == PROJECT["authors"]
