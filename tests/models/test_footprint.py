"""Memory and time before anything is compiled, beside what a forecast really takes."""

import subprocess
import sys

import jax
import numpy as np
import pytest

from airmass.commands.main import main
from airmass.core.errors import InputError
from airmass.fields.grid import LatLonGrid
from airmass.models import footprint as module
from airmass.models.deterministic import compiled_step
from airmass.models.footprint import fitting, footprint, parameter_count
from airmass.models.gencast.settings import GenCastSettings
from airmass.models.graphcast.model import GraphCastNetwork, network_sizes
from airmass.models.graphcast.published import to_published
from airmass.models.graphcast.settings import GraphCastSettings
from airmass.models.mesh.counts import Counts, attended
from airmass.models.mesh.graph import build_graphs
from airmass.models.mesh.icosphere import icosphere
from airmass.models.mesh.neighbours import Neighbours
from tests.conftest import make_store
from tests.golden_case import GOLDEN, GOLDEN_GENCAST

TASK, GENCAST_TASK = GOLDEN.published.task, GOLDEN_GENCAST.published.task
FORECAST = """
import sys
from pathlib import Path
from airmass.commands.main import main
status = main(sys.argv[1:])
# Not ru_maxrss: a process starts that from the peak of the one it was forked from.
held = Path("/proc/self/status").read_text()
print("PEAK", int(held.split("VmHWM:")[1].split()[0]) * 1024)
sys.exit(status)
"""


def test_parameters_of_the_published_graphcast_small():
    assert parameter_count(TASK, GraphCastSettings()) == 35_979_347


@pytest.mark.parametrize(("shape", "level"), [((61, 120), 3), ((61, 120), 4), ((64, 128), 3)])
def test_edges_are_counted_without_a_graph(shape, level):
    graphs = build_graphs(LatLonGrid.equiangular(*shape, poles=bool(shape[0] % 2)), level, cache=False)
    counts = Counts.of(GraphCastSettings(mesh_level=level), shape)
    assert counts.mesh_edges == len(graphs.mesh.senders) and counts.mesh == len(graphs.mesh_features)
    assert counts.encoder_edges == pytest.approx(len(graphs.grid_to_mesh.senders), rel=0.04)
    assert counts.encoder_kinds == pytest.approx(len(graphs.grid_to_mesh.table), rel=0.1)
    assert counts.mesh_kinds == pytest.approx(len(graphs.mesh.table), rel=0.12)
    assert counts.decoder_kinds == pytest.approx(len(graphs.mesh_to_grid.table), rel=0.05)


@pytest.mark.parametrize("hops", [4, 8, 16])
def test_neighbours_are_counted_without_finding_them(hops):
    keys = Neighbours.within(icosphere(4), hops).keys.shape[1]
    found = attended(GenCastSettings(hops=hops), 2562)
    assert found == pytest.approx(keys, rel=0.4)


def test_arithmetic_of_graphcast_small_by_hand():
    """Products of width 512: two on each mesh edge a step but one in the first, five on each mesh node, twelve on each
    grid node on the way in and out; little else."""
    products = (2 * 16 - 1) * 81_900 + 5 * 16 * 10_242 + 12 * 65_160
    flops = footprint(TASK, GraphCastSettings(), (181, 360)).flops
    assert flops == pytest.approx(2 * 512**2 * products, rel=0.05)


def test_members_and_evaluations_count():
    def of(**options):
        return footprint(GENCAST_TASK, GenCastSettings(mesh_level=4), (181, 360), **options)

    assert of(evaluations=39).evaluations == 39
    assert of(together=4).peak > of(together=1).peak > of(precision="bfloat16").peak
    assert of(accelerator=True).peak < of().peak
    assert of(evaluations=39).seconds_a_frame(1e9) == pytest.approx(39 * of().seconds_a_frame(1e9))
    assert of().seconds_a_frame(1e9) == pytest.approx(module.OVERHEAD * of().flops / 1e9)


def test_as_many_members_as_fit_are_sampled_side_by_side():
    def chosen(limit):
        return fitting("x.npz", GENCAST_TASK, GenCastSettings(mesh_level=4), (181, 360), memory_limit=limit)

    needed = [
        footprint(GENCAST_TASK, GenCastSettings(mesh_level=4), (181, 360), together=n).peak / 1e9 for n in range(1, 9)
    ]
    assert chosen(needed[0] + 0.01) == 1
    assert chosen(needed[2] + 0.01) == 3
    assert chosen(100) == 8
    with pytest.raises(InputError, match=r"x.npz: needs about .* of 360 x 181, but .* --precision bfloat16"):
        chosen(needed[0] - 0.01)


def test_without_a_limit_what_is_available_decides(monkeypatch):
    monkeypatch.setattr(module, "available_memory", lambda: (1e9, "available on this machine"))
    with pytest.raises(InputError, match=r"but 1.00 GB is available on this machine; .* a machine with more memory"):
        fitting("x.npz", TASK, GraphCastSettings(), (181, 360))


def test_available_memory_is_that_of_the_system():
    available, whose = module.available_memory()
    assert available > 1e8 and whose


@pytest.mark.parametrize("case", [GOLDEN, GOLDEN_GENCAST])
def test_too_little_memory_is_said_before_compiling(case, tmp_path, capsys):
    folder, before = case.folder, compiled_step._cache_size()
    files = ["--checkpoint", folder / "checkpoint.npz", "--statistics", folder, "--initial", folder / "dataset.nc"]
    options = ["--out", tmp_path / "f.nc", "--memory-limit", 0.2]
    assert main(["forecast", *map(str, files + options)]) == 2
    error = capsys.readouterr().err
    assert "0.20 GB is allowed by --memory-limit" in error and "a higher --memory-limit" in error
    assert ("--precision bfloat16" in error) == (case is GOLDEN_GENCAST)
    assert error.count("\n") == 1 and not list(tmp_path.iterdir())
    assert compiled_step._cache_size() == before


@pytest.fixture(scope="module")
def graphcast(tmp_path_factory):
    """A random GraphCast at 3 degrees, of width 256, and something to start from."""
    folder = tmp_path_factory.mktemp("three")
    settings = GraphCastSettings(mesh_level=3, width=256, steps=8)
    network = jax.tree.map(np.asarray, GraphCastNetwork(settings, *network_sizes(TASK), key=jax.random.key(0)))
    with np.load(GOLDEN.folder / "checkpoint.npz", allow_pickle=False) as stored:
        flat = {key: stored[key] for key in stored.files if not key.startswith("params:")}
    sizes = {"mesh_size": 3, "latent_size": 256, "gnn_msg_steps": 8, "resolution": 3}
    flat |= {f"model_config:{name}": np.array(value) for name, value in sizes.items()}
    np.savez(folder / "m.npz", **flat, **{f"params:{k}": v for k, v in to_published(network, TASK).items()})
    names = (*TASK.targets, *TASK.static)
    make_store(folder / "s.zarr", n_latitude=61, n_longitude=120, poles=True, levels=TASK.levels, days=0.5, names=names)
    return folder, settings


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="kibibytes of peak memory")
def test_the_peak_is_as_estimated(graphcast, tmp_path):
    folder, settings = graphcast
    files = ["--checkpoint", folder / "m.npz", "--statistics", GOLDEN.folder, "--initial", folder / "s.zarr"]
    options = ["--out", tmp_path / "f.zarr", "--lead-time", "6h"]
    command = [sys.executable, "-c", FORECAST, "forecast", *map(str, files + options)]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    peak = float(shown.split("PEAK ")[1])
    estimate = footprint(TASK, settings, (61, 120)).peak
    assert estimate == pytest.approx(peak, rel=0.25)
