"""DeepMind's published checkpoints: their `.npz` layout to our task, settings and parameters, and back.

Keys are paths joined by ":". Weights are [in, out], as ours. Only the order of input channels differs: theirs sorts
every input by name with time inside, ours keeps frames together, so the rows of the first maps are moved.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import jax
import numpy as np

from airmass.errors import InputError
from airmass.layout import Layout
from airmass.models.graphcast import GraphCastSettings, Network, network_sizes
from airmass.task import Task
from airmass.variables import COMPUTED, VARIABLES

# Our module -> theirs; {} is the number of the processor's step.
_MODULES = {
    "encoder.embed_grid": "grid2mesh_gnn/~_networks_builder/encoder_nodes_grid_nodes",
    "encoder.embed_mesh": "grid2mesh_gnn/~_networks_builder/encoder_nodes_mesh_nodes",
    "encoder.embed_edges": "grid2mesh_gnn/~_networks_builder/encoder_edges_grid2mesh",
    "encoder.interaction.edge_mlp": "grid2mesh_gnn/~_networks_builder/processor_edges_0_grid2mesh",
    "encoder.interaction.node_mlp": "grid2mesh_gnn/~_networks_builder/processor_nodes_0_mesh_nodes",
    "encoder.grid_update": "grid2mesh_gnn/~_networks_builder/processor_nodes_0_grid_nodes",
    "embed_mesh_edges": "mesh_gnn/~_networks_builder/encoder_edges_mesh",
    "processor.edge_mlp": "mesh_gnn/~_networks_builder/processor_edges_{}_mesh",
    "processor.node_mlp": "mesh_gnn/~_networks_builder/processor_nodes_{}_mesh_nodes",
    "decoder.embed_edges": "mesh2grid_gnn/~_networks_builder/encoder_edges_mesh2grid",
    "decoder.interaction.edge_mlp": "mesh2grid_gnn/~_networks_builder/processor_edges_0_mesh2grid",
    "decoder.interaction.node_mlp": "mesh2grid_gnn/~_networks_builder/processor_nodes_0_grid_nodes",
    "decoder.mesh_update": "mesh2grid_gnn/~_networks_builder/processor_nodes_0_mesh_nodes",
    "decoder.output": "mesh2grid_gnn/~_networks_builder/decoder_nodes_grid_nodes",
}
_LEAVES = {"weight": "_mlp/~/linear_{}:w", "bias": "_mlp/~/linear_{}:b"}
_SORTED_INPUTS = ("encoder.embed_grid.layers.0.weight", "encoder.embed_mesh.layers.0.weight")


@dataclass(frozen=True)
class PublishedGraphCast:
    """A published checkpoint in our terms."""

    task: Task
    settings: GraphCastSettings
    network: Network
    description: str
    license: str


def read_graphcast(path: str | Path) -> PublishedGraphCast:
    """Read a GraphCast `.npz`. Raises InputError when keys are missing or left over, or a shape disagrees."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            flat = {key: stored[key] for key in stored.files}
    except (OSError, ValueError, BadZipFile) as error:
        raise InputError(f"{path}: cannot be read as a published checkpoint: {error}") from error
    task, settings = _task(flat, path), _settings(flat, path)
    network = from_published(flat, task, settings, str(path))
    return PublishedGraphCast(task, settings, network, str(flat.get("description", "")), str(flat.get("license", "")))


def from_published(flat: Mapping[str, np.ndarray], task: Task, settings: GraphCastSettings, source: str) -> Network:
    """Our parameters from `params:*`. Every key is used exactly once; otherwise an InputError names which and how."""
    given = {key.removeprefix("params:"): value for key, value in flat.items() if key.startswith("params:")}
    template = jax.eval_shape(lambda: Network(settings, *network_sizes(task), key=jax.random.key(0)))
    leaves, tree = jax.tree_util.tree_flatten_with_path(template)
    wanted = [_published_keys(path, settings.steps) for path, _ in leaves]
    _match({key for keys in wanted for key in keys}, set(given), source)
    rows = _published_rows(task)
    values = []
    for (path, leaf), keys in zip(leaves, wanted, strict=True):
        shape = leaf.shape[1:] if _name(path).startswith("processor") else leaf.shape
        for key in keys:
            if given[key].shape != shape:
                raise InputError(f"{source}: {key} has shape {given[key].shape}, expected {shape}")
        value = np.stack([given[key] for key in keys]) if shape != leaf.shape else given[keys[0]]
        values.append(value[rows] if _name(path) in _SORTED_INPUTS else value)
    return jax.tree_util.tree_unflatten(tree, values)


def to_published(network: Network, task: Task) -> dict[str, np.ndarray]:
    """The inverse of `from_published`, without the prefix `params:`; also serves for gradients."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(network)
    steps = network.processor.edge_mlp.layers[0].bias.shape[0]
    back = np.argsort(_published_rows(task))
    flat: dict[str, np.ndarray] = {}
    for path, leaf in leaves:
        value = np.asarray(leaf)[back] if _name(path) in _SORTED_INPUTS else np.asarray(leaf)
        keys = _published_keys(path, steps)
        flat |= dict(zip(keys, value, strict=True)) if _name(path).startswith("processor") else {keys[0]: value}
    return flat


def _published_rows(task: Task) -> np.ndarray:
    """Row of the published first map for each of our input channels, structural features last."""
    lags = range(1 - task.history, 1)
    inputs = [
        (name, lag, level)
        for name in sorted((*task.prognostic, *task.forcing, *task.static))
        for lag in ((0,) if name in task.static else lags)
        for level in (task.levels if VARIABLES[name].on_levels else (None,))
    ]
    published = [*inputs, *((name, 1, None) for name in sorted(task.forcing))]
    prognostic = Layout.of(task.prognostic, task.levels).channels
    static = Layout.of(task.static, task.levels).channels
    ours = [
        *((name, lag, level) for lag in lags for name, level in prognostic),
        *((name, lag, None) for lag in (*lags, 1) for name in task.forcing),
        *((name, 0, level) for name, level in static),
    ]
    n = len(ours)
    return np.array([*(published.index(channel) for channel in ours), n, n + 1, n + 2])


def _name(path) -> str:
    """A leaf's place as text: `encoder.edge_mlp.layers.0.weight`."""
    return ".".join(str(getattr(key, "name", getattr(key, "idx", ""))) for key in path)


def _published_keys(path, steps: int) -> list[str]:
    """The published key of a leaf of ours; one for each step where ours is stacked."""
    name = _name(path)
    module = next(module for module in _MODULES if name.startswith(f"{module}."))
    kind, *inside = name.removeprefix(f"{module}.").split(".")
    leaf = f"_layer_norm:{inside[0]}" if kind == "norm" else _LEAVES[inside[1]].format(inside[0])
    prefix = _MODULES[module]
    return [prefix.format(i) + leaf for i in range(steps)] if "{}" in prefix else [prefix + leaf]


def _match(wanted: set[str], given: set[str], source: str) -> None:
    if missing := sorted(wanted - given):
        raise InputError(f"{source}: {len(missing)} parameters missing, first {missing[0]}")
    if left_over := sorted(given - wanted):
        raise InputError(f"{source}: {len(left_over)} parameters that nothing uses, first {left_over[0]}")


def _settings(flat: Mapping[str, np.ndarray], path: str | Path) -> GraphCastSettings:
    def value(name):
        if (key := f"model_config:{name}") not in flat:
            raise InputError(f"{path}: no {key}: is this a GraphCast checkpoint?")
        return flat[key].item()

    return GraphCastSettings(
        mesh_level=value("mesh_size"),
        width=value("latent_size"),
        steps=value("gnn_msg_steps"),
        hidden_layers=value("hidden_layers"),
        radius_fraction=value("radius_query_fraction_edge_length"),
    )


def _task(flat: Mapping[str, np.ndarray], path: str | Path) -> Task:
    inputs, targets = _strings(flat, "task_config:input_variables"), _strings(flat, "task_config:target_variables")
    levels = [int(flat[key]) for key in _listed(flat, "task_config:pressure_levels")]
    if not targets or "task_config:input_duration" not in flat:
        raise InputError(f"{path}: no task_config: is this a published checkpoint?")
    static = tuple(name for name in inputs if name not in targets and name not in COMPUTED)
    hours = int(str(flat["task_config:input_duration"]).removesuffix("h"))
    return Task(
        prognostic=tuple(name for name in targets if name in inputs),
        diagnostic=tuple(name for name in targets if name not in inputs),
        forcing=_strings(flat, "task_config:forcing_variables"),
        static=static,
        levels=tuple(levels),
        step=hours // 2,
    )


def _strings(flat: Mapping[str, np.ndarray], prefix: str) -> tuple[str, ...]:
    return tuple(str(flat[key]) for key in _listed(flat, prefix))


def _listed(flat: Mapping[str, np.ndarray], prefix: str) -> list[str]:
    keys = [key for key in flat if key.startswith(prefix + ":")]
    return sorted(keys, key=lambda key: int(key.rsplit(":", 1)[1]))
