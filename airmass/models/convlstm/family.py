"""ConvLSTM as a family of models."""

from airmass.core.errors import InputError
from airmass.fields.task import Task
from airmass.models.convlstm.settings import ConvLSTMSettings
from airmass.models.family import ModelFamily, RecipeParts


class ConvLSTMFamily(ModelFamily):
    name = "convlstm"
    title = "ConvLSTM"
    settings = ConvLSTMSettings

    def check(self, recipe: RecipeParts) -> None:
        super().check(recipe)
        if recipe.devices.space > 1:
            raise InputError(f"devices: space is {recipe.devices.space}, expected 1: a ConvLSTM needs the whole grid")

    def network(self, task: Task, settings: ConvLSTMSettings, key):
        from airmass.models.convlstm.model import ConvLSTMNetwork, network_sizes

        return ConvLSTMNetwork(settings, *network_sizes(task), key=key)

    def build(self, trained, static, precision="float32", parts=1, attend=None):
        from airmass.models.convlstm.model import convlstm

        return convlstm(trained.network, trained.grid, trained.normaliser, static, trained.task.step, precision)

    def runner(self, model, task, grid, *, sampler=None, seed=0, noise=None, together=1, stored=None):
        from airmass.models.deterministic import DeterministicRunner

        return DeterministicRunner(model, task, grid, stored)

    def objective(self, recipe: RecipeParts, loss, grid):
        from airmass.models.objectives.rollout import RolloutObjective

        return RolloutObjective(loss, recipe.task.history, recipe.training.recompute, recipe.training.input_noise)

    def footprint(self, settings, sizes):
        from airmass.models.convlstm.footprint import footprint

        return footprint(settings, sizes)

    def update_costs(self, settings, work):
        from airmass.models.convlstm.footprint import update_costs

        return update_costs(settings, work)

    def parameter_layout(self, task: Task, settings: ConvLSTMSettings):
        from dataclasses import replace

        from airmass.models.transfer import ParameterLayout, input_channels, output_channels

        return ParameterLayout(
            tuple(input_channels(replace(task, history=1), noisy=False)),
            tuple(output_channels(task)),
            first=("embed.weight",),
            last="output.",
            stacked="cells.",
            depth="layers",
            closing=("incoming.weight", "recurrent.weight", "bias"),  # of no gates nothing is ever given
            fixed=("width", "kernel"),
        )


FAMILY = ConvLSTMFamily()
