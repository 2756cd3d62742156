"""Ensembles by diffusion: each member's next frame is sampled given its last two."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from airmass.core.types import Array
from airmass.diffusion.correlated_noise import correlated_coefficients, draw_key
from airmass.diffusion.noise_levels import require_degrees
from airmass.diffusion.samplers.base import Sampler
from airmass.diffusion.sphere import SphereNoise
from airmass.fields.forcing import Stored, forcing_windows
from airmass.fields.grid import LatLonGrid
from airmass.fields.task import Task
from airmass.models.gencast.model import DenoiserPrecomputed, GenCast, PreparedFrame
from airmass.models.runner import NOTHING_WRITTEN, History, Written, member_key, whole_hours
from airmass.models.state import State

# A member's draw of some number for one frame, from the noise of the device that it is on.
DrawOn = Callable[[SphereNoise | Array, int], Float[Array, "node target"]]


class GenCastRunner:
    """Samples members, a few at a time side by side so that they share what the noise level alone decides.

    Every member is computed by the same compiled functions and draws from keys made of seed, initial time, its own
    number and the frame's, so it does not depend on which others are asked for, nor on the number of devices: members
    are dealt out to devices in turn. With `noise`, that field replaces every draw. Raises InputError where the noise
    should last in harmonics that the grid does not have.
    """

    def __init__(
        self,
        model: GenCast,
        task: Task,
        grid: LatLonGrid,
        sampler: Sampler,
        seed: int,
        noise: Float[np.ndarray, "node target"] | None = None,
        together: int = 4,
        stored: Stored | None = None,
    ):
        require_degrees(sampler, len(grid.longitude) // 2)
        together = 1 if sampler.whole_array else together
        self._task, self._grid, self._stored = task, grid, stored
        self._sampler, self._seed, self._together = sampler, seed, together
        model = _ready(model)
        white = SphereNoise.build(grid.latitude, grid.longitude) if noise is None else jnp.asarray(noise)
        self._devices = jax.local_devices()
        self._held = [jax.device_put((model, white), device) for device in self._devices]

    @property
    def group_size(self) -> int:
        """Members that go side by side on all devices."""
        return self._together * len(self._devices)

    def frames(
        self,
        history: Float[np.ndarray, "time node prognostic"],
        init: np.datetime64,
        members: Sequence[int],
        made: Written = NOTHING_WRITTEN,
    ) -> Iterator[Iterator[Float[Array, "node target"]]]:
        """For each lead time after those `made`, without end, the frame of each of `members` in their order."""
        return self.trajectories(made.histories([history] * len(members)), init, members, made.count)

    def trajectories(
        self, histories: Sequence[History], init: np.datetime64, members: Sequence[int], count: int
    ) -> Iterator[Iterator[Float[Array, "node target"]]]:
        """The same after the first `count` lead times, each member from a history of its own."""
        keys = [member_key(self._seed, init, member) for member in members]
        places = [place % len(self._devices) for place in range(len(members))]
        hours = np.array(whole_hours(init) + count * self._task.step, np.int32)
        # Not put on a device yet: a state that has been computed lives where its member does.
        states = [State(last, hours) for last in histories]
        windows = islice(forcing_windows(self._task, self._grid, init, self._stored), count, None)
        for number, window in enumerate(windows, count):
            yield self._advance(states, window, [partial(self._draw, key, number) for key in keys], places)

    def _advance(self, states: list[State], window, draws: list[DrawOn], places: list[int]):
        """The next frame of every member, in order, moving `states` on."""
        waves = [
            self._in_groups(place, [m for m, at in enumerate(places) if at == place], states, window, draws)
            for place in sorted(set(places))
        ]
        if len(waves) == 1:  # handed on as they come, so that only one group is in memory
            yield from (frame for _, frame in waves[0])
            return
        held: dict[int, Array] = {}
        with ThreadPoolExecutor(len(waves)) as pool:  # a device's sampler waits for that device only
            for done in [pool.submit(list, wave) for wave in waves]:
                held |= dict(done.result())
        yield from (held[member] for member in range(len(states)))

    def _in_groups(self, place: int, mine: list[int], states, window, draws) -> Iterator[tuple[int, Array]]:
        remaining = iter(mine)
        while group := list(islice(remaining, self._together)):
            with jax.default_device(self._devices[place]):
                sampled = self._sample(place, [states[m] for m in group], window, [draws[m] for m in group])
            for member, (state, frame) in zip(group, sampled, strict=True):
                states[member] = state
                yield member, frame

    def _sample(self, place: int, states: list[State], window, draws: list[DrawOn]):
        model, white = self._held[place]
        frames = [_prepare(model, state, window) for state in states]

        def denoiser(x, sigma):
            precomputed = _precomputed(model, sigma)
            return jnp.stack(
                [_denoise(model, frame, one, sigma, precomputed) for frame, one in zip(frames, x, strict=True)]
            )

        def draw(number):
            return jnp.stack([one(white, number) for one in draws])

        scaled = self._sampler.sample(denoiser, draw)
        return [_finish(model, state, frame, one) for state, frame, one in zip(states, frames, scaled, strict=True)]

    def _draw(
        self, member: PRNGKeyArray, frame: int, white: SphereNoise | Array, number: int
    ) -> Float[Array, "node target"]:
        """Noise of unit variance: the draw of this number for a member's frame."""
        if not isinstance(white, SphereNoise):
            return white
        channels, sampler = self._held[0][0].normaliser.target_scale.shape[0], self._sampler
        large = None
        if sampler.memory:
            large = correlated_coefficients(member, frame, number, sampler.memory, sampler.memory_degrees, channels)
        return white.draw(draw_key(member, frame, number), channels, large)


# Compiled once for all models of a kind and size: while training, one is made of the newest parameters now and again.
_ready = jax.jit(lambda model: model.ready(inference=True))


@jax.jit
def _prepare(model: GenCast, state: State, window: Float[Array, "window node forcing"]) -> PreparedFrame:
    return model.prepare(state, window)


@jax.jit
def _precomputed(model: GenCast, sigma: Float[Array, ""]) -> DenoiserPrecomputed:
    return model.precomputed(sigma)


@jax.jit
def _denoise(
    model: GenCast,
    frame: PreparedFrame,
    x: Float[Array, "node target"],
    sigma: Float[Array, ""],
    precomputed: DenoiserPrecomputed,
):
    return model.denoise(frame, x, sigma, precomputed)


@jax.jit
def _finish(model: GenCast, state: State, frame: PreparedFrame, scaled: Float[Array, "node target"]):
    physical = model.restore(frame, scaled)
    return model.advance(state, physical), physical
