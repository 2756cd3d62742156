"""Physical tests of a store: a real analysis passes, and a fault put into it is found and told."""

import re
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from airmass.data.ingest.ingest import ingest
from airmass.data.ingest.request import IngestRequest
from airmass.data.preparation.checks import check_store
from tests.conftest import make_store, synthetic_dataset

GFS = Path(__file__).parents[1] / "real" / "gfs_20110110T12_f120_2p5deg.grib2"


@pytest.fixture(scope="module")
def january(tmp_path_factory) -> xr.Dataset:
    """Fields of GFS valid on 15 January 2011."""
    out = tmp_path_factory.mktemp("real") / "gfs.zarr"
    ingest(IngestRequest((GFS,), variables=("z", "t", "2t", "tp06"), grid="64x32"), out)
    with xr.open_zarr(out, consolidated=False) as held:
        return held.load()


def found(dataset: xr.Dataset, path: Path) -> str:
    """The findings of `data check` in a store of these fields."""
    make_store(path, dataset.drop_encoding())
    return "\n".join(f"{f.where} {f.problem}" for f in check_store(path) if f.wrong)


def test_real_fields_pass(january, tmp_path):
    assert found(january, tmp_path / "s.zarr") == ""


WARM = ("2m_temperature", "temperature")
FAULTS = {
    "levels turned": (lambda d: d.assign(geopotential=d.geopotential.copy(data=d.geopotential.values[:, ::-1])),
                      "geopotential at .* is not below that at .*: are the levels in another order?"),
    "temperature turned": (lambda d: d.assign(temperature=d.temperature.copy(data=d.temperature.values[:, ::-1])),
                           "geopotential is out of balance with temperature: the layer from"),
    "hemispheres": (lambda d: d.assign({n: d[n].copy(data=d[n].values[..., ::-1, :]) for n in WARM}),
                    "2m_temperature makes the northern hemisphere .* K warmer than the southern about January"),
    "half a year": (lambda d: d.assign_coords(time=d.time + np.timedelta64(181, "D")),
                    "2m_temperature makes the southern hemisphere .* K warmer than the northern about July"),
    "one hour's rain": (lambda d: d.assign(total_precipitation_6hr=d.total_precipitation_6hr / np.float32(6)),
                        r"total_precipitation_6hr averages 0\.1\d* mm, expected about 0\.675 mm in 6 h: is it"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_told(january, fault, tmp_path):
    put_in, said = FAULTS[fault]
    faulty = put_in(january)
    for name in january:
        faulty[name].attrs = january[name].attrs
    assert re.search(said, found(faulty, tmp_path / "s.zarr"))


def test_repeated_and_flat_frames_are_told(tmp_path):
    dataset = synthetic_dataset(days=1, names=("2m_temperature",))
    dataset["2m_temperature"].values[2] = dataset["2m_temperature"].values[1]
    dataset["2m_temperature"].values[3] = 280
    said = found(dataset, tmp_path / "s.zarr")
    assert "has 1 frames that repeat the one before, first at 2000-11-01T12:00" in said
    assert "has 1 frames of one value everywhere, first at 2000-11-01T18:00" in said
