"""A run for executors: read where it is if they can, else sent to each of them once."""

import atexit
import hashlib
import os
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from matinee.spark.session import LOCAL, Workspace
from matinee.storage.runs import MANIFEST


@dataclass(frozen=True)
class SharedRun:
    """A run as executors find it: by its path, or among the files that came with the job."""

    path: str
    archive: str  # its name among those
    checksum: str

    @classmethod
    def of(cls, run: Path) -> "SharedRun":
        """A run on this machine."""
        checksum = _checksum(run)
        return cls(os.path.realpath(run), f"run-{checksum[:16]}.zip", checksum)

    def offer(self, workspace: Workspace) -> None:
        """Send it to the executors, unless they can read it where it is.

        They can if Spark is on this machine, or the run is in the folder that all of them share.
        """
        master = str(workspace.spark.conf.get("spark.master", ""))
        reached = Path(workspace.folder).parent in Path(self.path).parents
        if master.startswith(LOCAL) or reached or self._is_sent(workspace):
            return
        folder = mkdtemp(prefix="matinee-")  # from which executors fetch it when they first need it
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        archive = Path(folder, self.archive)
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as packed:
            for path in sorted(Path(self.path).rglob("*")):
                if path.is_file():
                    packed.write(path, path.relative_to(self.path))
        workspace.spark.addArtifacts(str(archive), archive=True)

    def _is_sent(self, workspace: Workspace) -> bool:
        """Whether it was sent before; Spark Connect knows by itself."""
        from pyspark.core.files import SparkFiles

        return hasattr(workspace.spark, "_sc") and Path(SparkFiles.get(self.archive)).exists()

    def find(self) -> Path:
        """Where it is, for an executor."""
        here = Path(self.path)
        if (here / MANIFEST).is_file() and _checksum(here) == self.checksum:
            return here
        from pyspark.core.files import SparkFiles

        return Path(SparkFiles.getRootDirectory(), self.archive)


def _checksum(run: Path) -> str:
    """The SHA-256 of a run's manifest, which has those of all of its files."""
    return hashlib.sha256((run / MANIFEST).read_bytes()).hexdigest()
