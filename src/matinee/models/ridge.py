"""Ridge regression on sparse features: exactly for few of them, by gradients for many."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from matinee._types import F32, F64
from matinee.kernels.csr import (
    Rows,
    row_of_entries,
    sum_weighted_rows,
    transpose,
    weighted_gram,
)
from matinee.kernels.linalg import inner, times
from matinee.kernels.parallel import balanced_blocks, run_blocks

FEW_BLOCKS = 8  # a pass takes a few milliseconds: more would spend them on threads
FEW_COLUMNS = 256  # solved exactly
DIRECTIONS = 64  # leading eigenvectors of F'F, which conjugate gradients need not find
PASSES = 5  # over F to find them
TOLERANCE = 1e-2  # of the preconditioned residual's length: far below the noise of a draw
MAX_STEPS = 200


@dataclass(frozen=True, eq=False)
class SparseMatrix:
    """A matrix and its transpose, as compressed rows; the transpose may be weighted."""

    by_row: Rows
    by_column: Rows

    @property
    def columns(self) -> int:
        return len(self.by_column.indptr) - 1

    def times(self, table: F32) -> F32:
        """The matrix times a table, (columns, width): a row for each of its rows."""
        return _product(self.by_row, table)

    def transposed_times(self, rows: F32) -> F32:
        """The transpose times rows: one for each column."""
        return _product(self.by_column, rows)


def _product(matrix: Rows, table: F32) -> F32:
    out = np.empty((len(matrix.indptr) - 1, table.shape[1]), np.float32)
    blocks = balanced_blocks(matrix.indptr, FEW_BLOCKS)
    run_blocks(sum_weighted_rows, blocks, *matrix, table, out)
    return out


class Solver:
    """Solves ``(F'F + diag(weight)) B = right`` exactly."""

    def __init__(self, features: SparseMatrix) -> None:
        dense = np.zeros((features.columns, features.columns))
        self.gram = dense
        if features.columns == 0:
            return
        indptr, indices, values = features.by_row
        for first, last in pairwise(indptr):
            columns, value = indices[first:last], values[first:last].astype(np.float64)
            dense[np.ix_(columns, columns)] += np.outer(value, value)

    def solve(self, weight: F64, right: F32) -> F32:
        """B, float32 (columns, width)."""
        return np.linalg.solve(self.gram + np.diag(weight), right).astype(np.float32)


class GradientSolver(Solver):
    """The same by conjugate gradients, all columns of B at once.

    The spectrum of F'F falls steeply: a few heavy directions are found once and solved for exactly
    in the preconditioner; what is left is nearly diagonal.
    """

    def __init__(self, features: SparseMatrix, tolerance: float = TOLERANCE) -> None:
        self.features, self.tolerance = features, tolerance
        rng = np.random.default_rng(0)
        basis = rng.standard_normal((features.columns, DIRECTIONS + 16)).astype(np.float32)
        for _ in range(PASSES):  # subspace iteration (Halko, Martinsson & Tropp 2011)
            basis = np.linalg.qr(self._gram(basis))[0]
        sizes, turn = np.linalg.eigh(inner(basis, self._gram(basis)))
        self.directions = times(basis, turn[:, ::-1][:, :DIRECTIONS])
        self.sizes = np.maximum(sizes[::-1][:DIRECTIONS], 0.0)
        indptr, _, values = features.by_column
        column = np.repeat(np.arange(features.columns), np.diff(indptr))
        diagonal = np.bincount(column, values.astype(np.float64) ** 2, features.columns)
        explained = np.square(self.directions).astype(np.float64) @ self.sizes
        self.rest = np.maximum(diagonal - explained, 0.0)

    def _gram(self, table: F32) -> F32:
        return self.features.transposed_times(self.features.times(table))

    def solve(self, weight: F64, right: F32) -> F32:
        """B within about `tolerance` of the exact solution, float32 (columns, width)."""
        diagonal = weight.astype(np.float32)[:, None]
        inverse = (1 / (self.rest + weight)).astype(np.float32)[:, None]
        heavy = inner(self.directions, diagonal * self.directions) + np.diag(self.sizes)
        heavy = np.linalg.inv(heavy.astype(np.float64)).astype(np.float32)

        def precondition(residual: F32) -> F32:
            along = inner(self.directions, residual)
            light = inverse * (residual - times(self.directions, along))
            along = np.einsum("ij,jw->iw", heavy, along) - inner(self.directions, light)
            return np.asarray(light + times(self.directions, along))

        def product(table: F32) -> F32:
            return np.asarray(self._gram(table) + diagonal * table)

        nothing = np.zeros_like(right)
        return conjugate_gradients(product, precondition, right, nothing, self.tolerance)


TINY = 1e-30


def conjugate_gradients(
    product: Callable[[F32], F32],
    precondition: Callable[[F32], F32],
    right: F32,
    start: F32,
    tolerance: float,
) -> F32:
    """Solve ``product(x) = right``, all columns at once, from where `start` is.

    Until the preconditioned residual is `tolerance` times the length of the preconditioned right
    side, in each column.
    """
    solution = start.copy()
    residual = right - product(start) if start.any() else right.copy()
    direction = step = precondition(residual)
    error = _dots(residual, step)
    enough = tolerance**2 * (_dots(right, precondition(right)) if start.any() else error)
    for _ in range(MAX_STEPS):
        if (error <= enough).all():
            break
        along = product(direction)
        length = (error / np.maximum(_dots(direction, along), TINY)).astype(np.float32)
        solution += length * direction
        residual -= length * along
        step = precondition(residual)
        error, before = _dots(residual, step), error
        direction = step + (error / np.maximum(before, TINY)).astype(np.float32) * direction
    return solution


def _dots(a: F32, b: F32) -> F64:
    return np.asarray((a * b).sum(axis=0, dtype=np.float64))


def solver_for(features: SparseMatrix) -> Solver:
    """The exact solver for few columns, conjugate gradients for many."""
    return (Solver if features.columns <= FEW_COLUMNS else GradientSolver)(features)


FEW_INVERTED = 500  # features: of more, sparse passes cost less than products with the inverse
PRECISE = 1e-3  # a tolerance far below what an iteration of a training changes


class WeightedRidge:
    """Fits rows by their features, weighted, with one ridge for all: prepared once for many fits.

    Columns of `features` are as many as `columns`; `weights` are those of rows, (rows,).
    """

    def __init__(self, features: Rows, weights: F64, columns: int, ridge: float) -> None:
        scaled = features.values * weights[row_of_entries(features)]
        weighted = features._replace(values=scaled.astype(np.float32))
        self.matrix = SparseMatrix(features, transpose(weighted, columns))
        self.ridge, self.inverse = np.float32(ridge), np.empty((0, 0))
        if columns <= FEW_INVERTED:
            gram = np.zeros((columns, columns))
            weighted_gram(*features, weights, gram)
            # once: a library's threads would keep the processors busy
            self.inverse = np.asarray(np.linalg.inv(gram + ridge * np.eye(columns)), np.float64)
        else:
            squares = scaled.astype(np.float64) * features.values
            self.diagonal = np.bincount(features.indices, squares, columns) + ridge

    def fit(self, rows: F32, start: F64) -> F64:
        """The coefficients, (columns, width), looked for from `start` on if they are many."""
        right = np.empty((self.matrix.columns, rows.shape[1]))
        blocks = balanced_blocks(self.matrix.by_column.indptr)
        run_blocks(sum_weighted_rows, blocks, *self.matrix.by_column, rows, right)
        if len(self.inverse):
            return np.asarray(np.einsum("fg,gk->fk", self.inverse, right))
        inverse = (1 / self.diagonal).astype(np.float32)[:, None]
        found = conjugate_gradients(
            self._product,
            lambda residual: np.asarray(inverse * residual),
            right.astype(np.float32),
            start.astype(np.float32),
            PRECISE,
        )
        return found.astype(np.float64)

    def _product(self, table: F32) -> F32:
        along = self.matrix.transposed_times(self.matrix.times(table))
        return np.asarray(along + self.ridge * table)
