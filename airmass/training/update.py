"""Training update: one compiled function from a state and examples to the next state and a report."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P
from jaxtyping import Bool, Float, Int, PyTree

from airmass.core.types import Array
from airmass.models.objectives.base import Example, Objective
from airmass.recipes.settings import OptimiserSettings, TrainingSettings
from airmass.training.adaptation import join
from airmass.training.optimiser import average_decay, optimiser
from airmass.training.rotation import rotated
from airmass.training.sharding import DATA, MEMBER, SPACE, example_axes


class TrainingState(NamedTuple):
    """State that an update changes. Examples and random keys follow from `update`, `offset` and the seed.

    `offset` counts examples skipped after spikes. `skipped` counts updates skipped because of a gradient that is not
    finite, `failed` those in a row up to now. `recent` is the sum of losses in the current window of the spike check;
    `usual` is its baseline, a running mean of the loss (0 before the first window).
    """

    trained: PyTree
    average: PyTree
    optimiser: PyTree
    update: Int[Array, ""]
    offset: Int[Array, ""]
    skipped: Int[Array, ""]
    failed: Int[Array, ""]
    recent: Float[Array, ""]
    usual: Float[Array, ""]

    @classmethod
    def start(cls, settings: OptimiserSettings, updates: tuple[int, ...], trained: PyTree) -> "TrainingState":
        transform = optimiser(settings, updates)
        zero, none = jnp.int32(0), jnp.float32(0)
        return cls(trained, trained, transform.init(trained), zero, zero, zero, zero, none, none)


class TrainingBatch(eqx.Module):
    """Examples of one update, with axes [example, part]: parts are processed in turn, their examples in parallel.

    `number` is the index of an example in the whole batch, on any device; its random keys follow from it.
    """

    examples: Example
    number: Int[Array, "example part"]


class UpdateReport(NamedTuple):
    """Numbers of one update: squared `errors` by step and channel, and the gradient's `norm` before clipping."""

    loss: Float[Array, ""]
    errors: Float[Array, "step target"]
    norm: Float[Array, ""]
    finite: Bool[Array, ""]


class Fixed(NamedTuple):
    """Constant inputs of an update: `model` (without its network), `held` (frozen) parameters, objective."""

    model: Any
    held: PyTree
    objective: Objective

    def specs(self) -> "Fixed":
        """Partition of each array, or tree of arrays, on the device mesh."""
        along, everywhere = P(self.model.space), P()
        objective = jax.tree.map(lambda _: everywhere, self.objective)
        objective = eqx.tree_at(lambda o: o.loss.weights.nodes, objective, along, is_leaf=lambda x: isinstance(x, P))
        return Fixed(replace(self.model.specs(), network=None), everywhere, objective)  # type: ignore[arg-type]


Update = Callable[[TrainingState, TrainingBatch, Fixed], tuple[TrainingState, UpdateReport]]


def make_update(
    settings: OptimiserSettings, training: TrainingSettings, members: int, columns: int, mesh: Mesh
) -> Update:
    """Make the update function for a loss of so many `members`, compiled once per rollout length and loss.

    `columns` is the number of longitudes of the grid, by which examples may be turned.
    The state's memory is reused for the next.
    """
    transform = optimiser(settings, training.updates)
    seed, axes, turned = training.seed, example_axes(members), columns if training.rotate else 0

    def update(state: TrainingState, batch: TrainingBatch, fixed: Fixed):
        key = jax.random.fold_in(jax.random.key(seed), state.update + state.offset)
        mean_loss = _loss_on(mesh, key, axes, turned)
        (loss, errors), gradient = _over_parts(mean_loss, state.trained, batch, fixed)
        norm = optax.tree.norm(gradient)
        finite = jnp.isfinite(norm) & jnp.isfinite(loss)
        change, optimiser_state = transform.update(gradient, state.optimiser, state.trained)
        trained = optax.apply_updates(state.trained, change)
        decay = average_decay(settings, state.update)
        average = jax.tree.map(lambda a, b: decay * a + (1 - decay) * b, state.average, trained)
        made, old = (trained, average, optimiser_state), (state.trained, state.average, state.optimiser)
        kept = jax.tree.map(lambda new, old: jnp.where(finite, new, old), made, old)
        bad = 1 - finite.astype(jnp.int32)
        after = state._replace(
            **dict(zip(("trained", "average", "optimiser"), kept, strict=True)),
            update=state.update + 1,
            skipped=state.skipped + bad,
            failed=(state.failed + 1) * bad,
            recent=state.recent + jnp.where(finite, loss, 0),
        )
        return after, UpdateReport(loss, errors, norm, finite)

    return jax.jit(update, donate_argnums=0)


def _over_parts(mean_loss, trained: PyTree, batch: TrainingBatch, fixed: Fixed):
    """Loss, errors and gradient as means over the parts of a batch."""
    grad = jax.value_and_grad(mean_loss, has_aux=True)
    parts = batch.number.shape[1]
    if parts == 1:
        return grad(trained, jax.tree.map(lambda leaf: leaf[:, 0], batch), fixed)

    def add(total, part):
        made = grad(trained, jax.tree.map(lambda leaf: leaf[:, part], batch), fixed)
        return jax.tree.map(lambda a, b: a + b / parts, total, made), None

    shapes = jax.eval_shape(grad, trained, jax.tree.map(lambda leaf: leaf[:, 0], batch), fixed)
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    return jax.lax.scan(add, zeros, jnp.arange(parts))[0]


def _loss_on(mesh: Mesh, key, axes: tuple[str, ...], columns: int):
    """Function for the mean loss of a part, on one device or on a mesh that has its examples along `axes`.

    Examples are turned by up to so many `columns`, 0 for not at all.
    """

    def mean_loss(trained: PyTree, part: TrainingBatch, fixed: Fixed):
        model = replace(fixed.model, network=join(trained, fixed.held))

        def one(example: Example, number):
            own, read = jax.random.fold_in(key, number), model
            if columns:
                own, turn_key = jax.random.split(own)
                read, example = rotated(model, example, columns, turn_key)
            return fixed.objective(read, example, own)

        if part.number.shape[0] == 1:  # on a CPU, batched gathers are much slower
            return one(*jax.tree.map(lambda leaf: leaf[0], (part.examples, part.number)))
        losses, errors = jax.vmap(one)(part.examples, part.number)
        return losses.mean(), errors.mean(axis=0)

    if mesh.size == 1:
        return mean_loss

    def over_mesh(trained: PyTree, part: TrainingBatch, fixed: Fixed):
        # Node weights are normalised over the whole grid, so the sum over its parts is the mean. Devices that share the
        # members of an example all have its loss.
        return jax.lax.pmean(jax.lax.psum(mean_loss(trained, part, fixed), SPACE), (DATA, MEMBER))

    nodes: Any = P(axes, None, SPACE)
    numbers: Any = P(axes)
    examples = TrainingBatch(Example(nodes, nodes, numbers), numbers)

    def sharded(trained: PyTree, part: TrainingBatch, fixed: Fixed):
        specs = P(), examples, fixed.specs()
        return jax.shard_map(over_mesh, mesh=mesh, in_specs=specs, out_specs=P(), check_vma=False)(trained, part, fixed)

    return sharded
