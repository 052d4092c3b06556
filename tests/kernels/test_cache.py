"""Compiled kernels on disk: where they are kept, what is trusted, and what happens if it breaks."""

import os
import shutil
import stat
import sys

import numba
import pytest
from installed import installed

from matinee.kernels import cache
from matinee.kernels.jit import jit

pytestmark = pytest.mark.thorough
unix = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="owners and modes of Unix")
administrator = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="becomes another user"
)
COMPILED, LOADED = (2, 0, 1), (2, 1, 0)
"""(result, loaded, compiled)"""


@pytest.fixture
def place():
    with installed() as place:
        yield place


def test_a_kernel_is_compiled_once_until_any_kernel_changes(place):
    assert place.call() == COMPILED
    assert place.call() == LOADED
    place.write(added=2)  # in another file than that of the kernel that is called
    assert place.call() == (3, 0, 1)
    place.write(added=2, way="inner(inner(x))")
    assert place.call() == (5, 0, 1)
    assert place.call() == (5, 1, 0)
    place.write()
    assert place.call() == LOADED
    assert {folder.parent for folder in place.compiled()} == {place.beside}


def test_what_only_compiling_needs_is_not_imported_with_what_is_loaded(place):
    code = "\nimport sys\nfrom matinee.kernels.outer import outer\nouter(1)\n"
    code += "print('numba.np.arraymath' in sys.modules)"
    assert [place.run(code).strip() for _ in range(2)] == ["True", "False"]


def test_only_the_latest_states_are_kept(place):
    assert place.call() == COMPILED
    (folder,) = place.compiled()
    for age in range(1, 6):
        older = shutil.copytree(folder, folder.with_name(f"{cache.PREFIX}{age}"))
        os.utime(older, (10**9 - age, 10**9 - age))
    other = place.beside / "another"
    other.mkdir()
    place.write(added=2)
    assert place.call() == (3, 0, 1)
    names = {path.name for path in place.beside.iterdir()} - {folder.name, "another"}
    assert {f"{cache.PREFIX}1", f"{cache.PREFIX}2"} < names
    assert len(names) == cache.KEPT - 1
    assert other.exists()


def test_the_cache_folder_comes_first_if_it_is_named(place):
    named = place.folder / "named" / "deep"
    assert place.call(MATINEE_CACHE=named) == COMPILED
    assert [folder.parent for folder in place.compiled()] == [named]
    assert place.call(MATINEE_CACHE=named) == LOADED
    assert place.call() == COMPILED  # which knows nothing of that folder
    assert place.call(MATINEE_CACHE=place.folder / "another") == LOADED  # from beside the package
    assert not (place.folder / "another").exists()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other cache folders elsewhere")
def test_the_users_cache_folder_is_next_if_the_package_is_read_only(place):
    place.block_beside()
    assert place.call() == COMPILED
    assert place.call() == LOADED
    assert [folder.parent for folder in place.compiled()] == [place.home / ".cache" / "matinee"]


@administrator
def test_a_user_without_name_and_home_compiles_into_a_private_temporary_folder(place):
    assert place.call(homeless=True) == COMPILED
    assert place.call(homeless=True) == LOADED
    (folder,) = place.compiled()
    private = folder.parent.stat()
    assert folder.parent.parent == place.temporary
    assert stat.S_IMODE(private.st_mode) == 0o700
    assert place.call() == COMPILED  # another user does not take it
    assert sorted(path.name for path in place.folder.iterdir()) == ["home", "site", "temporary"]


@administrator
def test_what_the_administrator_has_compiled_is_used_by_all(place):
    assert place.call() == COMPILED
    assert place.call(homeless=True) == LOADED
    named = place.folder / "named"
    place.block_beside()
    assert place.call(MATINEE_CACHE=named) == COMPILED
    assert place.call(homeless=True, MATINEE_CACHE=named) == LOADED
    assert list(place.temporary.iterdir()) == []


@administrator
def test_a_home_that_cannot_be_written_to_is_no_place(place):
    place.home.chmod(0o555)
    assert place.call(homeless=True, HOME=place.home) == COMPILED
    assert place.call(homeless=True, HOME="/nonexistent") == LOADED
    assert [folder.parent.parent for folder in place.compiled()] == [place.temporary]


def damage(content, how):
    middle = len(content) // 2
    return {
        "empty": b"",
        "cut": content[:middle],
        "garbage": os.urandom(len(content)),
        "one byte": content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :],
        "longer": content + b"x",
    }[how]


def test_damaged_files_are_compiled_again(place):
    assert place.call() == COMPILED
    for suffix, how in (
        (".nbi", "empty"), (".nbi", "garbage"), (".nbc", "empty"), (".nbc", "cut"),
        (".nbc", "one byte"), (".nbc", "longer"), (".sha256", "empty"),
    ):  # fmt: skip
        (file,) = place.beside.rglob(f"*{suffix}")
        file.write_bytes(damage(file.read_bytes(), how))
        assert place.call() == COMPILED, (suffix, how)
    assert place.call() == LOADED


def test_a_missing_file_is_compiled_again(place):
    assert place.call() == COMPILED
    for file in sorted(place.beside.rglob("outer*")):
        file.unlink()
        assert place.call() == COMPILED, file.suffix
    assert place.call() == LOADED


@unix
def test_a_folder_or_file_that_others_may_write_to_is_not_trusted(place):
    assert place.call() == COMPILED
    (folder,) = place.compiled()
    for path, open_to_others in ((folder, 0o775), (folder, 0o757), (folder / "file", 0o666)):
        for each in folder.iterdir() if path.name == "file" else [path]:
            each.chmod(open_to_others)
        shutil.rmtree(place.home / ".cache", ignore_errors=True)
        assert place.call() == COMPILED
        folder.chmod(0o755)


@unix
def test_a_linked_folder_is_not_trusted(place):
    assert place.call() == COMPILED
    (folder,) = place.compiled()
    elsewhere = folder.rename(place.folder / "elsewhere")
    folder.symlink_to(elsewhere)
    assert place.call() == COMPILED


@administrator
def test_a_folder_of_another_user_is_not_trusted(place):
    taken = place.temporary / "matinee-0"
    taken.mkdir()
    os.chown(taken, 54321, 54321)
    named = place.folder / "named"
    named.mkdir()
    place.block_beside()
    assert place.call(MATINEE_CACHE=named) == COMPILED
    (folder,) = place.compiled()
    for path in (folder, *folder.iterdir()):
        os.chown(path, 54321, 54321)
    assert place.call(MATINEE_CACHE=named, HOME="/dev/null") == COMPILED
    used = [path.parent for path in place.compiled() if path != folder]
    assert [path.parent for path in used] == [place.temporary]
    assert taken not in used


@unix
def test_nothing_is_left_open_to_others_whatever_the_umask(place):
    assert place.call(umask=0) == COMPILED
    (folder,) = place.compiled()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert place.call(umask=0o77) == LOADED
    place.write(added=2)
    assert place.call(umask=0o77)[0] == 3
    assert all(
        not path.stat().st_mode & 0o077 for path in place.beside.rglob("*") if path.is_file()
    )


def test_without_any_place_kernels_are_compiled_each_time(place):
    place.block_beside()
    blocked = {"HOME": "/dev/null", "MATINEE_CACHE": "/dev/null/cache", "TMPDIR": "/dev/null"}
    code = "import tempfile; tempfile.tempdir = '/dev/null/temporary'\n"
    code += "from matinee.kernels.outer import outer\nprint(outer(1))"
    assert place.run(code, **blocked) == "2\n"


def test_two_processes_that_compile_different_versions_do_not_mix_them_up(place):
    assert place.run("from matinee.kernels.outer import outer\nprint(outer(1))") == "2\n"
    assert place.run("from matinee.kernels.outer import outer\nprint(outer(0.5))") == "1.5\n"
    both = "from matinee.kernels.outer import outer\nprint(outer(1), outer(0.5))\n"
    both += "print(sum(outer.stats.cache_hits.values()))"
    assert place.run(both) == "2 1.5\n2\n"


def test_numba_asks_this_cache():
    """What is set on a compiled function is private to numba: this fails if that ever changes."""
    twice = jit(lambda x: 2 * x)
    asked = []

    class Spy(cache.KernelCache):
        def load_overload(self, signature, target_context):
            asked.append("load")

        def save_overload(self, signature, compiled):
            asked.append("save")

    assert isinstance(twice._cache, cache.KernelCache)
    assert isinstance(numba.njit(lambda x: x)._cache, cache.NullCache)
    twice._cache = Spy(twice.py_func)
    assert twice(2) == 4
    assert asked == ["load", "save"]
