"""The circulation model, in steps of six hours: from a state to the next one, with the fields at the start.

The model is jcm 3: the spectral dynamical core of dinosaur under the physics of SPEEDY (Molteni 2003,
doi:10.1007/s00382-002-0268-2), over real orography and a daily climatology of sea surface temperature, sea ice, snow
and soil. Insolation is a daily mean, so there is no diurnal cycle.

One term is added: the stratosphere is relaxed to 215 K with a time scale of 15 days. Without it the top layer cools in
the polar night until 25 hPa is at 116 K in September, 75 K colder than observed.
"""

import warnings
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import jax_datetime as jdt
import numpy as np
from jaxtyping import Float
from jcm import constants
from jcm.date import DateData
from jcm.dycore.dinosaur.dycore import DinosaurDycore
from jcm.forcing import ForcingData
from jcm.model import Model
from jcm.physics.dissipation.upper_temperature_relaxation import UpperTemperatureRelaxation
from jcm.physics.speedy.speedy_coords import get_speedy_coords
from jcm.physics.speedy.speedy_terms import speedy_physics
from jcm.physics_interface import compute_physics_step_gridpoint
from jcm.terrain import TerrainData

from airmass.data.simulate.fields import Column, Regrid, ToPressure
from airmass.data.simulate.settings import FRAME_MINUTES, LEVELS, SimulateSettings

# Mean over the globe in Pa (Trenberth and Smith 2005, doi:10.1175/JCLI-3299.1).
MEAN_SURFACE_PRESSURE = 98550.0
_WATER = 1000.0  # kg m-3
_FREEZING = 271.4  # K, of sea water, as in SPEEDY
_EPOCH = np.datetime64("1970-01-01", "s")

# A lower optimisation level of XLA: a third less compile time at the same speed (measured on two cores).
_COMPILER_OPTIONS = {"xla_backend_optimization_level": 1}


class ClimateState(NamedTuple):
    """The state that a run is continued from: dynamical core, physics, and precipitation of the last six hours.

    `precipitation` is in metres of water on the model's grid (lon, lat).
    """

    dynamics: Any
    physics: Any
    precipitation: Float[jax.Array, "lon lat"]


def _mild_polar_night(coords) -> UpperTemperatureRelaxation:
    centers = np.asarray(coords.vertical.centers)
    stratosphere = max(1, int((centers < 0.05).sum()))
    return UpperTemperatureRelaxation(
        np.full(len(centers), 215.0), n_levels=stratosphere, timescale_s=15 * 86400, ramp=1.0
    )


@dataclass(frozen=True, eq=False)
class Climate:
    """The circulation model, ready to step. The first step compiles for about twenty seconds."""

    model: Model
    steps_per_frame: int
    forcing: ForcingData
    regrid: Regrid
    surface_geopotential: Float[np.ndarray, "lon lat"]
    """Surface geopotential of the dynamical core in m2 s-2: smoother than that of the physics."""
    static: dict[str, Float[np.ndarray, "latitude longitude"]]
    """Surface geopotential and land fraction on the output grid."""

    @classmethod
    def build(cls, settings: SimulateSettings) -> "Climate":
        boundary = resources.files("jcm") / "data/bc/t30/clim"
        coords = get_speedy_coords(layers=settings.layers, spectral_truncation=settings.truncation)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # jcm's own use of xarray.merge
            terrain = TerrainData.from_file(str(boundary / "terrain.nc"), coords)
            forcing = ForcingData.from_file(str(boundary / "forcing.nc"), coords=coords, align_mode="wrap_year")
        dycore = DinosaurDycore(coords, terrain, 60.0 * settings.time_step_minutes, compute_omega=True)
        model = Model(dycore, physics=speedy_physics(checkpoint_terms=False) + _mild_polar_night(coords))
        regrid = Regrid(coords.horizontal.nodal_shape, (settings.longitudes, settings.latitudes))
        # Computed here and not inside the compiled step, so that new and continued runs compile the same program.
        mountains = constants.grav * coords.horizontal.to_nodal(dycore.primitive.orography)
        static = {
            "geopotential_at_surface": np.asarray(regrid(mountains), np.float32),
            "land_sea_mask": np.asarray(jnp.clip(regrid(terrain.fmask), 0, 1), np.float32),
        }
        return cls(model, settings.steps_per_frame, forcing, regrid, np.asarray(mountains), static)

    def new_state(self, dynamics: Any) -> ClimateState:
        """A state of the dynamical core with initial physics and no precipitation."""
        nothing = jnp.zeros(self.model.coords.horizontal.nodal_shape)
        return ClimateState(dynamics, jax.jit(self.model.initial_physics_carry)(), nothing)

    def six_hours(self, state: ClimateState, time: np.datetime64) -> tuple[ClimateState, dict[str, jax.Array]]:
        """The state six hours after `time` and the fields at `time`, on pressure levels and the output grid.

        Precipitation is that of the six hours before `time`; all other fields are instantaneous.
        """
        days, seconds = divmod(int((time.astype("datetime64[s]") - _EPOCH).astype(int)), 86400)
        start = jdt.Datetime(jdt.Timedelta(days=jnp.int32(days), seconds=jnp.int32(seconds)))
        return self._compiled(state, start, self.forcing)

    @cached_property
    def _compiled(self):
        return jax.jit(self._six_hours, compiler_options=_COMPILER_OPTIONS)

    def _six_hours(self, state: ClimateState, time: jdt.Datetime, forcing: ForcingData):
        seconds = 60 * FRAME_MINUTES // self.steps_per_frame

        def step(carry, _):
            state, time = carry
            date = DateData(time, jnp.int32(0), seconds)
            state, seen = self._step(state, forcing.select(date), seconds)
            return (state, time + jdt.Timedelta(seconds=jnp.int32(seconds))), seen

        begin = state._replace(precipitation=jnp.zeros_like(state.precipitation))
        (after, _), seen = jax.lax.scan(step, (begin, time), length=self.steps_per_frame)
        grid, air_temperature, u_wind, v_wind = jax.tree.map(lambda x: x[0], seen)
        sea = forcing.select(DateData(time, jnp.int32(0), seconds)).sea_surface_temperature
        return after, self._fields(state, grid, air_temperature, u_wind, v_wind, sea)

    def _step(self, state: ClimateState, forcing: ForcingData, seconds: int):
        """One time step; returns the new state, and the gridded state, near-surface air and wind at its start."""
        grid = self.model.dycore.to_physics_state(state.dynamics)
        tendency, physics = compute_physics_step_gridpoint(
            grid, forcing, self.model.terrain, state.physics, physics=self.model.physics, time_step=seconds
        )
        # Convective and large-scale precipitation, in kg m-2 s-1, constant over the step: the sum over steps is exact.
        rain = physics["surface_exchange"].precipitation * seconds / _WATER
        surface = physics["_surface_flux"]
        after = ClimateState(self.model.dycore.step(state.dynamics, tendency), physics, state.precipitation + rain)
        return after, (grid, surface.t0, surface.u0, surface.v0)

    def _fields(self, state: ClimateState, grid, air_temperature, u_wind, v_wind, sea) -> dict[str, jax.Array]:
        """Output fields by name, (level, latitude, longitude) or (latitude, longitude)."""
        humidity = jnp.maximum(grid.specific_humidity, 0)
        surface_pressure = grid.normalized_surface_pressure * constants.p0
        sigma = jnp.asarray(self.model.coords.vertical.centers)[:, None, None]
        column = Column(
            jnp.log(sigma * surface_pressure),
            grid.temperature,
            grid.temperature * (1 + constants.vtmpc1 * humidity),
            grid.geopotential,
            surface_pressure,
            jnp.asarray(self.surface_geopotential),
        )
        pressure = ToPressure(LEVELS, column, constants.grav, constants.rd)
        omega = self.model.dycore.physics_fields(state.dynamics, grid)["omega"]
        fields = {
            "geopotential": pressure.geopotential(),
            "temperature": pressure.temperature(),
            "u_component_of_wind": pressure.linear(grid.u_wind),
            "v_component_of_wind": pressure.linear(grid.v_wind),
            "vertical_velocity": pressure.linear(omega),
            "specific_humidity": jnp.maximum(pressure.linear(humidity), 0),
            "2m_temperature": air_temperature,
            "10m_u_component_of_wind": u_wind,
            "10m_v_component_of_wind": v_wind,
            "mean_sea_level_pressure": pressure.mean_sea_level_pressure(),
            "surface_pressure": surface_pressure,
            "total_precipitation_6hr": state.precipitation,
        }
        regridded = {name: self.regrid(field) for name, field in fields.items()}
        # Over sea ice the climatology has the temperature of the ice; the water under it is at its freezing point.
        water = jnp.maximum(sea, _FREEZING)
        sea_surface = self.regrid.weighted(water, 1 - self.model.terrain.fmask)
        regridded["sea_surface_temperature"] = jnp.where(self.static["land_sea_mask"] > 0.5, jnp.nan, sea_surface)
        return {name: field.astype(jnp.float32) for name, field in regridded.items()}
