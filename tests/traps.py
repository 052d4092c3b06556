"""What stands in place of a file, so that whoever opens it waits for ever or reads without end."""

import os
import socket

TRAPS = ("pipe", "folder", "zeros", "terminal", "circle", "socket")


def make_trap(path, kind):
    """Put something that is no file at `path`, in place of what is there."""
    path.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "zeros":
        path.symlink_to("/dev/zero")
    elif kind == "terminal":
        path.symlink_to("/dev/tty")
    elif kind == "circle":
        path.symlink_to(path.name)
    else:
        with socket.socket(socket.AF_UNIX) as listener:
            here = os.open(path.parent, os.O_RDONLY)  # the path of a socket has 107 bytes at most
            listener.bind(f"/proc/self/fd/{here}/{path.name}")
            os.close(here)
