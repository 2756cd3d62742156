"""The loss of an ensemble: the score of a few members over a rollout, each with its own noise."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from airmass.core.types import Array
from airmass.models.members import MemberModel
from airmass.models.objectives.base import Example, Reported
from airmass.models.objectives.losses.base import WeightedLoss
from airmass.models.rollout import rollout, sliding_windows
from airmass.models.state import State


class MembersObjective(eqx.Module):
    """The mean loss over a rollout of `members`, each from its own frames, with gradients through all of it.

    Devices along `axis` share the members of an example; None for one device. A single member has no noise: it is a
    deterministic forecast, from which an ensemble may start.
    """

    loss: WeightedLoss
    history: int = eqx.field(static=True)
    members: int = eqx.field(static=True, default=2)
    recompute: bool = eqx.field(static=True, default=True)
    axis: str | None = eqx.field(static=True, default=None)

    def __call__(
        self, model: MemberModel, example: Example, key: PRNGKeyArray
    ) -> tuple[Float[Array, ""], Float[Array, "step target"]]:
        noise = self.noise(model, key, len(example.frames) - self.history)
        return members_loss(model, self.loss, example, self.history, noise, self.recompute, self.axis)

    def noise(self, model: MemberModel, key: PRNGKeyArray, steps: int) -> Float[Array, "step member noise"]:
        """The noise of every step and member."""
        shape = steps, self.members, model.noise_channels
        return jax.random.normal(key, shape) if self.members > 1 else jnp.zeros(shape)

    def reported(self, terms: Float[np.ndarray, "step target"], scale: Float[np.ndarray, " target"]) -> Reported:
        return Reported(self.loss.kind.reports, self.loss.kind.unit, self.loss.kind.reported(terms, scale))


def members_loss(
    model: MemberModel,
    loss: WeightedLoss,
    example: Example,
    history: int,
    noise: Float[Array, "step member noise"],
    recompute: bool = True,
    axis: str | None = None,
) -> tuple[Float[Array, ""], Float[Array, "step target"]]:
    """Mean over steps of the loss of each step, and its terms by step and channel.

    Members go on from their own frames, so the changes that lead to the one target differ. They are compared as states:
    each member's change is moved by how far its target lies from the mean of all members' targets, and that mean is the
    target. Missing values of prognostic fields are filled before anything else, and filled points count.

    With an `axis`, each device along it computes its share of the members and scores all of them.
    """
    noise = _of_this_device(noise, axis)
    model = model.ready()
    start = model.normaliser.prognostic(example.frames[:history])
    members = noise.shape[1]
    states = State(
        jnp.broadcast_to(start, (members, *start.shape)),
        jnp.broadcast_to(jnp.asarray(example.valid_time), (members,)),
    )

    def step(states, entry, *, key):
        window, frame, of_members = entry
        newest = model.filled(model.normaliser.prognostic(frame))
        filled = model.normaliser.with_prognostic(frame, newest)

        def member(state, noise):
            inputs = model.prepare(state, window)
            output = model.predict(inputs, noise)
            reached = model.advance(state, model.restore(inputs, output))
            return reached, output, model.target(inputs, filled)

        reached, outputs, targets = jax.vmap(member)(states, of_members)
        outputs, targets = (_of_all_devices(fields, axis) for fields in (outputs, targets))
        mean = targets.mean(axis=0)
        return reached, loss(outputs - (targets - mean), mean)

    entries = sliding_windows(example.forcings, history), example.frames[history:], noise
    _, (losses, terms) = rollout(step, states, entries, key=jax.random.key(0), recompute=recompute)
    return losses.mean(), terms


def _of_this_device(noise: Float[Array, "step member noise"], axis: str | None) -> Float[Array, "step member noise"]:
    """The noise of the members that this device along `axis` computes."""
    if axis is None:
        return noise
    each = noise.shape[1] // jax.lax.axis_size(axis)
    return jax.lax.dynamic_slice_in_dim(noise, jax.lax.axis_index(axis) * each, each, axis=1)


def _of_all_devices(fields: Float[Array, "member node target"], axis: str | None) -> Float[Array, "member node target"]:
    """The fields of all members, those of every device along `axis` in their order."""
    return fields if axis is None else jax.lax.all_gather(fields, axis, tiled=True)
