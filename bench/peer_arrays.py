"""What the peers' scripts share: the arrays they read, a grid search and the report.

Run by the peers' own interpreters, so it needs nothing but numpy. `accuracy_peers` writes the
arrays; `speed` writes some of them, without a rating scale, which then is 0.5 to 5.
"""

import json
import time

import numpy as np

VALIDATION_FRACTION = 0.1  # of the training set, to choose settings by
COLUMNS = ("user", "item", "rating", "timestamp")


def read(path):
    """The arrays of a file as a dict."""
    with np.load(path) as file:
        arrays = dict(file)
    arrays.setdefault("low", np.float64(0.5))
    arrays.setdefault("high", np.float64(5))
    return arrays


def best_settings(fit_and_predict, arrays, grid):
    """The settings of a grid that are best on a tenth of the training set, and all errors.

    Parameters
    ----------
    fit_and_predict : callable
        Of arrays and settings; predicts the ratings of the test set among the arrays.
    arrays : dict
        The test set in it is not used.
    grid : list of dict
    """
    if len(grid) == 1:
        return grid[0], []
    columns = [name for name in COLUMNS if name in arrays]
    held_out = np.random.default_rng(0).random(len(arrays["user"])) < VALIDATION_FRACTION
    inner = dict(arrays)
    for name in columns:
        inner |= {name: arrays[name][~held_out], f"test_{name}": arrays[name][held_out]}
    errors = []
    for settings in grid:
        rmse = errors_of(inner, fit_and_predict(inner, settings)["rating"])["rmse"]
        errors.append({"rmse": rmse, **settings})
    return grid[int(np.argmin([row["rmse"] for row in errors]))], errors


def errors_of(arrays, predicted):
    """RMSE and MAE on the test set, of predictions clipped to the scale."""
    clipped = np.clip(predicted, arrays["low"], arrays["high"])
    errors = clipped - arrays["test_rating"].astype(np.float64)
    return {"rmse": float(np.sqrt(np.square(errors).mean())), "mae": float(np.abs(errors).mean())}


def search_and_report(fit_and_predict, path, settings):
    """Print, as JSON, the errors of the best settings of a grid on the test set.

    `settings` is a JSON list of settings to choose from, or one set of them. Whatever
    `fit_and_predict` returns beside `rating` is reported too; `seconds` is that of the final fit.
    """
    arrays, grid = read(path), json.loads(settings)
    grid = grid if isinstance(grid, list) else [grid]
    started = time.perf_counter()
    best, errors = best_settings(fit_and_predict, arrays, grid)
    searched = time.perf_counter() - started
    result = fit_and_predict(arrays, best)
    report = {**errors_of(arrays, result.pop("rating")), **result}
    if errors:
        report |= {"chosen": best, "search_seconds": searched, "grid": errors}
    print(json.dumps(report))
