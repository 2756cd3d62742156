"""The golden GraphCast case in our terms: checkpoint, graphs with the published edges, scales, frames and forcings."""

from functools import cached_property
from pathlib import Path

import numpy as np
import xarray as xr

from airmass.data.statistics import load_statistics
from airmass.graph import EdgeSet, Graphs
from airmass.grid import LatLonGrid
from airmass.layout import Layout
from airmass.models.graphcast import GraphCast
from airmass.normalise import Normaliser
from airmass.published import PublishedGraphCast, read_graphcast
from airmass.tiles import Tiles

FOLDER = Path(__file__).parent / "golden" / "graphcast"
STEPS = 3


class GoldenCase:
    """Everything is read once, on first use."""

    @cached_property
    def published(self) -> PublishedGraphCast:
        return read_graphcast(FOLDER / "checkpoint.npz")

    @cached_property
    def grid(self) -> LatLonGrid:
        data = self._open("dataset")
        return LatLonGrid(data.latitude.values, data.longitude.values)

    @cached_property
    def raw_graph(self) -> dict[str, np.ndarray]:
        with np.load(FOLDER / "graph.npz", allow_pickle=False) as stored:
            return {key: stored[key] for key in stored.files}

    @cached_property
    def graphs(self) -> Graphs:
        raw = self.raw_graph
        sets = [
            EdgeSet.sorted(raw[f"{name}_senders"], raw[f"{name}_receivers"], raw[f"{name}_edge_features"])
            for name in ("grid2mesh", "mesh", "mesh2grid")
        ]
        return Graphs(*sets, raw["grid_nodes_features"], raw["mesh_nodes_features"])

    @cached_property
    def expected(self) -> dict[str, np.ndarray]:
        with np.load(FOLDER / "expected.npz", allow_pickle=False) as stored:
            return {key: stored[key] for key in stored.files}

    @cached_property
    def layout(self) -> Layout:
        return Layout.of(self.published.task.targets, self.published.task.levels)

    @cached_property
    def frames(self) -> np.ndarray:
        return self.layout.pack(self._open("dataset")[list(self.published.task.targets)])

    @cached_property
    def prediction(self) -> np.ndarray:
        return self.layout.pack(self._open("prediction"))

    @cached_property
    def times(self) -> np.ndarray:
        return self._open("dataset").datetime.values

    @cached_property
    def forcings(self) -> np.ndarray:
        """As the published code computed them, at all five times."""
        parts = [self._forcings("input_forcings"), self._forcings("forcings")]
        return np.concatenate(parts)

    @cached_property
    def model(self) -> GraphCast:
        task = self.published.task
        normaliser = Normaliser.from_statistics(task, *load_statistics(FOLDER))
        static = Layout.of(task.static, task.levels).pack(self._open("dataset")[list(task.static)])
        return GraphCast(self.published.network, Tiles.of(self.graphs), normaliser, static, step_hours=task.step)

    def _forcings(self, name: str) -> np.ndarray:
        data, (rows, columns) = self._open(name), self.grid.shape
        out = []
        for forcing in self.published.task.forcing:
            values = data[forcing].values
            shape = {1: (-1, 1, 1), 2: (-1, 1, columns), 3: (-1, rows, columns)}[values.ndim]
            out.append(np.broadcast_to(values.reshape(shape), (len(values), rows, columns)).reshape(len(values), -1))
        return np.stack(out, axis=-1).astype(np.float32)

    def _open(self, name: str) -> xr.Dataset:
        data = xr.open_dataset(FOLDER / f"{name}.nc", decode_timedelta=True)
        return data.isel(batch=0).rename(lat="latitude", lon="longitude")


GOLDEN = GoldenCase()
