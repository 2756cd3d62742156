"""`airmass report --scores DIR --out report.html`."""

from dataclasses import dataclass
from pathlib import Path

from airmass.commands.options import parse
from airmass.core.errors import one_line


@dataclass(frozen=True)
class Report:
    """Write one self-contained HTML page of scores and plots."""

    scores: Path
    """Folder that `airmass evaluate` wrote."""
    out: Path
    """HTML file to write."""
    plots: Path | None = None
    """Folder that `airmass plot` wrote."""
    tracks: Path | None = None
    """Folder that `airmass track --plots` wrote."""
    title: str = "Forecast evaluation"
    """Heading of the page."""


def run(arguments: list[str]) -> None:
    options = parse(Report, "airmass report", arguments)

    from airmass.plots.report.report import write_report

    write_report(options.out, options.title, options.scores, options.plots, tracks=options.tracks)
    print(one_line(f"report: {options.out}"))
