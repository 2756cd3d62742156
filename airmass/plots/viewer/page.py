"""The page as text: style, script, fields and their description inside one file with a strict content policy."""

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator
from importlib.resources import files
from typing import Any

from airmass.plots.report.html import Html, element

_SCRIPT, _STYLE = "viewer.js", "viewer.css"


def head(title: str, served: bool = False) -> Iterator[str]:
    """Everything before the fields. No network; a served page may ask its own server."""
    style = _bundle(_STYLE)
    yield '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
    yield element("meta", http_equiv="Content-Security-Policy", content=policy(served)) + "\n"
    yield element("meta", name="viewport", content="width=device-width, initial-scale=1") + "\n"
    yield element("title", title)
    yield Html(f'<link rel="icon" href="data:,"><style>{style}</style></head>\n<body><div id="app"></div>\n')
    yield "<noscript>This page draws its maps with JavaScript, which is switched off here.</noscript>\n"


def blocks(name: str, data: Iterable[bytes]) -> Iterator[str]:
    """Blocks of one field of one source, one a line, in an element that no browser runs."""
    yield f'<script type="text/plain" id="{name}">'
    for number, block in enumerate(data):
        yield ("\n" if number else "") + base64.b64encode(block).decode()
    yield "</script>\n"


def tail(about: dict[str, Any]) -> Iterator[str]:
    """The description of everything, and the script."""
    yield f'<script type="application/json" id="about">{_json(about)}</script>\n'
    yield f"<script>{_bundle(_SCRIPT)}</script>\n</body></html>\n"


def policy(served: bool) -> str:
    """Content security policy: this package's style and script only, by their digests."""
    style, script = (base64.b64encode(hashlib.sha256(_bundle(n).encode()).digest()).decode() for n in (_STYLE, _SCRIPT))
    asks = " connect-src 'self';" if served else ""
    return (
        f"default-src 'none';{asks} img-src data:; style-src 'sha256-{style}'; script-src 'sha256-{script}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _json(about: dict[str, Any]) -> str:
    """JSON that cannot end the element it stands in."""
    return json.dumps(about, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _bundle(name: str) -> str:
    return (files("airmass.plots.viewer") / name).read_text(encoding="utf-8")
