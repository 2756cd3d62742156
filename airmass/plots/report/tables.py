"""Tables of scores: the verdict at a glance, and every score folded up by variable."""

from collections.abc import Iterator
from html import escape

from airmass.evaluation.scores import BASELINES, ScoreTable, has_units, quoted
from airmass.fields.derived import scored

# Smaller differences than this are called even.
_EVEN = 0.005
_MARKS = {"good": "▲", "bad": "▼", "even": "●"}


def ensembles(table: ScoreTable) -> set[str]:
    """The systems with members, which alone have a spread."""
    return {score.system for score in table.scores if score.metric == "spread"}


def verdict(table: ScoreTable, system: str, metric: str = "rmse") -> str:
    """One sentence: how often a model's error is below that of each baseline, over headline fields and lead times."""
    said = []
    for baseline in _baselines(table):
        skills = [
            skill
            for channel in table.headline_fields().values()
            for hour in table.headline_hours
            if (skill := _skill(table, system, baseline, channel, hour, metric)) is not None
        ]
        said.append(f"{baseline} in {sum(skill > _EVEN for skill in skills)} of {len(skills)}")
    if not said:
        return f"{system}: no baseline was scored."
    return f"{system} beats {' and '.join(said)} headline comparisons of {metric.upper()}."


def headline_table(table: ScoreTable, system: str, metric: str = "rmse") -> str:
    """An error of a model by field and lead time, with its skill against each baseline in percent."""
    hours = table.headline_hours
    head = "".join(f'<th class="n">{_lead(hour)}</th>' for hour in hours)
    rows = []
    for label, channel in table.headline_fields().items():
        cells = "".join(_cell(table, system, channel, hour, metric) for hour in hours)
        units = escape(quoted(channel[0]).units)
        rows.append(f'<tr><td><b>{escape(label)}</b><span class="skill even">{units}</span></td>{cells}</tr>')
    return f'<div class="wide"><table><tr><th>field</th>{head}</tr>{"".join(rows)}</table></div>'


def all_scores(table: ScoreTable) -> str:
    """Every variable, level, system and metric at the headline lead times, folded by variable, with a filter."""
    groups = []
    for name in dict.fromkeys(name for name, _ in table.channels):
        head = "".join(f'<th class="n">{_lead(hour)}</th>' for hour in table.headline_hours)
        groups.append(
            f"<details><summary>{escape(name.replace('_', ' '))}</summary><table><thead><tr><th>level</th>"
            f"<th>metric</th><th>system</th>{head}</tr></thead><tbody>{''.join(_rows(table, name))}</tbody></table>"
            "</details>"
        )
    return (
        '<p><input id="filter" type="search" placeholder="filter: temperature 850 rmse" '
        f'aria-label="filter the scores"></p><div id="scores">{"".join(groups)}</div>'
    )


def as_csv(table: ScoreTable) -> str:
    """All scores, at all lead times, in the units on disk."""
    lines = ["system,variable,level_hpa,lead_time_hours,metric,value"]
    for s in table.scores:
        level = "" if s.level is None else s.level
        lines.append(f"{s.system},{s.variable},{level},{s.lead_time_hours:g},{s.metric},{s.value:.7g}")
    return "\n".join(lines) + "\n"


def _rows(table: ScoreTable, name: str) -> Iterator[str]:
    units = quoted(name)
    for channel in (channel for channel in table.channels if channel[0] == name):
        level = "" if channel[1] is None else f"{channel[1]} hPa"
        for metric in table.metrics:
            in_units = f"{metric}, {units.units}" if has_units(metric) else metric
            for system in table.systems:
                values = [table.value(system, channel, hour, metric) for hour in table.headline_hours]
                if all(value is None for value in values):
                    continue
                texts = ["–" if v is None else units.text(v) if has_units(metric) else f"{v:z.3f}" for v in values]
                key = f"{name} {scored(name).short_name}{channel[1] or ''} {level} {metric} {system}"
                cells = "".join(f'<td class="n">{text}</td>' for text in texts)
                yield (
                    f'<tr data-key="{escape(key.replace("_", " ").lower())}"><td>{level}</td>'
                    f"<td>{escape(in_units)}</td><td>{escape(system)}</td>{cells}</tr>"
                )


def _cell(table: ScoreTable, system: str, channel: tuple[str, int | None], hour: float, metric: str) -> str:
    value = table.value(system, channel, hour, metric)
    if value is None:
        return '<td class="n">–</td>'
    skills = []
    for baseline in _baselines(table):
        skill = _skill(table, system, baseline, channel, hour, metric)
        if skill is None:
            continue
        kind = "good" if skill > _EVEN else "bad" if skill < -_EVEN else "even"
        word = {"good": "below", "bad": "above", "even": "as"}[kind]
        size = "" if kind == "even" else f"{abs(skill) * 100:.0f} % "
        skills.append(f'<span class="skill {kind}">{_MARKS[kind]} {size}{word} {escape(baseline)}</span>')
    return f'<td class="n"><b>{quoted(channel[0]).text(value)}</b>{"".join(skills)}</td>'


def _skill(table: ScoreTable, system: str, baseline: str, channel, hour: float, metric: str) -> float | None:
    """1 - error / error of the baseline; None where either is undefined."""
    value, other = (table.value(who, channel, hour, metric) for who in (system, baseline))
    return None if value is None or not other else 1 - value / other


def _baselines(table: ScoreTable) -> list[str]:
    return [name for name in BASELINES if name in table.systems]


def _lead(hour: float) -> str:
    return f"{hour:g} h" if hour < 48 else f"{hour / 24:g} days"
