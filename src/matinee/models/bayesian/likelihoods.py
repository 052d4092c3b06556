"""Likelihoods: how a score becomes a rating, as a normal number or as a level between cuts; both
keep the residuals, rating (or latent value, drawn anew in each sweep) less score.
"""

from dataclasses import dataclass

import numpy as np

from matinee._types import F32, F64, I8, Array
from matinee.data.ratings import Ratings
from matinee.kernels.ordinal import draw_latent, level_likelihoods, normal_quantile
from matinee.kernels.parallel import run_blocks, uniform_blocks

MAX_LEVELS = 20  # different ratings that are levels rather than numbers
FIRST_WIDTH = 1.3  # of the first cuts, times those of ratings that nothing explains
BURN_IN = 60  # sweeps in which the steps of the cuts find their length
SHAPE = RATE = 1.0  # of the gamma prior of the noise's precision


@dataclass(frozen=True, eq=False)
class Outcome:
    """What scores stand for: levels, or ratings as numbers."""

    levels: F32  # (levels,) the different ratings
    ordinal: bool  # whether they are levels to the model
    center: float = 0.0  # a normal rating is ``center + unit * (score + noise)``, so that priors
    unit: float = 1.0  # are the same whatever the unit of the ratings

    @classmethod
    def of(cls, ratings: Ratings, levels: F32, ordinal: bool) -> "Outcome":
        """That of a training set."""
        if ordinal:
            return cls(levels, True)
        mean = float(ratings.values.mean(dtype=np.float64))
        return cls(levels, False, mean, ratings.spread)


class NormalLikelihood:
    """A rating, in the unit and around the center of the `Outcome`, is score plus noise, whose
    precision is drawn.
    """

    cuts = np.empty(0)

    def __init__(self, values: F32) -> None:
        self.values = values
        self.residual = values.copy()
        self.precision = 1.0  # until it is drawn

    def draw(self, sweep: int, rng: np.random.Generator) -> None:
        """Draw what belongs to the likelihood, given the scores."""
        squares = float(np.square(self.residual, dtype=np.float64).sum())
        self.precision = rng.gamma(SHAPE + len(self.residual) / 2) / (RATE + squares / 2)

    def target(self) -> F32:
        """(ratings,) what scores are to explain: ratings less their mean, or latent values."""
        return self.values

    def state(self) -> dict[str, Array]:
        """What a checkpoint has to hold."""
        return {"residual": self.residual, "precision": np.array([self.precision])}

    def restore(self, state: dict[str, Array]) -> None:
        """Resume from it."""
        self.residual[:] = state["residual"]
        self.precision = float(state["precision"][0])


class OrdinalLikelihood:
    """Ordered probit: a level is seen where score plus noise of variance 1 lies between two cuts.

    Cuts are drawn by Metropolis steps with the latent values integrated out, given which they would
    hardly move (Cowles 1996); every other one at once, for each touches only two levels.
    """

    precision = 1.0  # of the noise around a score

    def __init__(self, levels: I8, count: int) -> None:
        self.levels = levels
        below = np.cumsum(np.bincount(levels, minlength=count))[:-1] / len(levels)
        inner = [normal_quantile(min(max(share, 1e-6), 1 - 1e-6)) for share in below]
        # (levels + 1,) infinite at both ends; empty for the normal likelihood
        self.cuts = np.concatenate(([-np.inf], FIRST_WIDTH * np.array(inner), [np.inf]))
        self.steps = np.full(count - 1, 0.01)
        middle = np.convolve(np.clip(self.cuts, -2.5, 2.5), [0.5, 0.5], "valid")
        self.latent = middle[levels].astype(np.float32)
        self.residual = self.latent.copy()

    def draw(self, sweep: int, rng: np.random.Generator) -> None:
        blocks = uniform_blocks(len(self.levels))
        scores = self.latent - self.residual

        def likelihoods(cuts: F64) -> F64:
            arguments = self.levels, cuts, scores
            parts = run_blocks(level_likelihoods, blocks, *arguments)
            return np.sum(parts, axis=0)  # type: ignore[no-any-return]

        moved = np.arange(1 + sweep % 2, len(self.cuts) - 1, 2)
        proposed = self.cuts.copy()
        proposed[moved] += self.steps[moved - 1] * rng.standard_normal(len(moved))
        if len(moved) and (np.diff(proposed) > 0).all():
            gains = likelihoods(proposed) - likelihoods(self.cuts)
            for cut, bar in zip(moved, np.log(rng.random(len(moved))), strict=True):
                accepted = bar < gains[cut - 1 : cut + 1].sum()
                if accepted:
                    self.cuts[cut] = proposed[cut]
                if sweep <= BURN_IN:  # towards accepting about every third step
                    self.steps[cut - 1] *= 1.3 if accepted else 0.87
        uniforms = rng.random(len(self.levels), np.float32)
        arguments = self.levels, self.cuts, uniforms, self.latent, self.residual
        run_blocks(draw_latent, blocks, *arguments)

    def target(self) -> F32:
        return self.latent

    def state(self) -> dict[str, Array]:
        return {
            "residual": self.residual,
            "latent": self.latent,
            "cuts": self.cuts[1:-1],
            "steps": self.steps,
        }

    def restore(self, state: dict[str, Array]) -> None:
        for name, array in self.state().items():
            array[:] = state[name]


Likelihood = NormalLikelihood | OrdinalLikelihood


def likelihood_of(outcome: Outcome, values: F32) -> Likelihood:
    """The likelihood of these ratings."""
    if outcome.ordinal:
        level = np.searchsorted(outcome.levels, values).astype(np.int8)
        return OrdinalLikelihood(level, len(outcome.levels))
    return NormalLikelihood((values - np.float32(outcome.center)) / np.float32(outcome.unit))
