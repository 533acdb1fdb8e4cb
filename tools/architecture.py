"""Write docs/architecture.md and its picture from the code's imports and docstrings: a part of ``make docs``."""

import importlib.util
import inspect
import re
import textwrap
from pathlib import Path
from statistics import mean

import grimp
import networkx as nx
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path as Line

from tools.committed import ROOT
from tools.drawing import BLUE, GREY, svg

DOCS = ROOT / "docs"
PAGE, PICTURE = "architecture.md", "architecture.svg"
LETTER, LINE, GAP = 0.075, 0.17, 0.55  # inches: a small letter's width, a line's height, between two rows
WIDE = 11.5  # inches


def imports() -> nx.DiGraph:
    """Return crild's packages and modules, each with its files, and an edge to every other one that it imports."""
    graph = grimp.build_graph("crild")
    out = nx.DiGraph()
    for name in sorted(graph.find_children("crild")):
        files = sorted(each.rsplit(".", 1)[1] for each in graph.find_descendants(name))
        out.add_node(name.removeprefix("crild."), files=files)
        graph.squash_module(name)
    for node in out:
        found = graph.find_modules_directly_imported_by(f"crild.{node}") - {"crild", f"crild.{node}"}
        out.add_edges_from((node, each.removeprefix("crild.")) for each in sorted(found))
    return out


def ranks(graph: nx.DiGraph) -> dict[str, int]:
    """Return how many imports lie below each, counted along the longest way down; 0 for what imports nothing."""
    out: dict[str, int] = {}
    for node in reversed(list(nx.lexicographical_topological_sort(graph))):
        out[node] = 1 + max((out[below] for below in graph[node]), default=-1)
    return out


def rows(graph: nx.DiGraph) -> list[list[str]]:
    """Return the packages from top to bottom: whoever imports stands above what it imports."""
    found = ranks(graph)
    return [sorted(n for n in graph if found[n] == rank) for rank in range(max(found.values()), -1, -1)]


def lines(graph: nx.DiGraph, node: str) -> list[str]:
    """Return what a box says below its name: the files of a package."""
    return textwrap.wrap(", ".join(graph.nodes[node].get("files", [])), 34)


def width(graph: nx.DiGraph, node: str) -> float:
    """Return a box's width in inches; what only hands an arrow on is thin."""
    if node not in graph:
        return 0.12
    return 0.3 + LETTER * max(1.45 * len(node), *(len(line) for line in lines(graph, node)), 6)


def height(graph: nx.DiGraph, node: str) -> float:
    """Return a box's height in inches."""
    return 0.32 + LINE * len(lines(graph, node)) if node in graph else 0.0


def places_in(row: list[str]) -> dict[str, float]:
    """Return where each of a row stands, from 0 to 1."""
    return {node: index / max(1, len(row) - 1) for index, node in enumerate(row)}


def ordered(graph: nx.DiGraph, arrows: nx.DiGraph) -> tuple[list[list[str]], dict[tuple[str, str], list[str]]]:
    """Return rows in an order in which few arrows cross, and each arrow's way through them.

    An arrow over several rows passes a thin place in every row between.
    """
    layout = rows(graph)
    row_of = {node: number for number, row in enumerate(layout) for node in row}
    ways: dict[tuple[str, str], list[str]] = {}
    links = nx.Graph()
    for top, bottom in sorted(arrows.edges):
        places = [f"{top}>{bottom}@{number}" for number in range(row_of[top] + 1, row_of[bottom])]
        for place in places:
            layout[int(place.rsplit("@", 1)[1])].append(place)
        ways[top, bottom] = [top, *places, bottom]
        nx.add_path(links, ways[top, bottom])
    for sweep in range(24):  # down, up, down, ...: each row in the order of its neighbours' middles
        step = 1 if sweep % 2 == 0 else -1
        for number in range(len(layout))[::step]:
            above = places_in(layout[number - step]) if 0 <= number - step < len(layout) else {}
            wish = places_in(layout[number])
            for node in wish:
                if found := [above[n] for n in links.adj.get(node, ()) if n in above]:
                    wish[node] = mean(found)
            layout[number] = sorted(wish, key=lambda node, wish=wish: (wish[node], node))  # type: ignore[misc]
    return layout, ways


def picture(graph: nx.DiGraph) -> str:
    """Return the picture: boxes in rows, an arrow to everything imported that no other arrow leads to.

    The lowest row imports nothing; no arrows lead there, because they would come from almost everywhere.
    """
    arrows = nx.transitive_reduction(graph)
    arrows.remove_nodes_from(rows(graph)[-1])
    layout, ways = ordered(graph, arrows)
    heights = [max(height(graph, node) for node in row) for row in layout]
    total = sum(heights) + GAP * (len(layout) - 1) + 0.2
    figure = Figure(figsize=(WIDE, total))
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, WIDE), ylim=(0, total))
    axes.axis("off")
    middle, top, bottom = {}, {}, {}
    y = total - 0.1
    for row, tall in zip(layout, heights, strict=True):
        space = (WIDE - sum(width(graph, n) for n in row)) / (len(row) + 1)
        x = 0.0
        for node in row:
            x += space
            inset = (tall - height(graph, node)) / 2 if node in graph else 0.0
            middle[node], top[node], bottom[node] = x + width(graph, node) / 2, y - inset, y - tall + inset
            if node in graph:
                box(axes, graph, node, x, bottom[node])
            x += width(graph, node)
        y -= tall + GAP
    axes.axhline(top[layout[-1][0]] + GAP / 2, color=GREY, lw=0.8, ls=":")
    axes.text(
        WIDE - 0.1, top[layout[-1][0]] + GAP / 2 - 0.12, "import nothing of crild", ha="right", size=7.5, color=GREY
    )
    for way in ways.values():
        arrow(axes, [(middle[n], top[n], bottom[n]) for n in way])
    return svg(figure)


def box(axes: Axes, graph: nx.DiGraph, node: str, x: float, y: float) -> None:
    """Draw one package or module."""
    wide, tall = width(graph, node), height(graph, node)
    shape = "round,pad=0,rounding_size=0.06"
    axes.add_patch(FancyBboxPatch((x, y), wide, tall, shape, facecolor="#eef4f9", edgecolor=BLUE, zorder=2))
    axes.text(x + wide / 2, y + tall - 0.17, node, ha="center", va="center", weight="bold", size=10, zorder=3)
    for number, line in enumerate(lines(graph, node)):
        at = y + tall - 0.38 - LINE * number
        axes.text(x + wide / 2, at, line, ha="center", va="center", size=7.5, color="#444", zorder=3)


def arrow(axes: Axes, way: list[tuple[float, float, float]]) -> None:
    """Draw an arrow down through (x, top, bottom) of each of its places."""
    (x, _, y), *rest = way
    points, codes = [(x, y)], [Line.MOVETO]
    for x2, y2, after in rest:
        half = (y + y2) / 2
        points += [(x, half), (x2, half), (x2, y2)]
        codes += [Line.CURVE4] * 3
        if (x2, y2, after) != rest[-1]:
            points.append((x2, after))
            codes.append(Line.LINETO)
        x, y = x2, after
    axes.add_patch(
        FancyArrowPatch(path=Line(points, codes), arrowstyle="-|>", mutation_scale=9, color=GREY, lw=1, zorder=1)
    )


def first_sentence(module: str) -> str:
    """Return the first sentence of a module's docstring, without importing it."""
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    code = compile(Path(spec.origin).read_text(encoding="utf-8"), spec.origin, "exec")
    text = inspect.cleandoc(code.co_consts[0]).split("\n\n")[0]
    text = " ".join(text.replace("``", "`").split())
    return re.split(r"(?<=[a-z`)]{2}\.) (?=[A-Z])", text)[0]


def page(graph: nx.DiGraph) -> str:
    """Return docs/architecture.md."""
    out = [
        "# Architecture",
        "",
        "Written by `make docs` from the imports and docstrings of `src/crild`.",
        "",
        f"![packages of crild and what they import]({PICTURE})",
        "",
        "An arrow leads from who imports to what is imported. One that a longer way of arrows implies is left out, and "
        "so are those to the lowest row, which imports nothing of crild. Arrows point one way, and some never exist: "
        "from metrics to data, from methods to torch, from objectives to data or to the loading of models, from a grid "
        "to the demo, from a reader of finished runs to training. Those rules are `[tool.importlinter]` in "
        "[pyproject.toml](../pyproject.toml); `tests/tools/test_architecture.py` holds the code to them.",
        "",
        "From top to bottom:",
        "",
        "| in `src/crild` | what it is |",
        "|---|---|",
    ]
    for row in rows(graph):
        for node in row:
            name = f"{node}/" if graph.nodes[node]["files"] else f"{node}.py"
            out.append(f"| `{name}` | {first_sentence(f'crild.{node}')} |".replace("||", r"\|\|"))
    return "\n".join(out) + "\n"


def pages() -> dict[str, str]:
    """Return the page and the picture by file name."""
    graph = imports()
    return {PAGE: page(graph), PICTURE: picture(graph)}


if __name__ == "__main__":
    for name, text in pages().items():
        (DOCS / name).write_text(text, encoding="utf-8")
    print(f"{PAGE} and its picture in {DOCS.relative_to(ROOT)}/")
