"""Published GenCast checkpoints."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import jax
import numpy as np

from airmass.core.errors import InputError
from airmass.diffusion.noise_levels import TrainingNoise
from airmass.diffusion.samplers.dpmpp_2s import DPMSolver2S
from airmass.fields.task import Task
from airmass.models.gencast.model import DenoiserNetwork, denoiser_sizes
from airmass.models.gencast.settings import GenCastSettings
from airmass.models.published.archive import (
    Flat,
    PublishedModel,
    corner_length,
    integers,
    parameters,
    published,
    published_rows,
    read_flat,
    read_task,
    setting,
)
from airmass.models.published.modules import PERCEPTRONS, leaf_of

_LEAVES = {
    "weight": "_mlp/~/linear_{}:w",
    "bias": "_mlp/~/linear_{}:b",
    "norm.linear.weight": "_norm_conditioning/linear:w",
    "norm.linear.bias": "_norm_conditioning/linear:b",
}
_BLOCK = "mesh_transformer/~/transformer/block_{:02d}"
# Our leaves of the transformer and the noise encoder -> theirs; {} is the number of the block or layer.
_TRANSFORMER = {
    "attention_norm.linear.weight": "/block_{:02d}_norm_conditioning/linear:w",
    "attention_norm.linear.bias": "/block_{:02d}_norm_conditioning/linear:b",
    "query": "/mha_proj_q:w",
    "key": "/mha_proj_k:w",
    "value": "/mha_proj_v:w",
    "attended.weight": "/mha_final:w",
    "attended.bias": "/mha_final:b",
    "feedforward_norm.linear.weight": "/block_{:02d}_norm_conditioning_1/linear:w",
    "feedforward_norm.linear.bias": "/block_{:02d}_norm_conditioning_1/linear:b",
    "up.weight": "/ffw_up:w",
    "up.bias": "/ffw_up:b",
    "down.weight": "/ffw_down:w",
    "down.bias": "/ffw_down:b",
}
_FINAL_NORM = "mesh_transformer/~/transformer/transformer_final_norm_conditioning/linear:"
_NOISE_ENCODER = "fourier_features_mlp/~/mlp/~/linear_{}:"


def read_gencast(path: str | Path) -> PublishedModel:
    """Read a GenCast `.npz`. Raises InputError when keys are missing or left over, or a shape disagrees."""
    flat = read_flat(path)
    task, settings = read_task(flat, path), _settings(flat, path)
    return PublishedModel(
        task,
        settings,
        from_published(flat, task, settings, str(path)),
        str(flat.get("description", "")),
        str(flat.get("license", "")),
        sampler=_sampler(flat, path),
        training_noise=_training_noise(flat, path),
    )


def from_published(flat: Flat, task: Task, settings: GenCastSettings, source: str) -> DenoiserNetwork:
    """Our parameters from `params:*`. Every key is used exactly once; otherwise an InputError names which and how."""
    template = jax.eval_shape(lambda: DenoiserNetwork(settings, *denoiser_sizes(task), key=jax.random.key(0)))
    return parameters(flat, template, partial(_keys, settings.layers), published_rows(task, True), source)


def to_published(network: DenoiserNetwork, task: Task) -> dict[str, np.ndarray]:
    """The inverse of `from_published`, without the prefix `params:`; also serves for gradients."""
    return published(network, partial(_keys, network.transformer.blocks.query.shape[0]), published_rows(task, True))


def _keys(layers: int, name: str) -> Sequence[str]:
    kind = {"weight": "w", "bias": "b"}.get(name.rsplit(".", 1)[1], "")
    if name.startswith("noise_encoder."):
        return [_NOISE_ENCODER.format(name.split(".")[2]) + kind]
    if name.startswith("transformer.norm."):
        return [_FINAL_NORM + kind]
    if name.startswith("transformer.blocks."):
        inside = _BLOCK + _TRANSFORMER[name.removeprefix("transformer.blocks.")]
        return [inside.format(*[block] * inside.count("{")) for block in range(layers)]
    return [leaf_of(name, PERCEPTRONS, _LEAVES)]


def _settings(flat: Flat, path: str | Path) -> GenCastSettings:
    architecture = "denoiser_architecture_config"
    transformer = f"{architecture}:sparse_transformer_config"
    value = partial(setting, flat, path=path)
    if not value("noise_encoder_config:apply_log_first"):
        raise InputError(f"{path}: noise_encoder_config:apply_log_first is False, expected True")
    if value(f"{transformer}:d_model") != value(f"{architecture}:latent_size"):
        sizes = value(f"{transformer}:d_model"), value(f"{architecture}:latent_size")
        raise InputError(f"{path}: d_model is {sizes[0]} and latent_size {sizes[1]}, expected them equal")
    return GenCastSettings(
        mesh_level=value(f"{architecture}:mesh_size"),
        width=value(f"{architecture}:latent_size"),
        layers=value(f"{transformer}:num_layers"),
        heads=value(f"{transformer}:num_heads"),
        hops=value(f"{transformer}:attention_k_hop"),
        feedforward=value(f"{transformer}:ffw_hidden"),
        hidden_layers=value(f"{architecture}:hidden_layers"),
        radius_fraction=value(f"{architecture}:radius_query_fraction_edge_length"),
        corner_length=corner_length(flat, architecture),
        frequencies=value("noise_encoder_config:num_frequencies"),
        base_period=value("noise_encoder_config:base_period"),
        encoder_sizes=integers(flat, "noise_encoder_config:output_sizes", path),
    )


def _sampler(flat: Flat, path: str | Path) -> DPMSolver2S:
    value = partial(setting, flat, path=path)
    return DPMSolver2S(
        max_noise=value("sampler_config:max_noise_level"),
        min_noise=value("sampler_config:min_noise_level"),
        levels=value("sampler_config:num_noise_levels"),
        rho=value("sampler_config:rho"),
        churn=value("sampler_config:stochastic_churn_rate"),
        churn_min=value("sampler_config:churn_min_noise_level"),
        churn_max=value("sampler_config:churn_max_noise_level"),
        inflation=value("sampler_config:noise_level_inflation_factor"),
    )


def _training_noise(flat: Flat, path: str | Path) -> TrainingNoise:
    value = partial(setting, flat, path=path)
    return TrainingNoise(
        max_noise=value("noise_config:training_max_noise_level"),
        min_noise=value("noise_config:training_min_noise_level"),
        rho=value("noise_config:training_noise_level_rho"),
    )
