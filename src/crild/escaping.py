"""Text from data and models in a page that people read: one line, shown as it is."""

import re

JOINERS = "\u200c\u200d"


def plain(text: object) -> str:
    """Return one line without control characters, which may not reach a terminal or a table."""
    return " ".join(visible(text).split())


def visible(text: object) -> str:
    """Return text with a space for every character that steers a terminal; what joins two letters or emoji stays."""
    return "".join(c if c.isprintable() or c in JOINERS else " " for c in str(text))


def escape_markdown(text: object) -> str:
    """Return text that Markdown shows as it is, in a cell too."""
    escaped = re.sub(r"([\\`*_\[\]~$#|])", r"\\\1", plain(text))
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
