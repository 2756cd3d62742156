"""The bare parts of a page: everything inline, every text escaped."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path

from airmass.core.errors import InputError

_TYPES = {".png": "image/png", ".gif": "image/gif"}

_STYLE = """
:root { --ink: #1c1c1c; --pale: #5f6570; --line: #dfe3e8; --good: #0b6b3a; --bad: #a3262a; --accent: #0072b2 }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 1180px; padding: 28px 24px 60px; color: var(--ink); background: #fff;
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", sans-serif }
h1 { font-size: 30px; line-height: 1.2; margin: 0 0 6px; letter-spacing: -.01em }
h2 { font-size: 20px; margin: 40px 0 10px; padding-top: 14px; border-top: 1px solid var(--line) }
h3 { font-size: 15px; margin: 18px 0 6px }
p { margin: 6px 0 10px } .pale { color: var(--pale) } .lead { font-size: 17px }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: 6px 0 }
th, td { padding: 5px 12px 5px 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line) }
th { font-weight: 600; color: var(--pale); font-size: 13px } td.n, th.n { text-align: right; padding: 5px 0 5px 18px }
td b { font-size: 16px } .wide { overflow-x: auto } .wide table { width: 100% }
.good { color: var(--good) } .bad { color: var(--bad) } .even { color: var(--pale) }
.skill { font-size: 12.5px; white-space: nowrap; display: block }
img { max-width: 100%; height: auto; display: block; margin: 10px 0 22px }
.columns { display: grid; gap: 4px 40px; align-items: start;
  grid-template-columns: repeat(auto-fit, minmax(320px, 1fr)) }
pre { background: #f5f7f9; border-radius: 6px; padding: 12px 14px; overflow-x: auto; font-size: 13px }
details { border-bottom: 1px solid var(--line); padding: 5px 0 } summary { cursor: pointer; font-weight: 600 }
input { font: inherit; padding: 5px 10px; border: 1px solid #b9c0c8; border-radius: 6px; width: 300px; max-width: 100% }
a { color: var(--accent) }
"""

_FILTER = """
document.getElementById('filter').addEventListener('input', function () {
  var words = this.value.toLowerCase().split(/\\s+/).filter(Boolean);
  document.querySelectorAll('#scores details').forEach(function (group) {
    var shown = 0;
    group.querySelectorAll('tbody tr').forEach(function (row) {
      var text = row.dataset.key, found = words.every(function (word) { return text.indexOf(word) >= 0 });
      row.hidden = !found; shown += found;
    });
    group.hidden = !shown; group.open = words.length > 0 && shown > 0;
  });
});
"""


def page(title: str, body: Iterable[str]) -> str:
    """A whole document from parts that are HTML already; only `title` is escaped here."""
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{escape(title)}</title>'
        f'<link rel="icon" href="data:,"><style>{_STYLE}</style></head>\n<body>\n'
        + "\n".join(body)
        + f"\n<script>{_FILTER}</script>\n</body></html>\n"
    )


def heading(title: str) -> str:
    return f"<h1>{escape(title)}</h1>"


def section(title: str, *parts: str) -> str:
    return f"<section><h2>{escape(title)}</h2>\n" + "\n".join(parts) + "</section>"


def paragraph(text: str, kind: str = "") -> str:
    return f'<p class="{kind}">{escape(text)}</p>'


def pairs(title: str, values: Mapping[str, object]) -> str:
    """A small table of names and values under a heading."""
    rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(_text(value))}</td></tr>" for name, value in values.items())
    return f"<div><h3>{escape(title)}</h3><table>{rows}</table></div>"


def columns(parts: Iterable[str]) -> str:
    return '<div class="columns">' + "".join(parts) + "</div>"


def commands(lines: Sequence[str]) -> str:
    return f"<pre>{escape(chr(10).join(lines))}</pre>"


def image(path: Path, description: str) -> str:
    """A picture, carried in the page. Raises InputError for a file that is not there or no PNG or GIF."""
    if path.suffix not in _TYPES:
        raise InputError(f"{path}: expected a picture ending in {' or '.join(_TYPES)}")
    try:
        data = base64.b64encode(path.read_bytes()).decode()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    return f'<img src="data:{_TYPES[path.suffix]};base64,{data}" alt="{escape(description)}">'


def download(name: str, text: str) -> str:
    """A link that saves a text carried in the page."""
    data = base64.b64encode(text.encode()).decode()
    return f'<a download="{escape(name)}" href="data:text/csv;base64,{data}">{escape(name)}</a>'


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value))
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_text(item)}" for key, item in value.items())
    return str(value)
