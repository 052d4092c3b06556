"""How a viewer's mood wanders: paths over the moments at which they rated."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matinee.kernels import draw_paths, equal_blocks, path_likelihood, run_blocks
from matinee.models.bayes.moments import Timeline

FIRST_MEMORIES = (1.0, 300.0, 1e6)  # seconds: one page of movies, one sitting, some weeks
FIRST_VARIANCE = 0.03
PATIENCE = 5  # sweeps before memory and variance are drawn: the rest comes first
STEPS = 0.15, 0.2  # of the proposals for the logarithms of variance and memory
MEMORIES = 0.1, 1e9  # seconds, the shortest and the longest
VARIANCES = 1e-6, 1e3  # the least and the greatest


@dataclass
class Drift:
    """One Ornstein-Uhlenbeck process per viewer, of a memory and a variance that all share.

    Parameters
    ----------
    memory, variance : float
        Seconds; squared units of the score. Their logarithms have flat priors between bounds.
    path : float32 (moments,)
    """

    memory: float
    variance: float
    path: NDArray[np.float32]

    def draw(
        self,
        timeline: Timeline,
        residual: NDArray[np.float32],
        precision: float,
        sweep: int,
        rng: np.random.Generator,
        threads: int | None,
    ) -> None:
        """Draw variance or memory, in turn, with the paths integrated out, then the paths."""
        blocks = equal_blocks(timeline.moments.starts)
        held = timeline.moments.starts, timeline.first, timeline.gaps
        seen = residual, precision

        def likelihood(memory: float, variance: float) -> float:
            parts = run_blocks(
                path_likelihood,
                blocks,
                *held,
                memory,
                variance,
                *seen,
                self.path,
                threads=threads,
            )
            return math.fsum(parts)

        if sweep > PATIENCE:
            known = likelihood(self.memory, self.variance)
            turn = sweep % 2
            proposed = [self.variance, self.memory]
            proposed[turn] *= math.exp(STEPS[turn] * rng.standard_normal())
            variance, memory = proposed
            found = likelihood(memory, variance)
            allowed = MEMORIES[0] < memory < MEMORIES[1] and VARIANCES[0] < variance < VARIANCES[1]
            if math.log(rng.random()) < found - known and allowed:
                self.variance, self.memory = variance, memory
        noise = rng.standard_normal(len(self.path), np.float32)
        run_blocks(
            draw_paths,
            blocks,
            *held,
            self.memory,
            self.variance,
            *seen,
            noise,
            self.path,
            threads=threads,
        )
