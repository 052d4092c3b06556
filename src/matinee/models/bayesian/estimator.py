"""The recipe: how long a chain, of what model, and what is kept of it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from matinee._types import F32, F64, Floats
from matinee.data.dataset import Dataset
from matinee.data.ratings import Ratings
from matinee.errors import SettingError
from matinee.models.base import Estimator, FitContext, training_identity
from matinee.models.bayesian.checkpoint import EVERY, ChainCheckpoint
from matinee.models.bayesian.head import head_of
from matinee.models.bayesian.likelihoods import MOST_LEVELS
from matinee.models.bayesian.posterior import DrawBuffer, MonitoredSet
from matinee.models.bayesian.sampler import FEATURES, GibbsSampler
from matinee.models.queries import TrainingIndex
from matinee.models.recommender import Recommender
from matinee.progress import compilation_announced, metrics_note, progress
from matinee.storage.checkpoint import Checkpoint

BURN_IN = 64  # sweeps; of a short chain, a quarter
TRACES = ("noise", "signal")


@dataclass(frozen=True, kw_only=True)
class BayesianMF(Estimator):
    """Recipe for the posterior of a factorization, by Gibbs sampling.

    The model is the one of `ALS` with everything drawn rather than optimized: the rows
    x = [b, p] of users and movies, the prior means' links to features, precision matrices,
    noise. Time comes in twice, as the date, whose rows interact with those of users and movies,
    and as a drift of each user; see `matinee.models.bayesian.GibbsSampler`. Stars are levels of an
    ordered probit, or normal. Predictions are averages over the draws.

    Parameters
    ----------
    factors : int
        Length of a vector.
    iterations : int
        Sweeps over everything.
    burn_in : int, optional
        Sweeps before the first draw that counts; by default 64, or a quarter of a short chain
        (of one that goes on, what it was at first).
    likelihood : {"ordinal", "normal"}, optional
        By default ordinal for up to 20 different stars.
    features : str
        ``"all"``, ``"none"``, or some of these, joined by commas: ``genres`` and ``years`` of
        movies and ``raters`` (who rated them), ``traits`` of users (age, gender, occupation)
        and ``rated`` (what they rated), ``date`` and ``drift``. What data do not have is left out.
    memory : float
        Mebibytes that the kept draws may have.
    seed : int

    Notes
    -----
    Salakhutdinov & Mnih 2008 (BPMF); Simm et al. 2015 (Macau: the links); Koren 2008 (SVD++: who
    rated what); Rendle & Schmidt-Thieme 2010 (pairwise interactions with a third side); Albert &
    Chib 1993, Cowles 1996 (ordered probit). Same seed, same data: the same draws to the last bit,
    for any number of threads, and whether or not the chain was interrupted.

    Examples
    --------
    >>> model = BayesianMF(factors=4, iterations=20).fit(data)
    >>> values, ranges = model.predict(1, [7, 8], interval=0.9)
    >>> values.shape, ranges.shape
    ((2,), (2, 2))
    >>> model.predict_proba(1, [7, 8]).columns
    ['0.5', '1', '1.5', '2', '2.5', '3', '3.5', '4', '4.5', '5']
    """

    predicts = "rating"
    supports_checkpoint = True
    supports_callback = True

    factors: int = 32
    iterations: int = 512
    burn_in: int | None = None
    likelihood: str | None = None
    features: str = "all"
    memory: float = 384
    seed: int = 0

    def __post_init__(self) -> None:
        self._check_at_least(factors=1, iterations=2, seed=0, memory=0)
        self._check_one_of(likelihood=(None, "ordinal", "normal"))
        if self.burn_in is not None and not 0 <= self.burn_in < self.iterations:
            raise SettingError(
                f"burn_in is at least 0 and below iterations ({self.iterations}), "
                f"not {self.burn_in}."
            )
        if not isinstance(self.features, str):
            raise SettingError(f"features are names joined by commas, not {self.features!r}.")
        for name in self.groups:
            if name not in FEATURES:
                raise SettingError(
                    f"features are 'all', 'none', or some of {', '.join(FEATURES)}, not {name!r}."
                )

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups of features that `features` names."""
        if self.features in ("all", "none"):
            return FEATURES if self.features == "all" else ()
        return tuple(name.strip() for name in self.features.split(","))

    @property
    def burn_in_end(self) -> int:
        """The last sweep that does not count, unless the chain goes on from another one."""
        if self.burn_in is None:
            return min(BURN_IN, self.iterations // 4)
        return self.burn_in

    def _fit(self, train: Dataset, context: FitContext) -> Recommender:
        threads = context.threads
        values = np.unique(train.ratings.values)
        ordinal = self._ordinal(values)
        levels = (values if len(values) > 1 else _ends(train.ratings)).astype(np.float32)
        sampler = GibbsSampler(
            train, self.factors, levels if ordinal else None, self.groups, self.seed
        )
        keeper = DrawBuffer(sampler, int(self.memory * 2**20), levels)
        watched = {
            name: MonitoredSet(sampler, part.ratings, levels)
            for name, part in context.eval_sets.items()
        }
        place = context.checkpoint and self._place(
            context.checkpoint, sampler, train, context.eval_sets
        )
        history = place.restore(sampler, keeper, watched, self.iterations) if place else []
        if sampler.sweep == self.iterations and keeper.count == 0:
            raise SettingError(
                f"Nothing of these {sampler.sweep} iterations counts yet; ask for more, "
                "or name another checkpoint."
            )
        # a chain that goes on keeps to the start that it had
        burn_in_end = sampler.sweep - keeper.count if keeper.count else self.burn_in_end
        before = history[-1]["seconds"] if history else 0.0
        started = time.perf_counter()
        with compilation_announced(), progress("Drawing", self.iterations) as tick:
            try:
                while sampler.sweep < self.iterations:
                    sampler.draw(threads)
                    counts = sampler.sweep > burn_in_end
                    row: dict[str, Any] = {"iteration": sampler.sweep, **sampler.summary()}
                    for name, part in watched.items():
                        row[f"{name}_rmse"] = part.rmse(sampler, counts, threads)
                    if counts:
                        keeper.add(sampler, threads)
                    history.append(row)
                    row["rhat"] = _rhat(history[burn_in_end:])
                    row["seconds"] = before + time.perf_counter() - started
                    tick(sampler.sweep, _note(row, counts))
                    if context.callback:
                        context.callback(row)
                    last = sampler.sweep == self.iterations
                    if place and (last or sampler.sweep % place.every == 0):
                        place.keep(sampler, keeper, watched, history)
            except KeyboardInterrupt:
                if context.on_interrupt == "raise" or keeper.count == 0:
                    raise
        head = head_of(sampler, keeper, levels, self.to_config(), _table(history))
        return Recommender(TrainingIndex.of(train), rating_head=head)

    def _ordinal(self, values: F32) -> bool:
        """Whether these different stars are levels."""
        if self.likelihood is None:
            return 1 < len(values) <= MOST_LEVELS
        if self.likelihood == "ordinal" and not 1 < len(values) <= MOST_LEVELS:
            raise SettingError(
                f"The ordinal likelihood is for 2 to {MOST_LEVELS} different stars, "
                f"not {len(values)}; take likelihood='normal'."
            )
        return self.likelihood == "ordinal"

    def _place(
        self,
        checkpoint: Checkpoint,
        sampler: GibbsSampler,
        train: Dataset,
        evaluated: Mapping[str, Dataset],
    ) -> ChainCheckpoint:
        # a chain of any length is the same chain as far as it goes
        same = replace(self, iterations=10**9)
        known = [side.link.features.fingerprint() for side in sampler.sides]
        identity = training_identity({**same.to_config(), "known": known}, train, evaluated)
        return ChainCheckpoint(
            Path(checkpoint.folder) / "bayesianmf", checkpoint.every or EVERY, identity
        )


def _ends(ratings: Ratings) -> F64:
    """Two different stars, where everybody gave the same."""
    low, high = ratings.scale.low, ratings.scale.high
    return np.array([low, high if high > low else low + 1])


def _table(history: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(history, infer_schema_length=None)  # r-hat begins late


def _rhat(counted: list[dict[str, Any]]) -> float | None:
    """The worse of two split R-hats: of the noise, and of how much scores vary."""
    found = [split_rhat(np.array([row[name] for row in counted])) for name in TRACES]
    return max(found) if np.isfinite(found).all() else None


def _note(row: dict[str, Any], counts: bool) -> str:
    rhat = "" if row["rhat"] is None else f"R-hat {row['rhat']:.3f}"
    return f"{metrics_note(row)}  {rhat if counts else 'burn-in'}"


FEWEST = 8  # draws of a half that say anything


def split_rhat(trace: Floats) -> float:
    """Split R-hat of one chain, close to 1 once it has settled; nan where it is too short.

    The chain's halves count as two chains (Gelman et al. 2013, section 11.4): R-hat is the square
    root of the variance of both together over the mean variance within each.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> split_rhat(rng.standard_normal(1000)) < 1.01 < split_rhat(np.arange(1000.0))
    True
    """
    length = len(trace) // 2
    if length < FEWEST:
        return float("nan")
    halves = np.stack([trace[-2 * length : -length], trace[-length:]])
    in_range = float(halves.var(axis=1, ddof=1).mean())
    between = float(length * halves.mean(axis=1).var(ddof=1))
    if in_range == 0.0:
        return float("nan")
    return float(np.sqrt(((length - 1) / length * in_range + between / length) / in_range))
