"""Whatever is asked of a store, in any order, it answers as a plain dictionary would."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from matinee.service.store import NewFeedback, UserKey

USERS = st.sampled_from(["ann", "bob", "é"])
ITEMS = st.sampled_from(["1", "2", "10", "a", "A", "é", "%"])
RATINGS = st.floats(allow_nan=False, allow_infinity=False)
TOLD = st.one_of(
    st.tuples(RATINGS, st.just("rating")),
    st.tuples(st.none(), st.sampled_from(["seen", "later"])),
)
DATES = st.none() | st.integers(0, 5).map(lambda day: datetime(2015, 1, 1 + day, tzinfo=UTC))


class StoreAsDict(RuleBasedStateMachine):
    """The store of the test, with a tenant of its own, beside {user: {item: what was told}}."""

    store = None

    def __init__(self):
        super().__init__()
        self.tenant = str(uuid.uuid4())
        self.expected = {"ann": {}, "bob": {}, "é": {}}
        self.clock = 0  # rows written one after the other have growing times

    def user(self, name):
        return UserKey(self.tenant, name)

    def stamp(self):
        self.clock += 1
        return datetime(2100, 1, 1, tzinfo=UTC) + timedelta(days=self.clock)

    @rule(name=USERS, item=ITEMS, told=TOLD, with_key=st.booleans())
    def put(self, name, item, told, with_key):
        rating, kind = told
        key = str(uuid.uuid4()) if with_key else None
        kept = self.store.put(self.user(name), item, rating=rating, kind=kind, key=key)
        assert (kept.user_id, kept.item_id, kept.rating, kept.kind) == (name, item, *told)
        if with_key:
            assert self.store.put(self.user(name), item, rating=rating, kind=kind, key=key) == kept
        self.expected[name][item] = (*told, self.stamp())

    @rule(name=USERS, item=ITEMS)
    def delete(self, name, item):
        there = self.expected[name].pop(item, None) is not None
        assert self.store.delete(self.user(name), item) is there

    @rule(name=USERS, rows=st.lists(st.tuples(ITEMS, TOLD, DATES), max_size=12))
    def put_many(self, name, rows):
        before = dict(self.expected[name])
        merged = {}
        for item, told, date in rows:
            if told[0] is not None or item not in merged or merged[item][0][0] is None:
                merged[item] = (told, date)
        now = self.stamp()
        for item, (told, date) in merged.items():
            rating, kind, _ = before.get(item, (None, None, None))
            if (rating, kind) != told and (rating is None or told[0] is not None):
                self.expected[name][item] = (*told, date or now)
        news = [NewFeedback(item, *told, date) for item, told, date in rows]
        changed = sum(before.get(item) != row for item, row in self.expected[name].items())
        assert self.store.put_many(self.user(name), news) == changed

    @rule(name=USERS)
    def forget(self, name):
        assert self.store.forget(self.user(name)) == len(self.expected[name])
        self.expected[name] = {}

    @rule(name=USERS, limit=st.integers(1, 5))
    def page_through(self, name, limit):
        rows, cursor = self.store.list(self.user(name), limit=limit)
        while cursor is not None:
            page, cursor = self.store.list(self.user(name), cursor=cursor, limit=limit)
            rows += page
        assert rows == self.store.all_of(self.user(name))[::-1]

    @invariant()
    def everything_is_there_in_order(self):
        for name, items in self.expected.items():
            in_order = sorted(items, key=lambda item: (items[item][2], item.encode()))
            found = self.store.all_of(self.user(name))
            assert [(row.item_id, row.rating, row.kind) for row in found] == [
                (item, *items[item][:2]) for item in in_order
            ]
        exported = [(row.user_id, row.item_id) for row in self.store.export(self.tenant)]
        pairs = [(name, item) for name, items in self.expected.items() for item in items]
        assert exported == sorted(pairs, key=lambda pair: [text.encode() for text in pair])


@pytest.mark.slow
def test_a_store_answers_as_a_dictionary_would(store):
    machine = type("Machine", (StoreAsDict,), {"store": store})
    looks = settings(
        max_examples=25,
        stateful_step_count=20,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=looks)
