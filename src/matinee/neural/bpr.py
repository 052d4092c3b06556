"""Bayesian personalized ranking."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from matinee.data import Dataset
from matinee.models import FactorModel
from matinee.models.positives import check_liked, positives, watched_by
from matinee.models.trainer import judged_parts
from matinee.neural.checkpoints import Checkpointed
from matinee.neural.devices import choose_device, torch_threads
from matinee.neural.heads import network_model
from matinee.neural.loop import train as run
from matinee.neural.modules import Factorization
from matinee.neural.optimizers import wants_sparse
from matinee.neural.recipe import GradientRecipe, above_zero, at_least
from matinee.neural.tasks import OrderTask


@dataclass(frozen=True)
class BPR(GradientRecipe):
    """Recipe for lists by ``score = b_i + p_u . q_i``, where watched movies come before others.

    Minimized is the mean over a viewer's watched movies i, and drawn unwatched ones j, of

        -log sigmoid(score(u, i) - score(u, j))
        + regularization * (2 |p_u|^2 + |q_i|^2 + b_i^2 + |q_j|^2 + b_j^2)

    Parameters
    ----------
    factors : int
        Length of a vector.
    regularization : float
    negatives : int
        Unwatched movies drawn for each watched one, anew in every epoch.
    liked : float or None
        Least stars of what counts as watched; None: every rating.
    init_stddev : float
    epochs, batch_size, optimizer and the rest
        See `GradientRecipe`; weight decay has the groups ``"factors"`` and ``"biases"``.

    Notes
    -----
    Rendle, Freudenthaler, Gantner & Schmidt-Thieme 2009, "BPR: Bayesian Personalized Ranking from
    Implicit Feedback".

    Examples
    --------
    >>> from matinee.data.generated import generate
    >>> data, _ = generate(viewers=60, movies=50, ratings=1500, seed=0)
    >>> BPR(factors=4, epochs=2, device="cpu").fit(data).recommend(1, n=2).columns
    ['item', 'title', 'genres', 'score']
    """

    factors: int = 64
    regularization: float = 0.005
    negatives: int = 2
    liked: float | None = None
    init_stddev: float = 0.05

    GROUPS: ClassVar[tuple[str, ...]] = ("factors", "biases")

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, factors=1, regularization=0, negatives=1)
        above_zero(self, "init_stddev")
        check_liked(self.liked)

    def fit(
        self,
        train: Dataset,
        *,
        validation: Dataset | None = None,
        test: Dataset | None = None,
        threads: int | None = None,
        checkpoint: Checkpointed | None = None,
    ) -> FactorModel:
        """Train on `train` and return a model whose ranking head this is.

        Parameters and errors as those of `MatrixFactorization.fit`; judged is the share of
        watched movies that are among the best ten of them and 99 drawn ones.
        """
        judged = judged_parts(train, self.patience, validation, test)
        device = choose_device(self.device)
        module = self._module(len(train.ratings.user_ids), len(train.ratings.item_ids))
        with torch_threads(threads):
            task = OrderTask(
                module,
                watched_by(train, self.liked),
                {
                    name: positives(part.ratings.by_user, self.liked)
                    for name, part in judged.items()
                },
                negatives=self.negatives,
                batch=self.batch_size,
                seed=self.seed,
                device=device,
            )
            where = checkpoint.of(self, train, judged) if checkpoint else None
            history = run(task, self, "Training BPR", where)
        return network_model(
            self,
            train,
            history,
            tables=(module.user_factors, module.item_factors),
            item_bias=module.item_bias,
            layers=[(torch.ones(1, self.factors), torch.zeros(1))],
            widths=[self.factors],
            unobserved=self.negatives,
            liked=self.liked,
        )

    def _module(self, users: int, items: int) -> Factorization:
        generator = torch.Generator().manual_seed(self.seed)
        first = (
            self.init_stddev * torch.randn(rows, self.factors, generator=generator)
            for rows in (users, items)
        )
        return Factorization(
            *first,
            biases="items",
            user_weights=torch.full((users,), float(self.regularization)),
            item_weights=torch.full((items,), float(self.regularization)),
            sparse=wants_sparse(self, users + items),
        )
