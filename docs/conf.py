"""Sphinx's settings: Markdown pages, and a reference that `generate.py` makes from the code. Built without a network."""

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
html_theme_options = {"footer_icons": []}


def setup(app) -> None:
    app.connect("config-inited", lambda app, config: generate.write(HERE / "reference"))
