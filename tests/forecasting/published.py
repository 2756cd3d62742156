"""`airmass forecast` with the golden checkpoints, and faults in the inputs that they need."""

from pathlib import Path

import numpy as np
import xarray as xr

from airmass.commands.main import main
from airmass.models.mesh.graph import containing_faces, sphere_points
from airmass.models.mesh.icosphere import icosphere
from tests.golden_case import GOLDEN, GOLDEN_GENCAST

FOLDER, GENCAST = GOLDEN.folder, GOLDEN_GENCAST.folder
TABLES = ("mean_by_level", "stddev_by_level", "diffs_stddev_by_level", "min_by_level")


def command(out, checkpoint=FOLDER / "checkpoint.npz", statistics=FOLDER, initial=FOLDER / "dataset.nc", *more):
    named = {"--checkpoint": checkpoint, "--statistics": statistics, "--initial": initial, "--out": out}
    given = [str(word) for option, value in named.items() if value is not None for word in (option, value)]
    return main(["forecast", *given, *map(str, more)])


def on_a_side() -> np.ndarray:
    """Grid nodes on the side of a mesh triangle, where either triangle is right and outputs differ."""
    points, mesh = sphere_points(*GOLDEN.grid.nodes), icosphere(2)
    corners = mesh.vertices[mesh.faces[containing_faces(mesh, points)]]
    weights = np.linalg.solve(corners.transpose(0, 2, 1), points[..., None])[..., 0]
    return weights.min(axis=1) < 1e-6


def tables(folder: Path, change, case: Path = FOLDER) -> Path:
    """The statistics with each file changed."""
    folder.mkdir()
    for kind in TABLES:
        if not (case / f"{kind}.nc").exists():
            continue
        table = change(kind, xr.load_dataset(case / f"{kind}.nc"))
        if table is not None:
            table.to_netcdf(folder / f"{kind}.nc")
    return folder


def nan_in(dataset: xr.Dataset, name: str) -> xr.Dataset:
    return dataset.assign({name: dataset[name] * np.nan})


def packed(data: xr.Dataset) -> np.ndarray:
    """[node, target] of the first member's first frame."""
    one = data.isel(init_time=0, number=0) if "number" in data.dims else data.isel(init_time=0)
    case = GOLDEN_GENCAST if "number" in data.dims else GOLDEN
    return case.layout.pack(one.isel(lead_time=[0]).rename(lead_time="time"))[0]


def spread_apart(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Root mean square difference of each channel in units of its spread."""
    return np.sqrt(np.nanmean((found - expected) ** 2, axis=0)) / np.nanstd(expected, axis=0)
