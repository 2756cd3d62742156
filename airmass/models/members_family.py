"""Parts shared by families whose members are drawn by noise in the norms, one network call a frame."""

from dataclasses import replace
from typing import Any

from airmass.models.family import ModelFamily, RecipeParts


class MembersFamily(ModelFamily):
    """A family whose settings have `members` an example, `noise_channels` and `noise_scale`."""

    ensemble = True
    masks_targets = True
    validation_members = 2

    def training_members(self, settings: Any) -> int:
        return settings.members

    def runner(self, model, task, grid, *, sampler=None, seed=0, noise=None, together=1, stored=None):
        from airmass.models.members import MembersRunner

        return MembersRunner(model, task, grid, seed, noise, stored)

    def read_noise(self, path, task, settings, grid, members, steps):
        from airmass.models.noise import read_noise_vectors

        return read_noise_vectors(path, settings.noise_channels, members, steps)

    def with_noise_scale(self, path, settings: Any, noise_scale: float) -> Any:
        return replace(settings, noise_scale=noise_scale)

    def objective(self, recipe: RecipeParts, loss, grid):
        from airmass.models.objectives.members import MembersObjective

        axis = "member" if recipe.devices.member > 1 else None
        members = min(recipe.model.members, loss.kind.most_members or recipe.model.members)
        return MembersObjective(loss, recipe.task.history, members, recipe.training.recompute, axis)
