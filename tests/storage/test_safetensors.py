"""Arrays where they stand in a file: the library's own bits back, no hostile header believed."""

import json

import numpy as np
import pytest
from safetensors.numpy import load, save

from matinee.storage.safetensors import LONGEST_HEADER, arrays_in

SOME = {
    "rows": np.arange(12, dtype=np.float32).reshape(4, 3),
    "starts": np.array([0, 2**62, -1], np.int64),
    "codes": np.array([[[7]]], np.int32),
    "exact": np.array([np.pi, np.nan]),
    "none": np.empty((0, 5), np.float32),
    "one": np.array(4.5, np.float32),
}


def file_of(header, data=b"", size=None):
    """Bytes of a file with this header, which may be an object or text already."""
    text = (header if isinstance(header, str) else json.dumps(header)).encode()
    length = len(text) if size is None else size
    return memoryview(length.to_bytes(8, "little") + text + data)


def one(**changes):
    """A file of two floats, its header changed."""
    about = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **changes}
    return file_of(json.dumps({"a": about}).ljust(80), bytes(8))


def test_the_same_bits_as_the_library_reads():
    content = save(SOME, metadata={"made": "here"})
    found, expected = arrays_in(memoryview(content)), load(content)
    assert set(found) == set(expected) == set(SOME)
    for name, array in expected.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        assert found[name].tobytes() == array.tobytes()


def test_arrays_are_views_that_can_be_written_to_where_the_bytes_can():
    content = bytearray(save(SOME))
    array = arrays_in(memoryview(content))["rows"]
    assert np.shares_memory(array, np.frombuffer(content, np.uint8))
    array[0, 0] = 99
    assert load(bytes(content))["rows"][0, 0] == 99


def test_a_file_without_arrays_has_none():
    assert arrays_in(memoryview(save({}))) == {}


def test_the_example_to_be_changed_is_right():
    assert arrays_in(one())["a"].tolist() == [0, 0]


@pytest.mark.parametrize(
    "changes",
    [
        {"dtype": "F16"},
        {"dtype": "object"},
        {"dtype": ["F32"]},
        {"dtype": None},
        {"shape": [3]},
        {"shape": [1]},
        {"shape": []},
        {"shape": 2},
        {"shape": "2"},
        {"shape": [-2]},
        {"shape": [-1, -2]},
        {"shape": [2.0]},
        {"shape": [True, 2]},
        {"shape": [None]},
        {"shape": [2**62, 2**62, 0]},
        {"shape": [2**61 + 2]},
        {"shape": [10**4000]},
        {"shape": [1] * 100 + [2]},
        {"data_offsets": [0, 4]},
        {"data_offsets": [0, 16]},
        {"data_offsets": [-8, 0]},
        {"data_offsets": [8, 16]},
        {"data_offsets": [8, 0]},
        {"data_offsets": [4, 12]},
        {"data_offsets": [0.0, 8.0]},
        {"data_offsets": [False, 8]},
        {"data_offsets": [0]},
        {"data_offsets": "08"},
        {"data_offsets": None},
        {"shape": [2**60], "data_offsets": [0, 2**62]},
        {"shape": [10**30, 0], "data_offsets": [0, 0]},
    ],
)
def test_an_array_outside_its_place_is_refused(changes):
    with pytest.raises(ValueError, match="header") as refused:
        arrays_in(one(**changes))
    assert "\n" not in str(refused.value)


TWO = {"dtype": "F32", "shape": [1]}


@pytest.mark.parametrize(
    ("header", "data"),
    [
        ({"a": {**TWO, "data_offsets": [0, 4]}, "b": {**TWO, "data_offsets": [0, 4]}}, 4),  # over
        ({"a": {**TWO, "data_offsets": [0, 4]}, "b": {**TWO, "data_offsets": [8, 12]}}, 12),  # hole
        ({"a": {**TWO, "data_offsets": [4, 8]}}, 8),  # not from the start
        ({"a": {**TWO, "data_offsets": [0, 4]}}, 8),  # not to the end
        ({"a": {**TWO, "data_offsets": [0, 4]}}, 3),  # beyond the end
        ({}, 1),
        ([], 0),
        ("null", 0),
        ("{", 0),
        ("\x00", 0),
        ("[" * 50_000, 0),
        ({"a": 1}, 0),
        ({"a": {}}, 0),
        ({"a": None}, 0),
    ],
)
def test_a_header_that_makes_no_sense_is_refused(header, data):
    with pytest.raises(ValueError, match="header"):
        arrays_in(file_of(header, bytes(data)))


def test_an_array_that_does_not_lie_on_a_whole_element_is_refused():
    about = {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}
    text = json.dumps(about)
    misplaced = [file_of(text.ljust(len(text) + more), bytes(4)) for more in range(4)]
    fitting = 0
    for content in misplaced:
        kept = memoryview(np.frombuffer(content, np.uint8).copy())  # memory that starts aligned
        try:
            fitting += arrays_in(kept)["a"].flags.aligned
        except ValueError:
            continue
    assert fitting == 1


@pytest.mark.parametrize("size", [0, 1, LONGEST_HEADER, 2**63, 2**64 - 1])
def test_a_header_of_impossible_length_is_refused_before_it_is_read(size):
    with pytest.raises(ValueError, match="header"):
        arrays_in(file_of("{}", size=size))


def test_a_file_cut_off_anywhere_is_refused():
    content = save(SOME)
    for length in range(len(content)):
        with pytest.raises(ValueError, match="header"):
            arrays_in(memoryview(content[:length]))


def test_no_changed_byte_of_a_header_leads_outside_the_file():
    content = bytearray(save(SOME))
    for at in range(8 + int.from_bytes(content[:8], "little")):
        for change in (1, 4, 32, 128):
            content[at] ^= change
            try:
                found = arrays_in(memoryview(content))
            except ValueError:
                found = {}
            assert all(
                np.shares_memory(x, np.frombuffer(content, np.uint8)) or x.size == 0
                for x in found.values()
            )
            content[at] ^= change
