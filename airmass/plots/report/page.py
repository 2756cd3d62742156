"""Building blocks of the page: everything inline, every text escaped, with a strict content security policy."""

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from PIL import Image

from airmass.plots.report.html import Html, element, joined
from airmass.plots.report.pictures import read_picture

_STYLE = """
:root { --ink: #1c1c1c; --pale: #5f6570; --line: #dfe3e8; --good: #0b6b3a; --bad: #a3262a; --accent: #0072b2 }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 1180px; padding: 28px 24px 60px; color: var(--ink); background: #fff;
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", sans-serif }
h1 { font-size: 30px; line-height: 1.2; margin: 0 0 6px; letter-spacing: -.01em }
h2 { font-size: 20px; margin: 40px 0 10px; padding-top: 14px; border-top: 1px solid var(--line) }
h3 { font-size: 15px; margin: 18px 0 6px }
p { margin: 6px 0 10px } li { margin-bottom: 10px } .fields { margin: 2px 0 }
.pale { color: var(--pale) } .lead { font-size: 17px }
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
a { color: var(--accent) } .columns td { overflow-wrap: anywhere }
.picture { overflow-x: auto }
@media (max-width: 700px) { body { padding: 18px 14px 40px } .picture.broad img { max-width: none; width: 860px } }
"""

# Pictures of more pixels would be too small on a telephone.
_BROAD = 700

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


def page(title: str, body: Iterable[Html]) -> Html:
    """Complete HTML document."""
    return joined(
        [
            Html('<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'),
            element("meta", http_equiv="Content-Security-Policy", content=_policy()),
            element("meta", name="viewport", content="width=device-width, initial-scale=1"),
            element("title", title),
            Html(f'<link rel="icon" href="data:,"><style>{_STYLE}</style></head>\n<body>\n'),
            joined(body, "\n"),
            Html(f"\n<script>{_FILTER}</script>\n</body></html>\n"),
        ]
    )


def _policy() -> str:
    """Content security policy: no network, frames or forms; only this module's style and script, by their digests."""
    style, script = (
        base64.b64encode(hashlib.sha256(source.encode()).digest()).decode() for source in (_STYLE, _FILTER)
    )
    return (
        f"default-src 'none'; img-src data:; style-src 'sha256-{style}'; script-src 'sha256-{script}'; "
        "base-uri 'none'; form-action 'none'"
    )


def heading(title: str) -> Html:
    return element("h1", title)


def section(title: str, *parts: Html) -> Html:
    return element("section", element("h2", title), Html("\n"), joined(parts, "\n"))


def paragraph(text: object, kind: str | None = None) -> Html:
    return element("p", text, class_=kind)


def bullets(items: Iterable[object]) -> Html:
    return element("ul", *(element("li", item) for item in items))


def pairs(title: str, values: Mapping[str, object]) -> Html:
    """Small table of names and values under a heading."""
    rows = (element("tr", element("th", name), element("td", _words(value))) for name, value in values.items())
    return element("div", element("h3", title), element("table", *rows))


def grid(titles: Sequence[str], rows: Iterable[Sequence[object]]) -> Html:
    """Table with column headings."""
    head = element("tr", *(element("th", title) for title in titles))
    body = (element("tr", *(element("td", cell) for cell in row)) for row in rows)
    return element("div", element("table", head, *body), class_="wide")


def columns(parts: Iterable[Html]) -> Html:
    return element("div", *parts, class_="columns")


def commands(lines: Sequence[str]) -> Html:
    return element("pre", "\n".join(lines))


def image(path: Path, description: str) -> Html:
    """Image embedded in the page; on a narrow screen, a broad one is scrolled. Raises InputError for a file that is
    missing or not PNG or GIF."""
    kind, data = read_picture(path)
    with Image.open(path) as opened:
        broad = opened.width > _BROAD
    shown = element("img", src=f"data:{kind};base64,{base64.b64encode(data).decode()}", alt=description)
    return element("div", shown, class_="picture broad" if broad else "picture")


def download(name: str, text: str) -> Html:
    """Link that downloads a text embedded in the page."""
    data = base64.b64encode(text.encode("utf-8", "replace")).decode()
    return element("a", name, download=name, href=f"data:text/csv;base64,{data}")


def _words(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(_words, value))
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_words(item)}" for key, item in value.items())
    return str(value)
