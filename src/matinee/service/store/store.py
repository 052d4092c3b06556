"""The store: what users of a service tell it, safe on the disk when a method returns."""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import NoneType
from typing import Any, Self

from sqlalchemy import Connection, and_, bindparam, delete, func, insert, select, tuple_, update

from matinee.errors import ConflictError, SettingError, StoreError, check_whole, shortened
from matinee.service.store.engine import make_engine
from matinee.service.store.feedback import (
    KINDS,
    LONGEST_ID,
    LONGEST_KEY,
    LONGEST_TENANT,
    MOST_ROWS,
    Feedback,
    NewFeedback,
    UserKey,
    check_text,
    check_user,
    checked,
    cursor_of,
    microseconds,
    moment_of,
    position_of,
)
from matinee.service.store.schema import feedback, requests, secrets
from matinee.service.store.transactions import Transactions
from matinee.service.store.upgrading import LOCK, upgrade

KEYS_KEPT = 24 * 60 * 60 * 1_000_000  # microseconds
CLEARED_EVERY = 60 * 60 * 1_000_000
MOST_AT_ONCE = 1000  # rows of a page of a list
EXPORTED_AT_ONCE = 5000
SECRET_BYTES = 32
COLUMNS = (
    feedback.c.user_id,
    feedback.c.item_id,
    feedback.c.rating,
    feedback.c.kind,
    feedback.c.updated_at,
)
ALL_OF = (  # made once: every list asks it
    select(*COLUMNS)
    .where(feedback.c.tenant == bindparam("tenant"), feedback.c.user_id == bindparam("user_id"))
    .order_by(feedback.c.updated_at, feedback.c.item_id)
)
Rows = list[Feedback]
Request = list[str | float | None]


class Store:
    """Feedback of users, in a SQLite file or in PostgreSQL; any number of threads and processes.

    What a method has written is on the disk when it returns: it survives a crash of any process.
    Methods wait up to ten seconds for a database that is busy or restarts; then, or if it cannot
    be used at all, they raise `StoreError`. Ids that cannot be kept are a `SettingError`.

    Example
    -------
    >>> import tempfile
    >>> from matinee.service.store import Store, UserKey
    >>> folder = tempfile.TemporaryDirectory()
    >>> store, ann = Store.open(f"{folder.name}/feedback.sqlite3"), UserKey("default", "ann")
    >>> store.put(ann, "296", rating=4.5, kind="rating").rating
    4.5
    >>> [row.item_id for row in store.all_of(ann)]
    ['296']
    >>> store.close(); folder.cleanup()
    """

    def __init__(self, transactions: Transactions, close: Callable[[], None]) -> None:
        self._transactions = transactions
        self._cleared_at = 0
        self.close = close
        """Close all connections."""

    @classmethod
    def open(cls, where: str | Path) -> Self:
        """The store at a path (SQLite) or a URL ``postgresql://...``, with its tables up to date.

        A file that is not there is made, readable to its owner alone. Several processes may open
        a store at once.
        """
        engine, name = make_engine(where)
        transactions = Transactions(engine, name)
        try:
            transactions.write(lambda connection: upgrade(connection, name), LOCK, repeatable=True)
        except BaseException:
            engine.dispose()
            raise
        return cls(transactions, engine.dispose)

    def check(self) -> None:
        """StoreError, at once, unless the store answers."""
        self._transactions.read(lambda connection: connection.execute(select(1)).one(), 0.0)

    def put(
        self,
        user: UserKey,
        item_id: str,
        *,
        rating: float | None,
        kind: str,
        key: str | None = None,
    ) -> Feedback:
        """Keep what a user tells of an item, in place of what they told before.

        Asked again with the same `key` within a day, it changes nothing and answers the same;
        with the key of another request it raises `ConflictError`.
        """
        new = checked(item_id, rating, kind)
        request = ["put", new.item_id, new.rating, new.kind]
        stamp = self._once(user, key, request, lambda connection: _set(connection, user, new))
        return Feedback(user.user_id, new.item_id, new.rating, new.kind, moment_of(stamp))

    def delete(self, user: UserKey, item_id: str, *, key: str | None = None) -> bool:
        """Remove what a user told of an item; whether there was anything. `key` as in `put`."""
        check_text("item_id", item_id, LONGEST_ID)
        statement = delete(feedback).where(_of(user), feedback.c.item_id == item_id)

        def work(connection: Connection) -> int:
            return connection.execute(statement).rowcount

        return self._once(user, key, ["delete", item_id], work) > 0

    def list(
        self, user: UserKey, *, cursor: str | None = None, limit: int = 100
    ) -> tuple[Rows, str | None]:
        """A page of what a user told, newest first, and the cursor of the next one, if there is.

        Rows that do not change meanwhile are met once, whatever is written between the pages.
        """
        check_user(user)
        check_whole("limit", limit, 1, MOST_AT_ONCE)
        newest = select(*COLUMNS).where(_of(user)).limit(limit + 1)
        newest = newest.order_by(feedback.c.updated_at.desc(), feedback.c.item_id.desc())
        if cursor is not None:
            place = tuple_(feedback.c.updated_at, feedback.c.item_id)
            newest = newest.where(place < tuple_(*position_of(user, cursor)))
        rows = self._rows(newest)
        if len(rows) <= limit:
            return rows, None
        last = rows[limit - 1]
        return rows[:limit], cursor_of(user, microseconds(last.updated_at), last.item_id)

    def all_of(self, user: UserKey) -> Rows:
        """All that a user told, the newest last."""
        check_user(user)
        return self._rows(ALL_OF, user._asdict())

    def put_many(self, user: UserKey, rows: Iterable[NewFeedback]) -> int:
        """Import rows, all or none; how many items have something new.

        Of several rows of an item the last counts, but what is only marked as seen or for later
        takes the place of no rating: lists of all watched films hold the rated ones, too.
        """
        new: dict[str, NewFeedback] = {}
        for row in rows:
            row = checked(*row)
            if row.rating is not None or new.get(row.item_id, row).rating is None:
                new[row.item_id] = row
        check_user(user)
        return self._transactions.write(
            lambda connection: _set_many(connection, user, new), _lock_of(user)
        )

    def forget(self, user: UserKey) -> int:
        """Remove all that is known of a user; how many rows of feedback that was."""
        check_user(user)

        def work(connection: Connection) -> int:
            known = requests.c.tenant == user.tenant, requests.c.user_id == user.user_id
            connection.execute(delete(requests).where(*known))
            return connection.execute(delete(feedback).where(_of(user))).rowcount

        return self._transactions.write(work, _lock_of(user))

    def export(self, tenant: str) -> Iterator[Feedback]:
        """All feedback of a tenant, by user and item, a few thousand rows in memory at a time.

        What is written meanwhile may be in it or not; a row that does not change is in it once.
        """
        check_text("tenant", tenant, LONGEST_TENANT)
        place = tuple_(feedback.c.user_id, feedback.c.item_id)
        ordered = select(*COLUMNS).where(feedback.c.tenant == tenant).limit(EXPORTED_AT_ONCE)
        ordered = ordered.order_by(feedback.c.user_id, feedback.c.item_id)
        rows = self._rows(ordered)
        while rows:
            yield from rows
            last = rows[-1]
            rows = self._rows(ordered.where(place > tuple_(last.user_id, last.item_id)))

    def secret(self, tenant: str) -> bytes:
        """The key by which a tenant's cookies are signed: random, and the same for ever."""
        check_text("tenant", tenant, LONGEST_TENANT)
        kept = select(secrets.c.secret).where(secrets.c.tenant == tenant)

        def work(connection: Connection) -> bytes:
            secret = connection.execute(kept).scalar_one_or_none()
            if secret is None:
                secret = os.urandom(SECRET_BYTES)
                connection.execute(insert(secrets), {"tenant": tenant, "secret": secret})
            return bytes(secret)

        return self._transactions.write(work, LOCK, repeatable=True)

    def _rows(self, statement: Any, values: dict[str, str] | None = None) -> Rows:
        return self._transactions.read(
            lambda connection: [_feedback(row) for row in connection.execute(statement, values)]
        )

    def _once(
        self,
        user: UserKey,
        key: str | None,
        request: Request,
        act: Callable[[Connection], int],
    ) -> int:
        """What `act` answers in a transaction, or answered to this request with the same key."""
        check_user(user)
        if key is None:
            return self._transactions.write(act, _lock_of(user))
        check_text("the idempotency key", key, LONGEST_KEY)
        self._clear_requests()
        wanted = json.dumps(request)
        identity = {"tenant": user.tenant, "user_id": user.user_id, "key": key}
        same = and_(*(requests.c[name] == value for name, value in identity.items()))

        def work(connection: Connection) -> int:
            now = _now()
            earlier = connection.execute(select(requests).where(same)).one_or_none()
            if earlier is not None and earlier.created_at > now - KEYS_KEPT:
                if earlier.request != wanted:
                    raise ConflictError(
                        "this idempotency key was that of another request; choose another key."
                    )
                return int(earlier.answer)
            answer = act(connection)
            connection.execute(delete(requests).where(same))
            connection.execute(
                insert(requests),
                {**identity, "request": wanted, "answer": answer, "created_at": now},
            )
            return answer

        return self._transactions.write(work, _lock_of(user), repeatable=True)

    def _clear_requests(self) -> None:
        """Remove what was answered over a day ago, from time to time."""
        now = _now()
        if now - self._cleared_at >= CLEARED_EVERY:
            self._cleared_at = now
            old = delete(requests).where(requests.c.created_at <= now - KEYS_KEPT)
            self._transactions.write(
                lambda connection: connection.execute(old), LOCK, repeatable=True
            )


def _set(connection: Connection, user: UserKey, new: NewFeedback) -> int:
    """Insert or update a row; the time it has."""
    ours = feedback.c.item_id == new.item_id
    counts = select(func.count(), func.max(feedback.c.updated_at), func.count().filter(ours))
    n_rows, newest, there = connection.execute(counts.where(_of(user))).one()
    if not there:
        _check_rows(n_rows + 1)
    stamp = _after(newest)
    values = {"rating": new.rating, "kind": new.kind, "updated_at": stamp}
    if there:
        connection.execute(update(feedback).where(_of(user), ours).values(values))
    else:
        identity = {"tenant": user.tenant, "user_id": user.user_id, "item_id": new.item_id}
        connection.execute(insert(feedback), {**identity, **values})
    return stamp


def _set_many(connection: Connection, user: UserKey, new: dict[str, NewFeedback]) -> int:
    """Replace rows by those that are new, unless a rating would be lost; how many."""
    stands = select(feedback.c.item_id, feedback.c.rating, feedback.c.kind, feedback.c.updated_at)
    there = {row.item_id: row for row in connection.execute(stands.where(_of(user)))}
    stamp = _after(max((row.updated_at for row in there.values()), default=None))
    identity = {"tenant": user.tenant, "user_id": user.user_id}
    written = []
    for row in new.values():
        old = there.get(row.item_id)
        if old is not None and (old.rating, old.kind) == (row.rating, row.kind):
            continue
        if old is not None and old.rating is not None and row.rating is None:
            continue
        told = stamp if row.told_at is None else min(microseconds(row.told_at), stamp)
        values = {"item_id": row.item_id, "rating": row.rating, "kind": row.kind}
        written.append({**identity, **values, "updated_at": told})
    _check_rows(len(there.keys() | {row["item_id"] for row in written}))
    replaced = [row for row in written if row["item_id"] in there]
    if replaced:
        old_rows = and_(_of(user), feedback.c.item_id.in_([row["item_id"] for row in replaced]))
        connection.execute(delete(feedback).where(old_rows))
    if written:
        connection.execute(insert(feedback), written)
    return len(written)


def _of(user: UserKey) -> Any:
    return and_(feedback.c.tenant == user.tenant, feedback.c.user_id == user.user_id)


def _lock_of(user: UserKey) -> int:
    """The lock of PostgreSQL under which what a user tells is written, one after the other."""
    digest = hashlib.blake2b(json.dumps(user).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def _check_rows(n_rows: int) -> None:
    if n_rows > MOST_ROWS:
        raise SettingError(
            f"a user may have feedback of {MOST_ROWS:,} items, got {n_rows:,}; remove some."
        )


def _now() -> int:
    return time.time_ns() // 1000


def _after(newest: int | None) -> int:
    """Now, and later than the newest row of the user, whatever the clocks of machines say."""
    return _now() if newest is None else max(_now(), newest + 1)


def _feedback(row: Any) -> Feedback:
    """A row as it was written; whoever can write the file may have put anything there."""
    kept = Feedback(row.user_id, row.item_id, row.rating, row.kind, moment_of(row.updated_at))
    texts = type(kept.user_id) is str and type(kept.item_id) is str and kept.kind in KINDS
    if not texts or type(kept.rating) not in (float, NoneType):
        raise StoreError(f"the store is damaged: it has a row {shortened(tuple(row))}.")
    return kept
