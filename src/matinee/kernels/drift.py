"""Drift of users over time: a path per row, an Ornstein-Uhlenbeck process drawn as a whole.

A user's moments are the distinct times of their ratings; at each the state d is a number, and
between two of them, `gap` seconds apart,

    d' = f d + noise of variance v (1 - f^2),      f = exp(-gap / memory)

(Ornstein & Uhlenbeck 1930), so that d has variance v at any time. Against normal residuals the
path is drawn by filtering forwards and sampling backwards (Carter & Kohn 1994), in one pass each.
"""

import numpy as np

from matinee.kernels.jit import jit, part


@part
def _filter(
    first, last, moments, gaps, memory, variance, residual, precision, path, means, spreads
):
    """Means and variances of the states given the ratings up to each; their log-likelihood."""
    likelihood = 0.0
    mean, spread = 0.0, variance
    for moment in range(first, last):
        if moment > first:
            kept = np.exp(-gaps[moment] / memory)
            mean *= kept
            spread = kept * kept * spread + variance * (1.0 - kept * kept)
        count, summed = moments[moment + 1] - moments[moment], 0.0
        for entry in range(moments[moment], moments[moment + 1]):
            summed += residual[entry]
        noise = 1.0 / (precision * count)
        miss = summed / count + path[moment] - mean
        total = spread + noise
        likelihood -= 0.5 * (np.log(total) + miss * miss / total)
        mean += spread / total * miss
        spread *= noise / total
        means[moment - first] = mean
        spreads[moment - first] = spread
    return likelihood


@jit
def path_likelihood(
    start, stop, indptr, moments, gaps, memory, variance, residual, precision, path
):
    """Log-likelihood of rows `start` to `stop`, the paths integrated out; see `draw_paths`."""
    most = 0
    for row in range(start, stop):
        most = max(most, indptr[row + 1] - indptr[row])
    means, spreads = np.empty(most), np.empty(most)
    likelihood = 0.0
    for row in range(start, stop):
        likelihood += _filter(
            indptr[row], indptr[row + 1], moments, gaps, memory, variance, residual, precision,
            path, means, spreads,
        )  # fmt: skip
    return likelihood


@jit
def draw_paths(
    start, stop, indptr, moments, gaps, memory, variance, residual, precision, noise, path
):
    """Draw the paths of rows `start` to `stop`, and keep the residuals up to date.

    indptr              int64 (rows + 1,), the moments of each row
    moments             int64 (moments + 1,), the ratings of each moment, at least one
    gaps                float32 (moments,), seconds since the row's moment before
    memory, variance    float64, the memory in seconds, and v
    residual            float32 (ratings,), rating - score, the score with this path
    precision           float64, of the noise of ratings
    noise               float32 (moments,), standard normal; 0 gives the most probable path
    path                float32 (moments,), replaced
    """
    most = 0
    for row in range(start, stop):
        most = max(most, indptr[row + 1] - indptr[row])
    means, spreads = np.empty(most), np.empty(most)
    for row in range(start, stop):
        first, last = indptr[row], indptr[row + 1]
        _filter(
            first, last, moments, gaps, memory, variance, residual, precision, path, means, spreads
        )
        state = 0.0
        for moment in range(last - 1, first - 1, -1):
            mean, spread = means[moment - first], spreads[moment - first]
            if moment + 1 < last:
                kept = np.exp(-gaps[moment + 1] / memory)
                fresh = variance * (1.0 - kept * kept)
                share = spread * kept / (kept * kept * spread + fresh)
                mean += share * (state - kept * mean)
                spread *= 1.0 - share * kept
            state = mean + np.sqrt(max(spread, 0.0)) * noise[moment]
            moved = np.float32(state) - path[moment]
            path[moment] += moved
            for entry in range(moments[moment], moments[moment + 1]):
                residual[entry] -= moved


@jit
def bridge(start, stop, before, after, since, until, memory, variance, path, mean, spread):
    """Add mean and variance of states between two given ones, or beyond the first or last.

    before, after       int64 (n,), moments in `path`; -1: there is none
    since, until        float32 (n,), seconds from the one and to the other
    mean, spread        float32 (n,), added to
    """
    for k in range(start, stop):
        a = np.exp(-since[k] / memory) if before[k] >= 0 else 0.0
        b = np.exp(-until[k] / memory) if after[k] >= 0 else 0.0
        if a > 0.999999:
            mean[k] += path[before[k]]
        else:
            rest = 1.0 - a * a * b * b
            if before[k] >= 0:
                mean[k] += a * (1.0 - b * b) / rest * path[before[k]]
            if after[k] >= 0:
                mean[k] += b * (1.0 - a * a) / rest * path[after[k]]
            spread[k] += variance * (1.0 - a * a) * (1.0 - b * b) / rest
