"""Regridding against closed forms and conservation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airmass.core.errors import InputError
from airmass.data.ingest.regrid import Regridder, SourceGrid, cell_areas, parse_grid, point_areas

GAUSSIAN = np.rad2deg(np.arcsin(np.polynomial.legendre.leggauss(32)[0]))
REDUCED = [20, 32, 40, 40, 32, 20]


def regular(rows: int, columns: int, poles: bool, turned: bool = False, origin: float = 0.0) -> SourceGrid:
    latitude = np.linspace(-90, 90, rows) if poles else (np.arange(rows) + 0.5) * 180 / rows - 90
    return SourceGrid.regular(latitude[::-1] if turned else latitude, origin + np.arange(columns) * 360 / columns)


def reduced() -> SourceGrid:
    latitude = np.rad2deg(np.arcsin(np.polynomial.legendre.leggauss(6)[0]))[::-1]
    points = [(a, 360 * k / n) for a, n in zip(latitude, REDUCED, strict=True) for k in range(n)]
    return SourceGrid.of_points(*np.array(points).T)


SOURCES = {
    "with poles, north to south": regular(73, 144, True, turned=True),
    "without poles": regular(32, 64, False),
    "from -180": regular(19, 36, True, origin=-180.0),
    "Gaussian": SourceGrid.regular(GAUSSIAN[::-1], np.arange(64) * 5.625),
    "reduced Gaussian": reduced(),
}
GRIDS = ["64x32", "2.5", "10", "16x9", "7.5"]


def points(source: SourceGrid) -> tuple[np.ndarray, np.ndarray]:
    rows = zip(source.latitude, source.longitudes, strict=True)
    pairs = [(a, b) for a, row in rows for b in row]
    return tuple(np.deg2rad(np.array(pairs)).T)


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("source", SOURCES.values(), ids=list(SOURCES))
def test_conservative_keeps_the_area_mean(source, grid):
    field = np.random.default_rng(0).normal(250, 30, source.size).astype(np.float32)
    target = parse_grid(grid)
    found = Regridder.build(source, target)(field).astype(np.float64)
    mean = (field.astype(np.float64) * point_areas(source)).sum()
    assert abs((found * cell_areas(target)).sum() / mean - 1) < 1e-6
    assert found.min() >= field.min() and found.max() <= field.max()


@pytest.mark.parametrize("method", ["conservative", "bilinear"])
@pytest.mark.parametrize("source", SOURCES.values(), ids=list(SOURCES))
def test_a_constant_stays(source, method):
    found = Regridder.build(source, parse_grid("16x9"), method)(np.full((2, source.size), 3.25, np.float32))
    np.testing.assert_allclose(found, 3.25, rtol=1e-6)


def test_areas_of_gaussian_rows_are_the_quadrature_weights():
    weights = np.polynomial.legendre.leggauss(32)[1]
    np.testing.assert_allclose(point_areas(SOURCES["Gaussian"]).reshape(32, 64).sum(1), weights[::-1] / 2, rtol=1e-12)


def test_cells_hold_the_mean_of_a_field_that_is_constant_on_quarters():
    """Four source cells to one: the mean by the sines of their edges, by hand."""
    source = regular(4, 8, False)
    field = np.arange(4.0).repeat(8)
    found = Regridder.build(source, parse_grid("4x3"))(field.astype(np.float32))
    edges = np.sin(np.deg2rad([-90, -45, 0, 45, 90]))
    # Rows of 3 with poles end at -45 and 45: the outer ones are the source's outer rows.
    np.testing.assert_allclose(found[0], 0)
    middle = (1 * (edges[2] - edges[1]) + 2 * (edges[3] - edges[2])) / (edges[3] - edges[1])
    np.testing.assert_allclose(found[1], middle)


def test_bilinear_is_exact_for_fields_linear_in_latitude():
    source = regular(37, 72, True, turned=True)
    latitude = np.rad2deg(points(source)[0])
    found = Regridder.build(source, parse_grid("64x32"), "bilinear")(latitude.astype(np.float32))
    np.testing.assert_allclose(found, np.repeat(parse_grid("64x32").latitude[:, None], 64, 1), atol=1e-4)


@pytest.mark.parametrize("name", ["Gaussian", "reduced Gaussian", "without poles"])
def test_bilinear_is_close_to_a_smooth_field(name):
    source, target = SOURCES[name], parse_grid("30x15")
    smooth = lambda a, b: np.sin(a) + 0.3 * np.cos(a) * np.cos(b)  # noqa: E731
    found = Regridder.build(source, target, "bilinear")(smooth(*points(source)).astype(np.float32))
    wanted = smooth(*np.deg2rad(np.meshgrid(target.latitude, target.longitude, indexing="ij")))
    assert np.abs(found - wanted).max() < (0.15 if name.startswith("reduced") else 0.02)


@pytest.mark.parametrize("method", ["conservative", "bilinear", "thin"])
@pytest.mark.parametrize("origin", [0.0, -180.0, 90.0])
def test_the_same_grid_is_put_in_order_to_the_bit(method, origin):
    source = regular(19, 36, True, turned=True, origin=origin)
    field = np.random.default_rng(1).normal(size=(19, 36)).astype(np.float32)
    found = Regridder.build(source, parse_grid("10"), method)(field.reshape(-1))
    np.testing.assert_array_equal(found, np.roll(field[::-1], round(origin / 10), axis=1))


def test_thinning_takes_points():
    source = regular(19, 36, True, turned=True)
    field = np.arange(19 * 36, dtype=np.float32)
    found = Regridder.build(source, parse_grid("30"), "thin")(field)
    np.testing.assert_array_equal(found, field.reshape(19, 36)[::-3, ::3])
    with pytest.raises(InputError, match="its nodes are not points of the regular grid of 19 rows"):
        Regridder.build(source, parse_grid("64x32"), "thin")


def test_a_missing_value_is_left_out_of_means():
    source = regular(4, 8, False)
    field = np.arange(32, dtype=np.float32)
    field[:9] = np.nan
    found = Regridder.build(source, parse_grid("8x4"))(field)
    assert np.isnan(found[0]).all() and np.isnan(found[1, 0]) and np.isfinite(found[1, 1:]).all()
    coarse = Regridder.build(source, parse_grid("4x3"))(field)
    assert np.isnan(coarse[0]).all() and np.isfinite(coarse[1:]).all()


@given(st.integers(3, 40), st.integers(4, 60), st.integers(3, 40), st.integers(4, 60), st.booleans())
@settings(max_examples=40)
def test_any_sizes_conserve(rows, columns, target_rows, target_columns, poles):
    source, target = regular(rows, columns, poles), parse_grid(f"{target_columns}x{target_rows}")
    field = np.random.default_rng(0).uniform(1, 2, source.size).astype(np.float32)
    found = Regridder.build(source, target)(field).astype(np.float64)
    mean = (field.astype(np.float64) * point_areas(source)).sum()
    assert abs((found * cell_areas(target)).sum() / mean - 1) < 1e-6


@pytest.mark.parametrize(
    ("latitude", "longitude", "said"),
    [
        (
            np.linspace(0, 90, 10),
            np.arange(36) * 10,
            "latitude runs from 0 to 90 in steps of 10, expected rows of the whole",
        ),
        (np.linspace(-60, 60, 13), np.arange(36) * 10, "rows of the whole globe"),
        (
            np.linspace(-90, 90, 19),
            np.arange(18) * 10,
            "longitude runs 0 to 170 in 18 columns, expected the whole circle",
        ),
        (np.linspace(-90, 90, 19), np.arange(37) * 10, "first meridian is there twice"),
        (np.array([-90, 0, -30, 90]), np.arange(36) * 10, "neither rise nor fall"),
        (np.arange(36) * 10.0, np.linspace(-90, 90, 19), "expected -90 to 90"),
        (np.array([-90, np.nan, 90]), np.arange(36) * 10, "not finite"),
        (np.linspace(-90, 90, 19), np.geomspace(1, 350, 36), "even steps"),
    ],
)
def test_other_grids_are_refused(latitude, longitude, said):
    with pytest.raises(InputError, match=said):
        SourceGrid.regular(latitude, longitude)


@pytest.mark.parametrize("text", ["", "x", "64x", "0", "-1", "0.7", "1e9", "2x2", "99999x9", "nan", "inf"])
def test_wrong_grids_are_refused(text):
    with pytest.raises(InputError, match="--grid is"):
        parse_grid(text)


def test_a_gaussian_grid_needs_a_target():
    with pytest.raises(InputError, match=r"regular Gaussian grid of 32 rows.*choose a regular grid with --grid"):
        Regridder.build(SOURCES["Gaussian"], None)
