"""What a forked child of this process says."""

import multiprocessing

import polars as pl

PATIENCE = 60  # seconds after which a child hangs


def said_in_a_fork(function, *arguments):
    """What a function returns in a forked child of a process that has used polars' threads."""
    pl.DataFrame({"a": [2, 1], "b": [3, 4]}).sort("a").select(pl.col("a") + 1, "b")
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    child = context.Process(target=lambda: theirs.send(function(*arguments)))
    child.start()
    try:
        assert ours.poll(PATIENCE), "the child does not answer"
        return ours.recv()
    finally:
        child.kill()
        child.join()
