"""Confidence intervals and tests for means of scores that are correlated from one initial time to the next.

Scores of successive initial times share weather, so they are worth fewer independent ones. Two methods allow for it and
assume little else: a t-test with the number of independent values of a first-order autoregression, and the stationary
block bootstrap. Every metric, also one that is no plain mean over initial times, enters by the jackknife's
pseudo-values, whose mean is the metric and whose variance is the metric's.

Axes: initial time first, then any.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.stats import t as student

from airmass.evaluation.metrics import Metric

# With fewer initial times neither a variance nor its correlation can be told.
LEAST_TIMES = 8
RESAMPLES = 1000


@dataclass(frozen=True)
class Interval:
    """Confidence interval of a mean, and the probability of one as far from 0 if the true mean is 0."""

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p: np.ndarray


def pseudo_values(
    metric: Metric, scores: Float[np.ndarray, "init_time ..."], parts: bool
) -> Float[np.ndarray, "init_time ..."]:
    """Jackknife pseudo-values n m - (n - 1) m_i, of the metric m of all initial times and m_i of all but one.

    `scores` are by initial time, with a last axis of parts for a metric with `parts`; NaN for initial times that do not
    count, which stay NaN. Source: Miller 1974, doi:10.1093/biomet/61.1.1; for a plain mean they are the scores.
    """
    held = np.isfinite(scores)
    total, n = np.where(held, scores, 0.0).sum(axis=0), held.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        every = metric.finish(total / n)
        without = metric.finish((total - np.where(held, scores, 0.0)) / (n - 1))
        n = n[..., 0] if parts else n
        return np.where(held.all(axis=-1) if parts else held, n * every - (n - 1) * without, np.nan)


def has_parts(scores: np.ndarray) -> bool:
    """True for scores by initial time, (init_time, lead_time, level, bin, *part), with an axis of parts."""
    return scores.ndim > 4


def corrected_t_interval(values: Float[np.ndarray, "init_time ..."], level: float = 0.95) -> Interval:
    """Interval by Student's t with the number of independent values n (1 - r) / (1 + r), at least 2.

    The degrees of freedom are one less, but at least a sixth of the initial times: with fewer, intervals of short
    series are up to three times as wide and cover hardly more (measured for r from 0 to 0.8). r is the correlation from
    one initial time to the next, with its bias removed (Marriott and Pope 1954, doi:10.1093/biomet/41.3-4.390) and not
    below 0. NaN, for initial times that do not count, are left out, together
    with the pairs that they belong to. Source: Wilks 2019, Statistical Methods in the Atmospheric Sciences,
    doi:10.1016/C2017-0-03921-6, section 5.2.4; Geer 2016, doi:10.3402/tellusa.v68.30229.
    """
    n, mean, independent, error = _standard_error(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        freedom = _freedom(n, independent)
        reach = student.ppf((1 + level) / 2, freedom) * error
        p = np.where(error > 0, 2 * student.sf(np.abs(mean) / error, freedom), np.where(mean == 0, 1.0, 0.0))
    enough = n >= LEAST_TIMES
    low, high, p = (np.where(enough, a, np.nan) for a in (mean - reach, mean + reach, p))
    return Interval(mean, low, high, p)


def block_bootstrap_interval(
    values: Float[np.ndarray, "init_time ..."], level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """Interval by the stationary block bootstrap: blocks of successive initial times, of random length, joined up.

    Blocks have geometric lengths with the mean that is best for a first-order autoregression of the same r, and the
    same draws serve all of the batch. The bootstrap gives the shape of the distribution; its width is at least that of
    the t-test, because resampling alone covers too little in short series. Source:
    Politis and Romano 1994, doi:10.1080/01621459.1994.10476870; lengths by Politis and White 2004,
    doi:10.1081/ETC-120028836, corrected by Patton, Politis and White 2009, doi:10.1080/07474930802459016.
    """
    n, mean, independent, error = _standard_error(values)
    r = (n - independent) / (n + independent)
    typical = float(np.median(r[n >= LEAST_TIMES])) if (n >= LEAST_TIMES).any() else 0.0
    draws = _resampled_means(values - mean, _block_length(typical, len(values)), resamples, seed)
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = draws.std(axis=0, ddof=1)
        shape = draws / np.where(spread > 0, spread, 1)  # quantiles of the standardised mean
        widen = student.ppf((1 + level) / 2, _freedom(n, independent)) / student.ppf((1 + level) / 2, 1e9)
        ends = np.quantile(shape, [(1 - level) / 2, (1 + level) / 2], axis=0)
        scale = np.maximum(error, spread) * widen
        low, high = mean - ends[1] * scale, mean - ends[0] * scale
        beyond = (np.abs(shape) * scale >= np.abs(mean)).sum(axis=0)
    p = np.where(scale > 0, (beyond + 1) / (resamples + 1), np.where(mean == 0, 1.0, 0.0))
    low, high, p = (np.where(n >= LEAST_TIMES, a, np.nan) for a in (low, high, p))
    return Interval(mean, low, high, p)


METHODS: dict[str, Callable[..., Interval]] = {"t-test": corrected_t_interval, "bootstrap": block_bootstrap_interval}


def flatness(shares: Float[np.ndarray, "init_time *batch rank"]) -> dict[str, Float[np.ndarray, "..."]]:
    """Slope and curvature of rank histograms and the probability of each if they were flat, NaN with too few dates.

    Sums over ranks of share times r, and of share times r^2 less its mean, with r from -1 to 1; 0 for equal shares.
    Tested from one initial time to the next, as points of one field are not independent. Source: Jolliffe and Primo
    2008, doi:10.1175/2007MWR2219.1, whose chi-square test by components this follows.
    """
    r = np.linspace(-1, 1, shares.shape[-1])
    found: dict[str, np.ndarray] = {}
    for name, weights in (("slope", r), ("curvature", r**2 - (r**2).mean())):
        interval = corrected_t_interval(shares @ weights)
        found |= {name: np.where(np.isfinite(interval.p), interval.mean, np.nan), f"{name}_p": interval.p}
    return found


def significant(p: Float[np.ndarray, "..."], rate: float = 0.05) -> Bool[np.ndarray, "*batch"]:
    """Tests to call significant so that the expected share of false ones among them is at most `rate`.

    NaN is never significant. Source: Benjamini and Hochberg 1995, doi:10.1111/j.2517-6161.1995.tb02031.x, which holds
    for positively correlated tests such as those of a scorecard; Wilks 2016, doi:10.1175/BAMS-D-15-00267.1.
    """
    known = np.isfinite(p)
    ordered = np.sort(p[known])
    passed = np.flatnonzero(ordered <= rate * np.arange(1, len(ordered) + 1) / max(len(ordered), 1))
    limit = ordered[passed[-1]] if passed.size else -1.0
    with np.errstate(invalid="ignore"):
        return known & (p <= limit)


def _standard_error(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Number, mean, number of independent values (2 or more), and standard error of the mean."""
    n, mean, variance, r = _moments(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        independent = np.clip(n * (1 - r) / (1 + r), 2, np.maximum(n, 2))
        # The variance about the mean of correlated values is too small: E s^2 = sigma^2 (1 - (n / n' - 1) / (n - 1)).
        variance = variance / np.maximum(1 - (n / independent - 1) / (n - 1), 0.1)
        return n, mean, independent, np.sqrt(variance / independent)


def _freedom(n: np.ndarray, independent: np.ndarray) -> np.ndarray:
    return np.maximum(independent - 1, n / 6)


def _moments(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Number, mean, variance and correlation of neighbours, without bias, between 0 and 0.99."""
    held = np.isfinite(values)
    n = held.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(held, values, 0.0).sum(axis=0) / n
        off = np.where(held, values - mean, 0.0)
        squares = np.square(off).sum(axis=0)
        pairs = (held[1:] & held[:-1]).sum(axis=0)
        r = (off[1:] * off[:-1]).sum(axis=0) / pairs / (squares / n)
        r = np.clip((n * r + 1) / np.maximum(n - 3, 1), 0, 0.99)
        return n, mean, squares / (n - 1), np.where(squares > 0, r, 0.0)


def _block_length(r: float, n: int) -> float:
    """Best mean length of blocks for an autoregression: (2 G^2 / D)^(1/3) n^(1/3), from 1 to a third of the series."""
    if not np.isfinite(r) or r <= 0:
        return 1.0
    g, spectrum = 2 * r / (1 - r) ** 2, (1 + r) / (1 - r)
    return float(np.clip((2 * g**2 / (2 * spectrum**2)) ** (1 / 3) * n ** (1 / 3), 1, n / 3))


def _resampled_means(off: np.ndarray, length: float, resamples: int, seed: int) -> np.ndarray:
    """Means of resampled series of deviations, (resample, *batch)."""
    n, rng = len(off), np.random.default_rng(seed)
    starts = rng.random((resamples, n)) < 1 / length
    starts[:, 0] = True
    fresh = rng.integers(n, size=(resamples, n))
    since = np.arange(n) - np.maximum.accumulate(np.where(starts, np.arange(n), 0), axis=1)
    first = np.take_along_axis(fresh, np.maximum.accumulate(np.where(starts, np.arange(n), 0), axis=1), axis=1)
    rows = (first + since) % n
    counts = np.stack([np.bincount(row, minlength=n) for row in rows]).astype(np.float64)
    held = np.isfinite(off)
    flat = np.where(held, off, 0.0).reshape(n, -1)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = (counts @ flat) / (counts @ held.reshape(n, -1).astype(np.float64))
    return np.nan_to_num(means, nan=0.0).reshape(resamples, *off.shape[1:])
