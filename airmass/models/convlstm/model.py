"""ConvLSTM (Shi et al. 2015, arXiv:1506.04214) as a forecast step: frames of history in, the change to the next out."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec
from jaxtyping import Float, PRNGKeyArray

from airmass.core.types import Array
from airmass.fields.channels import ChannelLayout
from airmass.fields.grid import LatLonGrid
from airmass.fields.normalise import Normaliser
from airmass.fields.task import Task
from airmass.models.convlstm.settings import ConvLSTMSettings
from airmass.models.nn.convolution import Convolution
from airmass.models.nn.mlp import Linear, in_precision, unit_variance
from airmass.models.state import State

# Sine of latitude, and cosine of latitude times sine and cosine of longitude: continuous everywhere.
POSITIONS = 3


class Cell(eqx.Module):
    """One recurrent layer: gates from convolutions over what comes in and what it last gave.

    Equation 3 of the paper without its peepholes, which would tie the parameters to one grid.
    """

    incoming: Convolution
    recurrent: Convolution
    bias: Float[Array, " gates"]

    def __init__(self, width: int, size: int, *, key: PRNGKeyArray):
        one, other = jax.random.split(key)
        self.incoming = Convolution(width, 4 * width, size, key=one)
        self.recurrent = Convolution(width, 4 * width, size, key=other)
        # Begins by remembering: the forget gate is open.
        self.bias = jnp.zeros(4 * width).at[width : 2 * width].set(1.0)

    def __call__(
        self, frames: Float[Array, "time row column width"], on_poles: bool
    ) -> Float[Array, "time row column width"]:
        """Outputs after each frame, the oldest first; the memory is float32 at every precision."""
        gates, memory = self.incoming(frames, on_poles) + self.bias, jnp.float32(0)
        found: list[Array] = []
        for number in range(len(frames)):
            now = gates[number]
            if number:  # before the first frame there is nothing to go back to
                now = now + self.recurrent(found[-1], on_poles)
            take, keep, give, new = jnp.split(now.astype(jnp.float32), 4, axis=-1)
            memory = jax.nn.sigmoid(keep) * memory + jax.nn.sigmoid(take) * jnp.tanh(new)
            found.append((jax.nn.sigmoid(give) * jnp.tanh(memory)).astype(frames.dtype))
        return jnp.stack(found)


class ConvLSTMNetwork(eqx.Module):
    """Frames in, scaled outputs out. Every leaf is a parameter; those of `cells` are stacked over layers."""

    embed: Linear
    encoder: Convolution
    cells: Cell
    decoder: Convolution
    output: Linear

    def __init__(self, settings: ConvLSTMSettings, channels: int, outputs: int, *, key: PRNGKeyArray):
        embed_key, encoder_key, cells_key, decoder_key, output_key = jax.random.split(key, 5)
        width, size = settings.width, settings.kernel
        self.embed = Linear(channels + POSITIONS, width, key=embed_key)
        self.encoder = Convolution(width, width, size, key=encoder_key)
        cell_keys = jax.random.split(cells_key, settings.layers)
        self.cells = eqx.filter_vmap(lambda k: Cell(width, size, key=k))(cell_keys)
        self.decoder = Convolution(2 * width, width, size, key=decoder_key)
        self.output = Linear(width, outputs, key=output_key)

    def __call__(
        self, frames: Float[Array, "time row column channel"], on_poles: bool
    ) -> Float[Array, "row column output"]:
        """Reads frames oldest first, from nothing remembered. Each layer adds to what it is given."""
        x = jax.nn.swish(self.embed(frames))
        encoded = last = unit_variance(x + self.encoder(x, on_poles))
        for layer in range(len(self.cells.bias)):
            cell = jax.tree.map(lambda leaf, n=layer: leaf[n], self.cells)
            last = last + cell(last, on_poles)
        x = jnp.concatenate([encoded[-1], unit_variance(last[-1])], axis=-1)
        return self.output(jax.nn.swish(self.decoder(x, on_poles)))


class ConvLSTM(eqx.Module):
    """The forecast step. Only `network` is trained."""

    network: ConvLSTMNetwork
    positions: Float[Array, "node position"]
    normaliser: Normaliser
    static: Float[Array, "node static"]
    shape: tuple[int, int] = eqx.field(static=True)
    on_poles: bool = eqx.field(static=True)
    step_hours: int = eqx.field(static=True)
    precision: str = eqx.field(static=True, default="float32")

    @property
    def space(self) -> None:
        """No devices share a grid."""

    def ready(self, inference: bool = False) -> "ConvLSTM":
        """The same model with its network in `precision`; scaling, memory and states stay float32."""
        return dataclasses.replace(self, network=in_precision(self.network, self.precision))

    def specs(self) -> "ConvLSTM":
        """Every array is whole on every device."""
        whole: dict[str, Any] = dict.fromkeys(("network", "positions", "normaliser", "static"), PartitionSpec())
        return dataclasses.replace(self, **whole)

    def step(
        self, state: State, forcing: Float[Array, "window node forcing"], *, key: PRNGKeyArray | None = None
    ) -> tuple[State, Float[Array, "node target"]]:
        """One step ahead: the next state and the physical frame of all targets.

        `forcing` holds the frames at the history's times and at the target time.
        """
        frame = self.normaliser.restore(self.predict(state, forcing), state.history[-1])
        return self.advance(state, frame), frame

    def predict(self, state: State, forcing: Float[Array, "window node forcing"]) -> Float[Array, "node target"]:
        """The network's output in the scaled space in which losses compare."""
        times = zip(state.history, forcing[:-1], strict=True)
        frames = jnp.stack([self._inputs(frame, now, forcing[-1]) for frame, now in times])
        gridded = frames.reshape(len(frames), *self.shape, -1).astype(self.network.embed.weight.dtype)
        return self.network(gridded, self.on_poles).astype(jnp.float32).reshape(len(self.static), -1)

    def advance(self, state: State, frame: Float[Array, "node target"]) -> State:
        """The state with `frame` as its newest."""
        return state.advanced(self.normaliser.prognostic(frame), self.step_hours)

    def _inputs(self, frame, now, target_time) -> Float[Array, "node channel"]:
        """Fields read with one frame: forcings of its own time and of the target's, static fields, position."""
        scaled = self.normaliser.inputs(frame[None], jnp.stack([now, target_time]), self.static)
        return jnp.concatenate([scaled, self.positions], axis=-1)


def convlstm(
    network: ConvLSTMNetwork,
    grid: LatLonGrid,
    normaliser: Normaliser,
    static: Float[np.ndarray, "node static"],
    step_hours: int,
    precision: str = "float32",
) -> ConvLSTM:
    """A ConvLSTM on `grid`; every leaf is an array of JAX."""
    latitude, longitude = np.deg2rad(grid.nodes)
    flat = np.cos(latitude)
    positions = np.stack([np.sin(latitude), flat * np.sin(longitude), flat * np.cos(longitude)], axis=-1)
    on_poles = bool(grid.latitude[-1] > 90 - 1e-3)
    made = ConvLSTM(
        network, positions.astype(np.float32), normaliser, static, grid.shape, on_poles, step_hours, precision
    )
    return jax.tree.map(jnp.asarray, made)


def network_sizes(task: Task) -> tuple[int, int]:
    """Channels that one frame is read with (without position) and outputs of a network for `task`."""
    prognostic, static = (len(ChannelLayout.of(names, task.levels)) for names in (task.prognostic, task.static))
    return prognostic + 2 * len(task.forcing) + static, len(ChannelLayout.of(task.targets, task.levels))
