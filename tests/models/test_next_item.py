"""What comes next: a model of order against plain arithmetic, and what one may ask of it."""

import numpy as np
import polars as pl
import pytest

import matinee
from matinee.errors import SettingError
from matinee.evaluation import evaluate_ranking, leave_one_out, temporal
from matinee.models import ALS, ImplicitALS, NextItem, UserProfile
from matinee.models.next_head import LEAST, LEAST_TASTE, NextHead
from matinee.models.timely_head import TimelyHead
from matinee.models.transitions import (
    LIFT_STRENGTH,
    Histories,
    count_lifts,
    decays,
    solve_transitions,
)
from matinee.report.sections import user_section
from matinee.tuning import tune

CHAINS, LENGTH = 12, 6


def in_chains(users=300, seed=0, gap=60):
    """Users who watch chains of movies, each in order, one chain after another, one movie so many
    seconds after the other.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(users):
        movies = [
            chain * LENGTH + at
            for chain in rng.permutation(CHAINS)[:4]
            for at in range(rng.integers(0, 3), LENGTH)
        ]
        start = 1_500_000_000 + int(rng.integers(0, 300)) * 86_400
        rows += [(user, movie, start + gap * at) for at, movie in enumerate(movies)]
    return matinee.read(pl.DataFrame(rows, schema=["user", "item", "timestamp"], orient="row"))


@pytest.fixture(scope="module")
def chains():
    return in_chains()


@pytest.fixture(scope="module")
def split(chains):
    return chains.split("leave-last-out")


@pytest.fixture(scope="module")
def ordered(split):
    """A model of what comes next."""
    return NextItem(factors=8, regularization=1.0).fit(split[0])


def written_out(histories, items, places, days, regularization, discount):
    """Ridge regression with a row for each place, and all weights."""
    rows, targets = [], []
    for start, stop in zip(histories.indptr[:-1], histories.indptr[1:], strict=True):
        own, times = histories.items[start:stop], histories.moments[start:stop]
        for at in range(len(own) - 1):
            row = np.zeros((len(places), items))
            for before in range(at + 1):
                gap = (times[at] - times[before]) / 86_400
                row[:, own[before]] += np.exp(-((at - before) / places + gap / days))
            target = np.zeros(items)
            for later in range(at + 1, len(own)):
                target[own[later]] += discount ** (later - at - 1)
            rows.append(row.ravel())
            targets.append(target)
    x, y = np.array(rows), np.array(targets)
    return np.linalg.solve(x.T @ x + regularization * np.eye(x.shape[1]), x.T @ y)


def test_transitions_are_those_of_ridge_regression(split):
    items, histories = len(split[0].catalog), Histories.of(split[0].ratings)
    places, days = np.array([1.5, 10], np.float32), np.array([2, 30], np.float32)
    steps = decays(histories.moments, places, days)
    how = {"regularization": 2.0, "discount": 0.3}
    found = solve_transitions(histories, steps, sources=items, kept=items, **how)
    dense = np.zeros((2 * items, items))
    row = np.repeat(np.arange(2 * items), np.diff(found.indptr))
    dense[row, found.indices] = found.values
    expected = written_out(histories, items, places.astype(float), days.astype(float), 2.0, 0.3)
    assert dense == pytest.approx(expected, abs=0.01)  # weights below 0.001 count as none


def test_lifts_are_counts_of_what_follows_soon():
    rows = [(0, 0, 1), (0, 1, 2), (0, 2, 3), (1, 0, 1), (1, 2, 2)]
    data = matinee.read(pl.DataFrame(rows, schema=["user", "item", "timestamp"], orient="row"))
    histories = Histories.of(data.ratings)
    steps = decays(histories.moments, np.array([2], np.float32), np.array([1e9], np.float32))
    found = count_lifts(histories, np.ascontiguousarray(steps[:, 0]))
    assert found.indptr.tolist() == [0, 2, 3, 3]
    assert found.indices.tolist() == [1, 2, 2]
    shares = np.array([3, 2, 3]) / 8  # of all interactions, and one more for each
    counts = np.array([1, 1 + np.exp(-0.5), 1])
    expected = np.log1p(counts / (LIFT_STRENGTH * shares[[1, 2, 2]]))
    assert found.values == pytest.approx(expected, rel=1e-4)


def test_only_so_many_sources_and_transitions_are_kept(split):
    ratings, items = split[0].ratings, len(split[0].catalog)
    histories = Histories.of(ratings)
    places = np.array([1.5, 10], np.float32)
    steps = decays(histories.moments, places, np.full(2, 30, np.float32))
    how = {"regularization": 2.0, "discount": 0.3}
    whole = solve_transitions(histories, steps, sources=20, kept=items, **how)
    few = solve_transitions(histories, steps, sources=20, kept=5, **how)
    sources = np.flatnonzero(np.diff(whole.indptr)) % items
    most = np.argsort(-ratings.item_counts, kind="stable")[:20]
    assert set(sources) == set(most)
    assert 5 * 40 <= len(few.indices) <= 5 * 40 + 20  # ties
    assert np.abs(few.values).min() >= np.sort(np.abs(whole.values))[-5 * 40 - 20]


def test_a_user_gets_the_next_of_a_chain(ordered):
    profile = ordered.fold_in([7, 31, 32, 33])
    assert ordered.recommend(profile, n=1, head="next")["item_id"].item() == 34
    other_order = ordered.fold_in([31, 32, 33, 7])
    assert ordered.recommend(other_order, n=1, head="next")["item_id"].item() == 8
    lists = [ordered.recommend(each, n=5, head="ranking") for each in (profile, other_order)]
    assert lists[0].equals(lists[1])  # which knows no order


def test_it_finds_what_comes_next(split, chains, ordered):
    task = leave_one_out(chains)
    following = evaluate_ranking(ordered, task, head="next")["hit_rate@10"]
    lasting = evaluate_ranking(ordered, task, head="ranking")["hit_rate@10"]
    assert following > 0.9 > lasting


def test_folding_in_what_training_knows_gives_the_same_scores(split, ordered):
    profiles = [ordered.user_profile(user) for user in (0, 1, 2)]
    known = ordered.scores([0, 1, 2], head="next")
    new = ordered.scores(
        [UserProfile(p.items, p.values, rated=False, moments=p.moments) for p in profiles],
        head="next",
    )
    assert new == pytest.approx(known, rel=1e-3)


def test_without_an_order_each_counts_as_at_any_place(ordered):
    profile = ordered.fold_in([1, 2, 3])
    unordered = UserProfile(profile.items, profile.values, rated=False)
    head = ordered.ranking_head
    orders = [[1, 2, 3], [1, 3, 2], [2, 1, 3], [2, 3, 1], [3, 1, 2], [3, 2, 1]]
    sums = np.array([head.sums(ordered.user_batch([ordered.fold_in(each)])) for each in orders])
    mean = sums.mean(axis=0)  # of transitions and of lifts
    assert np.array(head.sums(ordered.user_batch([unordered]))) == pytest.approx(mean, abs=1e-5)
    together = np.array(head.sums(ordered.user_batch([profile, unordered])))
    assert together[:, 1] == pytest.approx(mean[:, 0], abs=1e-5)
    assert np.array_equal(together[:, 0], sums[0][:, 0])


def test_days_without_watching_count(ordered):
    profile = ordered.fold_in([1, 20])
    head = ordered.ranking_head
    long_ago = profile.moments + np.where(profile.moments > 0, 86_400 * 300, 0)
    later = UserProfile(profile.items, profile.values, rated=False, moments=long_ago)
    alone = ordered.fold_in([20])
    users = profile, later, alone
    at_once, apart, last = (np.array(head.sums(ordered.user_batch([user]))) for user in users)
    assert apart == pytest.approx(last, abs=1e-4)
    assert at_once != pytest.approx(last, abs=1e-2)


@pytest.mark.parametrize("head", ["timely", "next", "ranking"])
def test_parts_add_up_to_the_score(ordered, head):
    if head not in ordered.orders:
        pytest.skip("not better in time here")
    user = ordered.fold_in([7, 31, 32, 33])
    scores = ordered.scores(user, head=head)
    for item in (34, 8, 60, 33):
        parts = ordered.explain(user, item, head=head)
        place = ordered.item_index(item)
        assert parts["contribution"].sum() == pytest.approx(scores[place], rel=1e-3, abs=1e-6)
    assert ordered.explain(user, 34, head="next")["item_id"][0] == 33


def test_a_run_keeps_the_order(ordered, tmp_path):
    loaded = matinee.load(ordered.save(tmp_path / "run"))
    assert isinstance(loaded.ranking_head, NextHead)
    assert np.array_equal(loaded.index.moments, ordered.index.moments)
    for head in ordered.orders:
        assert loaded.recommend(n=3, head=head).equals(ordered.recommend(n=3, head=head))


def test_the_same_data_make_the_same_model(chains, split, ordered):
    other = NextItem(factors=8, regularization=1.0).fit(split[0], threads=1)
    assert np.array_equal(other.scores(head="next"), ordered.scores(head="next"))


def test_with_a_rating_head_lists_are_timely_by_both(parts):
    data, _ = parts
    times = np.arange(len(data)) * 600 + 10**9
    ratings = matinee.read(data.to_frame().with_columns(timestamp=pl.Series(times)))
    model = ALS(factors=3, iterations=2).fit(ratings).with_ranking(NextItem(factors=4).fit(ratings))
    assert model.index.moments is not None
    assert {"both", "ranking", "rating", "next"} <= set(model.orders)
    if "timely" in model.orders:
        assert isinstance(model.head(), TimelyHead)
    assert model.recommend(1, n=3, head="next").height == 3
    assert isinstance(model.ranking_head.long_term.item_params, np.ndarray)
    assert model.similar_items(1, n=2).height == 2


def test_lists_are_timely_where_that_is_better_in_time():
    task = temporal(in_chains(gap=2 * 86_400))
    model = NextItem(factors=8, regularization=1.0).fit(task.train)
    assert model.ranking_head.lead > 0
    assert next(iter(model.orders)) == "timely"
    timely = evaluate_ranking(model, task)["ndcg@10"]
    assert timely > evaluate_ranking(model, task, head="ranking")["ndcg@10"]


def test_data_without_times_are_refused():
    data = matinee.read(pl.DataFrame({"user": [1, 1, 2], "item": [1, 2, 1]}))
    with pytest.raises(SettingError, match="NextItem needs timestamps; these interactions have"):
        NextItem().fit(data)


@pytest.mark.parametrize("head", ["next", "timely"])
def test_models_without_order_say_so(parts, head):
    model = ImplicitALS(factors=3, iterations=1).fit(parts[0])
    with pytest.raises(SettingError, match="--ranker next"):
        model.recommend(1, head=head)


@pytest.mark.parametrize(
    "wrong",
    [{"short": 0}, {"discount": 1.0}, {"discount": -0.1}, {"sources": 0}, {"kept": 0}, {"days": 0}],
)
def test_senseless_hyperparameters_are_refused_by_name(wrong):
    with pytest.raises(SettingError, match=next(iter(wrong))):
        NextItem(**wrong)


def test_few_ratings_at_one_time_are_enough():
    rows = [(user, item, 0) for user in range(4) for item in range(user, user + 3)]
    data = matinee.read(pl.DataFrame(rows, schema=["user", "item", "timestamp"], orient="row"))
    model = NextItem(factors=2).fit(data)
    assert "timely" not in model.orders
    assert (model.scores(head="next") >= 0).all()


def test_scores_are_above_zero_whatever_the_sums(ordered):
    head = ordered.ranking_head
    batch = ordered.user_batch([ordered.fold_in([5])])
    assert head.sums(batch)[0].min() <= 0
    assert head.scores(batch).min() >= LEAST * LEAST_TASTE**head.taste_weight * 0.99


def test_chance_makes_no_list_timely():
    rng = np.random.default_rng(0)
    defaults = []
    for _ in range(3):
        pairs = np.unique(rng.integers(0, [200, 80], (4_000, 2)), axis=0)
        times = 10**9 + rng.integers(0, 10**8, len(pairs))
        frame = pl.DataFrame({"user": pairs[:, 0], "item": pairs[:, 1], "timestamp": times})
        model = NextItem(factors=4).fit(matinee.read(frame))
        defaults.append(next(iter(model.orders)))
    assert defaults.count("timely") < 2


def test_heads_without_factors_are_refused_where_factors_are_compared(ordered):
    assert ordered.similar_users(0, n=2).height == 2
    assert ordered.similar_items(0, n=2, head="ranking").height == 2
    with pytest.raises(SettingError, match="head must be 'ranking' or 'rating', got 'next'"):
        ordered.similar_items(0, head="next")


def test_a_report_shows_next_beside_what_is_recommended(parts):
    times = pl.Series(np.arange(len(parts[0])) * 600 + 10**9)
    data = matinee.read(parts[0].to_frame().with_columns(timestamp=times))
    ranker = NextItem(factors=4).fit(data)
    page = str(user_section(ALS(factors=3, iterations=2).fit(data).with_ranking(ranker), 1))
    assert "'Next'" in page
    without = str(user_section(ALS(factors=3, iterations=2).fit(data), 1))
    assert "'Next'" not in without


def test_a_task_says_how_many_last_items_are_up_to_the_order_of_rows():
    rows = [
        (user, item, 10**9 + 60 * min(item, 8 + user % 2))
        for user in range(4)
        for item in range(10)
    ]
    data = matinee.read(pl.DataFrame(rows, schema=["user", "item", "timestamp"], orient="row"))
    assert leave_one_out(data).note.startswith("50% of the last interactions share their second")
    assert leave_one_out(in_chains()).note == ""


def test_what_is_tuned_is_the_order_next(tmp_path):
    result = tune(
        in_chains(users=120),
        "next",
        space={"short": [1.0, 4.0], "factors": 4},
        study=tmp_path / "study",
        run=tmp_path / "run",
    )
    assert len(result.trials) == 2
    assert min(trial["value"] for trial in result.trials) > 0.3  # by no other order
