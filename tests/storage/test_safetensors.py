"""Views of a safetensors file: the bits that the library reads, and no hostile header believed."""

import json

import numpy as np
import pytest
from safetensors.numpy import load, save

from matinee.storage.safetensors import MAX_HEADER, arrays_in

ARRAYS = {
    "factors": np.arange(12, dtype=np.float32).reshape(4, 3),
    "indptr": np.array([0, 2**62, -1], np.int64),
    "codes": np.array([[[7]]], np.int32),
    "exact": np.array([np.pi, np.nan]),
    "empty": np.empty((0, 5), np.float32),
    "scalar": np.array(4.5, np.float32),
}


def file_with(header, data=b"", size=None):
    """Bytes of a file with this header, which may be an object or text already."""
    text = (header if isinstance(header, str) else json.dumps(header)).encode()
    length = len(text) if size is None else size
    return memoryview(length.to_bytes(8, "little") + text + data)


def two_floats(**changes):
    """A file of two floats, its header changed."""
    entry = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **changes}
    return file_with(json.dumps({"a": entry}).ljust(80), bytes(8))


def test_the_bits_are_those_that_the_library_reads():
    content = save(ARRAYS, metadata={"format": "pt"})
    arrays, expected = arrays_in(memoryview(content)), load(content)
    assert set(arrays) == set(expected) == set(ARRAYS)
    for name, array in expected.items():
        assert (arrays[name].dtype, arrays[name].shape) == (array.dtype, array.shape)
        assert arrays[name].tobytes() == array.tobytes()


def test_arrays_are_views_that_can_be_written_to_where_the_bytes_can():
    content = bytearray(save(ARRAYS))
    array = arrays_in(memoryview(content))["factors"]
    assert np.shares_memory(array, np.frombuffer(content, np.uint8))
    array[0, 0] = 99
    assert load(bytes(content))["factors"][0, 0] == 99


def test_a_file_without_arrays_has_none():
    assert arrays_in(memoryview(save({}))) == {}


def test_the_example_that_is_changed_below_is_valid():
    assert arrays_in(two_floats())["a"].tolist() == [0, 0]


@pytest.mark.parametrize(
    "changes",
    [
        *({"dtype": dtype} for dtype in ("F16", "object", ["F32"], None)),
        *({"shape": shape} for shape in ([3], [1], [], 2, "2", [-2], [-1, -2], [2.0], [True, 2])),
        *({"shape": shape} for shape in ([None], [2**62, 2**62, 0], [2**61 + 2], [10**4000])),
        {"shape": [1] * 100 + [2]},
        *({"data_offsets": span} for span in ([0, 4], [0, 16], [-8, 0], [8, 16], [8, 0], [4, 12])),
        *({"data_offsets": span} for span in ([0.0, 8.0], [False, 8], [0], "08", None)),
        {"shape": [2**60], "data_offsets": [0, 2**62]},
        {"shape": [10**30, 0], "data_offsets": [0, 0]},
    ],
)
def test_an_array_outside_the_data_is_refused(changes):
    with pytest.raises(ValueError, match="header") as refused:
        arrays_in(two_floats(**changes))
    assert "\n" not in str(refused.value)


def float_at(start):
    return {"dtype": "F32", "shape": [1], "data_offsets": [start, start + 4]}


@pytest.mark.parametrize(
    ("header", "data"),
    [
        ({"a": float_at(0), "b": float_at(0)}, 4),  # over
        ({"a": float_at(0), "b": float_at(8)}, 12),  # hole
        ({"a": float_at(4)}, 8),  # not from the start
        ({"a": float_at(0)}, 8),  # not to the end
        ({"a": float_at(0)}, 3),  # beyond the end
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
def test_an_invalid_header_is_refused(header, data):
    with pytest.raises(ValueError, match="header"):
        arrays_in(file_with(header, bytes(data)))


def test_a_misaligned_array_is_refused():
    text = json.dumps({"a": float_at(0)})
    aligned = 0
    for padding in range(4):
        content = file_with(text.ljust(len(text) + padding), bytes(4))
        content = memoryview(np.frombuffer(content, np.uint8).copy())  # memory that starts aligned
        try:
            aligned += arrays_in(content)["a"].flags.aligned
        except ValueError:
            continue
    assert aligned == 1


@pytest.mark.parametrize("size", [0, 1, MAX_HEADER, 2**63, 2**64 - 1])
def test_a_header_of_impossible_length_is_refused_before_it_is_read(size):
    with pytest.raises(ValueError, match="header"):
        arrays_in(file_with("{}", size=size))


def test_a_file_cut_off_anywhere_is_refused():
    content = save(ARRAYS)
    for length in range(len(content)):
        with pytest.raises(ValueError, match="header"):
            arrays_in(memoryview(content[:length]))


def test_no_changed_byte_of_a_header_leads_outside_the_file():
    content = bytearray(save(ARRAYS))
    for position in range(8 + int.from_bytes(content[:8], "little")):
        for flipped in (1, 4, 32, 128):
            content[position] ^= flipped
            try:
                arrays = arrays_in(memoryview(content))
            except ValueError:
                arrays = {}
            assert all(
                np.shares_memory(array, np.frombuffer(content, np.uint8)) or array.size == 0
                for array in arrays.values()
            )
            content[position] ^= flipped
