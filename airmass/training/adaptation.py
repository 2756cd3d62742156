"""Trained parameters: all, all but frozen ones, or low-rank updates of frozen matrices (LoRA)."""

from typing import TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float, PRNGKeyArray, PyTree

from airmass.core.errors import InputError
from airmass.core.parameter_paths import is_matrix, matches, path_name, require_known
from airmass.core.types import Array
from airmass.recipes.settings import AdaptationSettings


class LowRank(eqx.Module):
    """Low-rank update of a frozen matrix (one per step for stacked matrices); zero at first."""

    down: Float[Array, "*step in rank"]
    up: Float[Array, "*step rank out"]
    scale: float = eqx.field(static=True)

    def __init__(self, matrix: Float[Array, "*step in out"], rank: int, scale: float, *, key: PRNGKeyArray):
        *steps, size_in, size_out = matrix.shape
        rank = min(rank, size_in, size_out)
        self.down = jax.random.normal(key, (*steps, size_in, rank), matrix.dtype) / jnp.sqrt(jnp.float32(size_in))
        self.up = jnp.zeros((*steps, rank, size_out), matrix.dtype)
        self.scale = scale

    def added(self) -> Float[Array, "*step in out"]:
        return self.scale * self.down @ self.up


_Network = TypeVar("_Network")


def require_matches(network: PyTree, settings: AdaptationSettings) -> None:
    """Raise InputError for a pattern that matches no parameter (no matrix, for `lora`) and if all are frozen.

    `network` may be a tree of shapes.
    """
    names = [path_name(path) for path, _ in jax.tree_util.tree_flatten_with_path(network)[0]]
    matrices = [name for name in names if is_matrix(name)]
    require_known(settings.freeze, names, "freeze")
    require_known(settings.lora, matrices, "lora")
    if not any(matches(name, settings.lora) for name in matrices) and all(matches(n, settings.freeze) for n in names):
        raise InputError(f"freeze: {' '.join(settings.freeze)} leaves nothing to train")


def split(network: _Network, settings: AdaptationSettings, key: PRNGKeyArray) -> tuple[PyTree, PyTree]:
    """Split a network into `trained` and `frozen`: trees like `network`, with None where a leaf is in the other.

    `trained` has a `LowRank` in place of an adapted matrix. With default settings it is `network` itself. Raises
    InputError as `require_matches` does.
    """
    require_matches(network, settings)
    leaves, tree = jax.tree_util.tree_flatten_with_path(network)
    names = [path_name(path) for path, _ in leaves]
    trained: list[PyTree] = []
    frozen: list[PyTree] = []
    for number, (name, (_, leaf)) in enumerate(zip(names, leaves, strict=True)):
        change: PyTree = leaf
        if is_matrix(name) and matches(name, settings.lora):
            change = LowRank(leaf, settings.rank, settings.scale, key=jax.random.fold_in(key, number))
        elif matches(name, settings.freeze):
            change = None
        trained.append(change)
        frozen.append(None if change is leaf else leaf)
    return jax.tree.unflatten(tree, trained), jax.tree.unflatten(tree, frozen)


def join(trained: PyTree, frozen: PyTree) -> PyTree:
    """Join both into the whole network, differentiable with respect to `trained`."""

    def whole(change, base):
        if isinstance(change, LowRank):
            return base + change.added()
        return base if change is None else change

    return jax.tree.map(whole, trained, frozen, is_leaf=lambda x: x is None or isinstance(x, LowRank))
