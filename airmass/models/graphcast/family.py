"""GraphCast as a family of models."""

from airmass.fields.task import Task
from airmass.models.family import ModelFamily, PublishedLayout
from airmass.models.graphcast.settings import GraphCastSettings


def _read_published(path):
    from airmass.models.graphcast.published import read_graphcast

    return read_graphcast(path)


class GraphCastFamily(ModelFamily):
    name = "graphcast"
    title = "GraphCast"
    settings = GraphCastSettings
    published = PublishedLayout("model_config:", _read_published)

    def network(self, task: Task, settings: GraphCastSettings, key):
        from airmass.models.graphcast.model import GraphCastNetwork, network_sizes

        return GraphCastNetwork(settings, *network_sizes(task), key=key)

    def build(self, trained, static, precision="float32", parts=1, attend=None):
        from airmass.models.graphcast.model import graphcast

        given = trained.network, trained.settings, trained.grid, trained.normaliser, static, trained.task.step
        return graphcast(*given, precision, parts)

    def runner(self, model, task, grid, *, sampler=None, seed=0, noise=None, together=1, stored=None):
        from airmass.models.deterministic import DeterministicRunner

        return DeterministicRunner(model, task, grid, stored)

    def objective(self, recipe, loss, grid):
        from airmass.models.objectives.rollout import RolloutObjective

        return RolloutObjective(loss, recipe.task.history, recipe.training.recompute, recipe.training.input_noise)

    def footprint(self, settings, sizes):
        from airmass.models.graphcast.footprint import footprint

        return footprint(settings, sizes)

    def update_costs(self, settings, work):
        from airmass.models.graphcast.footprint import update_costs

        return update_costs(settings, work)

    def parameter_layout(self, task: Task, settings: GraphCastSettings):
        from airmass.models.published.archive import SORTED_INPUTS
        from airmass.models.transfer import ParameterLayout, input_channels, output_channels

        return ParameterLayout(
            tuple(input_channels(task, noisy=False)),
            tuple(output_channels(task)),
            first=SORTED_INPUTS,
            last=f"decoder.output.layers.{settings.hidden_layers}.",
            stacked="processor.",
            depth="steps",
            closing=tuple(f"{part}_mlp.norm.{leaf}" for part in ("edge", "node") for leaf in ("scale", "offset")),
            fixed=("width", "hidden_layers"),
        )


FAMILY = GraphCastFamily()
