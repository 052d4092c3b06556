"""A small installation of its own: what compiles kernels, and two kernels, one in the other."""

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import matinee

SOURCE = Path(matinee.__file__).parent
FILES = (
    "__init__.py", "__init__.pyi", "errors.py", "kernels/__init__.py", "kernels/cache.py",
    "kernels/jit.py", "storage/__init__.py", "storage/cache_folder.py",
)  # fmt: skip
INNER = "from matinee.kernels.jit import part\n\n@part\ndef inner(x):\n    return x + {added}\n"
OUTER = "from matinee.kernels.inner import inner\nfrom matinee.kernels.jit import jit\n\n"
OUTER += "@jit\ndef outer(x):\n    return {way}\n"
CALL = """
from matinee.kernels.outer import outer
print(outer(1), sum(outer.stats.cache_hits.values()), sum(outer.stats.cache_misses.values()))
"""
UID = 54321  # a user without name and home
# who may not be allowed to read Python's own files: they are imported before
BECOME_HOMELESS = f"""
import os, tempfile, numba, platformdirs, matinee.errors
numba.njit(lambda x: x + 1)(1)
os.setgroups([])
os.setgid({UID})
os.setuid({UID})
"""


class Installed:
    """The installation, the folder it is in, and places beside it that it may use."""

    def __init__(self, folder):
        self.folder, self.package = folder, folder / "site" / "matinee"
        for file in FILES:
            (self.package / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(SOURCE / file, self.package / file)
        self.beside = self.package / "kernels" / "__pycache__"
        self.home, self.temporary = folder / "home", folder / "temporary"
        self.home.mkdir()
        self.temporary.mkdir()
        self.temporary.chmod(0o1777)
        self.write()

    def write(self, added=1, way="inner(x)"):
        """The two kernels; what they compute of 1."""
        (self.package / "kernels" / "inner.py").write_text(INNER.format(added=added))
        (self.package / "kernels" / "outer.py").write_text(OUTER.format(way=way))

    def run(self, code, homeless=False, umask=-1, **variables):
        """What Python code prints in a process of its own, whose files are only as it says."""
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(self.folder / "site"),
            "TMPDIR": str(self.temporary),
            **({} if homeless else {"HOME": str(self.home)}),
            **{name: str(value) for name, value in variables.items()},
        }
        code = BECOME_HOMELESS + code if homeless else code
        done = subprocess.run(
            [sys.executable, "-B", "-c", code],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            umask=umask,
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        return done.stdout

    def call(self, **options):
        """(result, loaded, compiled) of the outer kernel."""
        return tuple(int(number) for number in self.run(CALL, **options).split())

    def block_beside(self):
        """Nothing can be kept beside the package any more."""
        shutil.rmtree(self.beside, ignore_errors=True)
        self.beside.write_text("no folder, and none can be made")

    def compiled(self, below=None):
        """The folders that hold compiled kernels."""
        return sorted({path.parent for path in (below or self.folder).rglob("*.nbi")})


@contextmanager
def installed():
    """An installation that everybody may read, wherever the tests keep theirs."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    try:
        yield Installed(folder)
    finally:
        shutil.rmtree(folder)
