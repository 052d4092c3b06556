"""What is drawn and handed out: never what must not be, and nothing twice or never."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from matinee.kernels.csr import Rows
from matinee.models.neural.batches import NegativeSampler, ShuffledBatches
from matinee.models.neural.losses import RIVALS, ImplicitLoss, hit_rate
from matinee.models.neural.modules import Scorer

CPU = torch.device("cpu")
ITEMS = 12

users_of_any_kind = st.lists(st.sets(st.integers(0, ITEMS - 1)), min_size=1, max_size=6).filter(any)


def rows_of(watched):
    """Rows of a list of sets."""
    indptr = np.cumsum([0, *map(len, watched)])
    indices = np.array([item for one in watched for item in sorted(one)], np.int32)
    return Rows(indptr, indices, np.ones(len(indices), np.float32))


def drawn_by(draw, user, numbers):
    """What a user gets for certain random numbers."""
    numbers = torch.as_tensor(numbers)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "randint", lambda *size, **how: numbers)
        return draw(torch.full((len(numbers),), user), torch.Generator()).tolist()


@given(users_of_any_kind)
def test_every_rank_is_another_unwatched_movie(watched):
    draw = NegativeSampler(rows_of(watched), CPU)
    known = set().union(*watched)
    for user, mine in enumerate(watched):
        left = sorted(known - mine)
        found = drawn_by(draw, user, np.arange(2 * max(1, len(left))))
        assert found == left + left if left else set(found) <= known


@given(users_of_any_kind, st.integers(0, 1000))
def test_nothing_watched_and_nothing_unknown_is_drawn(watched, seed):
    draw = NegativeSampler(rows_of(watched), CPU)
    known = set().union(*watched)
    users = torch.arange(len(watched)).repeat(20)
    generator = torch.Generator().manual_seed(seed)
    for user, item in zip(users.tolist(), draw(users, generator).tolist(), strict=True):
        assert item in (known - watched[user] or known)


def test_unwatched_movies_are_equally_likely():
    watched = [set(range(0, ITEMS, 2)), {0, 1, 2}, set(range(ITEMS - 1))]
    draw = NegativeSampler(rows_of(watched), CPU)
    known = set().union(*watched)
    for user, mine in enumerate(watched[:2]):
        left, n = sorted(known - mine), 30_000
        found = draw(torch.full((n,), user), torch.Generator().manual_seed(user))
        counts = np.bincount(found, minlength=ITEMS)
        assert counts.sum() == counts[left].sum()
        expected = n / len(left)
        chi_square = ((counts[left] - expected) ** 2 / expected).sum()
        freedom = len(left) - 1
        assert chi_square < freedom + 4 * np.sqrt(2 * freedom)


def test_draws_of_generated_data_are_unwatched(parts):
    train = parts[0].ratings.take(parts[0].ratings.item % 7 != 0)
    rated = train.by_user
    draw = NegativeSampler(rated, CPU)
    users = torch.arange(300).repeat_interleave(100)
    found = draw(users, torch.Generator().manual_seed(0)).numpy()
    pairs = set(zip(train.user.tolist(), train.item.tolist(), strict=True))
    assert not pairs & set(zip(users.tolist(), found.tolist(), strict=True))
    counts = train.item_counts
    assert (counts == 0).any()
    assert counts[found].min() > 0
    assert len(np.unique(found)) == (counts > 0).sum()


def test_more_draws_than_fit_in_32_bits_do_not_collide():
    """Keys grow as users times movies; those of the last users must still be in order."""
    users, items = 60_000, 50_000
    indices = np.arange(users, dtype=np.int32) % items
    rows = Rows(np.arange(users + 1), indices, np.ones(users, np.float32))
    draw = NegativeSampler(rows, CPU)
    last = users - 1
    mine = int(indices[last])
    assert drawn_by(draw, last, [mine - 1, mine]) == [mine - 1, mine + 1]


def columns(n):
    return torch.arange(n), torch.arange(n) * 10


@given(st.integers(1, 40), st.integers(0, 50), st.integers(0, 5), st.integers(1, 5))
def test_an_epoch_has_every_row_once(n, batch, seed, epoch):
    examples = ShuffledBatches(columns(n), batch, seed)
    batches = [part for part, _ in examples.epoch(epoch)]
    assert len(batches) == len(examples)
    sizes = [len(first) for first, _ in batches]
    assert sizes[:-1] == [batch or n] * (len(sizes) - 1)
    first, second = (torch.cat(column) for column in zip(*batches, strict=True))
    assert sorted(first.tolist()) == list(range(n))
    assert torch.equal(second, 10 * first)


def order_of(examples, epoch):
    return torch.cat([part[0] for part, _ in examples.epoch(epoch)]).tolist()


def test_the_order_is_of_seed_and_epoch_alone():
    orders = {
        (seed, epoch): order_of(ShuffledBatches(columns(50), 8, seed), epoch)
        for seed in range(3)
        for epoch in range(1, 5)
    }
    assert len({tuple(order) for order in orders.values()}) == len(orders)
    examples = ShuffledBatches(columns(50), 8, 1)
    order_of(examples, 1)
    torch.rand(3)
    for epoch in (4, 2):  # as after a checkpoint
        assert order_of(examples, epoch) == orders[1, epoch]


@pytest.mark.parametrize("batch", [0, 50, 51])
def test_a_batch_of_all_is_in_the_order_given(batch):
    examples = ShuffledBatches(columns(50), batch, 0)
    assert len(examples) == 1
    assert order_of(examples, 3) == list(range(50))


def test_what_is_drawn_beside_a_batch_goes_on_from_batch_to_batch():
    draws = [
        torch.rand(2, generator=generator).tolist()
        for _, generator in ShuffledBatches(columns(50), 8, 0).epoch(1)
    ]
    assert len({tuple(draw) for draw in draws}) == len(draws)


class Table(Scorer):
    """Scores that are written down."""

    def __init__(self, scores):
        super().__init__(sparse=False)
        self.scores = self.add("factors", "values", torch.as_tensor(scores, dtype=torch.float32))

    def forward(self, user, item):
        return self.scores[user, item], torch.zeros(())


def test_the_hit_rate_counts_rivals_ahead(parts):
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 40, (300, 200))  # with ties
    user, item = parts[1].ratings.user[:200], parts[1].ratings.item[:200]
    rivals = rng.integers(0, 200, (200, RIVALS))
    hits = [
        sum(scores[u, j] >= scores[u, i] for j in others) < 10
        for u, i, others in zip(user, item, rivals, strict=True)
    ]
    asked = torch.from_numpy(np.column_stack([item, rivals]).astype(np.int64))
    found = hit_rate(Table(scores), torch.from_numpy(user.astype(np.int64)), asked)
    assert 0 < np.mean(hits) < 1
    assert found == pytest.approx(np.mean(hits))


@pytest.fixture(scope="module")
def task(parts):
    """(users, watched movie and rivals) of the test part."""
    train, test = (part.ratings.by_user for part in parts)
    loss = ImplicitLoss(
        Table(np.zeros((300, 200))),
        train,
        {"test": test},
        negatives=1,
        batch=0,
        seed=0,
        device=CPU,
    )
    return tuple(part.numpy() for part in loss.evaluated["test"])


def test_every_watched_movie_of_a_part_is_examined_among_unwatched_ones(parts, task):
    train, test = (part.ratings for part in parts)
    users, items = task
    assert items.shape == (len(test), 1 + RIVALS)
    asked = set(zip(users.tolist(), items[:, 0].tolist(), strict=True))
    assert asked == set(zip(test.user.tolist(), test.item.tolist(), strict=True))
    watched = np.zeros((300, 200), bool)
    watched[train.user, train.item] = True
    assert not watched[users[:, None], items[:, 1:]].any()


def test_a_movie_is_not_its_own_rival(task):
    _, items = task
    assert not (items[:, 1:] == items[:, :1]).any()
