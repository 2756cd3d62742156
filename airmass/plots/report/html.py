"""HTML from a template of elements: every text is escaped where it enters, only elements are taken as they are."""

import re
from collections.abc import Iterable
from html import escape

_VOID = ("meta", "link", "img", "input")
# What no HTML document may hold: control characters, and halves of surrogate pairs, as undecodable file names have.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")


class Html(str):
    """Text that is HTML already, made by `element`, `joined` or from a constant of ours; never from outside."""


def text(value: object) -> Html:
    """A text as HTML that shows it; Html as it is."""
    return value if isinstance(value, Html) else Html(_escaped(value))


def _escaped(value: object) -> str:
    """With a mark in place of characters that no document may hold."""
    return escape(_FORBIDDEN.sub("\ufffd", f"{value}"))


def joined(parts: Iterable[object], between: str = "") -> Html:
    return Html(between.join(map(text, parts)))


def element(tag: str, *children: object, **attributes: object) -> Html:
    """`<tag name="value">children</tag>`; children that are no Html, and all attributes, are escaped.

    An attribute that is True has no value, one that is None or False is left out; `class_` stands for class, `_` in
    others for a hyphen.
    """
    named = "".join(_attribute(name, value) for name, value in attributes.items() if value not in (None, False))
    if tag in _VOID:
        return Html(f"<{tag}{named}>")
    return Html(f"<{tag}{named}>{joined(children)}</{tag}>")


def _attribute(name: str, value: object) -> str:
    name = name.rstrip("_").replace("_", "-")
    # Escaped whatever it is: a piece of HTML is no value of an attribute.
    return f" {name}" if value is True else f' {name}="{_escaped(value)}"'
