"""From features to prior means: the link matrix of one side, and how it is drawn.

A row of the side is ``mean + features @ B`` plus noise of precision L, and B's rows are normal
around zero with precision ``l_g L``, l_g the precision of their group of features (Macau: Simm et
al. 2015, section 2.2). Given the rows, B is then normal with precision ``(F'F + diag(l)) x L`` (a
Kronecker product), and a draw is the solution of

    (F'F + diag(l)) B = F' (rows - mean + E1) + diag(l)^(1/2) E2,

rows of E1 and E2 being noise of precision L: no matrix beyond F is needed. The system is solved
exactly where columns are few, else by conjugate gradients.
"""

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from matinee.kernels import inner, times
from matinee.models.bayes.features import Features

FEW_COLUMNS = 256  # solved exactly
DIRECTIONS = 64  # of F'F, the heaviest, that conjugate gradients do not have to find
PASSES = 5  # over F to find them
TOLERANCE = 1e-2  # of the preconditioned residual's length: far below the noise of a draw
MOST_STEPS = 200
FIRST_PRECISION = 1.0
SHAPE = RATE = 1.0  # of the gamma prior of a group's precision


@dataclass
class Link:
    """B and the precisions of its groups.

    Parameters
    ----------
    features : Features
    table : float32 (columns, width)
        B.
    precisions : float64 (groups,)
    """

    features: Features
    table: NDArray[np.float32]
    precisions: NDArray[np.float64]
    solver: "Solver" = field(repr=False)

    @classmethod
    def start(cls, features: Features, width: int) -> "Link":
        table = np.zeros((features.columns, width), np.float32)
        precisions = np.full(len(features.names), FIRST_PRECISION)
        return cls(features, table, precisions, solver_for(features))

    def means(self, threads: int | None = None) -> NDArray[np.float32]:
        """What the features say of each row, (rows, width)."""
        return self.features.times(self.table, threads)

    def scatter(self, threads: int | None = None) -> NDArray[np.float64]:
        """B' diag(l) B: what B says of L, (width, width)."""
        table = self.table.astype(np.float64)
        return inner(table, self.precisions[self.features.group][:, None] * table, threads)

    def draw_precisions(
        self,
        precision: NDArray[np.float64],
        rng: np.random.Generator,
        threads: int | None = None,
    ) -> None:
        """Draw each group's precision given B and L."""
        table = self.table.astype(np.float64)
        squares = np.einsum("dw,dw->d", times(table, precision, threads), table)
        sums = np.bincount(self.features.group, squares, len(self.precisions))
        sizes = np.bincount(self.features.group, minlength=len(self.precisions))
        shapes = SHAPE + sizes * table.shape[1] / 2
        self.precisions = rng.gamma(shapes) / (RATE + sums / 2)

    def draw(
        self,
        centred: NDArray[np.float64],
        precision: NDArray[np.float64],
        rng: np.random.Generator,
        threads: int | None = None,
    ) -> None:
        """Draw B given the rows less their mean, (rows, width), and L."""
        root = np.linalg.inv(np.linalg.cholesky(precision))
        weight = self.precisions[self.features.group]
        noise = rng.standard_normal((len(centred) + len(weight), centred.shape[1]))
        noise = times(noise, root, threads)
        ours, theirs = noise[: len(centred)], noise[len(centred) :]
        right = self.features.transposed_times((centred + ours).astype(np.float32), threads)
        right += (np.sqrt(weight)[:, None] * theirs).astype(np.float32)
        self.table = self.solver.solve(weight, right, threads)


class Solver:
    """Solves ``(F'F + diag(weight)) B = right`` exactly."""

    def __init__(self, features: Features) -> None:
        dense = np.zeros((features.columns, features.columns))
        self.gram = dense
        if features.columns == 0:
            return
        indptr, indices, values = features.by_row
        for first, last in pairwise(indptr):
            at, value = indices[first:last], values[first:last].astype(np.float64)
            dense[np.ix_(at, at)] += np.outer(value, value)

    def solve(
        self, weight: NDArray[np.float64], right: NDArray[np.float32], threads: int | None = None
    ) -> NDArray[np.float32]:
        """B, float32 (columns, width)."""
        return np.linalg.solve(self.gram + np.diag(weight), right).astype(np.float32)


class GradientSolver(Solver):
    """The same by conjugate gradients, all columns of B at once.

    The spectrum of F'F falls steeply: who watches a lot, and what everybody watches, make a few
    heavy directions. They are found once, and solved for exactly in the preconditioner; what is
    left is nearly a diagonal matrix.
    """

    def __init__(self, features: Features) -> None:
        self.features = features
        rng = np.random.default_rng(0)
        found = rng.standard_normal((features.columns, DIRECTIONS + 16)).astype(np.float32)
        for _ in range(PASSES):  # subspace iteration (Halko, Martinsson & Tropp 2011)
            found = np.linalg.qr(self._gram(found, None))[0]
        sizes, turn = np.linalg.eigh(inner(found, self._gram(found, None)))
        self.directions = times(found, turn[:, ::-1][:, :DIRECTIONS])
        self.sizes = np.maximum(sizes[::-1][:DIRECTIONS], 0.0)
        indptr, _, values = features.by_column
        column = np.repeat(np.arange(features.columns), np.diff(indptr))
        diagonal = np.bincount(column, values.astype(np.float64) ** 2, features.columns)
        explained = np.square(self.directions).astype(np.float64) @ self.sizes
        self.rest = np.maximum(diagonal - explained, 0.0)

    def _gram(self, table: NDArray[np.float32], threads: int | None) -> NDArray[np.float32]:
        return self.features.transposed_times(self.features.times(table, threads), threads)

    def solve(
        self, weight: NDArray[np.float64], right: NDArray[np.float32], threads: int | None = None
    ) -> NDArray[np.float32]:
        """B, float32 (columns, width), once the preconditioned residual is small.

        With groups' precisions within a factor of a hundred of each other, as data have them, B is
        then within about `TOLERANCE` of the exact solution, in the norm of the system.
        """
        diagonal = weight.astype(np.float32)[:, None]
        inverse = (1 / (self.rest + weight)).astype(np.float32)[:, None]
        heavy = inner(self.directions, diagonal * self.directions) + np.diag(self.sizes)
        heavy = np.linalg.inv(heavy.astype(np.float64)).astype(np.float32)

        def precondition(residual: NDArray[np.float32]) -> NDArray[np.float32]:
            along = inner(self.directions, residual, threads)
            light = inverse * (residual - times(self.directions, along, threads))
            along = np.einsum("ij,jw->iw", heavy, along) - inner(self.directions, light, threads)
            return np.asarray(light + times(self.directions, along, threads))

        found, residual = np.zeros_like(right), right.copy()
        direction = step = precondition(residual)
        error = _dots(residual, step)
        enough = TOLERANCE**2 * error
        for _ in range(MOST_STEPS):
            if (error <= enough).all():
                break
            product = self._gram(direction, threads) + diagonal * direction
            length = (error / np.maximum(_dots(direction, product), TINY)).astype(np.float32)
            found += length * direction
            residual -= length * product
            step = precondition(residual)
            error, before = _dots(residual, step), error
            direction = step + (error / np.maximum(before, TINY)).astype(np.float32) * direction
        return found


TINY = 1e-30


def _dots(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.asarray((a * b).sum(axis=0, dtype=np.float64))


def solver_for(features: Features) -> Solver:
    """The exact solver for few columns, conjugate gradients for many."""
    return (Solver if features.columns <= FEW_COLUMNS else GradientSolver)(features)
