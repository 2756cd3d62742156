"""Confidence intervals on series whose truth is known, and comparisons of systems."""

import json
from io import StringIO

import numpy as np
import pytest
import xarray as xr
from rich.console import Console
from scipy.stats import false_discovery_control, ttest_1samp

from airmass.core.errors import InputError
from airmass.evaluation.comparisons import Comparison, families, read_comparisons
from airmass.evaluation.metrics import known_metrics
from airmass.evaluation.significance import METHODS, corrected_t_interval, flatness, pseudo_values, significant
from airmass.evaluation.wording import verdict
from tests.conftest import make_store
from tests.forecasts import forecast_dataset, scored, truth_dataset, write_forecast


def autoregression(n, phi, series, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, series)) / np.sqrt(1 - phi**2)
    noise = rng.standard_normal((n, series))
    for i in range(1, n):
        x[i] = phi * x[i - 1] + noise[i]
    return x


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("n", "phi"), [(20, 0.0), (20, 0.5), (40, 0.6), (100, 0.8)])
def test_nominal_95_percent_covers_90_to_98(method, n, phi):
    found = METHODS[method](autoregression(n, phi, 1500))
    covered = (found.low < 0) & (found.high > 0)
    assert 0.90 <= covered.mean() <= 0.98
    assert 0.90 <= (found.p > 0.05).mean() <= 0.98
    if phi:  # a test that takes them for independent fails
        plain = ttest_1samp(autoregression(n, phi, 1500), 0).pvalue
        assert (plain > 0.05).mean() < covered.mean() - 0.04


def test_a_real_difference_is_found():
    shifted = autoregression(100, 0.5, 500) + 1.5
    for method in METHODS.values():
        found = method(shifted)
        assert (found.p < 0.05).mean() > 0.95 and (found.low > 0).mean() > 0.95


def test_gaps_and_short_series():
    x = autoregression(40, 0.5, 200)
    x[[3, 17, 18]] = np.nan
    found = corrected_t_interval(x)
    np.testing.assert_allclose(found.mean, np.nanmean(x, axis=0))
    assert np.isfinite(found.low).all() and ((found.low < 0) & (found.high > 0)).mean() > 0.9
    for method in METHODS.values():
        assert np.isnan(method(x[:7]).p).all()
        equal = method(np.zeros((20, 3)))
        assert (equal.p == 1).all() and (equal.low == 0).all()


@pytest.mark.parametrize("name", ["rmse", "bias", "spread_skill", "brier_skill_above_0.9", "acc"])
def test_pseudo_values_have_the_metric_as_mean_and_its_variance(name):
    metric = known_metrics()[name]
    parts = name in ("spread_skill", "brier_skill_above_0.9")
    rng = np.random.default_rng(0)
    scores = rng.gamma(9, 1, (60, 400, 2) if parts else (60, 400))
    found = pseudo_values(metric, scores, parts)
    whole = metric.finish(scores.mean(axis=0))
    np.testing.assert_allclose(found.mean(axis=0), whole, atol=0.03)
    errors = np.sqrt(found.var(axis=0, ddof=1) / 60)
    assert errors.mean() == pytest.approx(whole.std(), rel=0.1)  # over the 400 repetitions


def test_false_discoveries_are_those_of_scipy():
    rng = np.random.default_rng(0)
    p = np.concatenate([rng.random(300), rng.random(40) * 1e-3])
    np.testing.assert_array_equal(significant(p), false_discovery_control(p) <= 0.05)
    assert not significant(np.array([np.nan, 0.9])).any() and not significant(np.array([])).any()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Truth, and three systems: two equally bad with other noise, and one clearly better."""
    folder = tmp_path_factory.mktemp("comparison")
    truth = truth_dataset(days=10, names=("geopotential", "2m_temperature"))
    make_store(folder / "truth.zarr", truth)
    for seed, (system, size) in enumerate((("first", 2.0), ("second", 2.0), ("better", 1.0))):
        forecast = forecast_dataset(truth, range(2, 34), system=system)
        rng = np.random.default_rng(seed)
        for name in forecast.data_vars:  # errors that differ by date, as real ones do
            shape = forecast[name].shape
            scale = size * rng.gamma(20, 1 / 20, (shape[0], shape[1], *(1,) * (len(shape) - 2)))
            forecast[name] = forecast[name] + (scale * rng.standard_normal(shape)).astype(np.float32)
            forecast[name].attrs = truth[name].attrs
        write_forecast(folder / f"{system}.zarr", forecast)
    paths = [folder / f"{system}.zarr" for system in ("first", "second", "better")]
    screen = Console(file=StringIO(), width=200)
    table = scored(paths, folder / "truth.zarr", folder / "s", console=screen, against="first", regions=["tropics"])
    return folder, paths, table, screen.file.getvalue()


def test_better_is_said_only_where_it_is_significant(files):
    folder, _, table, screen = files
    rows = read_comparisons(folder / "s")
    for (system, metric, _), members in families(rows).items():
        if metric in ("rmse", "crps"):
            share = np.mean([row.significant for row in members])
            assert share == 1 if system == "better" else share <= 0.1, (system, metric)
            assert all(row.better for row in members) or system != "better"
    assert "better is significantly better than first in 12 of 12 cells" in screen
    assert "RMSE over the globe: no significant difference between second and first" in screen
    row = next(row for row in rows if row.system == "better" and row.metric == "rmse" and row.region is None)
    assert row.percent == pytest.approx(-50, abs=3) and row.low < row.difference < row.high < 0
    channel = row.variable, row.level
    assert row.value == table.value("better", channel, row.lead_time_hours, "rmse")
    assert row.init_times == 32 and "significantly" in verdict([row]).headline


def cell(name, level, hours, difference, significant=True):
    ends = difference - 0.1, difference + 0.1
    value = 2 + difference
    return Comparison("b", "a", name, level, hours, "rmse", value, 2.0, difference, *ends, 0.001, significant, 20)


def test_words_tell_in_which_fields_and_when_a_system_is_better():
    levels = (300, 500, 700, 850, 1000)
    rows = [cell("temperature", level, hours, -1.0) for level in levels for hours in (6.0, 24.0, 72.0, 240.0)]
    for level in levels:  # better high up at first, worse low down later
        rows += [cell("geopotential", level, hours, -1.0, level < 800) for hours in (6.0, 24.0)]
        rows += [cell("geopotential", level, hours, 1.0, level > 800) for hours in (72.0, 240.0)]
    rows += [cell("2m_temperature", None, hours, -1.0, hours == 6) for hours in (6.0, 12.0, 24.0, 240.0)]
    said = verdict(rows)
    assert said.headline.startswith("RMSE over the globe: b is significantly better than a in 27 of 44 cells")
    assert said.fields == (
        "Better: temperature at all levels, at all lead times; geopotential at 300 to 700 hPa, up to 24 h.",
        "Worse: geopotential at 850/1000 hPa, beyond 24 h.",
        "No clear difference: 2m temperature.",
    )


def test_words_are_few():
    """However many patterns there are, each side names three groups of fields."""
    rng = np.random.default_rng(0)
    rows = [
        cell("temperature", level, hours, rng.choice([-1.0, 1.0]), rng.random() < 0.8)
        for level in range(50, 1001, 50)
        for hours in (6.0, 48.0, 96.0, 240.0)
    ]
    better, worse = verdict(rows).fields[:2]
    assert better.count(";") == worse.count(";") == 3 and "more fields at other lead times" in better
    assert verdict([cell("temperature", 500, 6.0, 1.0)]).fields == ("Worse: all fields, at all lead times.",)
    assert verdict([cell("temperature", 500, 6.0, 1.0, False)]).fields == ()


def test_scores_have_intervals_where_asked(files):
    folder, _, table, _ = files
    rows = json.loads((folder / "s" / "scores.json").read_text())
    assert all(row["low"] <= row["value"] + 1e-9 <= row["high"] + 2e-9 for row in rows if row["metric"] == "bias")
    score = table.find("first", ("2m_temperature", None), 6, "rmse")
    assert score.low < 2 < score.high


def test_two_methods_agree(files, tmp_path):
    folder, paths, _, _ = files
    scored(
        paths, folder / "truth.zarr", tmp_path / "s", against="first",
        test="bootstrap",
    )  # fmt: skip
    other = {(r.system, r.variable, r.level, r.lead_time_hours, r.metric): r for r in read_comparisons(tmp_path / "s")}
    for row in read_comparisons(folder / "s"):
        if row.region is None:
            twin = other[row.system, row.variable, row.level, row.lead_time_hours, row.metric]
            assert twin.difference == pytest.approx(row.difference, rel=1e-9)
            assert twin.high - twin.low == pytest.approx(row.high - row.low, rel=0.35)


@pytest.mark.parametrize(
    ("number", "against", "says"),
    [(3, "third", "--against third: no such system, expected one of better, first, second, persistence"),
     (1, "first", "no other system to compare with it")],
)  # fmt: skip
def test_bad_comparisons_are_refused(files, tmp_path, number, against, says):
    with pytest.raises(InputError, match=says):
        scored(files[1][:number], files[0] / "truth.zarr", tmp_path / "s", against=against)
    assert not (tmp_path / "s").exists()


def test_few_initial_times_tell_no_significance(files, tmp_path):
    screen = Console(file=StringIO(), width=200)
    init_times = [str(time) for time in xr.open_zarr(files[1][0], consolidated=False).init_time.values[:5]]
    scored(files[1], files[0] / "truth.zarr", tmp_path / "s", console=screen, against="first", init_times=init_times)
    assert "Fewer than 8 initial times" in screen.file.getvalue() and not read_comparisons(tmp_path / "s")


def test_flat_rank_histograms_pass_and_others_do_not():
    rng = np.random.default_rng(0)

    def shares(spread, bias):
        members = spread * rng.standard_normal((9, 60, 100, 50)) + bias
        ranks = (members < rng.standard_normal((60, 100, 50))).sum(axis=0)
        return np.stack([(ranks == k).mean(axis=-1) for k in range(10)], axis=-1)

    flat = flatness(shares(1.0, 0.0))
    assert 0.90 <= (flat["slope_p"] > 0.05).mean() <= 1 and 0.90 <= (flat["curvature_p"] > 0.05).mean() <= 1
    narrow, low = flatness(shares(0.6, 0.0)), flatness(shares(1.0, -0.5))
    assert (narrow["curvature_p"] < 0.01).all() and (narrow["curvature"] > 0).all()
    assert (narrow["slope_p"] > 0.05).mean() > 0.85
    assert (low["slope_p"] < 0.01).all() and (low["slope"] > 0).all()
    assert (flatness(shares(1.6, 0.0))["curvature"] < 0).all()
    assert np.isnan(flatness(shares(1.0, 0.0)[:5])["slope_p"]).all()
