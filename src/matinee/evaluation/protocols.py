"""An exam: what to train on, whom to judge, and by which movies."""

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from matinee._types import I32, I64, Bools, Ints
from matinee.data.dataset import Dataset
from matinee.data.ratings import Ratings
from matinee.errors import DataError, SettingError
from matinee.kernels.csr import Rows, filter_entries, take_rows


@dataclass(frozen=True, eq=False)
class RankingTask:
    """What to train on, whom to judge, and by which movies.

    Parameters
    ----------
    protocol : str
        ``"holdout"``, ``"leave-one-out"``, ``"strong-generalization"``, ``"time"`` or ``"ncf"``.
    train : Dataset
    users : int32 (users,)
        Codes of the judged users, ascending.
    history : Rows
        A row for each judged user: what they are known by, and is left out of their list.
        Codes ascend; values are stars.
    folded_in : bool
        The judged users are not in `train`: a model has to fold their history in.
    relevant : Rows
        A row for each judged user: held-out movies that count, at least one. Codes ascend;
        values are stars.
    candidates : Rows, optional
        A row for each judged user: rank only these, the positive among them. Codes ascend;
        values mean nothing.
    note : str
        A sentence for tables.
    test : Dataset, optional
        All held-out ratings, where the protocol holds ratings out: for errors of stars.

    Raises
    ------
    SettingError
        If nobody is judged.
    """

    protocol: str
    train: Dataset
    users: I32
    history: Rows
    folded_in: bool
    relevant: Rows
    candidates: Rows | None = None
    note: str = ""
    test: Dataset | None = None

    def __post_init__(self) -> None:
        if len(self.users) == 0:
            raise SettingError(
                f"{self.train.name}: nobody can be judged; "
                "no user has both a history and a held-out movie that counts."
            )

    def __len__(self) -> int:
        return len(self.users)

    def sample(self, n: int, seed: int = 0) -> "RankingTask":
        """The same exam for at most `n` of the judged users, drawn at random."""
        if n < 1:
            raise SettingError(f"At least 1 user is judged, not {n}.")
        if n >= len(self):
            return self
        return self.take(np.sort(generator_of(seed).choice(len(self), n, replace=False)))

    def take(self, rows: Ints) -> "RankingTask":
        """The same exam for some of the judged users, by their place among `users`."""
        return replace(
            self,
            users=self.users[rows],
            history=take_rows(self.history, rows),
            relevant=take_rows(self.relevant, rows),
            candidates=None if self.candidates is None else take_rows(self.candidates, rows),
        )


def generator_of(seed: int) -> np.random.Generator:
    """The generator of this seed; SettingError for one below 0."""
    if seed < 0:
        raise SettingError(f"A seed is a whole number from 0 on, not {seed}.")
    return np.random.default_rng(seed)


STRONG_FRACTION = 0.1  # of the eligible users, where no number is given
STRONG_LEAST = 5  # liked movies of a user taken out of training, as in Liang et al. 2018
BLOCK_USERS = 10_000
SAMPLED = (
    "Ranked among sampled movies only: compare with papers that do the same, and choose no model "
    "by it (Krichene & Rendle 2020)."
)

# eighteen digits always fit int64
TEST_LINE = re.compile(
    r"([0-9]{1,18})\t([0-9]{1,18})\t([0-9]{1,9}(?:\.[0-9]{1,9})?)\t([0-9]{1,18})"
)
LIST_LINE = re.compile(r"\(([0-9]{1,18}),([0-9]{1,18})\)((?:\t[0-9]{1,18}){99})")
OTHER_DATA = "Read the data set that the lists were made from, in the order of its ratings file."
FRESH_COPY = "Get fresh copies of both files."


def holdout(train: Dataset, test: Dataset, *, min_rating: float | None = None) -> RankingTask:
    """Does a list find what known users gave stars to in the other part of a split?

    The usual "weak generalization": everybody judged is in training. Users without a training
    rating, or without a test rating that counts, are not judged. Movies without a training rating
    count all the same.

    Parameters
    ----------
    train, test : Dataset
        The two parts of one split.
    min_rating : float, optional
        Only test ratings of at least so many stars count; without it, all do.

    Examples
    --------
    >>> from matinee.data.synthetic import generate
    >>> data, _ = generate(users=60, items=50, ratings=1500, seed=0)
    >>> task = holdout(*data.split("random"), min_rating=4)
    >>> len(task), len(task.relevant.indices), float(task.relevant.values.min())
    (36, 58, 4.0)
    """
    if not train.ratings.has_codes_of(test.ratings):
        raise SettingError("Training and test part have different ids; take parts of one split.")
    relevant = test.ratings.take(_liked(test.ratings, min_rating))
    evaluated = (train.ratings.user_counts > 0) & (relevant.user_counts > 0)
    users = np.flatnonzero(evaluated).astype(np.int32)
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
    """What will each user watch next, given everything before?

    The latest rating of each user is held out, as in He et al. 2017 (NCF), and has to be found
    among all movies, not among a few drawn at random (`sampled_negatives`). Users with a single rating
    are not judged, nor are those who did not like their last movie where `min_rating` asks for it.
    Others may have rated later than the judged moment: training knows the future of everyone
    else (`temporal` does not).
    """
    return replace(
        holdout(*dataset.split("leave-last-out"), min_rating=min_rating), protocol="leave-one-out"
    )


def temporal(
    dataset: Dataset, *, test_fraction: float = 0.1, min_rating: float | None = None
) -> RankingTask:
    """What will users watch from a day on, given what everybody watched before?

    The one protocol in which nothing is trained on the future (Ji et al. 2023, "A critical study
    on data leakage in recommender system offline evaluation"). Only users with ratings on both
    sides are judged; in data where everybody rates in one sitting, these are few.
    """
    parts = dataset.split("temporal", test_fraction=test_fraction)
    return replace(holdout(*parts, min_rating=min_rating), protocol="time")


def strong_generalization(
    dataset: Dataset,
    *,
    n_users: int | None = None,
    test_fraction: float = 0.2,
    min_rating: float | None = None,
    seed: int = 0,
) -> RankingTask:
    """Does a list suit somebody whom training has never seen, going by some of what they like?

    "Strong generalization" of Liang et al. 2018 (Mult-VAE). Some users are taken out of
    training entirely, whatever their stars; a model folds part of what they liked in, and is
    judged by the rest. Their ratings under `min_rating` are dropped: in the paper they do not exist.
    Everybody else stays in training with all their ratings; what of it is positive is for the
    recipe to say. Users with fewer than five liked movies are never judged.

    Parameters
    ----------
    dataset : Dataset
    users : int, optional
        How many to judge; by default a tenth of those with at least five liked movies.
    test_fraction : float
        Of each judged user's liked movies, rounded; at least one, and at least one is left.
    min_rating : float, optional
        The least stars of a liked movie; without it, all are liked.
    seed : int

    Examples
    --------
    >>> from matinee.data.synthetic import generate
    >>> data, _ = generate(users=60, items=50, ratings=1500, seed=0)
    >>> task = strong_generalization(data, users=10, min_rating=4)
    >>> len(task), int((task.train.ratings.user_counts > 0).sum())
    (10, 50)
    """
    if not 0 < test_fraction < 1:
        raise SettingError(f"A test fraction lies between 0 and 1, not at {test_fraction:g}.")
    rng = generator_of(seed)
    ratings = dataset.ratings
    likes = _liked(ratings, min_rating)
    counts = np.bincount(ratings.user[likes], minlength=len(ratings.user_ids))
    eligible = np.flatnonzero(counts >= STRONG_LEAST)
    if n_users is None:
        n_users = max(1, round(len(eligible) * STRONG_FRACTION))
    if not 1 <= n_users <= len(eligible):
        raise SettingError(
            f"{dataset.name}: {len(eligible):,} users have the {STRONG_LEAST} liked movies that "
            f"it takes to be judged; {n_users:,} cannot be drawn from them."
        )
    users = np.sort(rng.choice(eligible, n_users, replace=False)).astype(np.int32)
    taken_out = np.isin(ratings.user, users)
    if taken_out.all():
        raise SettingError(f"{dataset.name}: {n_users:,} judged users leave nobody to train on.")
    known = take_rows(ratings.take(taken_out & likes).by_user, users)
    counts = np.diff(known.indptr)
    wanted = np.clip(np.rint(counts * test_fraction), 1, counts - 1)
    # each user's entries in random order, of which the first ones are held out
    order = np.lexsort((rng.random(len(known.indices)), np.repeat(np.arange(n_users), counts)))
    place = np.arange(len(order)) - np.repeat(known.indptr[:-1], counts)
    relevant = np.zeros(len(order), bool)
    relevant[order] = place < np.repeat(wanted, counts)
    return RankingTask(
        protocol="strong-generalization",
        train=_part(dataset, ~taken_out),
        users=users,
        history=filter_entries(known, ~relevant),
        folded_in=True,
        relevant=filter_entries(known, relevant),
    )


def sampled_negatives(dataset: Dataset, *, negatives: int = 99, seed: int = 0) -> RankingTask:
    """Does each user's last movie come before movies drawn at random that they never rated?

    The protocol of the NCF paper (He et al. 2017), for comparison with papers that use it only:
    ranks among few sampled movies can order models otherwise than ranks among all (Krichene &
    Rendle 2020, "On sampled metrics for item recommendation"). Users with a single rating are
    not judged; stars make no difference.

    Parameters
    ----------
    dataset : Dataset
    negatives : int
        Movies to draw for each user, uniformly and without repetition, among those that
        somebody rated but they did not; all of these, where there are fewer.
    seed : int

    Examples
    --------
    >>> from matinee.data.synthetic import generate
    >>> data, _ = generate(users=60, items=90, ratings=1500, seed=0)
    >>> task = sampled_negatives(data, negatives=9)
    >>> task.candidates.indptr[:4].tolist()
    [0, 10, 20, 30]
    """
    if negatives < 1:
        raise SettingError(f"At least 1 movie is drawn for each user, not {negatives}.")
    rng = generator_of(seed)
    task = leave_one_out(dataset)
    pool = np.flatnonzero(dataset.ratings.item_counts).astype(np.int32)
    rows = [np.arange(len(task))]
    items = [task.relevant.indices]  # one for each user
    for start in range(0, len(task), BLOCK_USERS):
        rated = take_rows(dataset.ratings.by_user, task.users[start : start + BLOCK_USERS])
        row, item = _draw_unrated(rated, pool, negatives, rng)
        rows.append(row + start)
        items.append(item)
    candidates = _sets(
        np.concatenate(rows), np.concatenate(items), len(task), len(dataset.ratings.item_ids)
    )
    return replace(task, protocol="ncf", candidates=candidates, note=SAMPLED)


def read_negatives(dataset: Dataset, folder: str | Path, name: str = "ml-1m") -> RankingTask:
    """The question of `sampled_negatives`, with the very lists that the NCF paper's authors published.

    Their files number users and movies from 0 in the order in which the ratings file first
    names them. In some lists the positive stands among its own negatives: there it is
    simply one candidate. A user whose only rating is the test rating is not judged.

    Parameters
    ----------
    dataset : Dataset
        With all ratings, in the order of the ratings file.
    folder : path
        Holds ``{name}.test.rating`` (user, movie, stars, timestamp) and
        ``{name}.test.negative`` (``(user,item)`` and 99 movies), tab-separated.
    name : str

    Raises
    ------
    DataError
        If a file is missing or malformed, or does not belong to the data set.
    """
    tests, lists = Path(folder, f"{name}.test.rating"), Path(folder, f"{name}.test.negative")
    ratings = dataset.ratings
    if ratings.timestamp is None:
        raise DataError(f"{tests.name}, line 1: {dataset.name} has no timestamps. {OTHER_DATA}")
    users, items = _in_order_of_appearance(ratings.user), _in_order_of_appearance(ratings.item)

    given = _parse(tests, TEST_LINE, "user, movie, stars, timestamp")
    user, item = (np.array([int(line[part]) for line in given]) for part in (1, 2))
    values = np.array([line[3] for line in given], np.float32)
    timestamp = np.array([int(line[4]) for line in given])
    strange = (user >= len(users)) | (item >= len(items))
    _refuse(tests, strange, f"{dataset.name} has no such user or movie. {OTHER_DATA}")
    again = np.ones(len(user), bool)
    again[np.unique(user, return_index=True)[1]] = False
    _refuse(tests, again, f"a second test rating of the same user. {FRESH_COPY}")
    user, item = users[user], items[item]
    rows, found = _find(ratings, user, item)
    found &= (ratings.values[rows] == values) & (ratings.timestamp[rows] == timestamp)
    _refuse(tests, ~found, f"{dataset.name} has no such rating. {OTHER_DATA}")

    listed = _parse(lists, LIST_LINE, "(user,movie) and 99 movies")
    if len(listed) != len(given):
        raise DataError(
            f"{lists.name}, line {min(len(listed), len(given)) + 1}: {len(listed):,} lists for the "
            f"{len(given):,} ratings of {tests.name}. {FRESH_COPY}"
        )
    pairs = zip(listed, given, strict=True)
    wrong = np.array([line.group(1, 2) != rating.group(1, 2) for line, rating in pairs])
    _refuse(lists, wrong, f"not the list of the rating on that line of {tests.name}. {FRESH_COPY}")
    number = np.array([line[3].split() for line in listed], np.int64)
    _refuse(lists, number >= len(items), f"{dataset.name} has not so many movies. {OTHER_DATA}")
    negative = items[number]
    rated = _find(ratings, user[:, None], negative)[1] & np.not_equal(negative, item[:, None])
    _refuse(lists, rated, f"the user rated one of the 99 movies. {OTHER_DATA}")

    test = np.zeros(len(ratings), bool)
    test[rows] = True
    task = holdout(_part(dataset, ~test), _part(dataset, test))
    row = np.searchsorted(task.users, user).clip(max=len(task) - 1)
    evaluated = task.users[row] == user
    lists_of = np.column_stack((item, negative))[evaluated]
    candidates = _sets(
        np.repeat(row[evaluated], lists_of.shape[1]),
        lists_of.ravel(),
        len(task),
        len(ratings.item_ids),
    )
    return replace(task, protocol="ncf", candidates=candidates, note=SAMPLED)


def _liked(ratings: Ratings, least: float | None) -> Bools:
    return np.ones(len(ratings), bool) if least is None else np.asarray(ratings.values >= least)


def _part(dataset: Dataset, rows: Bools) -> Dataset:
    return replace(dataset, ratings=dataset.ratings.take(rows), official={})


def _sets(row: I64, column: I32, n_rows: int, n_columns: int) -> Rows:
    """Entries as rows, whatever their order; what is there twice is kept once."""
    keys = np.sort(row * n_columns + column)  # np.unique would hash, at a tenth of the speed
    keys = keys[np.append(True, keys[1:] != keys[:-1])]
    row, column = keys // n_columns, (keys % n_columns).astype(np.int32)
    indptr = np.searchsorted(row, np.arange(n_rows + 1)).astype(np.int64)
    return Rows(indptr, column, np.zeros(len(column), np.float32))


def _draw_unrated(rated: Rows, pool: I32, n: int, rng: np.random.Generator) -> tuple[I64, I32]:
    """(row, item) of up to `n` different items of `pool` for each row, none of them `rated`.

    `pool` ascends and holds all that is rated. Numbers are drawn among as many as the row has
    not rated, by Floyd's algorithm for all rows at once, and only then turned into items: long
    rows cost no more than short ones, and there is no table of rows by items.
    """
    counts = np.diff(rated.indptr)
    unrated = len(pool) - counts
    drawn = np.full((n, len(counts)), -1)
    for step in range(n):
        most = unrated - n + step  # negative for as many steps as there are too few items
        number = rng.integers(0, most.clip(min=0) + 1)
        taken = (drawn[:step] == number).any(axis=0)
        drawn[step] = np.where(most < 0, -1, np.where(taken, most, number))
    row, at = np.nonzero(drawn.T >= 0)
    number = drawn[at, row]
    # the k-th rated item at place p of the pool has p - k unrated ones before it
    place = np.searchsorted(pool, rated.indices)
    unrated_before = place - (np.arange(len(place)) - np.repeat(rated.indptr[:-1], counts))
    # rows one after another on one axis, so that a single search serves all
    apart = len(pool) + 1
    axis = np.repeat(np.arange(len(counts)), counts) * apart + unrated_before
    rated_before = np.searchsorted(axis, row * apart + number, side="right") - rated.indptr[row]
    return row, pool[number + rated_before]


def _in_order_of_appearance(codes: I32) -> I32:
    different, first = np.unique(codes, return_index=True)
    return different[np.argsort(first)]


def _find(ratings: Ratings, user: I32, item: I32) -> tuple[I64, Bools]:
    """The position of each pair among the ratings, and whether it is there at all."""
    n_items = len(ratings.item_ids)
    keys = ratings.user.astype(np.int64) * n_items + ratings.item
    order = np.argsort(keys)
    wanted = user.astype(np.int64) * n_items + item
    rows = order[np.searchsorted(keys, wanted, sorter=order).clip(max=len(keys) - 1)]
    return rows, keys[rows] == wanted


def _parse(path: Path, line: re.Pattern[str], wanted: str) -> list[re.Match[str]]:
    """Each line of a file, taken apart."""
    try:
        # what is no text is then refused with its line
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as problem:
        raise DataError(f"{path}: cannot be read ({problem.strerror}).") from None
    if not text:
        raise DataError(f"{path.name}, line 1: the file is empty. {FRESH_COPY}")
    parsed = []
    for number, row in enumerate(text.removesuffix("\n").split("\n"), 1):
        match = line.fullmatch(row)
        if match is None:
            raise DataError(
                f"{path.name}, line {number}: there should be {wanted}, as numbers with tabs "
                f"between. {FRESH_COPY}"
            )
        parsed.append(match)
    return parsed


def _refuse(path: Path, bad: Bools, why: str) -> None:
    """Blame the first line of which anything is bad."""
    lines = np.nonzero(bad)[0]
    if len(lines):
        raise DataError(f"{path.name}, line {lines[0] + 1}: {why}")
