"""GenCast as a family of models."""

from airmass.core.errors import InputError
from airmass.diffusion.noise_levels import require_degrees
from airmass.fields.task import Task
from airmass.fields.variables import VARIABLES
from airmass.models.family import ModelFamily, PublishedLayout, RecipeParts
from airmass.models.gencast.settings import GenCastSettings


def _read_published(path):
    from airmass.models.gencast.published import read_gencast

    return read_gencast(path)


class GenCastFamily(ModelFamily):
    name = "gencast"
    title = "GenCast"
    settings = GenCastSettings
    ensemble = True
    lead_time = "15d"
    most_together = 8
    validation_members = 2
    may_be_missing = True
    saves_in_bfloat16 = True
    published = PublishedLayout("denoiser_architecture_config:", _read_published)

    def check(self, recipe: RecipeParts) -> None:
        if recipe.diffusion is None:
            raise InputError("a recipe of GenCast needs settings of diffusion")
        kinds = *recipe.loss.stages, recipe.loss.kind
        if other := next((kind for kind in kinds if kind != "squared_error"), None):
            raise InputError(f"loss.kind is {other}, expected squared_error: a denoiser learns expected frames")
        if set(recipe.training.rollout) != {1}:
            raise InputError(f"rollout is {recipe.training.rollout}, expected 1: GenCast learns one frame at a time")
        if recipe.model.linear_residual and recipe.devices.space > 1:
            raise InputError(
                f"devices: space is {recipe.devices.space}, expected 1 with --model.linear-residual, whose harmonics "
                "need the whole grid"
            )
        gaps = [name for name in recipe.task.prognostic if VARIABLES[name].missing_over_land]
        if gaps and self.needs_linear_residual(recipe):
            setting = "--model.linear-residual" if recipe.model.linear_residual else "--diffusion.calibration.starts"
            raise InputError(f"{setting}: {', '.join(gaps)} is missing over land and has no harmonics")

    def check_grid(self, recipe: RecipeParts, grid) -> None:
        require_degrees(recipe.diffusion.sampling, len(grid.longitude) // 2)

    def sampler(self, recipe: RecipeParts):
        return recipe.diffusion.sampling

    def noise(self, recipe: RecipeParts):
        return recipe.diffusion.training

    def needs_linear_residual(self, recipe: RecipeParts) -> bool:
        return recipe.model.linear_residual or self.calibrated(recipe)

    def calibrated(self, recipe: RecipeParts) -> bool:
        return recipe.diffusion is not None and recipe.diffusion.calibration.starts > 0

    def network(self, task: Task, settings: GenCastSettings, key):
        from airmass.models.gencast.model import DenoiserNetwork, denoiser_sizes

        return DenoiserNetwork(settings, *denoiser_sizes(task, settings.linear_residual), key=key)

    def attention(self, settings: GenCastSettings, precision: str, gradient: bool = False):
        from airmass.models.nn.attention_choice import attention_here

        return attention_here(settings, precision, gradient)

    def build(self, trained, static, precision="float32", parts=1, attend=None):
        from airmass.models.gencast.model import gencast

        given = trained.network, trained.settings, trained.grid, trained.normaliser, static, trained.fill
        given = *given, trained.task.step, precision, parts, attend
        return gencast(*given, trained.linear_residual, trained.calibration)

    def runner(self, model, task, grid, *, sampler=None, seed=0, noise=None, together=4, stored=None):
        from airmass.models.gencast.runner import GenCastRunner

        return GenCastRunner(model, task, grid, sampler, seed, noise, together, stored)

    def read_noise(self, path, task, settings, grid, members, steps):
        from airmass.data.initial import read_noise

        return read_noise(path, task, grid)

    def objective(self, recipe: RecipeParts, loss, grid):
        from airmass.diffusion.sphere import SphereNoise
        from airmass.models.gencast.objective import GenCastObjective

        white = SphereNoise.build(grid.latitude, grid.longitude)
        return GenCastObjective(loss, white, recipe.diffusion.training, recipe.task.history)

    def footprint(self, settings, sizes):
        from airmass.models.gencast.footprint import footprint

        return footprint(settings, sizes)

    def update_costs(self, settings, work):
        from airmass.models.gencast.footprint import update_costs

        return update_costs(settings, work)

    def parameter_layout(self, task: Task, settings: GenCastSettings):
        from airmass.models.published.archive import SORTED_INPUTS
        from airmass.models.transfer import ParameterLayout, input_channels, output_channels

        sizes = ("width", "hidden_layers", "heads", "feedforward", "frequencies", "base_period", "encoder_sizes")
        return ParameterLayout(
            tuple(input_channels(task, noisy=True, linear_residual=settings.linear_residual)),
            tuple(output_channels(task)),
            first=SORTED_INPUTS,
            last=f"decoder.output.layers.{settings.hidden_layers}.",
            stacked="transformer.blocks.",
            depth="layers",
            closing=tuple(f".{part}.{leaf}" for part in ("attended", "down") for leaf in ("weight", "bias")),
            fixed=sizes,
        )


FAMILY = GenCastFamily()
