"""Text from data and models in a page that people read: one line, shown as it is."""

import re


def plain(text: object) -> str:
    """Return one line without control characters, which may not reach a terminal or a table."""
    return " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())


def escape_markdown(text: object) -> str:
    """Return text that Markdown shows as it is, in a cell too."""
    escaped = re.sub(r"([\\`*_\[\]~$#|])", r"\\\1", plain(text))
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
