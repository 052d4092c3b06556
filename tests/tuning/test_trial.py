"""One trial: how it grows, when it is pruned, and what its value is."""

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from matinee.models import ALS, EASE
from matinee.tuning import Choice, Range, SearchSpace
from matinee.tuning.objective import Objective, validation_splits
from matinee.tuning.search_space import build_estimator
from matinee.tuning.trial import (
    MAX_WARM_STARTS,
    REDUCTION_FACTOR,
    TrialRunner,
    make_pruner,
    resource_levels,
    shortened_chain,
    warm_started,
)

optuna.logging.set_verbosity(optuna.logging.ERROR)
STRENGTH = {"regularization": Range(0.3, 3.0, log=True, relative=True)}
SMALL = {"factors": 8, "iterations": 5}


def run_trials(runner, n=1, values=(), seed=0):
    """A study in memory of so many trials."""
    direction = "maximize" if runner.objective.higher_is_better else "minimize"
    study = optuna.create_study(
        direction=direction,
        sampler=optuna.samplers.RandomSampler(seed),
        pruner=make_pruner(runner.space.estimator),
    )
    for point in values:
        study.enqueue_trial(point)
    study.optimize(runner, n_trials=n)
    return study


@pytest.mark.parametrize(("factors", "iterations"), [(64, 15), (8, 5), (128, 12), (3, 40)])
def test_levels_grow_to_the_full_estimator(factors, iterations):
    full = ALS(factors=factors, iterations=iterations)
    levels = resource_levels(full)
    assert [level.factors for level in levels] == sorted(level.factors for level in levels)
    assert levels[-1] == full
    assert 1 <= warm_started(levels[0]).iterations < levels[0].iterations
    assert all(level.iterations >= 1 for level in levels)


@pytest.mark.parametrize("small", [{"factors": 0}, {"factors": 1}, {"iterations": 4}])
def test_what_is_too_small_to_grow_is_full_at_once(small):
    assert resource_levels(ALS(**small)) == [ALS(**small)]


def test_a_trial_that_is_full_at_once_is_the_estimator_and_nothing_more(parts):
    splits = validation_splits(parts[0], "random", seed=0)
    space = SearchSpace("ALS", {"exponent": Range(0.2, 0.8)}, {"factors": 4, "iterations": 2})
    study = run_trials(TrialRunner(space, Objective("rmse"), splits), 3)
    score = Objective("rmse").scorer(*splits[0])
    for trial in study.trials:
        estimator = ALS(factors=4, iterations=2, exponent=trial.params["exponent"])
        assert trial.value == score(estimator.fit(splits[0][0]))


def test_a_trial_that_grows_ends_where_a_plain_fit_does(parts):
    splits = validation_splits(parts[0], "random", seed=0)
    runner = TrialRunner(
        SearchSpace("ALS", STRENGTH, {"factors": 6, "iterations": 15}), Objective("rmse"), splits
    )
    study = run_trials(runner, n=2, values=[{"regularization": 3.0}, {"regularization": 1.0}])
    train = splits[0][0]
    default = ALS().default_regularization(train.ratings)
    fitted = ALS(factors=6, regularization=default).fit(train)
    assert study.best_value == Objective("rmse").scorer(*splits[0])(fitted)
    assert list(study.best_trial.intermediate_values) == [1, REDUCTION_FACTOR]


def test_few_unpromising_trials_grow(parts):
    splits = validation_splits(parts[0], "random", seed=0)
    runner = TrialRunner(SearchSpace("ALS", STRENGTH, SMALL), Objective("rmse"), splits)
    points = [{"regularization": value} for value in (1.0, *np.linspace(1.6, 3.0, 11))]
    study = run_trials(runner, 12, points)
    complete = [trial.number for trial in study.trials if trial.state == TrialState.COMPLETE]
    pruned = [trial for trial in study.trials if trial.state == TrialState.PRUNED]
    assert complete[0] == 0
    assert len(complete) <= 4
    assert {trial.last_step for trial in pruned} <= {1, REDUCTION_FACTOR}
    assert study.best_trial.number == 0


def test_trials_start_from_the_factors_of_the_nearest_regularization(parts, monkeypatch):
    fits = []
    default = ALS.fit

    def fit(self, train, **kwargs):
        fits.append((self.factors, kwargs.get("warm_start")))
        return default(self, train, **kwargs)

    monkeypatch.setattr(ALS, "fit", fit)
    splits = validation_splits(parts[0], "random", seed=0)
    runner = TrialRunner(SearchSpace("ALS", STRENGTH, SMALL), Objective("rmse"), splits)
    run_trials(runner, 3, [{"regularization": value} for value in (0.4, 2.0, 1.7)])
    models = [models[0] for _, models in runner._earlier]
    nearest = {
        value: runner._nearest_models({"regularization": value}, 4) for value in (0.5, 1.6, 9.0)
    }
    assert nearest[0.5] == [models[0]]
    assert nearest[1.6] == [models[2]]
    assert nearest[9.0] == [models[1]]
    assert (
        runner._nearest_models({"regularization": 1.6}, 3) is None
    )  # factors are added, never removed
    starts = [start for factors, start in fits if factors == 4]
    assert starts[0] is None
    assert all(any(start is model for model in models) for start in starts[1:])
    runner._earlier = runner._earlier * MAX_WARM_STARTS
    run_trials(runner, 1)
    assert len(runner._earlier) == MAX_WARM_STARTS


@pytest.mark.slow
def test_the_value_over_folds_is_their_mean(parts):
    splits = validation_splits(parts[0], "3-fold", seed=1)
    runner = TrialRunner(
        SearchSpace("EASE", {"regularization": Choice((20.0, 90.0))}), Objective("ndcg@10"), splits
    )
    study = run_trials(runner, values=[{"regularization": 90.0}])
    values = [
        Objective("ndcg@10").scorer(train, fold)(EASE(regularization=90.0).fit(train))
        for train, fold in splits
    ]
    assert study.best_value == pytest.approx(np.mean(values))


def test_settings_that_an_estimator_refuses_fail_their_trial_and_no_other(parts):
    splits = validation_splits(parts[0], "random", seed=0)
    few = {"factors": 2, "iterations": 20}
    space = SearchSpace("BayesianMF", {"burn_in": Range(0, 90, integer=True)}, few)
    study = run_trials(
        TrialRunner(space, Objective("rmse"), splits), 2, [{"burn_in": 80}, {"burn_in": 19}]
    )
    assert [trial.state for trial in study.trials] == [TrialState.PRUNED, TrialState.COMPLETE]
    message = study.trials[0].user_attrs["error"]
    assert message == "burn_in must be >= 0 and < iterations (20), got 80."


def test_settings_that_an_estimator_breaks_on_fail_their_trial_and_no_other(parts, monkeypatch):
    def fit(estimator, *_):
        if estimator.exponent == 0.25:  # on every level, so that it reports nothing
            raise ArithmeticError("no\nway")
        return whole(estimator, *_)

    whole = ALS._fit
    monkeypatch.setattr(ALS, "_fit", fit)
    splits = validation_splits(parts[0], "random", seed=0)
    space = SearchSpace("ALS", {"exponent": Choice((0.25, 0.5))}, {"factors": 4})
    study = run_trials(
        TrialRunner(space, Objective("rmse"), splits), 2, [{"exponent": n} for n in (0.25, 0.5)]
    )
    assert [trial.state for trial in study.trials] == [TrialState.PRUNED, TrialState.COMPLETE]
    message = study.trials[0].user_attrs["error"]
    assert "Error: " in message
    assert "\n" not in message


@pytest.mark.slow
def test_chains_of_trials_are_shorter_and_pruned_by_what_they_report(parts):
    splits = validation_splits(parts[0], "random", seed=0)
    space = SearchSpace("BayesianMF", {"factors": Range(1, 4, integer=True)}, {"iterations": 80})
    assert shortened_chain(build_estimator(space.estimator, space.fixed)).iterations == 20
    runner = TrialRunner(space, Objective("rmse"), splits)
    study = run_trials(runner, 1, [{"factors": 3}])
    reported = study.trials[0].intermediate_values
    assert list(reported) == list(range(1, 10))
    assert study.best_value == pytest.approx(reported[9], abs=0.05)
    worse = optuna.create_study(pruner=optuna.pruners.ThresholdPruner(upper=0.0))
    worse.optimize(runner, n_trials=1)
    assert worse.trials[0].state == TrialState.PRUNED
    assert list(worse.trials[0].intermediate_values) == [1]
