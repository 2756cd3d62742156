"""Published GraphCast checkpoints."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import jax
import numpy as np

from airmass.fields.task import Task
from airmass.models.graphcast.model import GraphCastNetwork, network_sizes
from airmass.models.graphcast.settings import GraphCastSettings
from airmass.models.published.archive import (
    Flat,
    PublishedModel,
    corner_length,
    number,
    parameters,
    published,
    published_rows,
    read_flat,
    read_task,
    setting,
)
from airmass.models.published.modules import PERCEPTRONS, leaf_of

# Our module -> theirs; {} is the number of the processor's step.
_MODULES = PERCEPTRONS | {
    "embed_mesh_edges": "mesh_gnn/~_networks_builder/encoder_edges_mesh",
    "processor.edge_mlp": "mesh_gnn/~_networks_builder/processor_edges_{}_mesh",
    "processor.node_mlp": "mesh_gnn/~_networks_builder/processor_nodes_{}_mesh_nodes",
}
_LEAVES = {
    "weight": "_mlp/~/linear_{}:w",
    "bias": "_mlp/~/linear_{}:b",
    "scale": "_layer_norm:scale",
    "offset": "_layer_norm:offset",
}


def read_graphcast(path: str | Path) -> PublishedModel:
    """Read a GraphCast `.npz`. Raises InputError when keys are missing or left over, or a shape disagrees."""
    flat = read_flat(path)
    task, settings = read_task(flat, path), _settings(flat, path)
    return PublishedModel(
        task,
        settings,
        from_published(flat, task, settings, str(path)),
        str(flat.get("description", "")),
        str(flat.get("license", "")),
        resolution=number(flat, "model_config:resolution") or 0.0,
    )


def from_published(flat: Flat, task: Task, settings: GraphCastSettings, source: str) -> GraphCastNetwork:
    """Our parameters from `params:*`. Every key is used exactly once; otherwise an InputError names which and how."""
    template = jax.eval_shape(lambda: GraphCastNetwork(settings, *network_sizes(task), key=jax.random.key(0)))
    return parameters(flat, template, partial(_keys, settings.steps), published_rows(task, False), source)


def to_published(network: GraphCastNetwork, task: Task) -> dict[str, np.ndarray]:
    """The inverse of `from_published`, without the prefix `params:`; also serves for gradients."""
    steps = network.processor.edge_mlp.layers[0].bias.shape[0]
    return published(network, partial(_keys, steps), published_rows(task, False))


def _keys(steps: int, name: str) -> Sequence[str]:
    key = leaf_of(name, _MODULES, _LEAVES)
    return [key.format(step) for step in range(steps)] if "{}" in key else [key]


def _settings(flat: Flat, path: str | Path) -> GraphCastSettings:
    value = partial(setting, flat, path=path)
    return GraphCastSettings(
        mesh_level=value("model_config:mesh_size"),
        width=value("model_config:latent_size"),
        steps=value("model_config:gnn_msg_steps"),
        hidden_layers=value("model_config:hidden_layers"),
        radius_fraction=value("model_config:radius_query_fraction_edge_length"),
        corner_length=corner_length(flat, "model_config"),
    )
