"""What is said of one who is new, and which rows have an attribute: whatever people may ask."""

import datetime
from decimal import Decimal
from fractions import Fraction

import numpy as np
import polars as pl
import pytest

from matinee.data.attributes import Attributes
from matinee.errors import SettingError


def attributes_of(**columns):
    frame = pl.DataFrame(columns)
    return Attributes.of(frame, frame.height)


def dense(rows, width):
    """The features of one row, the zeros too."""
    out = np.zeros(width)
    out[rows.indices] = rows.values
    return out


def one_line(refused):
    message = str(refused.value)
    assert "\n" not in message
    assert len(message) < 700
    return message


@pytest.fixture(scope="module")
def people():
    """Seven users: what they speak, how old they are, what they like, since when."""
    return attributes_of(
        language=["fr", "fr", "fr", "de", None, "it", "de"],
        age=[20, 31, None, 20, 31, 50, 20],
        likes=[["a", "b"], ["b"], [], None, ["a", "a"], ["b", "a"], ["c"]],
        since=[1990, 1991, 2001, None, 2001, 1990, 1994],
        nothing=[None] * 7,
        rare=["q", "r", "s", "t", "u", "v", "w"],
    )


# --- one who is new


def test_one_who_is_like_a_row_has_its_features(people):
    means = people.means(np.ones(7, bool))
    for row in range(7):
        given = {name: people.frame[name][row] for name in people.names}
        given = {n: v.to_list() if isinstance(v, pl.Series) else v for n, v in given.items()}
        found = dense(people.of_new(given, means), people.n_features)
        assert np.array_equal(found, people.dense()[row])


def test_what_is_not_given_is_its_mean(people):
    means = people.means(np.ones(7, bool))
    found = dense(people.of_new({"age": 31}, means), people.n_features)
    assert found[3:6].tolist() == [0, 1, 0]
    rest = np.r_[0:3, 6 : people.n_features]
    np.testing.assert_allclose(found[rest], means[rest])
    everything = dense(people.of_new({}, means), people.n_features)
    np.testing.assert_allclose(everything, means)
    # an attribute without features may be given, and tells nothing
    rare = dense(people.of_new({"rare": "q"}, means), people.n_features)
    assert np.array_equal(rare, everything)


@pytest.mark.parametrize(
    ("given", "features"),
    [
        ({"language": "fr"}, [1]),
        ({"language": "xx"}, [2]),  # as rare as other rare ones
        ({"language": None}, []),
        ({"language": " "}, []),
        ({"likes": "a"}, [6]),
        ({"likes": ["b", "a", "b", None]}, [6, 7]),
        ({"likes": "a | b"}, [6, 7]),
        ({"likes": []}, []),
        ({"age": "31"}, [4]),
        ({"age": np.int8(40)}, [4]),
        ({"age": -1e300}, [3]),
        ({"age": 10**30}, [5]),
        ({"age": Decimal("50.5")}, [5]),
        ({"age": float("nan")}, []),
        ({"age": np.array(31.0)}, [4]),
        ({"age": Fraction(62, 2)}, [4]),
        ({"age": Decimal("nan")}, []),
        ({"age": " 31\n"}, [4]),
        ({"age": " "}, []),
        ({"language": np.str_("fr")}, [1]),
        ({"language": "f\x00r"}, [2]),
        ({"language": float("nan")}, []),
        ({"likes": {"b", "a"}}, [6, 7]),
        ({"likes": ("b",)}, [7]),
        ({"likes": np.array(["a", "b"])}, [6, 7]),
        ({"likes": pl.Series(["a", None])}, [6]),
        ({"likes": "|"}, []),
        ({"likes": ["zzz", "yyy"]}, [8]),
        ({"since": datetime.date(1994, 1, 1)}, [9]),
        ({"since": datetime.datetime(2094, 1, 1)}, [10]),
        ({"since": np.datetime64("2001-02-03T04:05:06", "ns")}, [10]),
        ({"since": np.datetime64("NaT")}, []),
        ({"since": "1994-05-06"}, [9]),
        ({"since": 1700}, [9]),
        ({"since": 5e9}, [10]),
    ],
)
def test_values_that_can_be_understood_are(people, given, features):
    found = people.of_new(given, np.zeros(people.n_features, np.float32))
    assert found.indices.tolist() == [0, *features]
    assert found.values.tolist() == [1.0] * (1 + len(features))


def test_whole_numbers_are_texts_without_a_point():
    attributes = attributes_of(zone=["7", "8"] * 3, zones=[[7.0], [8.0]] * 3)
    means = np.zeros(5, np.float32)
    for zone, zones in ((7, 8.0), ("7", [8]), (7.0, "8"), (np.float32(7), np.array([8.0]))):
        found = attributes.of_new({"zone": zone, "zones": zones}, means)
        assert found.indices.tolist() == [0, 1, 4]
    assert attributes.of_new({"zone": 7.5, "zones": 8.5}, means).indices.tolist() == [0]


ODD = [{"a": 1}, object(), ..., 1j, float("inf"), 10**5000, np.timedelta64(1), np.array([["a"]])]
NO_NUMBERS = [*ODD, "old", "x" * 10_000, "nan", True, [3], {3}, b"3", 10**400, np.array([2.0])]
NO_TEXTS = [*ODD, ["fr"], "fr|de", b"fr"]
NOT_SEVERAL = [*ODD, [["a"]], [{}], [b"a"], b"a"]
KINDS = {
    "age": ("a number", NO_NUMBERS),
    "language": ("a text", NO_TEXTS),
    "likes": ("a text or several", NOT_SEVERAL),
}


@pytest.mark.parametrize(
    ("given", "kind"),
    [({name: value}, kind) for name, (kind, values) in KINDS.items() for value in values],
)
def test_values_of_another_type_are_refused_in_one_line(people, given, kind):
    with pytest.raises(SettingError, match=f" must be {kind}, got ") as refused:
        people.of_new(given, np.zeros(people.n_features, np.float32))
    assert one_line(refused).startswith(next(iter(given)))


@pytest.mark.parametrize("given", [[("age", 3)], "age", 3, {"age"}])
def test_attributes_that_are_no_mapping_are_refused(model, given):
    with pytest.raises(SettingError, match="attributes must be a dict of names and values, got"):
        model.fold_in({}, attributes=given)


@pytest.mark.parametrize("name", ["Age", "", 5, None, "x" * 10_000, ("age",)])
def test_attributes_that_there_are_none_of_are_refused_by_name(people, name):
    with pytest.raises(SettingError, match=r"No attribute .*; there are language, age") as refused:
        people.of_new({name: 1}, np.zeros(people.n_features, np.float32))
    one_line(refused)
    with pytest.raises(SettingError, match=r"No attribute .*; there are none\."):
        Attributes.of(pl.DataFrame(), 3).of_new({name: 1}, np.ones(1, np.float32))


# --- which rows match


def test_texts_match_in_any_case(people):
    for wanted in ("FR", "fr", ["Fr"], ("fr", "FR"), {"fr"}, np.array(["fr"]), pl.Series(["fr"])):
        assert people.matching("language", wanted).nonzero()[0].tolist() == [0, 1, 2]
    assert people.matching("language", ["it", "de"]).nonzero()[0].tolist() == [3, 5, 6]
    assert people.matching("likes", "A").nonzero()[0].tolist() == [0, 4, 5]
    assert people.matching("rare", "q").nonzero()[0].tolist() == [0]  # rare or not
    for text in ("İstanbul", "ΣΊΣΥΦΟΣ", "straße", "ǅ"):
        assert attributes_of(x=[text, "other"]).matching("x", text).tolist() == [True, False]


@pytest.mark.parametrize(
    ("wanted", "rows"),
    [
        (20, [0, 3, 6]),
        (20.0, [0, 3, 6]),
        (np.int64(31), [1, 4]),
        (np.float32(31), [1, 4]),
        ((20, 31), [0, 1, 3, 4, 6]),
        ([21, None], [1, 4, 5]),
        ((None, 20), [0, 3, 6]),
        ((20.5, 30.5), []),
        ((np.float64(31), float("inf")), [1, 4, 5]),
        ((-(10**30), 10**30), [0, 1, 3, 4, 5, 6]),  # unknown is in no range
    ],
)
def test_numbers_match_in_ranges_with_or_without_ends(people, wanted, rows):
    assert people.matching("age", wanted).nonzero()[0].tolist() == rows


def test_years_match_as_numbers_do(people):
    assert people.matching("since", (1990, 1991)).nonzero()[0].tolist() == [0, 1, 5]


NO_RANGES = [
    *(None, (None, None), (1, 2, 3), (1,), [], {1: 2}, (1, "2"), (1, 10**400), (10**5000, None)),
    *("20", True, 1j, 10**400, float("nan"), (1, float("nan")), "x" * 10_000, object()),
    *(np.array([1, 2]), np.ones((3, 1))),
]
NOT_WANTED = [None, 5, [], {}, ["fr", 5], b"fr", [["fr"]], object(), True, np.array([["fr"]])]


@pytest.mark.parametrize(
    ("name", "wanted", "message"),
    [
        *(("age", wanted, "age must be a number or ") for wanted in NO_RANGES),
        *(("language", wanted, "language must be a text or several, got") for wanted in NOT_WANTED),
        ("age", (3, 1), "age: the lower number comes first"),
        ("likes", 5, "likes must be a text or several, got 5"),
        ("nothing", 5, "No attribute 'nothing'; there are language"),
        (7, 5, "No attribute 7; there are language"),
        ("language", "frr", r"No language 'frr'\. Did you mean fr\?"),
        ("language", ["fr", "zz"], r"No language 'zz'; there are de, fr, it\."),
        ("likes", "", r"No like ''; there are a, b, c\."),
    ],
)
def test_what_cannot_match_is_refused_in_one_line(people, name, wanted, message):
    with pytest.raises(SettingError, match=message) as refused:
        people.matching(name, wanted)
    one_line(refused)


def test_of_many_or_long_values_a_message_shows_a_few():
    names = [f"genre {number:03}" for number in range(400)]
    many = attributes_of(genres=[[name] for name in names])
    with pytest.raises(SettingError, match=r"there are genre 000, .* and 388 more\.") as refused:
        many.matching("genres", "Zzz")
    one_line(refused)
    with pytest.raises(SettingError, match=r"Did you mean genre \d40 or") as refused:
        many.matching("genres", "gnre 40")
    one_line(refused)
    assert len(str(refused.value)) < 200
    long = attributes_of(plot=[letter * 50_000 for letter in "abcdefghijklmnop"])
    for wanted in ("b", "b" * 50_001, "z\n" * 50_000):
        with pytest.raises(SettingError, match="No plot") as refused:
            long.matching("plot", wanted)
        one_line(refused)
