"""Networks and what surrounds them, put together on a grid."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from airmass.fields.grid import LatLonGrid
from airmass.fields.innovation import Calibration, Innovation
from airmass.fields.normalise import Normaliser
from airmass.fields.task import Task
from airmass.models.family import family_of
from airmass.models.gencast.model import DenoiserNetwork, GenCast
from airmass.models.gencast.settings import GenCastSettings
from airmass.models.graphcast.model import GraphCast, Network
from airmass.models.graphcast.settings import GraphCastSettings
from airmass.models.mesh.graph import build_graphs
from airmass.models.mesh.icosphere import icosphere
from airmass.models.mesh.neighbours import Neighbours
from airmass.models.mesh.tiles import Tiles
from airmass.models.nn.attention_choice import Attend, Choice, choose

ModelSettings = GraphCastSettings | GenCastSettings


def new_network(task: Task, settings: ModelSettings, key: jax.Array) -> Network | DenoiserNetwork:
    """Random parameters."""
    return family_of(settings).network(task, settings, key)


def graphcast(
    network: Network,
    settings: GraphCastSettings,
    grid: LatLonGrid,
    normaliser: Normaliser,
    static: Float[np.ndarray, "node static"],
    step_hours: int,
    precision: str = "float32",
    parts: int = 1,
) -> GraphCast:
    """GraphCast on `grid`; every leaf is an array of JAX. With `parts` above 1 for devices along the axis `space`."""
    graphs = build_graphs(grid, settings.mesh_level, settings.radius_fraction, corner_length=settings.corner_length)
    tiles = Tiles.of(graphs, renumber=True, parts=parts, space=_space(parts))
    model = GraphCast(network, tiles, normaliser, static, step_hours, precision)
    return jax.tree.map(jnp.asarray, model)


def gencast(
    network: DenoiserNetwork,
    settings: GenCastSettings,
    grid: LatLonGrid,
    normaliser: Normaliser,
    static: Float[np.ndarray, "node static"],
    fill: Float[np.ndarray, " prognostic"],
    step_hours: int,
    precision: str = "float32",
    parts: int = 1,
    attend: Attend | None = None,
    innovation: Innovation | None = None,
    calibration: Calibration | None = None,
) -> GenCast:
    """GenCast on `grid`, as `graphcast`. `fill` replaces missing values, by prognostic channel.

    `attend` is what `attention_here` chose, by default plain JAX. `innovation` is drawn in place of changes where the
    settings ask for that, `calibration` is there where one has been measured.
    """
    innovation = innovation if settings.innovation else None
    graphs = build_graphs(
        grid, settings.mesh_level, settings.radius_fraction, finest_only=True, corner_length=settings.corner_length
    )
    neighbours = replace(Neighbours.within(icosphere(settings.mesh_level), settings.hops), by=attend)
    tiles = Tiles.of(graphs, parts=parts, space=_space(parts))
    model = GenCast(
        network, tiles, neighbours, normaliser, static, fill, step_hours, precision, innovation, calibration
    )
    return jax.tree.map(jnp.asarray, model)


def attention_here(settings: ModelSettings, precision: str, gradient: bool = False) -> Choice:
    """What attends fastest on this machine in a model of these settings; nothing is tried on a CPU or for GraphCast."""
    if not isinstance(settings, GenCastSettings):
        return Choice()

    def neighbours() -> Neighbours:
        return Neighbours.within(icosphere(settings.mesh_level), settings.hops)

    return choose(neighbours, settings.heads, settings.width // settings.heads, precision, gradient)


def _space(parts: int) -> str | None:
    return "space" if parts > 1 else None
