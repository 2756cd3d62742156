"""Initial states: spun-up states shipped with the package, adapted to any start date, seed and resolution.

The file has the spectral coefficients of a T31 run with 8 layers, one state for the first of each month, so that a run
starts in the right season after a few days of adjustment instead of months of spin-up. Recreate it, in about six
minutes on two cores, with

    python -m airmass.data.simulate.restart NEW.npz
"""

from collections.abc import Callable
from importlib import resources
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from dinosaur.primitive_equations import State as Dynamics
from jaxtyping import Float

from airmass.core.files import new_output, write_arrays
from airmass.data.simulate.climate import MEAN_SURFACE_PRESSURE, Climate, ClimateState
from airmass.data.simulate.settings import FRAMES_PER_DAY, SimulateSettings

_FILE = resources.files("airmass") / "data/simulate/restart_t31l8.npz"
_ARCHIVED = SimulateSettings(days=1, truncation=31, layers=8)
_SIX_HOURS = np.timedelta64(6, "h")

# Days from the archived state to the first frame. Gravity waves decay within a day or two, and perturbations of the
# size below start to grow. Other numbers of layers need longer, since their stratosphere is extrapolated.
_ADJUSTMENT_DAYS = 10
_ADJUSTMENT_DAYS_OTHER_LAYERS = 30
# Relative size of the random change of each wave.
_PERTURBATION = 0.3

Coefficients = dict[str, Float[np.ndarray, "layer order degree"]]


def first_state(climate: Climate, settings: SimulateSettings, progress: Callable[[int, int], None]) -> ClimateState:
    """The state at the first frame of a run: archived, perturbed with the seed, adjusted, with the right mass.

    Calls `progress` with the days of adjustment done and to do.
    """
    days = _ADJUSTMENT_DAYS if settings.layers == _ARCHIVED.layers else _ADJUSTMENT_DAYS_OTHER_LAYERS
    time = np.datetime64(settings.start, "h") - np.timedelta64(days, "D")
    coefficients = perturb(archived(time), settings.seed)
    state = climate.new_state(with_mean_surface_pressure(climate, to_dynamics(climate, coefficients)))
    for frame in range(days * FRAMES_PER_DAY):
        state, _ = climate.six_hours(state, time + frame * _SIX_HOURS)
        progress((frame + 1) // FRAMES_PER_DAY, days)
    return state._replace(dynamics=with_mean_surface_pressure(climate, state.dynamics))


def archived(time: np.datetime64) -> Coefficients:
    """The archived state nearest in the year, by name: full temperature in K, other fields as in the dynamical core."""
    with _FILE.open("rb") as file, np.load(file) as archive:
        day = (time.astype("datetime64[D]") - time.astype("datetime64[Y]")).astype(int)
        away = np.abs(archive["day_of_year"] - day)
        nearest = int(np.argmin(np.minimum(away, 365 - away)))
        return {name: archive[name][nearest] for name in archive.files if name != "day_of_year"}


def perturb(coefficients: Coefficients, seed: int) -> Coefficients:
    """Coefficients with every wave times a random factor, the same in all variables and layers; zonal means are kept.

    A common factor keeps wind and pressure near balance, which independent noise for each variable would not.
    """
    shape = coefficients["vorticity"].shape[1:]
    factor = 1 + _PERTURBATION * np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    factor[0] = 1
    return {name: values * factor for name, values in coefficients.items()}


def to_dynamics(climate: Climate, coefficients: Coefficients) -> Dynamics:
    """The dynamical core's state, interpolated in sigma to its layers, truncated or padded to its truncation."""
    coords = climate.model.coords
    layers = _to_layers(coords.vertical.centers)
    fields = {}
    for name, values in coefficients.items():
        values = values if name == "log_surface_pressure" else np.einsum("ks,smn->kmn", layers, values)
        fields[name] = _to_truncation(values, coords.horizontal.modal_shape)
    reference = climate.model.dycore.primitive.reference_temperature
    fields["temperature"][:, 0, 0] -= np.asarray(reference) * _constant_one(climate)
    on_device = {name: jnp.asarray(values, jnp.float32) for name, values in fields.items()}
    return Dynamics(
        vorticity=on_device["vorticity"],
        divergence=on_device["divergence"],
        temperature_variation=on_device["temperature"],
        log_surface_pressure=on_device["log_surface_pressure"],
        tracers={"specific_humidity": on_device["specific_humidity"]},
        sim_time=jnp.float32(0),
    )


def to_coefficients(climate: Climate, dynamics: Dynamics) -> Coefficients:
    """The inverse of `to_dynamics`, without interpolation."""
    temperature = np.array(dynamics.temperature_variation)
    temperature[:, 0, 0] += np.asarray(climate.model.dycore.primitive.reference_temperature) * _constant_one(climate)
    return {
        "vorticity": np.array(dynamics.vorticity),
        "divergence": np.array(dynamics.divergence),
        "temperature": temperature,
        "specific_humidity": np.array(dynamics.tracers["specific_humidity"]),
        "log_surface_pressure": np.array(dynamics.log_surface_pressure),
    }


def with_mean_surface_pressure(climate: Climate, dynamics: Dynamics, mean: float = MEAN_SURFACE_PRESSURE) -> Dynamics:
    """The state with surface pressure scaled to the global mean `mean` in Pa.

    Without this, the model's mass is that of a flat earth at more than 1000 hPa. Its dynamical core conserves the mean
    of the logarithm of surface pressure, so the mass set here is kept.
    """
    from jcm import constants

    horizontal = climate.model.coords.horizontal
    pressure = constants.p0 * np.exp(np.asarray(horizontal.to_nodal(dynamics.log_surface_pressure), np.float64))
    _, weights = np.polynomial.legendre.leggauss(horizontal.nodal_shape[1])
    found = (pressure[0].mean(axis=0) * weights).sum() / weights.sum()
    change = np.float32(np.log(mean / found) * _constant_one(climate))
    return dynamics.replace(log_surface_pressure=dynamics.log_surface_pressure.at[0, 0, 0].add(change))


def make(path: str | Path, spin_up_days: int = 180) -> None:
    """Spin up from rest and write the states of the first of each month of the following year."""
    climate = Climate.build(_ARCHIVED)
    state = climate.new_state(with_mean_surface_pressure(climate, climate.model.initial_state()))
    start = np.datetime64("2001-01-01", "h")
    found: dict[int, Coefficients] = {}
    for day in range(-spin_up_days, 365):
        time = start + np.timedelta64(day, "D")
        if day >= 0 and time.astype("datetime64[D]") == time.astype("datetime64[M]"):
            found[day] = to_coefficients(climate, with_mean_surface_pressure(climate, state.dynamics))
        for frame in range(FRAMES_PER_DAY):
            state, _ = climate.six_hours(state, time + frame * _SIX_HOURS)
    names = next(iter(found.values()))
    arrays = {name: np.stack([month[name] for month in found.values()]) for name in names}
    with new_output(path, replace=True) as aside:
        write_arrays(aside, arrays | {"day_of_year": np.asarray(list(found))}, compress=True)


def _constant_one(climate: Climate) -> float:
    """The coefficient of order and degree 0 of a field that is 1 everywhere."""
    horizontal = climate.model.coords.horizontal
    return float(horizontal.to_modal(jnp.ones(horizontal.nodal_shape))[0, 0])


def _to_layers(centers: Float[np.ndarray, " layer"]) -> Float[np.ndarray, "layer archived_layer"]:
    """Weights of linear interpolation in sigma from the archived layers, constant beyond the outermost."""
    from jcm.physics.speedy.speedy_coords import get_speedy_coords

    source = get_speedy_coords(layers=_ARCHIVED.layers, spectral_truncation=_ARCHIVED.truncation).vertical.centers
    columns = [np.interp(centers, source, row) for row in np.eye(len(source))]
    return np.stack(columns, axis=1)


def _to_truncation(values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Coefficients (layer, order, degree), orders 0, 1, -1, 2, ..., truncated or padded with zeros."""
    orders, degrees = (min(a, b) for a, b in zip(values.shape[1:], shape, strict=True))
    result = np.zeros((len(values), *shape), values.dtype)
    result[:, :orders, :degrees] = values[:, :orders, :degrees]
    return result


if __name__ == "__main__":
    import sys

    make(sys.argv[1])
