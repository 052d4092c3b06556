"""Ordered probit (Albert & Chib 1993): a latent value ``z ~ N(score, 1)`` shows as level l where
``cuts[l] < z <= cuts[l + 1]``, the first cut minus infinity and the last one infinity.
"""

import math

import numpy as np

from matinee._types import F64
from matinee.kernels.jit import jit

ROOT_HALF = math.sqrt(0.5)
LEAST, MOST = 1e-300, 1.0 - 2.0**-53
HALF_STEP = 2.0**-25  # of uniform float32 numbers, the first of which is 0


@jit
def scalar_normal_cdf(x):
    """The standard normal distribution function."""
    return 0.5 * math.erfc(-x * ROOT_HALF)


@jit
def _fill_normal_cdf(numbers, out):
    for k in range(len(numbers)):
        out[k] = scalar_normal_cdf(numbers[k])


def normal_cdf(numbers: F64) -> F64:
    """The standard normal distribution function of each number of an array."""
    out = np.empty(numbers.size)
    _fill_normal_cdf(np.ascontiguousarray(numbers, np.float64).ravel(), out)
    return out.reshape(numbers.shape)


# fmt: off
@jit
def normal_quantile(p):
    """The inverse of `scalar_normal_cdf`, to about sixteen digits (Wichura 1988, AS 241)."""
    q = p - 0.5
    if abs(q) <= 0.425:
        r = 0.180625 - q * q
        top = (((((((2509.0809287301226727 * r + 33430.575583588128105) * r
                    + 67265.770927008700853) * r + 45921.953931549871457) * r
                  + 13731.693765509461125) * r + 1971.5909503065514427) * r
                + 133.14166789178437745) * r + 3.387132872796366608)
        bottom = (((((((5226.495278852854561 * r + 28729.085735721942674) * r
                       + 39307.89580009271061) * r + 21213.794301586595867) * r
                     + 5394.1960214247511077) * r + 687.1870074920579083) * r
                   + 42.313330701600911252) * r + 1.0)
        return q * top / bottom
    r = math.sqrt(-math.log(min(p, 1.0 - p)))
    if r <= 5.0:
        r -= 1.6
        top = (((((((7.7454501427834140764e-4 * r + 0.0227238449892691845833) * r
                    + 0.24178072517745061177) * r + 1.27045825245236838258) * r
                  + 3.64784832476320460504) * r + 5.7694972214606914055) * r
                + 4.6303378461565452959) * r + 1.42343711074968357734)
        bottom = (((((((1.05075007164441684324e-9 * r + 5.475938084995344946e-4) * r
                       + 0.0151986665636164571966) * r + 0.14810397642748007459) * r
                     + 0.68976733498510000455) * r + 1.6763848301838038494) * r
                   + 2.05319162663775882187) * r + 1.0)
    else:
        r -= 5.0
        top = (((((((2.01033439929228813265e-7 * r + 2.71155556874348757815e-5) * r
                    + 0.0012426609473880784386) * r + 0.026532189526576123093) * r
                  + 0.29656057182850489123) * r + 1.7848265399172913358) * r
                + 5.4637849111641143699) * r + 6.6579046435011037772)
        bottom = (((((((2.04426310338993978564e-15 * r + 1.4215117583164458887e-7) * r
                       + 1.8463183175100546818e-5) * r + 7.868691311456132591e-4) * r
                     + 0.0148753612908506148525) * r + 0.13692988092273580531) * r
                   + 0.59983220655588793769) * r + 1.0)
    return math.copysign(top / bottom, q)
# fmt: on


@jit
def truncated(low, high, uniform):
    """A standard normal number between two bounds, by inversion of its distribution function."""
    flip = low > 0.0  # in the far right tail all digits would be lost
    if flip:
        low, high = -high, -low
    a, b = scalar_normal_cdf(low), scalar_normal_cdf(high)
    p = a + uniform * (b - a)
    p = min(max(p, LEAST), MOST)  # 0 and 1 themselves have no quantile
    z = min(max(normal_quantile(p), low), high)
    return -z if flip else z


@jit
def draw_latent(start, stop, levels, cuts, uniforms, latent, residual):
    """Draw each rating's latent value between its cuts, and update the residuals.

    levels              int8 (ratings,), from 0
    cuts                float64 (levels + 1,), infinite at both ends
    uniforms            float32 (ratings,), in [0, 1), in steps of 2^-24, taken at mid-step
    latent, residual    float32 (ratings,); the score is latent - residual
    """
    for k in range(start, stop):
        score = np.float64(latent[k]) - residual[k]
        level = levels[k]
        uniform = np.float64(uniforms[k]) + HALF_STEP
        z = truncated(cuts[level] - score, cuts[level + 1] - score, uniform)
        latent[k] = score + z
        residual[k] = z


@jit
def level_likelihoods(start, stop, levels, cuts, scores):
    """Log-likelihood of the ratings of each level, float64 (levels,)."""
    totals = np.zeros(len(cuts) - 1)
    for k in range(start, stop):
        level = levels[k]
        low, high = cuts[level] - scores[k], cuts[level + 1] - scores[k]
        if low > 0.0:
            low, high = -high, -low
        totals[level] += math.log(max(scalar_normal_cdf(high) - scalar_normal_cdf(low), 1e-300))
    return totals


@jit
def add_probabilities(start, stop, cuts, scores, spread, out):
    """out[k, l] += probability of level l for ``z ~ N(scores[k], spread[k])``."""
    for k in range(start, stop):
        root = 1.0 / math.sqrt(spread[k])
        before = 0.0
        for level in range(out.shape[1]):
            upto = scalar_normal_cdf((cuts[level + 1] - scores[k]) * root)
            out[k, level] += upto - before
            before = upto
