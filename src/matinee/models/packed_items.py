"""Scores that are products of two rows, packed for scoring and top-n."""

from dataclasses import dataclass

import numpy as np

from matinee._types import F32, I32, Bools
from matinee.kernels.csr import Rows
from matinee.kernels.parallel import run_blocks
from matinee.kernels.scoring import Panels, groups_of_users, score_rows
from matinee.kernels.topk import topk_packed


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
