"""GenCast as a family of models."""

from airmass.core.errors import InputError
from airmass.fields.task import Task
from airmass.fields.variables import VARIABLES
from airmass.models.family import ModelFamily, RecipeParts
from airmass.models.gencast.settings import GenCastSettings


class GenCastFamily(ModelFamily):
    name = "gencast"
    title = "GenCast"
    settings = GenCastSettings
    ensemble = True
    lead_time = "15d"
    may_be_missing = True

    def check(self, recipe: RecipeParts) -> None:
        if recipe.diffusion is None:
            raise InputError("a recipe of GenCast needs settings of diffusion")
        if set(recipe.training.rollout) != {1}:
            raise InputError(f"rollout is {recipe.training.rollout}, expected 1: GenCast learns one frame at a time")
        if recipe.model.innovation and recipe.devices.space > 1:
            raise InputError(
                f"devices: space is {recipe.devices.space}, expected 1 with --model.innovation, whose harmonics need "
                "the whole grid"
            )
        gaps = [name for name in recipe.task.prognostic if VARIABLES[name].missing_over_land]
        if gaps and self.needs_innovation(recipe):
            setting = "--model.innovation" if recipe.model.innovation else "--diffusion.calibration.starts"
            raise InputError(f"{setting}: {', '.join(gaps)} is missing over land and has no harmonics")

    def needs_innovation(self, recipe: RecipeParts) -> bool:
        return recipe.model.innovation or self.calibrated(recipe)

    def calibrated(self, recipe: RecipeParts) -> bool:
        return recipe.diffusion is not None and recipe.diffusion.calibration.starts > 0

    def network(self, task: Task, settings: GenCastSettings, key):
        from airmass.models.gencast.model import DenoiserNetwork, denoiser_sizes

        return DenoiserNetwork(settings, *denoiser_sizes(task, settings.innovation), key=key)


FAMILY = GenCastFamily()
