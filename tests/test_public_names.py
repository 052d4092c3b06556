"""What `import matinee` offers, and what it costs."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import matinee

README = Path(__file__).parents[1] / "README.md"


def test_every_public_name_is_there_and_documented():
    assert sorted(matinee.__all__) == sorted(matinee._HOMES)
    for name in matinee.__all__:
        assert getattr(matinee, name).__doc__, name
        assert name in dir(matinee)
        assert f"`{name}`" in README.read_text(), f"{name} is not in the README"
    with pytest.raises(AttributeError, match="nonsense"):
        matinee.nonsense  # noqa: B018


def test_the_version_is_the_packages():
    assert matinee.__version__ == version("matinee")


@pytest.mark.parametrize(
    "what", ["import matinee", "import matinee.cli.app", "import matinee.storage.runs"]
)
def test_importing_is_light(what):
    heavy = "{'numpy', 'numba', 'polars', 'rich.table', 'torch', 'pandas'}"
    code = f"import sys; {what}; print(sorted({heavy} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert found.stdout.decode().strip() == "[]"


def test_importing_a_model_needs_no_optional_package():
    code = (
        "import sys; import matinee.models, matinee.evaluation, matinee.explore; "
        "print(sorted({'torch', 'pandas', 'sklearn', 'altair', 'pyarrow'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert found.stdout.decode().strip() == "[]"
