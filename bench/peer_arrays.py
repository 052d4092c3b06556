"""What the peers' scripts share: the arrays they are given, a grid search and the report.

Run by the peers' own interpreters, so it needs nothing but numpy. `accuracy_peers` writes the
arrays; `speed` writes some of them, without a scale, for half stars from 0.5 to 5.
"""

import json
import time

import numpy as np

HELD_BACK = 0.1  # of the training part, to choose settings by
COLUMNS = ("user", "item", "rating", "timestamp")


def read(given):
    """The arrays of a file as a dict."""
    with np.load(given) as found:
        arrays = dict(found)
    arrays.setdefault("low", np.float64(0.5))
    arrays.setdefault("high", np.float64(5))
    return arrays


def chosen(fit_and_predict, arrays, grid):
    """The settings of a grid that are best on a tenth of the training part, and all errors.

    Parameters
    ----------
    fit_and_predict : callable
        Of arrays and settings; returns stars for the arrays' test part.
    arrays : dict
        The test part in it is never looked at.
    grid : list of dict
    """
    if len(grid) == 1:
        return grid[0], []
    columns = [name for name in COLUMNS if name in arrays]
    back = np.random.default_rng(0).random(len(arrays["user"])) < HELD_BACK
    parts = {name: arrays[name][~back] for name in columns}
    parts |= {f"test_{name}": arrays[name][back] for name in columns}
    inner = {**arrays, **parts}
    errors = []
    for settings in grid:
        rmse = scores(inner, fit_and_predict(inner, settings)["rating"])["rmse"]
        errors.append({"rmse": rmse, **settings})
    return grid[int(np.argmin([one["rmse"] for one in errors]))], errors


def scores(arrays, values):
    """RMSE and MAE on the test part of what a model says, clipped to the scale."""
    away = np.clip(values, arrays["low"], arrays["high"]) - arrays["test_stars"].astype(np.float64)
    return {"rmse": float(np.sqrt(np.square(away).mean())), "mae": float(np.abs(away).mean())}


def search_and_report(fit_and_predict, given, settings):
    """Print, as JSON, how the best settings of a grid do on the test part.

    `settings` is a JSON list of settings to choose from, or just some settings. What
    `fit_and_predict` returns beside `values` is reported too; `seconds` is the final fitting's.
    """
    arrays, wanted = read(given), json.loads(settings)
    grid = wanted if isinstance(wanted, list) else [wanted]
    started = time.perf_counter()
    best, errors = chosen(fit_and_predict, arrays, grid)
    searched = time.perf_counter() - started
    found = fit_and_predict(arrays, best)
    report = {**scores(arrays, found.pop("rating")), **found}
    if errors:
        report |= {"chosen": best, "search_seconds": searched, "grid": errors}
    print(json.dumps(report))
