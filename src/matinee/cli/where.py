"""Where recipes are trained, and leave their states."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matinee.errors import SettingError

if TYPE_CHECKING:
    from matinee.models import Trainer


@dataclass(frozen=True)
class Where:
    """The options of a training that are no settings: what it runs on, and its states."""

    device: str | None = None
    checkpoint: str | None = None
    every: int | None = None
    resume: bool = False

    def check(self, recipes: "Iterable[Trainer | None]") -> None:
        """Refuse, before the work, what cannot be used or means nothing to these recipes."""
        recipes = list(recipes)
        if trained_by_gradients(recipes):
            from matinee.neural.devices import choose_device

            choose_device(self.device or "auto")
        elif self.device is not None:
            raise SettingError("--device is for models trained by gradients; none is here.")
        self._check_checkpoint(recipes)

    def _check_checkpoint(self, recipes: "Iterable[Trainer | None]") -> None:
        from matinee.models.checkpointed import STATE

        if self.checkpoint is None:
            for option in ("checkpoint-every",) * bool(self.every) + ("resume",) * self.resume:
                raise SettingError(f"--{option} needs --checkpoint DIR.")
            return
        if not any(leaves_states(recipe) for recipe in recipes):
            raise SettingError(
                "--checkpoint is for bayes and for models trained by gradients; none is here."
            )
        if Path(self.checkpoint).is_file():
            raise SettingError(f"--checkpoint {self.checkpoint}: this is a file; name a folder.")
        if self.resume and not any(Path(self.checkpoint).glob(f"*/{STATE}")):
            raise SettingError(
                f"--resume: there is no state in {self.checkpoint}; leave it out to begin."
            )

    def adapt(self, recipe: "Trainer") -> "Trainer":
        """The recipe on this device and with checkpoints, where it knows of such."""
        from matinee.models import Checkpointed

        changed: Any = recipe
        if self.device is not None and trained_by_gradients([recipe]):
            changed = replace(changed, device=self.device)
        if self.checkpoint is not None and leaves_states(recipe):
            changed = Checkpointed(changed, Path(self.checkpoint), self.every)
        result: Trainer = changed
        return result

    def named(self, trainer: Mapping[str, Any]) -> str:
        """The words "on cpu" and so on, after a space, for a head trained by gradients; else ""."""
        if "device" not in trainer:
            return ""
        from matinee.neural.devices import choose_device

        return f" on {choose_device(self.device or 'auto')}"


def trained_by_gradients(recipes: "Iterable[Trainer | None]") -> bool:
    """Whether any of these recipes is; only then a device means something."""
    return any(hasattr(recipe, "device") for recipe in recipes if recipe)


def leaves_states(recipe: "Trainer | None") -> bool:
    """Whether this recipe can leave its state on disk, and go on from it."""
    return recipe is not None and "checkpoint" in signature(recipe.fit).parameters
