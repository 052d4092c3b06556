"""Fixtures of the data tests: a tiny edition in each layout, and a cache of the test's own."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_editions import WRITERS


@pytest.fixture(params=list(WRITERS))
def layout(request: pytest.FixtureRequest) -> str:
    """Each of the MovieLens layouts in turn."""
    return request.param


@pytest.fixture
def make_edition(tmp_path: Path) -> Callable[..., Path]:
    """`make_edition(layout, **options)` writes the invented edition and gives its folder."""
    return lambda layout, **options: WRITERS[layout][0](tmp_path / f"tiny-{layout}", **options)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own, never the user's; it does not exist yet."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("MATINEE_CACHE", os.fspath(folder))
    return folder
