"""Published WeatherNext 2: weights in one file, task, sizes and statistics in a configuration beside it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from airmass.core.arrays import as_declared
from airmass.core.errors import InputError
from airmass.fields.channels import ChannelLayout
from airmass.fields.normalise import Normaliser
from airmass.fields.task import Task
from airmass.fields.variables import COMPUTED, VARIABLES
from airmass.models.fgn.configuration import read_configuration
from airmass.models.fgn.model import UNIFORM, FGNNetwork, sizes
from airmass.models.fgn.settings import FGNSettings
from airmass.models.published.archive import Flat, PublishedModel, read_flat

_ROOT = "multimodality_forward/"
_LEVEL, _SECONDS = "_level={}", 3600
# Our features of nodes are cos(colatitude), cos(longitude), sin(longitude).
_FEATURES, _FEATURE_ROWS = "w_spatial_feature=sin_lat,sin_lon,cos_lon", [0, 2, 1]
_EDGE_FEATURES = "w_spatial_feature=distance,rel_x,rel_y,rel_z"
_NOISE = "global_norm_conditioning_encoder/split_input_matmul:w_input_noise_noise_channels=range({})"
# Our module -> theirs, of perceptrons whose first weight lies in pieces or does not.
_ENCODERS = {
    "encoder.embed_grid": "grid_encoder/",
    "encoder.embed_mesh": "mesh_encoder/",
    "encoder.embed_edges": "grid_to_mesh_gnn/edge_encoder/",
    "decoder.embed_edges": "mesh_to_grid_gnn/edge_encoder/",
    "decoder.output": "grid_decoder/",
}
_UPDATES = {
    "encoder.interaction.edge_mlp": "grid_to_mesh_gnn/deep_gnn/processor_edges_0_points_to_mesh_nodes",
    "encoder.interaction.node_mlp": "grid_to_mesh_gnn/deep_gnn/processor_nodes_0_mesh_nodes",
    "encoder.grid_update": "grid_to_mesh_gnn/deep_gnn/processor_nodes_0_point_nodes",
    "decoder.interaction.edge_mlp": "mesh_to_grid_gnn/deep_gnn/processor_edges_0_mesh_to_points_nodes",
    "decoder.interaction.node_mlp": "mesh_to_grid_gnn/deep_gnn/processor_nodes_0_point_nodes",
    "decoder.mesh_update": "mesh_to_grid_gnn/deep_gnn/processor_nodes_0_mesh_nodes",
}
_MESSAGES = {
    "encoder.interaction.edge_mlp": ("grid_to_mesh_gnn", ("edge", "sender"), "points_to_mesh_nodes"),
    "decoder.interaction.edge_mlp": ("mesh_to_grid_gnn", ("edge", "sender", "receiver"), "mesh_to_points_nodes"),
}
_BLOCK = "mesh_transformer/transformer/block_{0:02d}/"
_BLOCK_PARTS = {
    "attention_norm.linear": "block_{0:02d}_norm_conditioning/linear",
    "attended": "mha_final",
    "feedforward_norm.linear": "block_{0:02d}_norm_conditioning_1/linear",
    "up": "ffw_up",
    "down": "ffw_down",
}
_PROJECTIONS = {"query": "mha_proj_q:w", "key": "mha_proj_k:w", "value": "mha_proj_v:w"}
_FINAL_NORM = "mesh_transformer/transformer/transformer_final_norm_conditioning/linear:"
_KINDS = {"weight": "w", "bias": "b"}


@dataclass(frozen=True)
class Configuration:
    """The published configuration in our terms; `fill` is one number a prognostic channel, or NaN."""

    task: Task
    settings: FGNSettings
    normaliser: Normaliser
    fill: Float[np.ndarray, " prognostic"]
    weights: Mapping[str, float]


def read_published(path: str | Path, config: str | Path) -> PublishedModel:
    """A published `.npz` with its configuration; raises InputError for a configuration of another model."""
    held, flat = read_configured(config), read_flat(path)
    try:
        network = from_published(flat, held.task, held.settings, str(path))
    except InputError as error:
        raise InputError(f"{error}; is {config} the configuration of this checkpoint?") from None
    description, licence = (str(flat.get(name, "")) for name in ("description", "license"))
    return PublishedModel(
        held.task, held.settings, network, description, licence, normaliser=held.normaliser, fill=held.fill
    )


def read_fgn(path: str | Path, configuration: Configuration) -> FGNNetwork:
    """The parameters of a published `.npz`; raises InputError when keys are missing, left over or of another shape."""
    return from_published(read_flat(path), configuration.task, configuration.settings, str(path))


def read_configured(path: str | Path) -> Configuration:
    """Task, sizes, scales and weights of the loss from a configuration; raises InputError for what it lacks."""
    content = read_configuration(path)
    try:
        task = _task(content["task"])
        predictor = content["predictor_kwargs"]
        network, noise = predictor["noisy_function_kwargs"], predictor["noise_generator_kwargs"]
        scales, filling = (_wrapper(content, name) for name in ("<InputsAndResiduals>", "<NaNCleaner>"))
        settings = _settings(network, noise)
        normaliser = _normaliser(task, scales, str(path))
        weights = {name: float(w) for name, w in predictor["fgn_loss_function_kwargs"]["per_variable_weights"].items()}
        return Configuration(task, settings, normaliser, _fill(task, filling), weights)
    except (KeyError, TypeError, IndexError, StopIteration) as error:
        raise InputError(f"{path}: not a configuration of WeatherNext 2: lacks {error}") from None


def from_published(flat: Flat, task: Task, settings: FGNSettings, source: str) -> FGNNetwork:
    """Our parameters from `params:*`. Every key is used exactly once; otherwise an InputError names which and how."""
    given = {key.removeprefix("params:"): value for key, value in flat.items() if key.startswith("params:")}
    template = jax.eval_shape(lambda: FGNNetwork(settings, *sizes(task), key=jax.random.key(0)))
    leaves, tree = jax.tree_util.tree_flatten_with_path(template)
    keys = [key for path, _ in leaves for layer in _layers(task, settings, _name(path)) for key in layer]
    if missing := sorted(set(keys) - given.keys()):
        raise InputError(f"{source}: {len(missing)} parameters missing, first {missing[0]}")
    if left_over := sorted(given.keys() - set(keys)):
        raise InputError(f"{source}: {len(left_over)} parameters that nothing uses, first {left_over[0]}")
    return jax.tree.unflatten(tree, [_leaf(given, task, settings, _name(p), leaf, source) for p, leaf in leaves])


def to_published(network: FGNNetwork, task: Task, settings: FGNSettings) -> dict[str, np.ndarray]:
    """The inverse of `from_published`, without the prefix `params:`; also serves for gradients."""
    flat: dict[str, np.ndarray] = {}
    for path, leaf in jax.tree_util.tree_flatten_with_path(network)[0]:
        name = _name(path)
        layers = _layers(task, settings, name)
        for keys, value in zip(layers, leaf if len(layers) > 1 or _stacked(name) else [leaf], strict=True):
            flat |= dict(zip(keys, _pieces(task, settings, name, np.asarray(value)), strict=True))
    return flat


def _leaf(given: Flat, task: Task, settings: FGNSettings, name: str, leaf, source: str) -> np.ndarray:
    """One of our leaves: pieces joined, layers stacked."""
    axis, shape = _axis(name), list(leaf.shape[1:] if _stacked(name) else leaf.shape)
    layers = []
    for keys in _layers(task, settings, name):
        pieces = []
        for key, size in zip(keys, _sizes_of_pieces(task, settings, name) or [shape[axis]], strict=True):
            shape[axis] = size
            piece = as_declared(given[key], jax.ShapeDtypeStruct(tuple(shape), leaf.dtype), source, key)
            pieces.append(piece[_FEATURE_ROWS] if key.endswith(_FEATURES) else piece)
        layers.append(np.concatenate(pieces, axis=axis))
    return np.stack(layers) if _stacked(name) else layers[0]


def _pieces(task: Task, settings: FGNSettings, name: str, value: np.ndarray) -> Iterator[np.ndarray]:
    """The published pieces of one layer of a leaf."""
    sizes_of = _sizes_of_pieces(task, settings, name)
    axis = _axis(name)
    ends: list[int] = np.cumsum(sizes_of)[:-1].tolist() if sizes_of else []
    for key, piece in zip(_layers(task, settings, name)[0], np.split(value, ends, axis=axis), strict=True):
        yield piece[_FEATURE_ROWS] if key.endswith(_FEATURES) else piece


def _sizes_of_pieces(task: Task, settings: FGNSettings, name: str) -> list[int]:
    module, _, leaf = name.rpartition(".layers.")
    if module in _MESSAGES and leaf == "0.weight":
        return [settings.edge_width, *[settings.width] * (len(_MESSAGES[module][1]) - 1)]
    if module in ("encoder.embed_grid", "encoder.embed_mesh") and leaf == "0.weight":
        return [*(_rows(task, channel) for channel in _channels(task, module)), 3]
    if module == "decoder.output" and leaf.startswith("1."):
        return [_rows(task, (variable, 0)) for variable in task.targets]
    return []


def _layers(task: Task, settings: FGNSettings, name: str) -> list[list[str]]:
    """The published keys of one of our leaves: by layer where ours is stacked, by piece where theirs is cut."""
    if not _stacked(name):
        return [[_ROOT + key for key in _keys(task, settings, name)]]
    inside = name.removeprefix("transformer.blocks.")
    module, _, kind = inside.rpartition(".")
    key = _PROJECTIONS.get(inside) or f"{_BLOCK_PARTS[module]}:{_KINDS[kind]}"
    return [[(_ROOT + _BLOCK + key).format(number)] for number in range(settings.layers)]


def _keys(task: Task, settings: FGNSettings, name: str) -> Sequence[str]:
    if name == "condition_encoder":
        return [_NOISE.format(settings.noise_channels)]
    kind = _KINDS[name.rpartition(".")[2]]
    if name.startswith("transformer.norm."):
        return [_FINAL_NORM + kind]
    module = next(module for module in (*_ENCODERS, *_UPDATES) if name.startswith(module + "."))
    inside = name.removeprefix(module + ".")
    prefix = _UPDATES.get(module) or _ENCODERS[module] + "shared_dense"
    if inside.startswith("norm."):
        return [f"{prefix}/normalization/linear_norm_conditioning/linear:{kind}"]
    if inside == "layers.0.weight" and module in _MESSAGES:
        gnn, parts, ends = _MESSAGES[module]
        return [f"{gnn}/deep_gnn/processor_edges_0_{part}_{ends}:w" for part in parts]
    if inside == "layers.0.weight" and module in _ENCODERS and module != "decoder.output":
        return [f"{_ENCODERS[module]}split_input_matmul:{piece}" for piece in _first_pieces(task, module)]
    if inside.startswith("layers.1.") and module == "decoder.output":
        return [f"grid_decoder/split_output_linear:{kind}_{_piece(task, v, task.step)}" for v in task.targets]
    return [f"{prefix}/mlp/linear_{inside.split('.')[1]}:{kind}"]


def _first_pieces(task: Task, module: str) -> list[str]:
    if module.endswith("embed_edges"):
        return [_EDGE_FEATURES]
    named = []
    for name, lag in _channels(task, module):
        kind = "forcing" if lag == 1 else "input"
        named.append(f"w_{kind}_{_piece(task, name, None if name in task.static else lag * task.step)}")
    return [*named, _FEATURES]


def _channels(task: Task, module: str) -> list[tuple[str, int]]:
    """Variables and lags of a module's inputs in the order of our rows."""
    lags = list(range(1 - task.history, 1))
    if module == "encoder.embed_mesh":
        return [(name, lag) for name in task.forcing if name in UNIFORM for lag in (*lags, 1)]
    prognostic, static = (ChannelLayout.of(names, task.levels).variables for names in (task.prognostic, task.static))
    return [
        *((name, lag) for lag in lags for name in prognostic),
        *((name, lag) for lag in (*lags, 1) for name in task.forcing),
        *((name, 0) for name in static),
    ]


def _rows(task: Task, channel: tuple[str, int]) -> int:
    return len(task.levels) if VARIABLES[channel[0]].on_levels else 1


def _piece(task: Task, name: str, hours: int | None) -> str:
    level = _LEVEL.format(",".join(map(str, task.levels))) if VARIABLES[name].on_levels else ""
    return f"{name}{level}" + ("" if hours is None else f"_time={hours * _SECONDS}")


def _axis(name: str) -> int:
    return -1 if name.startswith("decoder.output.") else 0


def _stacked(name: str) -> bool:
    return name.startswith("transformer.blocks.")


def _name(path) -> str:
    return ".".join(str(getattr(key, "name", getattr(key, "idx", ""))) for key in path)


def _task(content: Mapping[str, Any]) -> Task:
    inputs, targets = content["input_variables"], content["target_variables"]
    changing = (*targets, *content["forcing_variables"], *COMPUTED)
    return Task(
        prognostic=tuple(name for name in targets if name in inputs),
        diagnostic=tuple(name for name in targets if name not in inputs),
        forcing=tuple(content["forcing_variables"]),
        static=tuple(name for name in inputs if name not in changing),
        levels=tuple(int(level) for level in content["pressure_levels"]),
        step=int(str(content["input_duration"]).removesuffix("h")) // 2,
    )


def _settings(network: Mapping[str, Any], noise: Mapping[str, Any]) -> FGNSettings:
    to_mesh, transformer = network["points_to_mesh_model_ctor"], network["mesh_model_ctor"]["transformer_kwargs"]
    (channels,) = (size for _, size in noise["noise_var_dict"]["noise"]["non_batch_shape"])
    return FGNSettings(
        mesh_level=int(network["mesh_num_splits"]),
        width=int(network["latent_dense_kwargs"]["output_size"]),
        layers=int(transformer["num_layers"]),
        heads=int(transformer["num_heads"]),
        hops=int(transformer["attention_k_hop"]),
        feedforward=int(transformer["ffw_hidden"]),
        hidden_layers=int(network["latent_dense_kwargs"]["num_hidden_layers"]),
        edge_width=int(to_mesh["edge_encoder_dense_kwargs"]["output_size"]),
        noise_channels=int(channels),
        condition=int(network["norm_conditioning_latent_dense_kwargs"]["output_size"]),
        divisor=float(to_mesh["deep_gnn_kwargs"].get("aggregate_normalization") or 1),
        radius_fraction=float(to_mesh["ball_query_radius_fraction"]),
    )


def _wrapper(content: Mapping[str, Any], constructor: str) -> Mapping[str, Any]:
    return next(one["kwargs"] for one in content["predictor_wrappers"] if one["constructor"] == constructor)


def _normaliser(task: Task, scales: Mapping[str, Any], source: str) -> Normaliser:
    mean, std, residual_std = (scales[f"{kind}_by_level"] for kind in ("mean", "stddev", "diffs_stddev"))
    return Normaliser.from_statistics(task, mean, std, residual_std, source)


def _fill(task: Task, filling: Mapping[str, Any]) -> np.ndarray:
    """Fill values for missing data, one number a prognostic channel; NaN where none may be."""
    cleaned, values = filling["var_to_clean"], filling["fill_value"]
    channels = ChannelLayout.of(task.prognostic, task.levels).channels
    return np.array([float(values[cleaned]) if name == cleaned else np.nan for name, _ in channels], np.float32)
