"""Scores of forecasts as an `xr.Dataset`, for notebooks."""

from collections.abc import Sequence
from pathlib import Path

import xarray as xr

from airmass.evaluation.evaluate import score
from airmass.evaluation.inputs import open_verification
from airmass.evaluation.request import VerificationRequest
from airmass.evaluation.scoring import score_variable
from airmass.evaluation.tables import to_dataset

Files = str | Path | Sequence[str | Path]


def evaluate(
    forecast: Files,
    truth: str | Path,
    *,
    climatology: str | Path | None = None,
    lead_times: Sequence[str] | None = None,
    init_times: Sequence[str] | None = None,
    variables: Sequence[str] = (),
    regions: Sequence[str] = (),
) -> xr.Dataset:
    """Scores by variable, with dims (system, metric, lead_time, [level]); NaN where a metric is undefined.

    With `regions`, such as "europe" and "tropics", also the first dim region, with "globe" first.

    `forecast` is one or more files of one or more systems, deterministic or ensembles, as for `airmass evaluate`.
    Errors are in the variable's units, given in its attribute `units`; ratios and correlations are dimensionless.
    `lead_times` (such as 24h, 5d) and `init_times` choose the times to score, `variables` the fields. Raises
    InputError for inputs that do not fit together exactly.
    """
    files = (forecast,) if isinstance(forecast, str | Path) else tuple(forecast)
    request = VerificationRequest(
        forecasts=files,
        truth=truth,
        climatology=climatology,
        lead_times=None if lead_times is None else tuple(lead_times),
        init_times=None if init_times is None else tuple(init_times),
        variables=tuple(variables),
        regions=tuple(regions),
    )
    data = open_verification(request)
    found = to_dataset(score(data, {name: score_variable(data, name) for name in data.variables})[1], bool(regions))
    return found.squeeze("period", drop=True) if regions else found
