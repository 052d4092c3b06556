"""Changes to an input: of its bytes, of a JSON value, of the header of a safetensors file.

A change is small, and says where by a share of the whole, so that the same one fits any input.
"""

import json
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

ODD_TEXTS = (
    "", " ", "\n", "\t", '"', '""', "\x00", "\x1b[31m", "\u202e", "\u2028", "\x85", "é", "007",
    "1.0", "-1", "1e309", "1e-400", "nan", "inf", "-0", "0x10", "9" * 25, "4,5", "1::2", "none",
    "2020-02-30", "13/13/13", "x" * 5000, "a|b", "(no genres listed)", "../../etc", "[", "{}",
    "null", "user_id", "item_id", "^.*$", "{x}", "%s", "\ufeff", "😀",
)  # fmt: skip
ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 0.5, 1e308, -1e308, 1e-320, 2**31, 2**63, -(2**63), 10**30,
    float("nan"), float("inf"), [], {}, [[]], [0, 0], {"a": 1}, *ODD_TEXTS,
)  # fmt: skip
INTERESTING = (b"\x00", b"\xff", b"\x7f", b"\x80", b"\n", b"\r", b'"', b",", b"\xff" * 8)

places = st.floats(0, 1, exclude_max=True)


@dataclass(frozen=True)
class Change:
    """One change of bytes: what to do, where, and with what."""

    action: str
    at: float
    length: int
    content: bytes

    def of(self, old: bytes) -> bytes:
        """The bytes, changed."""
        start = int(self.at * len(old))
        end = min(len(old), start + self.length)
        if self.action == "cut":
            return old[:start]
        if self.action == "drop":
            return old[:start] + old[end:]
        if self.action == "repeat":
            return old[:end] + old[start:end] * 3 + old[end:]
        if self.action == "insert":
            return old[:start] + self.content + old[start:]
        if self.action == "flip":
            flipped = bytes([byte ^ 1 << self.length % 8 for byte in old[start : start + 1]])
            return old[:start] + flipped + old[start + 1 :]
        return old[:start] + self.content + old[start + len(self.content) :]


_changes = st.builds(
    Change,
    action=st.sampled_from(["flip", "replace", "insert", "drop", "repeat", "cut"]),
    at=places,
    length=st.integers(1, 40),
    content=st.sampled_from(INTERESTING) | st.binary(min_size=1, max_size=8),
)
byte_changes = st.lists(_changes, min_size=1, max_size=4)


def changed(content: bytes, changes: list[Change]) -> bytes:
    """The bytes after all changes, one after another."""
    for change in changes:
        content = change.of(content)
    return content


odd_values = st.sampled_from(ODD_VALUES) | st.integers() | st.floats() | st.text(max_size=20)
json_changes = st.lists(
    st.tuples(st.sampled_from(["set", "remove", "rename", "swap", "nest"]), places, odd_values),
    min_size=1,
    max_size=3,
)


def json_changed(value: Any, changes: list[tuple[str, float, Any]]) -> Any:
    """A JSON value with other, fewer or renamed entries; `value` is changed in place."""
    for action, at, drawn in changes:
        odd = deepcopy(drawn)  # or one change would show in another
        entries = list(_entries(value))
        if not entries:
            return odd
        parent, key = entries[int(at * len(entries))]
        other_parent, other_key = entries[int(at * 7919) % len(entries)]
        if action == "remove":
            del parent[key]
        elif action == "rename" and isinstance(parent, dict):
            parent[str(odd)] = parent.pop(key)
        elif action == "swap":
            parent[key] = json.loads(json.dumps(other_parent[other_key]))
        elif action == "nest":
            parent[key] = [parent[key]] if at < 0.5 else {str(odd): parent[key]}
        else:
            parent[key] = odd
    return value


def _entries(value: Any) -> Iterator[tuple[Any, Any]]:
    """(container, key) of every entry at any depth."""
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from _entries(value[key])


def text_of(value: Any) -> bytes:
    """A JSON value as bytes, whatever it holds."""
    return json.dumps(value).encode("utf-8", "surrogatepass")


def header_changed(content: bytes, changes: list[tuple[str, float, Any]]) -> bytes:
    """A safetensors file with another header, whose length is right again."""
    start = 8 + int.from_bytes(content[:8], "little")
    header = text_of(json_changed(json.loads(content[8:start]), changes))
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + content[start:]


def data_changed(content: bytes, changes: list[Change]) -> bytes:
    """A safetensors file with other numbers in its arrays, and as many of them."""
    start = 8 + int.from_bytes(content[:8], "little")
    data = changed(content[start:], changes)[: len(content) - start]
    return content[:start] + data.ljust(len(content) - start, b"\x00")
