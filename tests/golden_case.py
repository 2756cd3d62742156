"""The golden cases in our terms: checkpoint, graphs with the published edges, scales, frames and forcings."""

from functools import cached_property
from pathlib import Path

import numpy as np
import xarray as xr

from airmass.data.preparation.saved_statistics import load_statistics
from airmass.fields.channels import ChannelLayout
from airmass.fields.forcing import forcings
from airmass.fields.grid import LatLonGrid
from airmass.fields.normalise import Normaliser
from airmass.forecasting.checkpoints.published import missing_fill
from airmass.models.gencast.model import GenCast
from airmass.models.gencast.published import read_gencast
from airmass.models.graphcast.model import GraphCast
from airmass.models.graphcast.published import read_graphcast
from airmass.models.mesh.graph import EdgeSet, Graphs
from airmass.models.mesh.icosphere import Mesh
from airmass.models.mesh.neighbours import Neighbours
from airmass.models.mesh.tiles import Tiles
from airmass.models.published.archive import PublishedModel

ROOT = Path(__file__).parent / "golden"
STEPS = 3


class Case:
    """What both models' cases hold. Everything is read once, on first use."""

    folder: Path
    published: PublishedModel

    @cached_property
    def grid(self) -> LatLonGrid:
        data = self._open("dataset")
        return LatLonGrid(data.latitude.values, data.longitude.values)

    @cached_property
    def raw_graph(self) -> dict[str, np.ndarray]:
        with np.load(self.folder / "graph.npz", allow_pickle=False) as stored:
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
        with np.load(self.folder / "expected.npz", allow_pickle=False) as stored:
            return {key: stored[key] for key in stored.files}

    @cached_property
    def layout(self) -> ChannelLayout:
        return ChannelLayout.of(self.published.task.targets, self.published.task.levels)

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
    def normaliser(self) -> Normaliser:
        return Normaliser.from_statistics(self.published.task, *load_statistics(self.folder))

    @cached_property
    def static(self) -> np.ndarray:
        task = self.published.task
        return ChannelLayout.of(task.static, task.levels).pack(self._open("dataset")[list(task.static)])

    def _forcings(self, name: str) -> np.ndarray:
        data, (rows, columns) = self._open(name), self.grid.shape
        out = []
        for forcing in self.published.task.forcing:
            values = data[forcing].values
            shape = {1: (-1, 1, 1), 2: (-1, 1, columns), 3: (-1, rows, columns)}[values.ndim]
            out.append(np.broadcast_to(values.reshape(shape), (len(values), rows, columns)).reshape(len(values), -1))
        return np.stack(out, axis=-1).astype(np.float32)

    def _open(self, name: str) -> xr.Dataset:
        data = xr.open_dataset(self.folder / f"{name}.nc", decode_timedelta=True)
        return data.isel(batch=0).rename(lat="latitude", lon="longitude")


class GoldenGraphCast(Case):
    folder = ROOT / "graphcast"

    @cached_property
    def published(self) -> PublishedModel:
        return read_graphcast(self.folder / "checkpoint.npz")

    @cached_property
    def forcings(self) -> np.ndarray:
        """As the published code computed them, at all five times."""
        parts = [self._forcings("input_forcings"), self._forcings("forcings")]
        return np.concatenate(parts)

    @cached_property
    def model(self) -> GraphCast:
        step = self.published.task.step
        tiles = Tiles.of(self.graphs, renumber=True)
        return GraphCast(self.published.network, tiles, self.normaliser, self.static, step)


class GoldenGenCast(Case):
    folder = ROOT / "gencast"

    @cached_property
    def published(self) -> PublishedModel:
        return read_gencast(self.folder / "checkpoint.npz")

    @cached_property
    def noise(self) -> np.ndarray:
        """The unit-variance field that stood in for every draw."""
        return self.layout.pack(self._open("noise"))[0]

    @cached_property
    def forcings(self) -> np.ndarray:
        """Ours at the times of history and target; tests of fields.forcing hold them against the published ones."""
        return forcings(self.published.task.forcing, self.times[:3], self.grid)

    @cached_property
    def model(self) -> GenCast:
        task, settings = self.published.task, self.published.settings
        mesh = Mesh(self.raw_graph["mesh_vertices"], self.raw_graph["mesh_faces"])
        return GenCast(
            self.published.network,
            Tiles.of(self.graphs),
            Neighbours.within(mesh, settings.hops),
            self.normaliser,
            self.static,
            missing_fill(task, str(self.folder)),
            task.step,
        )


GOLDEN = GoldenGraphCast()
GOLDEN_GENCAST = GoldenGenCast()
