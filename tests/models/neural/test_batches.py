"""Batches and negatives: never what must not be drawn, and no example twice or never."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from matinee.kernels.csr import Rows
from matinee.models.neural import GMF
from matinee.models.neural.batches import NegativeSampler, ShuffledBatches
from matinee.models.neural.losses import EVAL_NEGATIVES, hit_rate
from matinee.models.neural.modules import Scorer

CPU = torch.device("cpu")
ITEMS = 12

any_positives = st.lists(st.sets(st.integers(0, ITEMS - 1)), min_size=1, max_size=6).filter(any)


def rows_of(positives):
    """Rows of a list of sets."""
    indptr = np.cumsum([0, *map(len, positives)])
    indices = np.array([item for items in positives for item in sorted(items)], np.int32)
    return Rows(indptr, indices, np.ones(len(indices), np.float32))


def drawn_by(draw, user, numbers):
    """The items that a user gets for certain random numbers."""
    numbers = torch.as_tensor(numbers)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "randint", lambda *size, **kwargs: numbers)
        return draw(torch.full((len(numbers),), user), torch.Generator()).tolist()


@pytest.mark.slow
@given(any_positives)
def test_every_rank_is_another_negative(positives):
    draw = NegativeSampler(rows_of(positives), CPU)
    known = set().union(*positives)
    for user, own in enumerate(positives):
        left = sorted(known - own)
        drawn = drawn_by(draw, user, np.arange(2 * max(1, len(left))))
        assert drawn == left + left if left else set(drawn) <= known


@given(any_positives, st.integers(0, 1000))
def test_no_positive_and_no_unknown_item_is_drawn(positives, seed):
    draw = NegativeSampler(rows_of(positives), CPU)
    known = set().union(*positives)
    users = torch.arange(len(positives)).repeat(20)
    generator = torch.Generator().manual_seed(seed)
    for user, item in zip(users.tolist(), draw(users, generator).tolist(), strict=True):
        assert item in (known - positives[user] or known)


def test_negatives_are_equally_likely():
    positives = [set(range(0, ITEMS, 2)), {0, 1, 2}, set(range(ITEMS - 1))]
    draw = NegativeSampler(rows_of(positives), CPU)
    known = set().union(*positives)
    for user, own in enumerate(positives[:2]):
        left, n = sorted(known - own), 30_000
        drawn = draw(torch.full((n,), user), torch.Generator().manual_seed(user))
        counts = np.bincount(drawn, minlength=ITEMS)
        assert counts.sum() == counts[left].sum()
        expected = n / len(left)
        chi_square = ((counts[left] - expected) ** 2 / expected).sum()
        freedom = len(left) - 1
        assert chi_square < freedom + 4 * np.sqrt(2 * freedom)


def test_negatives_of_generated_data_are_unrated(parts):
    train = parts[0].ratings.take(parts[0].ratings.item % 7 != 0)
    draw = NegativeSampler(train.by_user, CPU)
    users = torch.arange(300).repeat_interleave(100)
    drawn = draw(users, torch.Generator().manual_seed(0)).numpy()
    pairs = set(zip(train.user.tolist(), train.item.tolist(), strict=True))
    assert not pairs & set(zip(users.tolist(), drawn.tolist(), strict=True))
    counts = train.item_counts
    assert (counts == 0).any()
    assert counts[drawn].min() > 0
    assert len(np.unique(drawn)) == (counts > 0).sum()


def test_more_keys_than_fit_in_32_bits_do_not_collide():
    """Keys grow as users times items; those of the last users must still be in order."""
    users, items = 60_000, 50_000
    indices = np.arange(users, dtype=np.int32) % items
    rows = Rows(np.arange(users + 1), indices, np.ones(users, np.float32))
    draw = NegativeSampler(rows, CPU)
    last = users - 1
    own = int(indices[last])
    assert drawn_by(draw, last, [own - 1, own]) == [own - 1, own + 1]


def columns(n):
    return torch.arange(n), torch.arange(n) * 10


@given(st.integers(1, 40), st.integers(0, 50), st.integers(0, 5), st.integers(1, 5))
def test_an_epoch_has_every_row_once(n, batch_size, seed, epoch):
    shuffled = ShuffledBatches(columns(n), batch_size, seed)
    batches = [batch for batch, _ in shuffled.epoch(epoch)]
    assert len(batches) == len(shuffled)
    sizes = [len(first) for first, _ in batches]
    assert sizes[:-1] == [batch_size or n] * (len(sizes) - 1)
    first, second = (torch.cat(column) for column in zip(*batches, strict=True))
    assert sorted(first.tolist()) == list(range(n))
    assert torch.equal(second, 10 * first)


def order_of(shuffled, epoch):
    return torch.cat([batch[0] for batch, _ in shuffled.epoch(epoch)]).tolist()


def test_the_order_depends_on_seed_and_epoch_alone():
    orders = {
        (seed, epoch): order_of(ShuffledBatches(columns(50), 8, seed), epoch)
        for seed in range(3)
        for epoch in range(1, 5)
    }
    assert len({tuple(order) for order in orders.values()}) == len(orders)
    shuffled = ShuffledBatches(columns(50), 8, 1)
    order_of(shuffled, 1)
    torch.rand(3)
    for epoch in (4, 2):  # as after a checkpoint
        assert order_of(shuffled, epoch) == orders[1, epoch]


@pytest.mark.parametrize("batch_size", [0, 50, 51])
def test_a_batch_of_all_is_in_the_order_given(batch_size):
    shuffled = ShuffledBatches(columns(50), batch_size, 0)
    assert len(shuffled) == 1
    assert order_of(shuffled, 3) == list(range(50))


def test_the_generator_of_an_epoch_draws_anew_for_each_batch():
    draws = [
        torch.rand(2, generator=generator).tolist()
        for _, generator in ShuffledBatches(columns(50), 8, 0).epoch(1)
    ]
    assert len({tuple(draw) for draw in draws}) == len(draws)


class Table(Scorer):
    """Scores that are written down."""

    def __init__(self, scores):
        super().__init__(sparse=False)
        values = torch.as_tensor(scores, dtype=torch.float32)
        self.scores = self.add_parameter("factors", "values", values)

    def forward(self, user, item):
        return self.scores[user, item], torch.zeros(())


def test_the_hit_rate_counts_negatives_ahead(parts):
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 40, (300, 200))  # with ties
    user, item = parts[1].ratings.user[:200], parts[1].ratings.item[:200]
    negatives = rng.integers(0, 200, (200, EVAL_NEGATIVES))
    hits = [
        sum(scores[u, j] >= scores[u, i] for j in others) < 10
        for u, i, others in zip(user, item, negatives, strict=True)
    ]
    items = torch.from_numpy(np.column_stack([item, negatives]).astype(np.int64))
    rate = hit_rate(Table(scores), torch.from_numpy(user.astype(np.int64)), items)
    assert 0 < np.mean(hits) < 1
    assert rate == pytest.approx(np.mean(hits))


def test_every_positive_of_a_set_is_ranked_among_negatives(parts):
    estimator, module = GMF(negatives=1, batch_size=0), Table(np.zeros((300, 200)))
    loss = estimator.loss_class(estimator, module, parts[0], {"test": parts[1]}, CPU)
    users, items = (column.numpy() for column in loss.eval_sets["test"])
    train, test = (part.ratings for part in parts)
    assert items.shape == (len(test), 1 + EVAL_NEGATIVES)
    ranked = set(zip(users.tolist(), items[:, 0].tolist(), strict=True))
    assert ranked == set(zip(test.user.tolist(), test.item.tolist(), strict=True))
    is_positive = np.zeros((300, 200), bool)
    is_positive[train.user, train.item] = True
    assert not is_positive[users[:, None], items[:, 1:]].any()
    assert not (items[:, 1:] == items[:, :1]).any()
