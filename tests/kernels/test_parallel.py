"""Blocks of rows, and the threads that run them: their results, order and errors."""

import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matinee.errors import SettingError
from matinee.kernels.parallel import aligned_zeros, balanced_blocks, run_blocks, uniform_blocks

LONG = 30  # seconds after which something hangs
TWO = [(0, 1), (1, 2)]


class BrokenBlockError(Exception):
    """What a kernel may raise."""


def many(count):
    return [(block, block + 1) for block in range(count)]


def in_new_process(script):
    """Run a script that may hang; its threads would not let this process end."""
    script = f"import os, threading\nfrom matinee.kernels.parallel import run_blocks\n{script}"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=LONG)


def meeting(count):
    """A kernel whose blocks, so many, can only run side by side: the thread of each."""
    barrier = threading.Barrier(count)

    def kernel(start, stop):
        barrier.wait(LONG)
        return threading.current_thread()

    return kernel


@pytest.mark.parametrize("threads", [1, 2, 5, None])
def test_results_come_in_the_order_of_the_blocks(threads):
    def kernel(start, stop, scale):
        time.sleep(0.002 * (stop % 3))  # the last to start is often the first to end
        return scale * start

    assert run_blocks(kernel, many(20), 10, threads=threads) == [10 * block for block in range(20)]


def test_every_block_is_run_once():
    counts = np.zeros(3000, np.int64)

    def kernel(start, stop):
        counts[start:stop] += 1

    run_blocks(kernel, many(3000), threads=5)
    assert (counts == 1).all()


def test_no_blocks_give_no_results():
    assert run_blocks(lambda start, stop: start, [], threads=3) == []


def test_fewer_threads_than_one_are_refused():
    for threads in (0, -1):
        with pytest.raises(SettingError, match=r"threads must be >= 1, got "):
            run_blocks(lambda start, stop: start, TWO, threads=threads)


def test_one_thread_is_the_one_that_calls():
    results = run_blocks(lambda start, stop: threading.current_thread(), many(5), threads=1)
    assert set(results) == {threading.current_thread()}


@pytest.mark.parametrize("threads", [2, 3])
def test_at_most_so_many_threads_run(threads):
    run_blocks(lambda start, stop: time.sleep(0.001), many(30), threads=6)  # so that more are alive
    running, most = set(), []

    def kernel(start, stop):
        running.add(start)
        most.append(len(running))
        time.sleep(0.002)
        running.remove(start)

    run_blocks(kernel, many(30), threads=threads)
    assert max(most) <= threads


def test_threads_run_side_by_side_and_stay_for_the_next_call():
    teams = [set(run_blocks(meeting(2), TWO, threads=2)) for _ in range(4)]
    assert len(teams[0]) == 2
    assert threading.current_thread() in teams[0]
    assert all(team == teams[0] for team in teams)


def test_few_blocks_take_some_of_the_same_threads():
    seen = set()
    for count in (2, 3, 4, 5, 6):
        seen |= set(run_blocks(meeting(count), many(count), threads=6))
    assert len(seen) == 6


@pytest.mark.slow
@pytest.mark.parametrize("caller_fails", [True, False])
def test_after_an_error_no_thread_writes_any_more(caller_fails):
    barrier, caller, written = threading.Barrier(2), threading.current_thread(), []

    def kernel(start, stop):
        if start < 2:
            barrier.wait(LONG)
            if (threading.current_thread() is caller) == caller_fails:
                raise BrokenBlockError
        time.sleep(0.05)
        written.append(start)

    with pytest.raises(BrokenBlockError):
        run_blocks(kernel, many(3), threads=2)
    before = list(written)
    assert len(before) >= 1
    time.sleep(0.2)
    assert written == before


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("bad", [0, 6, 11])
def test_the_error_of_any_block_is_raised(threads, bad):
    def kernel(start, stop):
        time.sleep(0.001)
        if start == bad:
            raise BrokenBlockError(start)

    with pytest.raises(BrokenBlockError, match=str(bad)):
        run_blocks(kernel, many(12), threads=threads)
    assert run_blocks(lambda start, stop: start, many(3), threads=threads) == [0, 1, 2]


def test_calls_from_many_threads_do_not_mix():
    results = {}

    def call(number):
        results[number] = run_blocks(lambda start, stop: (number, start), many(50), threads=3)

    callers = [threading.Thread(target=call, args=(number,)) for number in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(LONG)
    for number in range(8):
        assert results[number] == [(number, block) for block in range(50)]


def test_a_call_does_not_wait_for_the_blocks_of_another():
    begun, over, results = threading.Barrier(3), threading.Event(), []

    def slow(start, stop):
        begun.wait(LONG)
        over.wait(LONG)

    def quick():
        results.extend(run_blocks(lambda start, stop: start, many(4), threads=2))

    first = threading.Thread(target=run_blocks, args=(slow, TWO), kwargs={"threads": 2})
    second = threading.Thread(target=quick)
    first.start()
    begun.wait(LONG)  # both threads of the first call are busy
    second.start()
    second.join(5)
    try:
        assert results == [0, 1, 2, 3]
    finally:
        over.set()
        first.join(LONG)
        second.join(LONG)


def test_a_block_may_run_blocks():
    in_new_process("""
barrier = threading.Barrier(2)

def outer(start, stop):
    barrier.wait(20)  # no thread is left for those inside
    return run_blocks(lambda a, b: (start, a), [(k, k + 1) for k in range(9)], threads=2)

results = run_blocks(outer, [(0, 1), (1, 2)], threads=2)
assert results == [[(start, k) for k in range(9)] for start in range(2)]
""")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
def test_a_forked_process_has_threads_of_its_own():
    in_new_process("""
def both_at_once():
    barrier = threading.Barrier(2)
    def kernel(start, stop):
        barrier.wait(5)
        return start
    return run_blocks(kernel, [(0, 1), (1, 2)], threads=2) == [0, 1]

assert both_at_once()
child = os.fork()
if child == 0:
    good = False
    try:
        good = both_at_once()
    finally:
        os._exit(0 if good else 1)
assert os.waitpid(child, 0)[1] == 0
assert both_at_once()
""")


@pytest.mark.parametrize(("rows", "width"), [(0, 16), (1, 1), (7, 33), (100, 16)])
def test_aligned_zeros_start_with_a_cache_line(rows, width):
    for _ in range(5):
        array = aligned_zeros(rows, width)
        assert array.shape == (rows, width)
        assert array.dtype == np.float32
        assert array.flags.c_contiguous
        assert array.flags.writeable
        assert not array.any()
        assert array.ctypes.data % 64 == 0 or array.size == 0


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 50), max_size=60), st.integers(1, 20))
def test_balanced_blocks_cover_every_row_once_in_order(counts, blocks):
    indptr = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
    results = balanced_blocks(indptr, blocks)
    assert [row for start, stop in results for row in range(start, stop)] == list(
        range(len(counts))
    )
    assert len(results) <= blocks


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 1000), st.integers(1, 200))
def test_uniform_blocks_cover_every_row_once_in_order(rows, least):
    results = uniform_blocks(rows, least)
    assert [row for start, stop in results for row in range(start, stop)] == list(range(rows))
    sizes = [stop - start for start, stop in results]
    assert max(sizes) - min(sizes) <= 1
    assert len(results) == 1 or min(sizes) >= least
