"""The golden case of WeatherNext 2 in our terms: checkpoint, graphs with the published edges, scales, frames, noise."""

from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from airmass.fields.channels import ChannelLayout
from airmass.fields.forcing import forcings
from airmass.fields.grid import LatLonGrid
from airmass.models.fgn.model import FGN, uniform_columns, unit_interval_columns
from airmass.models.fgn.published import Configuration, read_configured, read_fgn
from airmass.models.mesh.graph import EdgeSet, Graphs, build_graphs
from airmass.models.mesh.icosphere import Mesh
from airmass.models.mesh.neighbours import Neighbours
from airmass.models.mesh.tiles import Tiles
from tests.golden_case import ROOT

FOLDER = ROOT / "fgn"
STEPS, MEMBERS = 3, 2


class GoldenFGN:
    """Everything is read once, on first use."""

    @cached_property
    def configuration(self) -> Configuration:
        return read_configured(FOLDER / "config.json")

    @cached_property
    def layout(self) -> ChannelLayout:
        return ChannelLayout.of(self.configuration.task.targets, self.configuration.task.levels)

    @cached_property
    def dataset(self) -> xr.Dataset:
        return _open("dataset").isel(batch=0)

    @cached_property
    def grid(self) -> LatLonGrid:
        return LatLonGrid(self.dataset.latitude.values, self.dataset.longitude.values)

    @cached_property
    def raw_graph(self) -> dict[str, np.ndarray]:
        with np.load(FOLDER / "graph.npz", allow_pickle=False) as stored:
            return {key: stored[key] for key in stored.files}

    @cached_property
    def mesh(self) -> Mesh:
        return Mesh(self.raw_graph["mesh_vertices"], self.raw_graph["mesh_faces"])

    @cached_property
    def graphs(self) -> Graphs:
        """The published edges; features of nodes are ours, on the published mesh."""
        settings, raw = self.configuration.settings, self.raw_graph
        ours = build_graphs(self.grid, settings.mesh_level, finest_only=True, cache=False)
        latitude, longitude = np.deg2rad(raw["mesh_lat"]), np.deg2rad(raw["mesh_lon"])
        mesh = np.stack([np.sin(latitude), np.cos(longitude), np.sin(longitude)], axis=-1).astype(np.float32)
        to_mesh, to_grid = (
            EdgeSet.sorted(raw[f"{name}_senders"], raw[f"{name}_receivers"], raw[f"{name}_edge_features"])
            for name in ("grid2mesh", "mesh2grid")
        )
        return Graphs(to_mesh, ours.mesh, to_grid, ours.grid_features, mesh)

    @cached_property
    def model(self) -> FGN:
        made, task = self.configuration, self.configuration.task
        static = ChannelLayout.of(task.static, task.levels).pack(self.dataset[list(task.static)])
        model = FGN(
            read_fgn(FOLDER / "checkpoint.npz", made),
            Tiles.of(self.graphs),
            Neighbours.within(self.mesh, made.settings.hops),
            made.normaliser,
            static,
            made.fill,
            task.step,
            uniform_columns(task),
            unit_interval_columns(task),
        )
        return jax.tree.map(jnp.asarray, model)

    @cached_property
    def frames(self) -> np.ndarray:
        return self.layout.pack(self.dataset[list(self.layout.variables)])

    @cached_property
    def forcings(self) -> np.ndarray:
        return forcings(self.configuration.task.forcing, self.dataset.datetime.values, self.grid)

    @cached_property
    def noise(self) -> np.ndarray:
        """[member, step, channel]"""
        return _open("noise").noise.values[:, 0]

    @cached_property
    def prediction(self) -> np.ndarray:
        """[member, step, node, target]"""
        held = _open("prediction").isel(batch=0)
        return np.stack([self.layout.pack(held.isel(sample=member)) for member in range(MEMBERS)])

    @cached_property
    def expected(self) -> dict[str, np.ndarray]:
        with np.load(FOLDER / "expected.npz", allow_pickle=False) as stored:
            return {key: stored[key] for key in stored.files}


def _open(name: str) -> xr.Dataset:
    data = xr.open_dataset(FOLDER / f"{name}.nc", decode_timedelta=True)
    return data.rename({old: new for old, new in (("lat", "latitude"), ("lon", "longitude")) if old in data.dims})


GOLDEN_FGN = GoldenFGN()
