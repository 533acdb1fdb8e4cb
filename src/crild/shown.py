"""Results that print as one table, on a terminal and in a notebook."""

from abc import abstractmethod
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def number(value: float) -> str:
    """Return a number with four digits, or whole where it has more before the point."""
    return f"{value:.4g}" if abs(value) < 10_000 else f"{value:,.0f}"


class Shown:
    """What a function returns: it prints as its title, its table and its notes. Needs no torch."""

    @property
    @abstractmethod
    def title(self) -> str:
        """One line on what the table is of."""

    @abstractmethod
    def table(self) -> "pd.DataFrame":
        """Return the table as data; what is not there is missing."""

    def printed(self) -> "pd.DataFrame":
        """Return what is printed of the table: all of it."""
        return self.table()

    @property
    def remarks(self) -> list[str]:
        """What the reader should know, a line each."""
        return []

    def __str__(self) -> str:
        table = self.printed().to_string(float_format=number, na_rep="-")
        return "\n".join([self.title, table, *(f"note: {each}" for each in self.remarks)])

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        """Return HTML for a notebook; names and notes come from data and are escaped."""
        table = self.printed().to_html(float_format=number, na_rep="-", escape=True, border=0)
        notes = "".join(f"<p>note: {escape(each)}</p>" for each in self.remarks)
        return f"<p>{escape(self.title)}</p>{table}{notes}"
