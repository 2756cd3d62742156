"""GraphCast with noise in its norms as a family of models."""

from dataclasses import replace

from airmass.fields.task import Task
from airmass.models.graphcast_ensemble.settings import GraphCastEnsembleSettings
from airmass.models.members_family import MembersFamily


class GraphCastEnsembleFamily(MembersFamily):
    name = "graphcast_ensemble"
    title = "GraphCast ensemble"
    settings = GraphCastEnsembleSettings
    grows_from = ("graphcast", "base.")

    def network(self, task: Task, settings: GraphCastEnsembleSettings, key):
        from airmass.models.graphcast.model import network_sizes
        from airmass.models.graphcast_ensemble.model import EnsembleNetwork

        return EnsembleNetwork(settings, *network_sizes(task), key=key)

    def build(self, trained, static, precision="float32", parts=1, attend=None):
        from airmass.models.graphcast.model import graphcast
        from airmass.models.graphcast_ensemble.model import GraphCastEnsemble

        given = trained.network, trained.settings, trained.grid, trained.normaliser, static, trained.task.step
        plain = graphcast(*given, precision, parts)
        shared = plain.network, plain.tiles, plain.normaliser, plain.static, trained.task.step, precision
        return GraphCastEnsemble(*shared, trained.settings.noise_scale)

    def footprint(self, settings: GraphCastEnsembleSettings, sizes):
        from airmass.models.graphcast.footprint import footprint

        return footprint(settings, sizes)

    def update_costs(self, settings: GraphCastEnsembleSettings, work):
        from airmass.models.graphcast.footprint import update_costs

        members = settings.members // work.member
        costs = update_costs(settings, replace(work, together=work.together * members))
        return replace(costs, frames=costs.frames * members, flops=costs.flops * members)

    def parameter_layout(self, task: Task, settings: GraphCastEnsembleSettings):
        from airmass.models.graphcast.family import FAMILY as GRAPHCAST

        inner = GRAPHCAST.parameter_layout(task, settings)
        prefix = self.grows_from[1]
        return replace(
            inner,
            first=tuple(prefix + name for name in inner.first),
            last=prefix + inner.last,
            stacked=prefix + inner.stacked,
            fixed=(*inner.fixed, "noise_channels"),
        )


FAMILY = GraphCastEnsembleFamily()
