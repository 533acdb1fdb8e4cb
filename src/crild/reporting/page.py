"""Pages that open without a network: sections of texts, tables and pictures, in one file of HTML."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from crild.escaping import plain
from crild.reporting.svg import LETTER, Picture, number

EDGE, KEY, SWATCH = 14, 18, 32  # pixels of a standalone figure: its edge, a line of its legend, a key's line


@dataclass(frozen=True)
class Told:
    """A number in words of its own.

    Attributes:
        text: that is shown.
        value: that the cell is sorted by; ``None`` where it is missing, which comes last.
        marked: whether it stands out.
    """

    text: str
    value: float | None = None
    marked: bool = False


Cell = str | float | int | Told | None
Rows = tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True)
class Table:
    """A table; numbers stand on the right and sort as numbers.

    Attributes:
        headings: of the columns.
        rows: their cells; a number is shown with the digits that count.
        title: what it is.
        kinds: class of each row, for instance ``teacher``; none, or one a row.
        choices: with texts: a search field stands above the table, and these are the kinds of rows to choose from, by
            class.
        note: below it.
        kind: what a template tells it by.
    """

    headings: tuple[str, ...]
    rows: Rows
    title: str = ""
    kinds: tuple[str, ...] = ()
    choices: Mapping[str, str] | None = None
    note: str = ""
    kind: str = "table"

    def is_number(self, column: int) -> bool:
        """Whether a column holds numbers."""
        return any(isinstance(row[column], int | float | Told) for row in self.rows)


@dataclass(frozen=True)
class Figure:
    """A picture, and its numbers as a table for who does not see it.

    Attributes:
        title: what it is.
        svg: the picture.
        table: its numbers.
        legend: class and name of what is told apart in it.
        note: below it.
        shows: what the table is called until it is shown.
        kind: what a template tells it by.
    """

    title: str
    svg: Picture
    table: Table
    legend: tuple[tuple[str, str], ...] = ()
    note: str = ""
    shows: str = "The numbers"
    kind: str = "figure"


@dataclass(frozen=True)
class Words:
    """A paragraph, or (``code``) lines as they are.

    Attributes:
        text: of it.
        code: shown as it is, in letters of one width.
        kind: what a template tells it by.
    """

    text: str
    code: bool = False
    kind: str = "words"


@dataclass(frozen=True)
class Listing:
    """A list.

    Attributes:
        items: of it.
        kind: what a template tells it by.
    """

    items: tuple[str, ...]
    kind: str = "list"


@dataclass(frozen=True)
class Details:
    """Parts that are shown on request.

    Attributes:
        title: what is always shown.
        parts: the rest.
        kind: what a template tells it by.
    """

    title: str
    parts: "tuple[Words | Table | Listing, ...]"
    kind: str = "details"


Part = Words | Table | Figure | Listing | Details


@dataclass(frozen=True)
class Section:
    """A heading and what is below it.

    Attributes:
        name: of its anchor.
        title: its heading.
        parts: in order.
    """

    name: str
    title: str
    parts: tuple[Part, ...]


def words(*lines: str) -> tuple[Words, ...]:
    """Return paragraphs; empty ones are left out."""
    return tuple(Words(line) for line in lines if line)


def figures_together(parts: Sequence[Part]) -> list[list[Part]]:
    """Return the parts, with figures that follow one another in one list: they stand side by side."""
    out: list[list[Part]] = []
    for part in parts:
        if isinstance(part, Figure) and out and isinstance(out[-1][0], Figure):
            out[-1].append(part)
        else:
            out.append([part])
    return out


@cache
def environment() -> Environment:
    """Return where templates come from: they escape every text, and one that is not there is an error."""
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["plain"] = plain
    made.filters["number"] = number
    made.filters["figures_together"] = figures_together
    made.tests["is_number"] = lambda value: isinstance(value, int | float)
    made.tests["is_told"] = lambda value: isinstance(value, Told)
    return made


def render(title: str, lead: Sequence[str], sections: Sequence[Section], foot: str = "", **more: Any) -> str:
    """Return a page.

    Args:
        title: its heading.
        lead: paragraphs below it.
        sections: those without parts are left out.
        foot: its last line.
        more: what else the template asks for.
    """
    there = [section for section in sections if section.parts]
    page = environment().get_template("page.html.j2")
    return page.render(title=title, lead=lead, sections=there, foot=foot, **more)


def standalone(figure: Figure) -> str:
    """Return a figure as the text of an SVG file, with its title and legend inside."""
    keys: list[tuple[int, int, str, str]] = []
    across, down = EDGE, KEY
    for kind, name in figure.legend:
        wide = SWATCH + round(LETTER * len(plain(name)))
        if across > EDGE and across + wide > figure.svg.width:
            across, down = EDGE, down + KEY
        keys.append((across, down, kind, plain(name)))
        across += wide + EDGE
    above = 24 + (down if keys else 0)
    return environment().get_template("figure.svg.j2").render(figure=figure, keys=keys, above=above)
