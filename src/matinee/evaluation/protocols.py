"""Evaluation protocols: what to train on, which users to test, and which items are relevant."""

from dataclasses import dataclass, replace

import numpy as np

from matinee._types import F64, I32, Bools, Ints
from matinee.data.dataset import Dataset
from matinee.data.ratings import Ratings
from matinee.errors import SettingError, shortened
from matinee.kernels.csr import Rows, filter_entries, take_rows
from matinee.models.profiles import take_moments

STRONG_FRACTION = 0.1  # of the eligible users, by default
WORTH_SAYING = 0.01  # of the users
MIN_POSITIVES = 5  # of a test user of strong generalization, as in Liang et al. 2018


@dataclass(frozen=True, eq=False)
class RankingTask:
    """What to train on, which users to test, and which items are relevant to them.

    `protocol` is ``"holdout"``, ``"leave-one-out"``, ``"temporal"``, ``"strong-generalization"``,
    ``"sampled-negatives"``, ``"cold-items"`` or ``"cold-users"``; `users`, int32 (users,), are the
    indices of the test users, ascending.
    If they are `folded_in`, they are not in `train`, and a model has to fold their history in, of
    which `moments` may tell the order (`Ratings.moments`).

    Each test user has a row of `history`, the items that they are known by, which are not ranked; a
    row of `relevant`, held-out items, at least one; and maybe a row of `candidates`: only these are
    ranked, the positive among them. `ranked`, bool (items,), are the items that are ranked for any
    user, by default all. Indices ascend; values are ratings, but mean nothing of
    candidates. `note` is a caveat for tables, `test` has all held-out ratings, where the protocol
    splits ratings: for the errors of predictions. Raises SettingError if there is no test user.
    """

    protocol: str
    train: Dataset
    users: I32
    history: Rows
    folded_in: bool
    relevant: Rows
    candidates: Rows | None = None
    ranked: Bools | None = None
    note: str = ""
    test: Dataset | None = None
    moments: F64 | None = None

    def __post_init__(self) -> None:
        if len(self.users) == 0:
            raise SettingError(f"{self.train.name}: a ranking task needs a test user.")

    def __len__(self) -> int:
        return len(self.users)

    @property
    def history_means(self) -> F64:
        """The mean rating that each test user is known by, (users,); that of all without any."""
        counts = np.diff(self.history.indptr)
        row = np.repeat(np.arange(len(self)), counts)
        sums = np.bincount(row, self.history.values, minlength=len(self))
        means = np.full(len(self), self.train.ratings.values.mean(dtype=np.float64))
        np.divide(sums, counts, out=means, where=counts > 0)
        return means

    def sample(self, n: int, seed: int = 0) -> "RankingTask":
        """The same task for at most `n` of the test users, drawn at random."""
        if n < 1:
            raise SettingError(f"n must be >= 1, got {shortened(n)}.")
        if n >= len(self):
            return self
        return self.take(np.sort(random_generator(seed).choice(len(self), n, replace=False)))

    def take(self, rows: Ints) -> "RankingTask":
        """The same task for some of the test users, by their position in `users`."""
        return replace(
            self,
            users=self.users[rows],
            history=take_rows(self.history, rows),
            relevant=take_rows(self.relevant, rows),
            candidates=None if self.candidates is None else take_rows(self.candidates, rows),
            moments=take_moments(self.history, self.moments, rows),
        )


def random_generator(seed: int) -> np.random.Generator:
    """The generator of this seed; SettingError for a negative one."""
    if seed < 0:
        raise SettingError(f"seed must be >= 0, got {shortened(seed)}.")
    return np.random.default_rng(seed)


def holdout(train: Dataset, test: Dataset, *, min_rating: float | None = None) -> RankingTask:
    """Find the items that users of the training set rated in the test set.

    Known as weak generalization: all test users are in training. Users without a training rating,
    or without a relevant test rating, are left out. Items without training ratings can be relevant.

    `train` and `test` are the two sets of one split. Only test ratings of at least `min_rating` are
    relevant; by default all are.

    Examples
    --------
    >>> task = holdout(*data.split("random"), min_rating=4)
    >>> len(task), len(task.relevant.indices), float(task.relevant.values.min())
    (30, 46, 4.0)
    """
    if not train.ratings.same_codes_as(test.ratings):
        raise SettingError("train and test must be the two sets of one split; their ids differ.")
    relevant = test.ratings.take(is_positive(test.ratings, min_rating))
    has_both = (train.ratings.user_counts > 0) & (relevant.user_counts > 0)
    users = np.flatnonzero(has_both).astype(np.int32)
    if len(users) == 0:
        least = "" if min_rating is None else f" of at least {min_rating:g}"
        raise SettingError(
            f"{train.name}: no test user; none has both training ratings and a test rating{least}."
        )
    return RankingTask(
        protocol="holdout",
        train=train,
        users=users,
        history=take_rows(train.ratings.by_user, users),
        folded_in=False,
        relevant=take_rows(relevant.by_user, users),
        test=test,
    )


def leave_one_out(dataset: Dataset, *, min_rating: float | None = None) -> RankingTask:
    """Find each user's last item, given all of their earlier ones.

    The latest rating of each user is held out, as in He et al. 2017 (NCF), and has to be found
    among all items rather than among a few drawn at random (`sampled_negatives`). Users with a
    single rating are left out, as are those whose last rating is below `min_rating`. Other users
    may have rated later: training knows their future (in `temporal` it does not). Ratings of one
    second are in the order of the rows; `note` says how many of the last ones that decides.
    """
    train, test = dataset.split("leave-last-out")
    task = holdout(train, test, min_rating=min_rating)
    return replace(task, protocol="leave-one-out", note=_note_on_order(train, test))


def _note_on_order(train: Dataset, last: Dataset) -> str:
    """How many users gave their last rating in the same second as the one before, in words."""
    before = np.full(len(train.ratings.user_ids), np.iinfo(np.int64).min)
    np.maximum.at(before, train.ratings.user, train.ratings.timestamp_for("An order"))
    stamps = last.ratings.timestamp_for("An order")
    share = float((stamps == before[last.ratings.user]).mean())
    if share < WORTH_SAYING:
        return ""
    return (
        f"{share:.0%} of the last {train.unit}s share their second with the one before: which is "
        "the last there is up to the order of the rows."
    )


def temporal(
    dataset: Dataset, *, test_fraction: float = 0.1, min_rating: float | None = None
) -> RankingTask:
    """Find what users rate after a point in time, given everybody's ratings before it.

    The one protocol in which nothing is trained on the future (Ji et al. 2023, "A critical study
    on data leakage in recommender system offline evaluation"). Only users with ratings on both
    sides are tested; in data where users rate in one sitting, these are few.
    """
    train, test = dataset.split("temporal", test_fraction=test_fraction)
    return replace(holdout(train, test, min_rating=min_rating), protocol="temporal")


def strong_generalization(
    dataset: Dataset,
    *,
    n_users: int | None = None,
    test_fraction: float = 0.2,
    min_rating: float | None = None,
    seed: int = 0,
) -> RankingTask:
    """Find items for users whom training has never seen, given some of what they like.

    "Strong generalization" of Liang et al. 2018 (Mult-VAE). All ratings of the test users are taken
    out of training; a model folds in a part of their positives and has to find the others. Their
    ratings below `min_rating` are dropped, as in the paper. All other users stay in training with
    all ratings; which of these are positive is up to the estimator. Users with fewer than five
    positives are never tested.

    By default `n_users` is a tenth of those with at least five positives, and all ratings are
    positive. `test_fraction` of each test user's positives, rounded, is held out; at least one is,
    and at least one is not.

    Examples
    --------
    >>> task = strong_generalization(data, n_users=10, min_rating=4)
    >>> len(task), int((task.train.ratings.user_counts > 0).sum())
    (10, 50)
    """
    if not 0 < test_fraction < 1:
        raise SettingError(f"test_fraction must be between 0 and 1, got {test_fraction:g}.")
    rng = random_generator(seed)
    ratings = dataset.ratings
    positive = is_positive(ratings, min_rating)
    users = _draw_test_users(dataset, positive, n_users, rng)
    of_test_users = np.isin(ratings.user, users)
    if of_test_users.all():
        raise SettingError(
            f"{dataset.name}: n_users must leave users to train on, got {len(users):,}."
        )
    known = ratings.take(of_test_users & positive)
    positives = take_rows(known.by_user, users)
    held_out = _draw_entries(positives, test_fraction, rng)
    moments = None if known.timestamp is None else known.moments[~held_out]
    return RankingTask(
        protocol="strong-generalization",
        train=subset(dataset, ~of_test_users),
        users=users,
        history=filter_entries(positives, ~held_out),
        folded_in=True,
        relevant=filter_entries(positives, held_out),
        moments=moments,
    )


def _draw_test_users(
    dataset: Dataset, positive: Bools, n_users: int | None, rng: np.random.Generator
) -> I32:
    """Users with enough positives, ascending, int32 (n_users,)."""
    ratings = dataset.ratings
    counts = np.bincount(ratings.user[positive], minlength=len(ratings.user_ids))
    eligible = np.flatnonzero(counts >= MIN_POSITIVES)
    if n_users is None:
        n_users = max(1, round(len(eligible) * STRONG_FRACTION))
    if not 1 <= n_users <= len(eligible):
        raise SettingError(
            f"{dataset.name}: {len(eligible):,} users have {MIN_POSITIVES} positives; n_users must "
            f"be from 1 to that number, got {n_users:,}."
        )
    return np.sort(rng.choice(eligible, n_users, replace=False)).astype(np.int32)


def _draw_entries(rows: Rows, fraction: float, rng: np.random.Generator) -> Bools:
    """Which entries are drawn: this fraction of each row, but at least one and not all."""
    counts = np.diff(rows.indptr)
    n_drawn = np.clip(np.rint(counts * fraction), 1, counts - 1)
    # each row's entries in random order, of which the first ones are drawn
    order = np.lexsort((rng.random(len(rows.indices)), np.repeat(np.arange(len(counts)), counts)))
    position = np.arange(len(order)) - np.repeat(rows.indptr[:-1], counts)
    drawn = np.zeros(len(order), bool)
    drawn[order] = position < np.repeat(n_drawn, counts)
    return drawn


def is_positive(ratings: Ratings, min_rating: float | None) -> Bools:
    """Which ratings are at least `min_rating` (None: all)."""
    if min_rating is None:
        return np.ones(len(ratings), bool)
    return np.asarray(ratings.values >= min_rating)


def subset(dataset: Dataset, rows: Bools) -> Dataset:
    """The data set with these ratings only, and without official splits."""
    return replace(dataset, ratings=dataset.ratings.take(rows), official={})
