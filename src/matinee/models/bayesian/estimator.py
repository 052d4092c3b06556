"""`BayesianMF`: hyperparameters, the loop of the sampler, and its convergence."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from matinee._types import F32, F64, Floats
from matinee.data.dataset import Dataset
from matinee.data.ratings import Ratings
from matinee.errors import SettingError
from matinee.models.als_common import feature_names
from matinee.models.base import Estimator, FitContext, check_features, training_identity
from matinee.models.bayesian.checkpoint import EVERY, ChainCheckpoint
from matinee.models.bayesian.head import bayesian_head
from matinee.models.bayesian.likelihoods import MAX_LEVELS, Outcome
from matinee.models.bayesian.posterior import DrawBuffer, MonitoredSet
from matinee.models.bayesian.sampler import FEATURES, GibbsSampler
from matinee.models.queries import TrainingIndex
from matinee.models.recommender import Recommender
from matinee.progress import compilation_announced, metrics_note, progress

BURN_IN = 64  # sweeps; of a short chain, a quarter
TRACES = ("noise", "signal")


@dataclass(frozen=True, kw_only=True)
class BayesianMF(Estimator):
    """Bayesian matrix factorization: the posterior of a factorization, by Gibbs sampling.

    The model is that of `ALS` with everything drawn rather than optimized: the rows x = [b, p] of
    users and items, the weights of features in their prior means, precision matrices, noise. Time
    comes in twice, as the date, whose rows interact with those of users and items, and as a drift
    of each user; see `matinee.models.bayesian.sampler`. Ratings are levels of an ordered probit, or
    normal. Predictions are averages over the draws. See Salakhutdinov & Mnih 2008 (BPMF); Simm et
    al. 2015 (Macau: the links); Koren 2008 (SVD++: who rated what); Rendle & Schmidt-Thieme 2010
    (pairwise interactions with a third side); Albert & Chib 1993, Cowles 1996 (ordered probit).
    Same seed, same data: the same draws to the last bit, for any number of threads, and whether or
    not the chain was interrupted.

    Parameters
    ----------
    factors : int
        Number of latent dimensions.
    iterations : int
        Sweeps over everything.
    burn_in : int, optional
        Sweeps before the first draw that counts; by default 64, or a quarter of a short chain
        (of a resumed one, what it was at first).
    likelihood : {"ordinal", "normal"}, optional
        By default ordinal for up to 20 different ratings.
    features : str
        ``"all"``, ``"none"``, or some of these, joined by commas: names of attributes of items
        and users (``genres``, ``year``, ``age`` ...), ``raters`` (who rated an item), ``rated``
        (what a user rated), ``date`` and ``drift``. What data do not have is left out.
    memory : float
        Mebibytes that the kept draws may take.
    seed : int

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
    equations = True

    factors: int = 32
    iterations: int = 512
    burn_in: int | None = None
    likelihood: str | None = None
    features: str = "all"
    memory: float = 384
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_at_least(factors=1, iterations=2, seed=0, memory=0)
        self._check_one_of(likelihood=(None, "ordinal", "normal"))
        if self.burn_in is not None and not 0 <= self.burn_in < self.iterations:
            raise SettingError(
                f"burn_in must be >= 0 and < iterations ({self.iterations}), got {self.burn_in}."
            )
        check_features(self.features)

    def groups(self, train: Dataset) -> tuple[str, ...]:
        """The groups of features that `features` names; SettingError if there is no such group."""
        return feature_names(self.features, train, FEATURES)

    @property
    def burn_in_end(self) -> int:
        """The last sweep that does not count, unless the chain is resumed."""
        if self.burn_in is None:
            return min(BURN_IN, self.iterations // 4)
        return self.burn_in

    def _fit(self, train: Dataset, context: FitContext) -> Recommender:
        values = np.unique(train.ratings.values)
        ordinal = self._ordinal(values)
        levels = (values if len(values) > 1 else _ends(train.ratings)).astype(np.float32)
        outcome = Outcome.of(train.ratings, levels, ordinal)
        sampler = GibbsSampler(train, self.factors, outcome, self.groups(train), self.seed)
        buffer = DrawBuffer(sampler, int(self.memory * 2**20))
        monitored = {
            name: MonitoredSet(sampler, part.ratings) for name, part in context.eval_sets.items()
        }
        saved = self._saved(sampler, train, context)
        history = saved.restore(sampler, buffer, monitored, self.iterations) if saved else []
        if sampler.sweep == self.iterations and buffer.count == 0:
            raise SettingError(
                f"None of these {sampler.sweep} iterations counts yet; ask for more, "
                "or name another checkpoint."
            )
        # a resumed chain keeps the burn-in that it had
        burn_in_end = sampler.sweep - buffer.count if buffer.count else self.burn_in_end
        before = history[-1]["seconds"] if history else 0.0
        started = time.perf_counter()
        with compilation_announced(), progress("Sampling", self.iterations) as tick:
            try:
                while sampler.sweep < self.iterations:
                    sampler.draw()
                    counts = sampler.sweep > burn_in_end
                    row: dict[str, Any] = {"iteration": sampler.sweep, **sampler.summary()}
                    for name, monitor in monitored.items():
                        row[f"{name}_rmse"] = monitor.rmse(sampler, counts)
                    if counts:
                        buffer.add(sampler)
                    history.append(row)
                    row["rhat"] = _rhat(history[burn_in_end:])
                    row["seconds"] = before + time.perf_counter() - started
                    tick(sampler.sweep, _note(row, counts))
                    if context.callback:
                        context.callback(row)
                    last = sampler.sweep == self.iterations
                    if saved and (last or sampler.sweep % saved.every == 0):
                        saved.save(sampler, buffer, monitored, history)
            except KeyboardInterrupt:
                if context.on_interrupt == "raise" or buffer.count == 0:
                    raise
        table = pl.DataFrame(history, infer_schema_length=None)  # r-hat begins late
        head = bayesian_head(sampler, buffer, self.to_config(), table)
        return Recommender(TrainingIndex.of(train), rating_head=head)

    def _ordinal(self, values: F32) -> bool:
        """Whether these different ratings are levels."""
        if self.likelihood is None:
            return 1 < len(values) <= MAX_LEVELS
        if self.likelihood == "ordinal" and not 1 < len(values) <= MAX_LEVELS:
            raise SettingError(
                f"The ordinal likelihood is for 2 to {MAX_LEVELS} different ratings, "
                f"got {len(values)}; choose likelihood='normal'."
            )
        return self.likelihood == "ordinal"

    def _saved(
        self, sampler: GibbsSampler, train: Dataset, context: FitContext
    ) -> ChainCheckpoint | None:
        if not context.checkpoint:
            return None
        features = [side.link.features.fingerprint() for side in sampler.sides]
        # a chain of any length is the same chain as far as it goes
        config = {**self.to_config(), "iterations": 10**9, "feature_hashes": features}
        identity = training_identity(config, train, context.eval_sets)
        folder = Path(context.checkpoint.folder) / "bayesianmf"
        return ChainCheckpoint(folder, context.checkpoint.every or EVERY, identity)


def _ends(ratings: Ratings) -> F64:
    """Two different levels, where all ratings are the same."""
    low, high = ratings.known_scale.low, ratings.known_scale.high
    return np.array([low, high if high > low else low + 1])


def _rhat(counted: list[dict[str, Any]]) -> float | None:
    """The worse of two split R-hats: of the noise, and of how much scores vary."""
    values = [split_rhat(np.array([row[name] for row in counted])) for name in TRACES]
    return max(values) if np.isfinite(values).all() else None


def _note(row: dict[str, Any], counts: bool) -> str:
    rhat = "" if row["rhat"] is None else f"R-hat {row['rhat']:.3f}"
    return f"{metrics_note(row)}  {rhat if counts else 'burn-in'}"


MIN_DRAWS = 8  # of a half, to say anything


def split_rhat(trace: Floats) -> float:
    """Split R-hat of one chain (Gelman et al. 2013, section 11.4); nan where it is too short."""
    length = len(trace) // 2
    if length < MIN_DRAWS:
        return float("nan")
    halves = np.stack([trace[-2 * length : -length], trace[-length:]])
    within = float(halves.var(axis=1, ddof=1).mean())
    between = float(length * halves.mean(axis=1).var(ddof=1))
    if within == 0.0:
        return float("nan")
    return float(np.sqrt(((length - 1) / length * within + between / length) / within))
