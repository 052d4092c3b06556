"""Scores that are products of two rows, packed for scoring and top-n."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from matinee._types import F32, I32, Bools, Ints
from matinee.kernels.csr import Rows
from matinee.kernels.parallel import run_blocks, uniform_blocks
from matinee.kernels.scoring import Panels, groups_of_users, score_pairs, score_rows
from matinee.kernels.topk import topk_packed

FEW_PAIRS = 1000  # sooner scored than another thread would start


@dataclass(frozen=True, eq=False)
class PackedItems:
    """Items packed for ``score = mean + b_u + b_i + p_u . q_i``, or ``p_u . q_i`` alone."""

    mean: np.float32  # 0 where there are no biases
    biased: bool  # whether rows of users start with a bias
    panels: Panels

    def scores(self, rows: F32, items: int) -> F32:
        """Every score, float32 (users, items), of users with these rows."""
        out = np.empty((len(rows), items), np.float32)
        packed = self.panels[:3]
        blocks = groups_of_users(len(rows))
        run_blocks(score_rows, blocks, rows, self.mean, self.biased, *packed, out)
        return out

    @cached_property
    def unpacked(self) -> tuple[F32, F32]:
        """Factors, float32 (items, K), and biases, (items,), in the order of the items."""
        codes, panels, packed_biases = self.panels[:3]
        count, lanes = codes.shape
        width = len(panels) // max(1, count)
        order = codes.ravel()
        filled = order >= 0
        factors, biases = np.empty((filled.sum(), width), np.float32), np.empty(filled.sum(), "f4")
        by_item = panels.reshape(count, width, lanes).transpose(0, 2, 1)
        factors[order[filled]] = by_item.reshape(count * lanes, width)[filled]
        biases[order[filled]] = packed_biases.ravel()[filled]
        return factors, biases

    def pairs(self, rows: F32, users: Ints, items: I32, offsets: F32 | None = None) -> F32:
        """Score of item ``items[n]`` for the user with row ``rows[users[n]]``, float32 (n,)."""
        factors, biases = self.unpacked
        if offsets is not None:
            biases = biases + offsets
        out = np.empty(len(items), np.float32)
        arguments = users, items, rows, self.mean, self.biased, factors, biases, out
        run_blocks(score_pairs, uniform_blocks(len(items), FEW_PAIRS), *arguments)
        return out

    def best(
        self,
        rows: F32,
        seen: Rows,
        allowed: Bools,
        codes: I32,
        scores: F32,
        offsets: F32 | None = None,
    ) -> None:
        """Fill `codes` and `scores`, (users, n), with the best allowed items not `seen`.

        `offsets`, (items,), are added to all scores.
        """
        panels = self.panels
        if offsets is not None:
            biases = panels.biases + offsets[panels.codes]
            highest = np.abs(biases[np.isfinite(biases)]).max(initial=np.float32(0.0))
            panels = panels._replace(biases=biases, highest=highest)
        if not allowed.all():
            out = np.float32(-np.inf)
            panels = panels._replace(biases=np.where(allowed[panels.codes], panels.biases, out))
        order = np.argsort(np.einsum("uk,uk->u", rows, rows))
        known = seen.indptr[:-1], seen.indptr[1:], seen.indices
        arguments = order, rows, self.mean, self.biased, *panels, *known, codes, scores
        run_blocks(topk_packed, groups_of_users(len(rows)), *arguments)
