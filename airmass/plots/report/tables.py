"""Score tables: summary, headline scores, and all scores by variable."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

from airmass.evaluation.scores import BASELINES, ScoreTable, Spectrum, quoted, shown
from airmass.fields.derived import scored
from airmass.plots.report.html import Html, element, joined

# Relative differences below this count as equal.
_EVEN = 0.005
# First characters that make a spreadsheet treat a cell as a formula, full-width forms included.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_OPTIONAL = ("region", "period", "low", "high")
_EQUATOR = 40_030  # km
_MARKS = {"good": "▲", "bad": "▼", "even": "●"}


def ensembles(table: ScoreTable) -> set[str]:
    """Ensemble systems: those with a spread."""
    return {score.system for score in table.scores if score.metric == "spread"}


def verdict(table: ScoreTable, system: str, metric: str = "rmse") -> str:
    """Sentence with the number of headline fields and lead times at which a model's error is below each baseline's."""
    counts = []
    for baseline in _baselines(table):
        skills = [
            skill
            for channel in table.headline_fields().values()
            for hour in table.headline_hours
            if (skill := _skill(table, system, baseline, channel, hour, metric)) is not None
        ]
        counts.append(f"{baseline} in {sum(skill > _EVEN for skill in skills)} of {len(skills)}")
    if not counts:
        return f"{system}: no baseline was scored."
    return f"{system} has a lower {metric.upper()} than {' and '.join(counts)} headline comparisons."


def headline_table(table: ScoreTable, system: str, metric: str = "rmse") -> Html:
    """Table of a model's error by field and lead time, with its skill against each baseline in percent."""
    hours = table.headline_hours
    rows = [element("tr", element("th", "field"), *_lead_headings(hours))]
    for label, channel in table.headline_fields().items():
        cells = (_cell(table, system, channel, hour, metric) for hour in hours)
        units = element("span", quoted(channel[0]).units, class_="skill even")
        rows.append(element("tr", element("td", element("b", label), units), *cells))
    return element("div", element("table", *rows), class_="wide")


def resolution_table(spectra: Sequence[Spectrum]) -> Html | None:
    """Table of effective resolutions by field, system and lead time; None without any."""
    held = [s for s in spectra if s.resolved_wavenumber is not None and s.coherent_wavenumber is not None]
    if not held:
        return None
    lead_hours = sorted({s.lead_time_hours for s in held})
    rows: dict[tuple[str, str], dict[float, Spectrum]] = {}
    for s in held:
        system = f"mean of {s.system}" if s.of_mean else s.system
        rows.setdefault((f"{scored(s.variable).short_name}{s.level or ''}", system), {})[s.lead_time_hours] = s
    head = element("tr", element("th", "field"), element("th", "system"), *_lead_headings(lead_hours))
    body = [
        element("tr", element("td", element("b", label)), element("td", system), *(
            element("td", *_resolved(by_hour.get(hour)), class_="n") for hour in lead_hours
        ))
        for (label, system), by_hour in rows.items()
    ]  # fmt: skip
    return element("div", element("table", head, *body), class_="wide")


def _resolved(spectrum: Spectrum | None) -> Iterator[Html | str]:
    if spectrum is None:
        yield "–"
        return
    finest = len(spectrum.power) - 1
    kinds = ("resolves", spectrum.resolved_wavenumber), ("predicts", spectrum.coherent_wavenumber)
    for kind, number in kinds:
        text = "none" if not number else f"to {number} ({_EQUATOR / number:,.0f} km)"
        yield element("span", f"{kind} {'all' if number == finest else text}", class_="skill even")


def all_scores(table: ScoreTable) -> Html:
    """All variables, levels, systems and metrics at the headline lead times, collapsed by variable, with a filter."""
    titles = [element("th", title) for title in ("level", "metric", "system")]
    head = element("thead", element("tr", *titles, *_lead_headings(table.headline_hours)))
    groups = [
        element(
            "details",
            element("summary", name.replace("_", " ")),
            element("div", element("table", head, element("tbody", *_rows(table, name))), class_="wide"),
        )
        for name in dict.fromkeys(name for name, _ in table.channels)
    ]
    hint = "filter: temperature 850 rmse"
    field = element("input", id="filter", type="search", placeholder=hint, aria_label="filter the scores")
    return joined([element("p", field), element("div", *groups, id="scores")])


def as_csv(table: ScoreTable) -> str:
    """CSV text of all scores, at all lead times, in the units on disk; optional columns only if a score has them."""
    out = io.StringIO()
    writer = csv.writer(out)
    optional = [name for name in _OPTIONAL if any(getattr(s, name) is not None for s in table.all_scores)]
    writer.writerow(("system", "variable", "level_hpa", "lead_time_hours", "metric", "value", *optional))
    for s in table.all_scores:
        values = (s.system, s.variable, s.level, f"{s.lead_time_hours:g}", s.metric, s.value)
        writer.writerow([_csv_cell(value) for value in (*values, *(getattr(s, name) for name in optional))])
    return out.getvalue()


def _csv_cell(value: str | float | None) -> str:
    if isinstance(value, str):
        return _no_formula(value)
    return "" if value is None else f"{value:.7g}"


def _no_formula(text: str) -> str:
    """Prefix a quote to text that a spreadsheet would treat as a formula (OWASP, CSV injection)."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _rows(table: ScoreTable, name: str) -> Iterator[Html]:
    for channel in (channel for channel in table.channels if channel[0] == name):
        level = "" if channel[1] is None else f"{channel[1]} hPa"
        for metric in table.metrics:
            units = shown(metric, name)
            in_units = f"{metric}, {units.units}" if units.units else metric
            for system in table.systems:
                values = [table.value(system, channel, hour, metric) for hour in table.headline_hours]
                if all(value is None for value in values):
                    continue
                texts = ["–" if value is None else units.text(value) for value in values]
                key = f"{name} {scored(name).short_name}{channel[1] or ''} {level} {metric} {system}"
                cells = [element("td", text) for text in (level, in_units, system)]
                cells += [element("td", text, class_="n") for text in texts]
                yield element("tr", *cells, data_key=key.replace("_", " ").lower())


def _cell(table: ScoreTable, system: str, channel: tuple[str, int | None], hour: float, metric: str) -> Html:
    value = table.value(system, channel, hour, metric)
    if value is None:
        return element("td", "–", class_="n")
    skills = []
    for baseline in _baselines(table):
        skill = _skill(table, system, baseline, channel, hour, metric)
        if skill is None:
            continue
        kind = "good" if skill > _EVEN else "bad" if skill < -_EVEN else "even"
        word = {"good": "below", "bad": "above", "even": "as"}[kind]
        size = "" if kind == "even" else f"{abs(skill) * 100:.0f} % "
        skills.append(element("span", f"{_MARKS[kind]} {size}{word} {baseline}", class_=f"skill {kind}"))
    return element("td", element("b", quoted(channel[0]).text(value)), *skills, class_="n")


def _lead_headings(hours: Iterable[float]) -> list[Html]:
    return [element("th", _lead(hour), class_="n") for hour in hours]


def _skill(table: ScoreTable, system: str, baseline: str, channel, hour: float, metric: str) -> float | None:
    """1 - error / error of the baseline; None where either is undefined."""
    value, other = (table.value(who, channel, hour, metric) for who in (system, baseline))
    return None if value is None or not other else 1 - value / other


def _baselines(table: ScoreTable) -> list[str]:
    return [name for name in BASELINES[:2] if name in table.systems] or [n for n in BASELINES if n in table.systems]


def _lead(hour: float) -> str:
    return f"{hour:g} h" if hour < 48 else f"{hour / 24:g} days"
