"""Inputs that trainings leave: runs, studies, checkpoints; and search spaces."""

import json
import shutil
import sqlite3
import tempfile
from contextlib import closing
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import polars as pl
from changes import (
    byte_changes,
    changed,
    data_changed,
    header_changed,
    json_changed,
    json_changes,
    odd_values,
    places,
    text_of,
)
from hypothesis import strategies as st
from questions import answer, ask_model
from target import Target

import matinee
from forgery import forge
from matinee.data import Dataset, generate
from matinee.tuning.space_parsing import read_space

HAS_TORCH = find_spec("torch") is not None
HAS_OPTUNA = find_spec("optuna") is not None


@cache
def folder_of_originals() -> Path:
    """What is changed lies here, made once by each process."""
    folder = tempfile.TemporaryDirectory(prefix="matinee-originals-")
    _open.append(folder)  # removed when the process ends
    return Path(folder.name)


_open: list[Any] = []


@cache
def small_data() -> Dataset:
    """Few ratings, with attributes of users and items."""
    data = generate(users=12, items=10, ratings=60, seed=1)[0].to_frame()
    users = {"user_id": range(1, 13), "age": [20.0, None] * 6, "town": ["A", "B", "C"] * 4}
    rows = data.select("user_id", "item_id", "rating", "timestamp")
    items = {"item_id": range(1, 11), "title": "Film (1999)", "genres": "A|B", "colour": "red"}
    return matinee.read(rows, users=pl.DataFrame(users), items=pl.DataFrame(items))


# runs


def _estimators() -> dict[str, Any]:
    wanted: dict[str, Any] = {
        "both": None,
        "bayesian": matinee.BayesianMF(factors=2, iterations=4, burn_in=1),
        "ease": matinee.EASE(),
        "userknn": matinee.UserKNN(),
        "popularity": matinee.Popularity(),
    }
    if HAS_TORCH:
        wanted["neumf"] = matinee.NeuMF(factors=2, layers=(4, 2), epochs=1)
    return wanted


KINDS = (*("both", "both", "bayesian", "ease", "userknn", "popularity"), *["neumf"] * HAS_TORCH)


@cache
def original_run(kind: str) -> Path:
    """A sound run of a kind."""
    estimator = _estimators()[kind]
    if estimator is None:
        model = matinee.ALS(factors=2, iterations=1).fit(small_data())
        model = model.with_ranking(matinee.ImplicitALS(factors=2, iterations=1).fit(small_data()))
    else:
        model = estimator.fit(small_data())
    return model.save(folder_of_originals() / kind)


def _write_run(case: Any, folder: Path) -> None:
    kind, at, how, changes, json_case, right_checksum = case
    run = folder / "run"
    shutil.copytree(original_run(kind), run)
    files = sorted(path.name for path in run.iterdir())
    name = files[int(at * len(files))]
    content = (run / name).read_bytes()
    if name == "manifest.json" and how != "bytes":
        content = text_of(json_changed(json.loads(content), json_case))
    elif name.endswith(".safetensors") and how == "structure":
        content = header_changed(content, json_case)
    elif name.endswith(".safetensors") and how == "data":
        content = data_changed(content, changes)
    elif name == "history.jsonl" and how != "bytes":
        rows = json_changed(list(map(json.loads, content.splitlines())), json_case)
        content = b"\n".join(map(text_of, rows if isinstance(rows, list) else [rows]))
    else:
        content = changed(content, changes)
    (run / name).write_bytes(content)
    if right_checksum and name != "manifest.json":
        forge(run, name)


runs = Target(
    st.tuples(
        st.sampled_from(KINDS),
        places,
        st.sampled_from(["bytes", "structure", "data"]),
        byte_changes,
        json_changes,
        st.sampled_from([True, True, True, False]),
    ),
    _write_run,
    lambda folder, case: ask_model(answer(lambda: matinee.load(folder / "run"))),
    few=60,
)

# studies


@cache
def original_study() -> Path:
    """A study of which all trials have finished."""
    study = folder_of_originals() / "study"
    _tune(study, study.with_name("tuned"))
    return study


def _tune(study: Path, run: Path) -> Any:
    return matinee.tune(small_data(), "bias", trials=2, study=study, run=run, search="random")


def _write_study(case: Any, folder: Path) -> None:
    changes, edits = case
    shutil.copytree(original_study(), folder / "study")
    file = folder / "study" / "study.sqlite3"
    if edits is None:
        file.write_bytes(changed(file.read_bytes(), changes))
        return
    with closing(sqlite3.connect(file)) as database:
        select = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
        tables = [name for (name,) in database.execute(select)]
        for table_at, column_at, value in edits:
            table = tables[int(table_at * len(tables))]
            columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
            column = columns[int(column_at * len(columns))]
            try:
                database.execute(f"UPDATE {table} SET {column} = ?", (value,))  # noqa: S608
            except (sqlite3.Error, OverflowError, UnicodeEncodeError):
                database.execute(f"DELETE FROM {table}")  # noqa: S608
        database.commit()


_stored = odd_values.map(lambda value: value if isinstance(value, str | int | float) else None)
studies = Target(
    st.tuples(
        byte_changes,
        st.none() | st.lists(st.tuples(places, places, _stored), min_size=1, max_size=2),
    ),
    _write_study,
    lambda folder, case: answer(lambda: repr(_tune(folder / "study", folder / "run"))),
    few=6,
)

# checkpoints


def _resumable(kind: str) -> Any:
    if kind == "bayesian":
        return matinee.BayesianMF(factors=2, iterations=4, burn_in=1)
    return matinee.MatrixFactorization(factors=2, epochs=2, device="cpu")


@cache
def original_checkpoint(kind: str) -> Path:
    """The checkpoint of a finished training."""
    folder = folder_of_originals() / f"checkpoint-{kind}"
    _resumable(kind).fit(small_data(), checkpoint=matinee.Checkpoint(folder, every=1))
    return folder


def _write_checkpoint(case: Any, folder: Path) -> None:
    kind, at, how, changes, json_case = case
    shutil.copytree(original_checkpoint(kind), folder / "checkpoint")
    files = sorted(path for path in (folder / "checkpoint").rglob("*") if path.is_file())
    # the state is half of all
    state = next(file for file in files if file.name == "state.safetensors")
    file = state if at < 0.5 else files[int((at - 0.5) * 2 * len(files))]
    content = file.read_bytes()
    if how == "structure":
        content = header_changed(content, json_case)
    elif how == "metadata" and file == state:
        content = _metadata_changed(content, json_case)
    elif how == "data":
        content = data_changed(content, changes)
    else:
        content = changed(content, changes)
    file.write_bytes(content)


def _metadata_changed(content: bytes, json_case: Any) -> bytes:
    """A state with other numbers beside its arrays."""
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    state = json_changed(json.loads(header["__metadata__"]["state"]), json_case)
    header["__metadata__"]["state"] = json.dumps(state)
    text = text_of(header)
    return len(text).to_bytes(8, "little") + text + content[start:]


def _resume(folder: Path, case: Any) -> None:
    checkpoint = matinee.Checkpoint(folder / "checkpoint", every=1)
    model = answer(lambda: _resumable(case[0]).fit(small_data(), checkpoint=checkpoint))
    ask_model(model)
    if model is not None:
        matinee.load(model.save(folder / "run"))  # an error here is an escape


checkpoints = Target(
    st.tuples(
        st.sampled_from(["bayesian", *["gradient"] * HAS_TORCH]),
        places,
        st.sampled_from(["bytes", "structure", "data", "metadata", "metadata"]),
        byte_changes,
        json_changes,
    ),
    _write_checkpoint,
    _resume,
    few=25,
)

# search spaces

SPACE = b"""\
factors = {low = 4, high = 16, log = true, steps = 3}
regularization = {low = 0.5, high = 2.0, relative = true}
features = ["genres", "none"]
iterations = 3
exponent = [0.0, 0.5]
"""
ESTIMATORS = ("ALS", "ImplicitALS", "BayesianMF", "EASE", *["NeuMF"] * HAS_TORCH)
NAMES = ("factors", "regularization", "features", "iterations", "exponent", "layers", "low", "x.y")

_toml_values = st.sampled_from(
    [
        *("3", "0.5", "-1", "1e400", "nan", "true", '"none"', '"\\u0000"', "1979-05-27"),
        *("[]", "[1, 1]", "[4, 8]", "[[4, 2], [8]]", '[1, 2.0, "a"]', "9" * 400, "[" * 2000),
        *("{}", "{low = 1, high = 4}", "{low = 1, high = 1e308, log = true}"),
        *("{low = 0.5, high = 2, steps = 3}", "{low = -1, high = 99999999999999999999}"),
        *("{low = 2, high = 1}", "{low = nan, high = 1.0}", "{low = 1, high = 2, log = 3}"),
        *("{low = 1, high = 2, relative = true}", "{low = 1, high = 2, steps = 999999999}"),
    ]
)
_toml = st.dictionaries(st.sampled_from(NAMES), _toml_values, min_size=1, max_size=3).map(
    lambda entries: "".join(f"{name} = {value}\n" for name, value in entries.items()).encode()
)


def _ask_space(folder: Path, case: Any) -> None:
    space = answer(lambda: read_space(case[0], folder / "space.toml"))
    if space is not None:
        repr(space)
        answer(space.grid)
        answer(space.default_values)
        answer(lambda: space.unsearched(small_data().ratings))
        json.dumps(space.to_dict())


spaces = Target(
    st.tuples(
        st.sampled_from(ESTIMATORS),
        st.just(SPACE) | _toml,
        st.just([]) | byte_changes,
    ),
    lambda case, folder: (folder / "space.toml").write_bytes(changed(case[1], case[2])),
    _ask_space,
    few=60,
)
