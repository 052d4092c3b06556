"""One trial: how it grows, how it is stopped, and what its value is."""

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from matinee.models import ALS, EASE
from matinee.tuning import Choice, Objective, Range, SearchSpace
from matinee.tuning.objective import validation_splits
from matinee.tuning.search_space import estimator_with
from matinee.tuning.trial import (
    KEPT,
    REDUCTION,
    TrialRunner,
    pruner_of,
    resource_levels,
    shortened_chain,
    warm_started,
)

optuna.logging.set_verbosity(optuna.logging.ERROR)
STRENGTH = {"regularization": Range(0.3, 3.0, log=True, relative=True)}
SMALL = {"factors": 8, "iterations": 5}


def search(job, n=1, points=(), seed=0):
    """A study in memory of so many trials."""
    better = "maximize" if job.objective.higher_is_better else "minimize"
    study = optuna.create_study(
        direction=better,
        sampler=optuna.samplers.RandomSampler(seed),
        pruner=pruner_of(job.space.estimator),
    )
    for point in points:
        study.enqueue_trial(point)
    study.optimize(job, n_trials=n)
    return study


@pytest.mark.parametrize(("factors", "iterations"), [(64, 15), (8, 5), (128, 12), (3, 40)])
def test_sizes_grow_to_the_whole_estimator(factors, iterations):
    whole = ALS(factors=factors, iterations=iterations)
    sizes = resource_levels(whole)
    assert [one.factors for one in sizes] == sorted(one.factors for one in sizes)
    assert sizes[-1] == whole
    assert 1 <= warm_started(sizes[0]).iterations < sizes[0].iterations
    assert all(one.iterations >= 1 for one in sizes)


@pytest.mark.parametrize("small", [{"factors": 0}, {"factors": 1}, {"iterations": 4}])
def test_what_is_too_small_to_grow_is_whole_at_once(small):
    assert resource_levels(ALS(**small)) == [ALS(**small)]


def test_a_trial_that_is_whole_at_once_is_the_estimator_and_nothing_more(parts):
    inner = validation_splits(parts[0], "random", seed=0)
    space = SearchSpace("ALS", {"exponent": Range(0.2, 0.8)}, {"factors": 4, "iterations": 2})
    study = search(TrialRunner(space, Objective("rmse"), inner), 3)
    for trial in study.trials:
        whole = ALS(factors=4, iterations=2, exponent=trial.params["exponent"])
        assert trial.value == Objective("rmse").on(*inner[0])(whole.fit(inner[0][0]))


def test_a_trial_that_grows_ends_where_a_whole_training_does(parts):
    inner = validation_splits(parts[0], "random", seed=0)
    job = TrialRunner(
        SearchSpace("ALS", STRENGTH, {"factors": 6, "iterations": 15}), Objective("rmse"), inner
    )
    study = search(job, n=2, points=[{"regularization": 3.0}, {"regularization": 1.0}])
    whole = Objective("rmse").on(*inner[0])(ALS(factors=6).fit(inner[0][0]))
    assert study.best_value == whole
    assert list(study.best_trial.intermediate_values) == [1, REDUCTION]


def test_few_of_those_that_promise_nothing_grow(parts):
    inner = validation_splits(parts[0], "random", seed=0)
    job = TrialRunner(SearchSpace("ALS", STRENGTH, SMALL), Objective("rmse"), inner)
    points = [{"regularization": value} for value in (1.0, *np.linspace(1.6, 3.0, 11))]
    study = search(job, 12, points)
    ended = [one.number for one in study.trials if one.state == TrialState.COMPLETE]
    pruned = [one for one in study.trials if one.state == TrialState.PRUNED]
    assert ended[0] == 0
    assert len(ended) <= 4
    assert {one.last_step for one in pruned} <= {1, REDUCTION}
    assert study.best_trial.number == 0


def test_trials_begin_with_the_vectors_of_the_nearest_regularization(parts, monkeypatch):
    begun = []
    default = ALS.fit

    def fit(self, train, **more):
        begun.append((self.factors, more.get("start")))
        return default(self, train, **more)

    monkeypatch.setattr(ALS, "fit", fit)
    inner = validation_splits(parts[0], "random", seed=0)
    job = TrialRunner(SearchSpace("ALS", STRENGTH, SMALL), Objective("rmse"), inner)
    search(job, 3, [{"regularization": value} for value in (0.4, 2.0, 1.7)])
    models = [models[0] for _, models in job._begun]
    nearest = {value: job._nearest({"regularization": value}, 4) for value in (0.5, 1.6, 9.0)}
    assert nearest[0.5] == [models[0]]
    assert nearest[1.6] == [models[2]]
    assert nearest[9.0] == [models[1]]
    assert job._nearest({"regularization": 1.6}, 3) is None  # vectors grow, and never shrink
    starts = [start for factors, start in begun if factors == 4]
    assert starts[0] is None
    assert all(any(start is model for model in models) for start in starts[1:])
    job._begun = job._begun * KEPT
    search(job, 1)
    assert len(job._begun) == KEPT


def test_the_value_over_folds_is_their_mean(parts):
    inner = validation_splits(parts[0], "3-fold", seed=1)
    job = TrialRunner(
        SearchSpace("EASE", {"regularization": Choice((20.0, 90.0))}), Objective("ndcg@10"), inner
    )
    study = search(job, points=[{"regularization": 90.0}])
    values = [
        Objective("ndcg@10").on(fit, held)(EASE(regularization=90.0).fit(fit))
        for fit, held in inner
    ]
    assert study.best_value == pytest.approx(np.mean(values))


def test_settings_that_lead_nowhere_end_their_trial_and_no_other(parts):
    inner = validation_splits(parts[0], "random", seed=0)
    few = {"factors": 2, "iterations": 20}
    space = SearchSpace("BayesianMF", {"burn_in": Range(0, 90, whole=True)}, few)
    study = search(
        TrialRunner(space, Objective("rmse"), inner), 2, [{"burn_in": 80}, {"burn_in": 19}]
    )
    assert [one.state for one in study.trials] == [TrialState.PRUNED, TrialState.COMPLETE]
    why = study.trials[0].user_attrs["broke"]
    assert why == "burn_in is at least 0 and below iterations (20), not 80."


def test_settings_that_a_estimator_breaks_on_end_their_trial_and_no_other(parts):
    inner = validation_splits(parts[0], "random", seed=0)
    space = SearchSpace("ALS", {"factors": Choice((4, 10**12))}, {"iterations": 5})
    study = search(
        TrialRunner(space, Objective("rmse"), inner), 2, [{"factors": n} for n in (10**12, 4)]
    )
    assert [one.state for one in study.trials] == [TrialState.PRUNED, TrialState.COMPLETE]
    why = study.trials[0].user_attrs["broke"]
    assert "Error: " in why
    assert "\n" not in why


def test_chains_of_trials_are_shorter_and_stopped_by_what_they_stream(parts):
    inner = validation_splits(parts[0], "random", seed=0)
    space = SearchSpace("BayesianMF", {"factors": Range(1, 4, whole=True)}, {"iterations": 80})
    assert shortened_chain(estimator_with(space.estimator, space.fixed)).iterations == 20
    job = TrialRunner(space, Objective("rmse"), inner)
    study = search(job, 1, [{"factors": 3}])
    told = study.trials[0].intermediate_values
    assert list(told) == list(range(1, 10))
    assert study.best_value == pytest.approx(told[9], abs=0.05)
    worse = optuna.create_study(pruner=optuna.pruners.ThresholdPruner(upper=0.0))
    worse.optimize(job, n_trials=1)
    assert worse.trials[0].state == TrialState.PRUNED
    assert list(worse.trials[0].intermediate_values) == [1]
