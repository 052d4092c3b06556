"""What a model that holds some of the users has to know of all of them."""

from dataclasses import dataclass

import numpy as np

from matinee._types import I32, I64
from matinee.errors import SettingError


@dataclass(frozen=True, eq=False)
class Population:
    """All users of a training set, as far as the lists of one depend on the others."""

    n_users: int  # with training ratings
    item_counts: I64  # training ratings of each item, (items,)
    sample: I32  # codes, in the model, of the users whose scores tell how far those of items reach
    value_name: str  # what a value is: see `matinee.data.ratings.value_name`
    blend_weight: float | None = None  # of `BlendedHead`, where there are both heads

    def check(self, n_items: int) -> None:
        """Raise ValueError unless the numbers make sense, and fit so many items."""
        counts, weight = self.item_counts, self.blend_weight
        if counts.dtype != np.int64 or counts.shape != (n_items,):
            raise ValueError("item_counts has the wrong type or shape")
        if type(self.n_users) is not int or not 1 <= self.n_users < 2**31:
            raise ValueError("the number of users makes no sense")
        if n_items and not 0 <= counts.min() <= counts.max() <= self.n_users:
            raise ValueError("an item has more ratings than there are users")
        if self.value_name not in ("rating", "times", "weight"):
            raise ValueError("values have an unknown name")
        if weight is not None and not (type(weight) is float and 0 <= weight < np.inf):
            raise ValueError("the weight of the blend is out of range")


def need_all_users(population: Population | None) -> None:
    """SettingError for a model that holds some of the users, where all of them are compared."""
    if population is not None:
        raise SettingError("This model was loaded with some of its users; that needs all of them.")
