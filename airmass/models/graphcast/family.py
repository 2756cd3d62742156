"""GraphCast as a family of models."""

from airmass.fields.task import Task
from airmass.models.family import ModelFamily
from airmass.models.graphcast.settings import GraphCastSettings


class GraphCastFamily(ModelFamily):
    name = "graphcast"
    title = "GraphCast"
    settings = GraphCastSettings

    def network(self, task: Task, settings: GraphCastSettings, key):
        from airmass.models.graphcast.model import Network, network_sizes

        return Network(settings, *network_sizes(task), key=key)


FAMILY = GraphCastFamily()
