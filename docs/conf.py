"""Sphinx's settings: Markdown pages, and a reference that `generate.py` makes from the code; no network is needed."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import generate  # noqa: E402

import airmass  # noqa: E402

project, author, copyright = "airmass", "The airmass authors", "The airmass authors, Apache-2.0"
version = release = airmass.__version__
extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 4
# Blocks of shell hold placeholders such as `...`, which are no fault.
suppress_warnings = ["misc.highlighting_failure"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"airmass {version}"
html_copy_source = False
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_theme_options = {"footer_icons": []}


# Pages outside docs/, by the page or the words that stand for them here.
_ELSEWHERE = {"(../benchmarks/README.md": "(benchmarks.md", "(../../benchmarks/README.md": "(../benchmarks.md"}


def elsewhere(app, name: str, source: list[str]) -> None:
    """Turn links that lead out of docs/, as they do on a code host, into links within the site."""
    for found, wanted in _ELSEWHERE.items():
        source[0] = source[0].replace(found, wanted)
    if name == "index":
        source[0] = source[0].replace("\nview\n", "\nview\n" + "".join(f"{page}\n" for page in unlisted(source[0])))


def unlisted(index: str) -> list[str]:
    """Pages beside the index that it does not name: new ones, which go under How to."""
    return sorted({page.stem for page in HERE.glob("*.md")} - {"index"} - set(index.split()))


def setup(app) -> None:
    app.connect("source-read", elsewhere)
    app.connect("config-inited", lambda app, config: generate.write(HERE / "reference"))
