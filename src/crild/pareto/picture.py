"""The picture of a frontier: score against latency as SVG, written by hand: no plotting library is a dependency."""

import math
from html import escape

from crild.escaping import plain
from crild.pareto.result import Frontier, Served, on_frontier

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 860, 60, 300, 40, 50
LEAST_HEIGHT, LINE = 380, 18  # of the picture, and of a line of the legend
BLUE, GREY, RED = "#1b6ca8", "#8a8a8a", "#d1495b"
AREA = 30.0  # square pixels a megabyte


def picture(found: Frontier) -> str:
    """Return the SVG: a circle for each served model, whose area is its size; the frontier's are blue and joined.

    Circles have the numbers of the list on the right. Latency is on a logarithmic scale. Dashed lines are the least
    score and the most latency that qualify.
    """
    shown = [found.teacher, *(each for each in found.students if each.score is not None)]
    height = max(LEAST_HEIGHT, TOP + BOTTOM + LINE * (len(shown) + 1))
    limit = found.max_latency
    floor = (found.teacher.score or 0.0) - found.within
    times = [math.log10(ms) for ms in [*(each.latency_ms for each in shown), limit] if ms]
    low, high = min(times) - 0.1, max(times) + 0.1
    scores = [each.score for each in shown if each.score is not None] + [floor]
    step = tick_step(max(scores) - min(scores))
    bottom, top = step * math.floor(min(scores) / step), step * math.ceil(max(scores) / step + 0.2)

    def x(ms: float) -> float:
        return round(LEFT + (math.log10(ms) - low) / (high - low) * (WIDTH - LEFT - RIGHT), 1)

    def y(score: float) -> float:
        return round(height - BOTTOM - (score - bottom) / (top - bottom) * (height - TOP - BOTTOM), 1)

    def text(left: float, down: float, words: str, anchor: str = "start", colour: str = "#222") -> str:
        return f'<text x="{left}" y="{down}" text-anchor="{anchor}" fill="{colour}">{escape(plain(words))}</text>'

    def line(x1: float, y1: float, x2: float, y2: float, style: str) -> str:
        return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" {style}/>'

    right, pale, dashed = WIDTH - RIGHT, 'stroke="#e4e4e4"', f'stroke="{GREY}" stroke-dasharray="4 3"'
    parts = [text(LEFT, TOP - 18, f"{found.metric} against latency; a circle's area is the size on disk")]
    for tick in (bottom + step * n for n in range(round((top - bottom) / step) + 1)):
        parts += [line(LEFT, y(tick), right, y(tick), pale), text(LEFT - 8, y(tick) + 4, f"{tick:.4g}", "end")]
    for tick in log_ticks(low, high):
        parts += [line(x(tick), TOP, x(tick), height - BOTTOM, pale)]
        parts += [text(x(tick), height - BOTTOM + 18, f"{tick:g}", "middle")]
    axis = f"milliseconds a batch of {found.batch}, {found.threads} thread{'s' if found.threads > 1 else ''}"
    parts += [text((LEFT + right) / 2, height - 12, axis, "middle"), line(LEFT, y(floor), right, y(floor), dashed)]
    parts += [text(LEFT + 4, y(floor) - 4, f"teacher less {found.within:g}", colour=GREY)]
    if limit is not None:
        parts += [line(x(limit), TOP, x(limit), height - BOTTOM, dashed)]
    best = sorted(on_frontier(found.students), key=lambda each: each.latency_ms or 0)
    points = [f"{x(each.latency_ms)},{y(each.score)}" for each in best if each.latency_ms and each.score is not None]
    parts += [f'<polyline points="{" ".join(points)}" fill="none" stroke="{BLUE}" stroke-opacity="0.5"/>']
    for number, each in enumerate(shown):
        if each.score is None or each.latency_ms is None:
            continue
        colour = RED if each.name == found.fastest else BLUE if each in best else GREY
        at, down = x(each.latency_ms), y(each.score)
        radius = round(max(3.0, math.sqrt(AREA * (each.bytes or 0) / 1e6 / math.pi)), 1)
        parts += [f'<circle cx="{at}" cy="{down}" r="{radius}" fill="{colour}" fill-opacity="0.45"/>']
        aside = round(0.7 * radius + 2, 1)  # one student with two vocabularies has two circles about the same place
        parts += [text(round(at + aside, 1), round(down - aside, 1), str(number))]
        legend = f"{number}  {each.name}: {each.score:.4f}, {each.latency_ms:.3g} ms{megabytes(each)}"
        parts += [text(right + 16, TOP + LINE * number, legend, colour=colour if colour != GREY else "#222")]
    frame = f'xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12"'
    return "\n".join([f"<svg {frame}>", '<rect width="100%" height="100%" fill="white"/>', *parts, "</svg>"]) + "\n"


def megabytes(model: Served) -> str:
    """Return a model's size in words."""
    return f", {model.bytes / 1e6:.3g} MB" if model.bytes else ""


def tick_step(span: float) -> float:
    """Return the distance of about five ticks: 1, 2 or 5 times a power of ten."""
    rough = max(span, 0.01) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * each for each in (1, 2, 5, 10) if power * each >= rough)


def log_ticks(low: float, high: float) -> list[float]:
    """Return 1, 2 and 5 times the powers of ten between two exponents; powers alone where these are many."""
    every = [(1.0, 2.0, 5.0), (1.0,)][high - low > 2]
    powers = range(math.floor(low), math.ceil(high) + 1)
    return [each * 10.0**p for p in powers for each in every if low <= math.log10(each * 10.0**p) <= high]
