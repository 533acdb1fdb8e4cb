"""Text from data in a page that people read."""

from crild.escaping import escape_markdown, plain

NASTY = "<img src=x onerror=alert(1)>&\"'| `*_[x](y)\n ~^\\%$#{}"


def test_plain_is_one_line_without_control_characters():
    assert plain("a\x1b[31m\nb\t c\u202e") == "a [31m b c"


def test_markdown_shows_a_text_as_it_is():
    escaped = "&lt;img src=x onerror=alert(1)&gt;&amp;\"'\\| \\`\\*\\_\\[x\\](y) \\~^\\\\%\\$\\#{}"
    assert escape_markdown(NASTY) == escaped
