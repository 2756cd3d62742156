"""`airmass track`: from files to a table of tracks."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from rich.console import Console

from airmass.core.files import new_output, refuse_existing
from airmass.core.tables import say
from airmass.evaluation.features.settings import TropicalSettings
from airmass.evaluation.features.table import check_suffix, write_tracks
from airmass.evaluation.features.trackers.tropical import TropicalTracker
from airmass.evaluation.features.tracking import open_sources, track


def track_features(
    files: Sequence[str | Path],
    out: str | Path,
    init_times: Sequence[str] | None = None,
    workers: int = 1,
    tropical: TropicalSettings | None = None,
    console: Console | None = None,
) -> pd.DataFrame:
    """Track tropical cyclones in forecasts or stores, and write the table `out`.

    Raises InputError for files that lack a field, with other units, or that do not fit together.
    """
    check_suffix(out)
    refuse_existing(out, *files)
    console = console or Console()
    tracker = TropicalTracker(tropical or TropicalSettings())
    sources = open_sources(files, tracker, init_times)
    table = track(sources, tracker, {}, workers, console)
    with new_output(out) as aside:
        write_tracks(aside, table, tracker.columns)
    say(console, f"{table.track_id.nunique()} tracks in {sum(len(source.runs) for source in sources)} runs")
    return table
