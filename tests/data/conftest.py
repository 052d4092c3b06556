"""Fixtures of the data tests: tiny editions, a cache of the test's own, people with attributes."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from attributes_by_hand import attributes_of
from tiny_editions import WRITERS

from matinee.data.attributes import Attributes


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
    monkeypatch.setenv("MATINEE_DATA", os.fspath(folder))
    return folder


@pytest.fixture(scope="session")
def people() -> Attributes:
    """Seven users: what they speak, how old they are, what they like, since when."""
    return attributes_of(
        language=["fr", "fr", "fr", "de", None, "it", "de"],
        age=[20, 31, None, 20, 31, 50, 20],
        likes=[["a", "b"], ["b"], [], None, ["a", "a"], ["b", "a"], ["c"]],
        since=[1990, 1991, 2001, None, 2001, 1990, 1994],
        nothing=[None] * 7,
        rare=["q", "r", "s", "t", "u", "v", "w"],
    )
