"""HTML elements; every text is escaped, and only values of type `Html` are inserted unescaped."""

import re
from collections.abc import Iterable
from html import escape

_VOID = ("meta", "link", "img", "input")
# Characters not allowed in HTML: control characters, and lone surrogates, which come from undecodable file names.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")


class Html(str):
    """Text that is HTML already, made by `element` or `joined`, or a constant of this package; never from input."""


def text(value: object) -> Html:
    """Escape a text; return Html unchanged."""
    return value if isinstance(value, Html) else Html(_escaped(value))


def _escaped(value: object) -> str:
    """Escape a text, with U+FFFD in place of characters that are not allowed in HTML."""
    return escape(_FORBIDDEN.sub("\ufffd", f"{value}"))


def joined(parts: Iterable[object], between: str = "") -> Html:
    return Html(between.join(map(text, parts)))


def element(tag: str, *children: object, **attributes: object) -> Html:
    """`<tag name="value">children</tag>`; children that are not Html, and all attributes, are escaped.

    An attribute that is True has no value; one that is None or False is left out. `class_` becomes class, `_` in other
    names becomes a hyphen.
    """
    named = "".join(_attribute(name, value) for name, value in attributes.items() if value not in (None, False))
    if tag in _VOID:
        return Html(f"<{tag}{named}>")
    return Html(f"<{tag}{named}>{joined(children)}</{tag}>")


def _attribute(name: str, value: object) -> str:
    name = name.rstrip("_").replace("_", "-")
    # Always escaped: even Html is not valid as an attribute's value.
    return f" {name}" if value is True else f' {name}="{_escaped(value)}"'
