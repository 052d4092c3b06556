"""What a store answers, in SQLite and in PostgreSQL."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone

import pytest

from matinee.errors import ConflictError, SettingError
from matinee.service.store import Feedback, NewFeedback, Store, UserKey
from matinee.service.store import store as store_module

LONG_AGO = datetime(2015, 3, 1, 12, tzinfo=UTC)


def told(rows):
    return [(row.item_id, row.rating, row.kind) for row in rows]


@pytest.fixture
def later(monkeypatch):
    """A function that sets the clock of the store ahead."""
    clock = store_module._now

    def set_ahead(**by):
        ahead = timedelta(**by) // timedelta(microseconds=1)
        monkeypatch.setattr(store_module, "_now", lambda: clock() + ahead)

    return set_ahead


def test_what_was_put_is_there_until_it_is_replaced_or_deleted(store, ann):
    before = datetime.now(UTC)
    kept = store.put(ann, "296", rating=4, kind="rating")
    assert kept == Feedback("ann", "296", 4.0, "rating", kept.updated_at)
    assert type(kept.rating) is float
    assert before <= kept.updated_at <= datetime.now(UTC)
    assert store.all_of(ann) == [kept]
    seen = store.put(ann, "296", rating=None, kind="seen")
    later = store.put(ann, "1", rating=None, kind="later")
    assert store.all_of(ann) == [seen, later]
    assert store.list(ann) == ([later, seen], None)
    assert store.delete(ann, "296") is True
    assert store.delete(ann, "296") is False
    assert store.all_of(ann) == [later]


def test_users_and_tenants_have_their_own(store):
    users = [UserKey("a", "b"), UserKey("a", "c"), UserKey("d", "b")]
    for number, user in enumerate(users):
        store.put(user, "1", rating=number, kind="rating", key="same")
    assert [told(store.all_of(user)) for user in users] == [
        [("1", float(number), "rating")] for number in range(3)
    ]
    assert [row.user_id for row in store.export("a")] == ["b", "c"]
    assert store.forget(users[0]) == 1
    assert [len(store.all_of(user)) for user in users] == [0, 1, 1]


def test_what_was_kept_is_there_when_a_store_is_opened_again(where, ann):
    first = Store.open(where)
    kept = first.put(ann, "1", rating=0.5, kind="rating")
    first.close()
    second = Store.open(where)
    assert second.all_of(ann) == [kept]
    second.close()


@pytest.mark.parametrize(
    "text", ["é", "日本", "'; DROP TABLE matinee_feedback; --", "%s :x {y}", " a\t\n", "x" * 256]
)
def test_any_text_is_an_id(store, text):
    user = UserKey(text[:64], text)
    kept = store.put(user, text, rating=1, kind="rating", key=text)
    assert store.all_of(user) == [kept]
    assert list(store.export(text[:64])) == [kept]
    assert store.list(user, limit=1) == ([kept], None)
    assert store.delete(user, text, key=text + "d" if len(text) < 256 else None)


@pytest.mark.parametrize(
    ("told_of", "said"),
    [
        ({"item_id": ""}, r"item_id must have 1 to 256 characters, got 0: ''\."),
        ({"item_id": "x" * 257}, "item_id must have 1 to 256 characters, got 257"),
        ({"item_id": "a\0b"}, "item_id must be text in Unicode without NUL"),
        ({"item_id": "\ud800"}, "item_id must be text in Unicode without NUL"),
        ({"item_id": 296}, "item_id must be text, got 296"),
        ({"user": UserKey("", "ann")}, "tenant must have 1 to 64"),
        ({"user": UserKey("shop", "x" * 257)}, "user_id must have 1 to 256"),
        ({"rating": float("nan")}, "rating must be a finite number, got nan"),
        ({"rating": None}, "rating must be a finite number, got None"),
        ({"rating": True}, "rating must be a finite number, got True"),
        ({"kind": "seen"}, "rating must be None where kind is 'seen', got 4"),
        ({"kind": "liked"}, "kind must be one of 'rating', 'seen', 'later', got 'liked'"),
        ({"key": ""}, "the idempotency key must have 1 to 256"),
    ],
)
def test_what_cannot_be_kept_is_refused_in_a_line(tmp_path, ann, told_of, said):
    store = Store.open(tmp_path / "feedback")
    arguments = {"user": ann, "item_id": "1", "rating": 4, "kind": "rating"} | told_of
    with pytest.raises(SettingError, match=said):
        store.put(**arguments)
    assert store.all_of(ann) == []
    store.close()


def test_a_key_makes_a_request_count_once(store, ann):
    first = store.put(ann, "1", rating=4, kind="rating", key="k")
    store.put(ann, "1", rating=2, kind="rating")
    assert store.put(ann, "1", rating=4.0, kind="rating", key="k") == first
    assert told(store.all_of(ann)) == [("1", 2.0, "rating")]
    assert store.delete(ann, "1", key="d") is True
    store.put(ann, "1", rating=3, kind="rating")
    assert store.delete(ann, "1", key="d") is True
    assert told(store.all_of(ann)) == [("1", 3.0, "rating")]


@pytest.mark.parametrize(
    "other",
    [
        {"rating": 5, "kind": "rating"},
        {"rating": None, "kind": "seen"},
        {"item_id": "2", "rating": 4, "kind": "rating"},
    ],
)
def test_the_key_of_another_request_is_a_conflict(store, ann, other):
    kept = store.put(ann, "1", rating=4, kind="rating", key="k")
    with pytest.raises(ConflictError, match="this idempotency key was that of another request"):
        store.put(ann, **{"item_id": "1", **other}, key="k")
    with pytest.raises(ConflictError):
        store.delete(ann, "1", key="k")
    assert store.all_of(ann) == [kept]


def test_a_key_is_forgotten_after_a_day(store, ann, later, monkeypatch):
    monkeypatch.setattr(store_module, "CLEARED_EVERY", 10**18)  # it is still in the table
    store.put(ann, "1", rating=4, kind="rating", key="k")
    later(hours=23)
    with pytest.raises(ConflictError):
        store.put(ann, "1", rating=5, kind="rating", key="k")
    later(hours=25)
    store.put(ann, "1", rating=5, kind="rating", key="k")
    assert told(store.all_of(ann)) == [("1", 5.0, "rating")]


def test_old_keys_are_cleared(tmp_path, ann, later):
    store = Store.open(tmp_path / "feedback")
    for number in range(5):
        store.put(ann, "1", rating=number, kind="rating", key=f"unused {number}")
    later(hours=25)
    store.put(ann, "2", rating=4, kind="rating", key="new")
    store.close()
    content = (tmp_path / "feedback").read_bytes()
    assert b"unused" not in content
    assert b"new" in content


def test_one_key_from_many_threads_counts_once(store, ann):
    ready = threading.Barrier(8)

    def put(_):
        ready.wait()
        return store.put(ann, "1", rating=4, kind="rating", key="k")

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(put, range(8)))) == 1


def test_a_user_has_so_many_rows_and_no_more(store, ann, monkeypatch):
    monkeypatch.setattr(store_module, "MOST_ROWS", 5)
    ready = threading.Barrier(8)

    def put(number):
        ready.wait()
        try:
            return store.put(ann, str(number), rating=1, kind="rating").item_id
        except SettingError as problem:
            assert "a user may have feedback of 5 items, got 6" in str(problem)  # noqa: PT017

    with ThreadPoolExecutor(8) as pool:
        kept = [item for item in pool.map(put, range(8)) if item]
    assert sorted(row.item_id for row in store.all_of(ann)) == sorted(kept)
    assert len(kept) == 5
    store.put(ann, kept[0], rating=2, kind="rating")  # in place of another
    with pytest.raises(SettingError, match="got 6"):
        store.put_many(ann, [NewFeedback("new", 1, "rating")])
    assert store.put_many(ann, [NewFeedback(item, 3, "rating") for item in kept]) == 5


def test_later_writes_are_newer_whatever_the_clock_says(store, ann, later):
    later(days=2)
    first = store.put(ann, "1", rating=4, kind="rating")
    later(days=0)
    second = store.put(ann, "2", rating=4, kind="rating")
    store.put_many(ann, [NewFeedback("3", 4, "rating")])
    assert second.updated_at > first.updated_at
    assert [row.item_id for row in store.list(ann)[0]] == ["3", "2", "1"]


def pages(store, user, limit, between=lambda: None):
    cursor = None
    for _ in range(100):
        rows, cursor = store.list(user, cursor=cursor, limit=limit)
        yield from rows
        if cursor is None:
            return
        assert len(rows) == limit
        between()
    pytest.fail("the list has no end")


@pytest.mark.parametrize("limit", [1, 3, 10, 11])
def test_pages_make_the_whole_list(store, ann, limit):
    store.put_many(ann, [NewFeedback(str(n), n, "rating", LONG_AGO) for n in range(10)])
    everything = store.list(ann)[0]
    assert list(pages(store, ann, limit)) == everything
    assert [row.item_id for row in everything] == sorted(map(str, range(10)), reverse=True)


def test_pages_stay_right_while_others_write(store, ann):
    items = [str(number) for number in range(20)]
    for item in items:
        store.put(ann, item, rating=1, kind="rating")
    changes = iter([("put", "19"), ("delete", "18"), ("put", "new"), ("delete", "0"), ("put", "3")])

    def change():
        action, item = next(changes, (None, None))
        if action == "put":
            store.put(ann, item, rating=2, kind="rating")
        elif action == "delete":
            store.delete(ann, item)

    found = Counter(row.item_id for row in pages(store, ann, 2, change))
    unchanged = set(items) - {"19", "18", "0", "3"}
    assert {item: found[item] for item in unchanged} == dict.fromkeys(unchanged, 1)


def test_ids_are_ordered_byte_by_byte_in_every_database(store, ann):
    ids = ["B", "Z", "a", "b", "é", "ß", "日", "\U0001f600", "-", "_", "a b", "ab"]
    store.put_many(ann, [NewFeedback(item, 1, "rating", LONG_AGO) for item in ids])
    in_order = sorted(ids, key=str.encode)
    assert [row.item_id for row in store.all_of(ann)] == in_order
    assert [row.item_id for row in pages(store, ann, 1)] == in_order[::-1]
    assert [row.item_id for row in store.export("shop")] == in_order


def test_cursors_that_nobody_gave_are_refused(tmp_path, ann):
    store = Store.open(tmp_path / "feedback")
    for user in (ann, UserKey("shop", "bob")):
        store.put_many(user, [NewFeedback(str(n), n, "rating") for n in range(5)])
    cursor = store.list(ann, limit=2)[1]
    assert cursor.replace("-", "").replace("_", "").isalnum()
    forged = [cursor[:-1], cursor + "A", cursor[1:], "", "é", "!", "=" * 9, "A" * 10**6, 7]
    forged += [cursor[:at] + "x" + cursor[at + 1 :] for at in range(len(cursor) - 1)]
    for other in forged:
        if other != cursor:
            with pytest.raises(SettingError, match=r"^cursor must be the next_cursor of"):
                store.list(ann, cursor=other)
    with pytest.raises(SettingError, match="cursor must be"):
        store.list(UserKey("shop", "bob"), cursor=cursor)
    for limit in (0, 1001, 2.5):
        with pytest.raises(SettingError, match="limit must be"):
            store.list(ann, limit=limit)
    store.close()


def test_an_import_is_whole_or_not_at_all(store, ann):
    kept = store.put(ann, "1", rating=4, kind="rating")
    rows = [NewFeedback(str(n), 2, "rating") for n in range(50)]
    for bad in (NewFeedback("", 2, "rating"), NewFeedback("a", None, "rating")):
        with pytest.raises(SettingError):
            store.put_many(ann, [*rows, bad])
    with pytest.raises(SettingError, match="told_at must say in which time zone"):
        store.put_many(ann, [*rows, NewFeedback("a", 2, "rating", LONG_AGO.replace(tzinfo=None))])
    assert store.all_of(ann) == [kept]
    assert store.put_many(ann, iter(rows)) == 50
    assert store.put_many(ann, rows) == 0  # nothing new
    assert len(store.all_of(ann)) == 50
    assert store.put_many(ann, []) == 0


def test_what_is_only_seen_takes_the_place_of_no_rating(store, ann):
    store.put(ann, "rated", rating=4, kind="rating")
    store.put(ann, "marked", rating=None, kind="later")
    watched = [NewFeedback(item, None, "seen") for item in ("rated", "marked", "new", "twice")]
    assert store.put_many(ann, [NewFeedback("twice", 3, "rating"), *watched]) == 3
    assert {row[0]: row[1:] for row in told(store.all_of(ann))} == {
        "rated": (4.0, "rating"),
        "marked": (None, "seen"),
        "new": (None, "seen"),
        "twice": (3.0, "rating"),
    }


def test_the_last_row_of_an_item_counts(store, ann):
    store.put_many(ann, [NewFeedback("1", 2, "rating"), NewFeedback("1", 5, "rating")])
    assert told(store.all_of(ann)) == [("1", 5.0, "rating")]


def test_imported_rows_have_the_time_at_which_they_were_told(store, ann):
    eastern = LONG_AGO.astimezone(timezone(timedelta(hours=-5)))
    future = datetime.now(UTC) + timedelta(days=1)
    rows = [NewFeedback("old", 1, "rating", eastern), NewFeedback("future", 1, "rating", future)]
    store.put_many(ann, [*rows, NewFeedback("now", 1, "rating")])
    times = {row.item_id: row.updated_at for row in store.all_of(ann)}
    assert times["old"] == LONG_AGO
    assert times["old"].utcoffset() == timedelta(0)
    assert times["future"] == times["now"] <= datetime.now(UTC)


def test_an_export_has_every_row_once_while_others_write(store, monkeypatch):
    monkeypatch.setattr(store_module, "EXPORTED_AT_ONCE", 3)
    users = [UserKey("shop", name) for name in ("a", "b", "c")]
    for user in users:
        store.put_many(user, [NewFeedback(str(n), n, "rating") for n in range(5)])
    found = []
    for row in store.export("shop"):
        found.append((row.user_id, row.item_id))
        if len(found) == 2:  # before, at and after where the export is
            store.put(users[0], "0a", rating=1, kind="rating")
            store.delete(users[0], "2")
            store.put(users[1], "1", rating=5, kind="rating")
            store.forget(users[2])
            store.put(users[2], "4", rating=1, kind="rating")
    expected = [("a", "0"), ("a", "1"), ("a", "2"), ("a", "3"), ("a", "4")]
    expected += [("b", str(n)) for n in range(5)] + [("c", "4")]
    assert found == expected


def test_what_is_forgotten_is_no_longer_in_the_file(tmp_path, ann):
    store = Store.open(tmp_path / "feedback")
    bob = UserKey("shop", "bob")
    store.put(bob, "kept item", rating=1, kind="rating")
    store.put_many(ann, [NewFeedback(f"zebrafish {n}", 1, "rating") for n in range(500)])
    store.put(ann, "zebrafish 0", rating=3, kind="rating", key="zebrafish key")
    assert store.forget(ann) == 500
    assert store.forget(ann) == 0
    store.close()
    (file,) = tmp_path.iterdir()
    assert b"kept item" in file.read_bytes()
    assert b"zebrafish" not in file.read_bytes()
