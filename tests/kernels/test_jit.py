"""Compiled code is cached until a kernel changes, in its own file or in another one."""

import os
import shutil
import subprocess
import sys

import pytest

from matinee.kernels import jit

HELPER = "from jit import jit\n\n@jit\ndef helper(x):\n    return x + {added}\n"
KERNEL = "from helper import helper\nfrom jit import jit\n\n"
KERNEL += "@jit\ndef kernel(x):\n    return {way}\n"
CALL = """
from kernel import kernel
print(kernel(1), sum(kernel.stats.cache_hits.values()), sum(kernel.stats.cache_misses.values()))
"""


@pytest.fixture
def kernels(tmp_path):
    """A folder of two kernels, one of which calls the other."""
    folder = tmp_path / "kernels"
    folder.mkdir()
    shutil.copy(jit.__file__, folder)
    (folder / "helper.py").write_text(HELPER.format(added=1))
    (folder / "kernel.py").write_text(KERNEL.format(way="helper(x)"))
    return folder


def call(folder):
    """(result, loaded, compiled) of the kernel in a new process."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder.parent / "cache")}
    environment.pop("NUMBA_CACHE_DIR", None)
    done = subprocess.run(
        [sys.executable, "-c", CALL], cwd=folder, env=environment, capture_output=True, check=True
    )
    return tuple(int(number) for number in done.stdout.split())


@pytest.mark.slow
def test_a_kernel_is_compiled_once_until_any_kernel_changes(kernels):
    assert call(kernels) == (2, 0, 1)
    assert call(kernels) == (2, 1, 0)
    cached = sorted(path.name for path in kernels.rglob("*.nb?"))
    # numba's own cache would go by kernel.py alone, and answer 2
    (kernels / "helper.py").write_text(HELPER.format(added=2))
    assert call(kernels) == (3, 0, 1)
    assert sorted(path.name for path in kernels.rglob("*.nb?")) == cached  # old code overwritten
    (kernels / "kernel.py").write_text(KERNEL.format(way="helper(helper(x))"))
    assert call(kernels) == (5, 0, 1)
    assert call(kernels) == (5, 1, 0)


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other cache folders elsewhere")
def test_the_users_cache_is_used_if_the_package_is_read_only(kernels):
    (kernels / "__pycache__").write_text("no folder, and none can be made")
    assert call(kernels) == (2, 0, 1)
    assert call(kernels) == (2, 1, 0)
    assert list((kernels.parent / "cache").rglob("*.nbi"))
