"""Pictures of a page: SVG of a few marks, whose colours are the page's, light or dark; each mark says its value.

A mark has the class of what it stands for (``teacher``, ``student``, ...); texts from data are escaped. No plotting
library is a dependency.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from crild.escaping import plain

WIDTH, HEIGHT = 360, 236  # as much as a phone has, so that letters there are no smaller
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 12, 46
HIT = 9  # radius of what a pointer must meet, pixels
MOST_POINTS = 60  # of a line that can be pointed at
LETTER = 6.6  # pixels, of the tick labels


@dataclass(frozen=True)
class Axis:
    """A range of numbers.

    Attributes:
        low, high: its ends.
        label: what the numbers are.
        ticks: numbers that are written.
        log: whether equal distances are equal ratios.
    """

    low: float
    high: float
    label: str
    ticks: tuple[float, ...]
    log: bool = False

    def share(self, value: float) -> float:
        """Return where a number is, from 0 to 1."""
        if self.log:
            return (math.log(value) - math.log(self.low)) / (math.log(self.high) - math.log(self.low))
        return (value - self.low) / (self.high - self.low)


def axis_of(values: Iterable[float], label: str, log: bool = False, zero: bool = False, pad: float = 0.06) -> Axis:
    """Return an axis that holds these numbers; ``zero``: and 0; ``pad``: with so much of its length beside them."""
    found = [value for value in values if math.isfinite(value) and (value > 0 or not log)]
    if log:
        low, high = (math.log10(end(found)) for end in (min, max))
        beside = max(pad * (high - low), 0.08)
        return Axis(10 ** (low - beside), 10 ** (high + beside), label, tuple(log_ticks(low - beside, high + beside)),
                    True)  # fmt: skip
    low, high = min([*found, *[0.0] * zero], default=0.0), max([*found, *[0.0] * zero], default=1.0)
    if high - low < 1e-9 * max(1.0, abs(high)):
        low, high = low - 0.5 * (abs(low) or 1.0), high + 0.5 * (abs(high) or 1.0)
    beside = pad * (high - low)
    low, high = low - beside * (not zero or low != 0), high + beside * (not zero or high != 0)
    step = tick_step(high - low)
    ticks = [step * n for n in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]
    return Axis(low, high, label, tuple(round(tick, 12) for tick in ticks))


def tick_step(span: float) -> float:
    """Return the distance of about five ticks: 1, 2 or 5 times a power of ten."""
    rough = max(span, 1e-12) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * each for each in (1, 2, 5, 10) if power * each >= rough * (1 - 1e-9))


def log_ticks(low: float, high: float) -> list[float]:
    """Return 1, 2 and 5 times the powers of ten between two exponents; powers alone where these are many."""
    every = [(1.0, 2.0, 5.0), (1.0,)][high - low > 2]
    powers = range(math.floor(low), math.ceil(high) + 1)
    return [each * 10.0**p for p in powers for each in every if low <= math.log10(each * 10.0**p) <= high]


@dataclass(frozen=True)
class Frame:
    """Two axes, and the pixels that they cover."""

    x: Axis
    y: Axis
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = RIGHT

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Return the pixels of a point."""
        across, up = self.x.share(x), self.y.share(y)
        return (
            round(self.left + across * (self.width - self.left - self.right), 1),
            round(self.height - BOTTOM - up * (self.height - TOP - BOTTOM), 1),
        )

    @property
    def grid(self) -> Markup:
        """Lines at the ticks, their numbers, and the labels."""
        bottom, right = self.height - BOTTOM, self.width - self.right
        parts = []
        for tick in self.y.ticks:
            y = self.at(self.x.low, tick)[1]
            parts.append(segment(self.left, y, right, y, "grid"))
            parts.append(text(self.left - 6, y + 4, short(tick), "end"))
        for tick in self.x.ticks:
            x = self.at(tick, self.y.low)[0]
            parts.append(segment(x, TOP, x, bottom, "grid"))
            parts.append(text(x, bottom + 17, short(tick), "middle"))
        parts.append(text((self.left + right) / 2, self.height - 8, self.x.label, "middle"))
        middle = (TOP + bottom) / 2
        parts.append(upwards(middle, self.y.label))
        return Markup("").join(parts)


@dataclass(frozen=True)
class Picture:
    """Marks on an area; in a template it is an SVG element.

    Attributes:
        marks: in the order in which they are drawn.
        label: what it is, for who does not see it.
        width, height: of the area.
    """

    marks: Markup
    label: str
    width: int
    height: int

    def __html__(self) -> str:
        mark = Markup(
            '<svg class="plot" role="img" aria-label="{}" viewBox="0 0 {} {}" style="max-width:{}px">{}</svg>'
        )
        return mark.format(plain(self.label), self.width, self.height, round(1.25 * self.width), self.marks)


def picture(parts: Iterable[Markup], label: str, width: int = WIDTH, height: int = HEIGHT) -> Picture:
    """Return a picture of marks."""
    return Picture(Markup("").join(parts), label, width, height)


# ---- marks ----


def text(x: float, y: float, words: object, anchor: str = "start", kind: str = "") -> Markup:
    """Return a text at a place."""
    mark = Markup('<text x="{}" y="{}" text-anchor="{}" class="{}">{}</text>')
    return mark.format(round(x, 1), round(y, 1), anchor, kind, plain(words))


def upwards(y: float, words: str) -> Markup:
    """Return a text that reads upwards, at the left edge."""
    mark = Markup('<text transform="translate(13 {}) rotate(-90)" text-anchor="middle">{}</text>')
    return mark.format(round(y, 1), plain(words))


def segment(x1: float, y1: float, x2: float, y2: float, kind: str, says: str = "") -> Markup:
    """Return a straight line between two pixels."""
    ends = (round(value, 1) for value in (x1, y1, x2, y2))
    return Markup('<line x1="{}" y1="{}" x2="{}" y2="{}" class="{}">{}</line>').format(*ends, kind, title(says))


def title(says: str) -> Markup:
    """Return what a mark says when it is pointed at."""
    return Markup("<title>{}</title>").format(plain(says)) if says else Markup("")


def circle(x: float, y: float, radius: float, kind: str, says: str = "") -> Markup:
    """Return a circle about a pixel."""
    return Markup('<circle cx="{}" cy="{}" r="{}" class="{}">{}</circle>').format(
        round(x, 1), round(y, 1), round(radius, 1), kind, title(says)
    )


def box(
    x: float, y: float, width: float, height: float, kind: str, says: str = "", strength: float | None = None
) -> Markup:
    """Return a rectangle; ``strength``: how much of its colour it has, from 0 to 1."""
    sizes = (round(value, 1) for value in (x, y, max(width, 0.0), max(height, 0.0)))
    shade = Markup("") if strength is None else Markup(' style="fill-opacity:{}"').format(round(strength, 3))
    return Markup('<rect x="{}" y="{}" width="{}" height="{}" class="{}"{}>{}</rect>').format(
        *sizes, kind, shade, title(says)
    )


def line(frame: Frame, points: Sequence[tuple[float, float]], kind: str, name: str) -> Markup:
    """Return points joined by a line; each says its numbers under ``name``, of very many some."""
    known = [(x, y) for x, y in points if math.isfinite(y)]
    if not known:
        return Markup("")
    pixels = [frame.at(x, y) for x, y in known]
    path = Markup('<polyline class="line {}" points="{}"/>').format(kind, " ".join(f"{x},{y}" for x, y in pixels))
    every = math.ceil(len(known) / MOST_POINTS)
    marks = [path]
    for pixel, (x, y) in list(zip(pixels, known, strict=True))[::every]:
        says = f"{name}, {frame.x.label} {short(x)}: {number(y)}"
        marks += [circle(*pixel, 2.6, f"dot {kind}"), circle(*pixel, HIT, "hit", says)]
    return Markup("").join(marks)


def band(frame: Frame, points: Sequence[tuple[float, float, float]], kind: str) -> Markup:
    """Return the area between two lines through (x, low, high)."""
    known = [each for each in points if all(map(math.isfinite, each))]
    there = [frame.at(x, low) for x, low, _ in known] + [frame.at(x, high) for x, _, high in reversed(known)]
    return Markup('<polygon class="band {}" points="{}"/>').format(kind, " ".join(f"{x},{y}" for x, y in there))


def matrix(
    values: Sequence[Sequence[float | None]],
    lines: Sequence[str],
    columns: Sequence[str],
    label: str,
    says: Sequence[Sequence[str]],
    shown: Sequence[Sequence[str]],
    kind: str,
    across: str,
    down: str,
) -> Picture:
    """Return a table of coloured cells.

    Args:
        values: of each cell, from 0 (no colour) to 1; ``None`` for none.
        lines, columns: their names.
        label: what it is.
        says: what each cell says when it is pointed at.
        shown: what is written in each cell, if it fits.
        kind: class of the colour.
        across, down: what columns and lines are.
    """
    letters = [cut(name) for name in lines]
    left = round(max(LEFT, 30 + LETTER * max(map(len, letters), default=0)))
    size = min((WIDTH - left - RIGHT) / max(len(columns), 1), 64.0)
    high = min(size, 44.0)
    slanted = max((len(cut(name)) for name in columns), default=0) * LETTER > size
    head = 4 + (0.72 * LETTER * max(len(cut(name)) for name in columns) + 12 if slanted else 16)
    width, height = WIDTH, round(TOP + 16 + head + high * len(lines) + 8)
    top = TOP + 16 + head
    parts = [text(left, TOP + 6, across), upwards(top + high * len(lines) / 2, down)]
    for place, name in enumerate(columns):
        x = left + size * (place + 0.5)
        if slanted:
            parts.append(
                Markup('<text transform="translate({} {}) rotate(-45)">{}</text>').format(
                    round(x, 1), round(top - 5, 1), cut(name)
                )
            )
        else:
            parts.append(text(x, top - 6, cut(name), "middle"))
    for i, name in enumerate(letters):
        parts.append(text(left - 6, top + high * (i + 0.5) + 4, name, "end"))
        for j, value in enumerate(values[i]):
            x, y = left + size * j, top + high * i
            parts.append(box(x + 0.5, y + 0.5, size - 1, high - 1, f"cell {kind}", says[i][j], value or 0.0))
            if len(shown[i][j]) * LETTER <= size - 4 and high >= 14:
                strong = " strong" if (value or 0) > 0.55 else ""
                parts.append(text(x + size / 2, y + high / 2 + 4, shown[i][j], "middle", f"inside{strong}"))
    return picture(parts, label, width, height)


# ---- numbers ----


def number(value: float | None) -> str:
    """Return a number with the digits that count; a dash for none."""
    if value is None or not math.isfinite(value):
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1e4 else f"{value:.4g}"


def short(value: float) -> str:
    """Return the number of a tick."""
    return f"{value:g}" if abs(value) < 1e5 else f"{value:.0e}"


def cut(name: str, most: int = 14) -> str:
    """Return a name that fits beside a picture; the whole one is in its table."""
    name = plain(name)
    return name if len(name) <= most else f"{name[: most - 1]}…"
