"""Write the pages of results from the committed files in results/: ``make results``.

docs/results.md and docs/results/ (a page and a plot for each grid) are committed. build/results.html, and beside it a
sortable table for each grid, are the same to read in a browser; git ignores them. The page's text is results.md.j2;
its tables, ranks and gaps are looked up in the result files here.
"""

import re
from collections.abc import Callable, Collection
from functools import cache
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt

from crild.grid.formats import (
    columns,
    escape_markdown,
    html,
    markdown,
    markdown_table,
    overview,
    overview_rows,
    pair_lines,
)
from crild.grid.statistics import average_ranks
from crild.grid.table import Row, Summary, deviation, mean, shared_differences, summarise
from tools.committed import ROOT, command, contents, finished, grids, name_of, on_cpu
from tools.drawing import svg
from tools.plots import curves, dots

TOOLS, DOCS, BUILD = ROOT / "tools", ROOT / "docs", ROOT / "build"


@cache
def summary(name: str) -> Summary:
    """Return the table of one grid."""
    file = contents(name)
    more = (file.get(name, ()) for name in ("tuning", "left_out"))
    return summarise(file["runs"], file["claim"], file["reference"], file["methods"], *more)


def row(name: str, task: str, method: str, condition: str | None = None) -> Row:
    """Return a method's row on a task (under the only condition, if none is named)."""
    (block,) = (b for b in summary(name).blocks if b.task == task and condition in (None, b.condition))
    return next(r for r in block.rows if r.name == method)


def score(name: str, task: str, method: str, condition: str | None = None, percent: bool = False) -> str:
    """Return "0.765 ± 0.003", or "76.5"."""
    found = row(name, task, method, condition)
    assert found.mean is not None, (name, task, method)
    if percent:
        return f"{100 * found.mean:.1f}"
    return spread(found.mean, found.deviation)


def spread(middle: float, width: float | None) -> str:
    """Return "0.765 ± 0.003"; without a width "0.765"."""
    return f"{middle:.3f}" + (f" ± {width:.3f}" if width is not None else "")


def gap(name: str, task: str, method: str, other: str, condition: str | None = None) -> str:
    """Return the difference of two methods over their shared seeds, in points with the sign."""
    return points(row(name, task, method, condition), row(name, task, other, condition))


def gaps(name: str, task: str, method: str, other: str) -> str:
    """Return the same difference of each shared seed: "+2.6, -0.2"."""
    return by_seed(row(name, task, method), row(name, task, other))


def gain(name: str, task: str, method: str, condition: str, other: str) -> str:
    """Return what a method gains in one condition over another, over their shared seeds, in points with the sign."""
    return points(row(name, task, method, condition), row(name, task, method, other))


def gains(name: str, task: str, method: str, condition: str, other: str) -> str:
    """Return the same of each shared seed: "+2.6, -0.2"."""
    return by_seed(row(name, task, method, condition), row(name, task, method, other))


def by_seed(first: Row, second: Row) -> str:
    """Return the difference of two rows for each seed that both have, in points with the sign."""
    return ", ".join(f"{100 * each:+.1f}" for each in differences(first, second))


def points(first: Row, second: Row) -> str:
    """Return the mean difference of two rows over their shared seeds, in points with the sign."""
    return f"{100 * mean(differences(first, second)):+.1f}"


def differences(first: Row, second: Row) -> list[float]:
    """Return the difference of two rows for each seed that both have."""
    ours, theirs = (dict(zip(r.seeds, r.scores, strict=True)) for r in (first, second))
    return shared_differences(ours, theirs)


def seeds(name: str, task: str, method: str, condition: str) -> int:
    """Return how many seeds a row has."""
    return len(row(name, task, method, condition).scores)


def table(name: str) -> str:
    """Return a grid's methods by its tasks and conditions, with average ranks."""
    made = summary(name)
    return "\n".join(markdown_table(overview(made), overview_rows(made)))


def block_table(name: str) -> str:
    """Return methods and scores of a grid with one block, against the reference."""
    made = summary(name)
    (block,) = made.blocks
    wanted = ("method", "seeds", block.metric, f"difference to {made.baseline}", "verdict")
    shown = [column for column in columns(made, block.metric) if column.heading in wanted]
    return "\n".join(markdown_table(shown, [row for row in block.rows if row.scores]))


def ranks(name: str, left_out: Collection[str] = (), tasks: Collection[str] = ()) -> list[tuple[str, float]]:
    """Return each method's average rank, best first: among all but those left out, over all tasks or some."""
    made = summary(name)
    names = [method for method in made.methods if method not in left_out]
    scores = {
        (b.task, b.condition): {r.name: r.mean for r in b.rows if r.name in names and r.mean is not None}
        for b in made.blocks
        if not tasks or b.task in tasks
    }
    return sorted(average_ranks(scores, names).average.items(), key=lambda item: (item[1], item[0]))


def rank_line(name: str, left_out: Collection[str] = (), tasks: Collection[str] = (), first: int | None = None) -> str:
    """Return "cr-ild 2.00, ft 2.75, ...", of all methods or the first few."""
    return ", ".join(f"{method} {value:.2f}" for method, value in ranks(name, left_out, tasks)[:first])


def told_apart(name: str) -> str:
    """Return for each block which methods are told apart."""
    lines = []
    for block in summary(name).blocks:
        found = "; ".join(pair_lines(block)) or "no two methods are told apart"
        lines.append(f"- {escape_markdown(block.name)}: {escape_markdown(found)}")
    return "\n".join(lines)


def tuning(name: str, tasks: list[str], taken: str = "") -> str:
    """Return the scores of a search: a line for each setting, a column for each task.

    Args:
        name: of the search.
        tasks: the columns.
        taken: another search whose teacher's line is added.
    """
    runs = contents(f"tuning_{name}")["runs"]
    if taken:
        others = [r for r in contents(f"tuning_{taken}")["runs"] if r["method"] == "teacher"]
        runs = runs + [{**r, "condition": "lr0.0001 ep10, taken"} for r in others]
    students = [r for r in runs if r["method"] not in ("teacher", "ft")]
    students = students or [r for r in runs if r["method"] == "teacher"]
    settings = sorted({(r["condition"], r["method"]) for r in students})
    values = {(r["condition"], r["method"], r["task"]): r["score"] for r in students}
    lines = []
    for setting in settings:
        found = [values.get((*setting, task)) for task in tasks]
        known = [value for value in found if value is not None]
        whole = f"{mean(known):.3f}" if len(known) == len(tasks) else "-"
        cells = ["-" if value is None else f"{value:.3f}" for value in found]
        lines.append([*setting, *cells, whole])
    return plain_table(["setting", "method", *tasks, "mean"], lines)


def plain_table(headings: list[str], lines: list[list[str]]) -> str:
    """Return a Markdown table whose first two columns are texts and the others numbers."""
    ruler = ["---", "---", *["---:"] * (len(headings) - 2)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [headings, ruler, *lines])


def tuned(name: str, method: str, task: str, condition: str | None = None) -> float:
    """Return a score of a search; a teacher's in its first condition, if none is named."""
    return next(
        float(r["score"])
        for r in contents(f"tuning_{name}")["runs"]
        if (r["method"], r["task"]) == (method, task) and condition in (None, r["condition"])
    )


def kept_in_tuning(name: str, condition: str, method: str, task: str) -> str:
    """Return the percentage of the teacher's score that a setting kept in a search."""
    return f"{100 * tuned(name, method, task, condition) / tuned(name, 'teacher', task):.0f}"


def rate_gain(method: str) -> str:
    """Return the points that ILD gains at 1e-4 over 3e-4 in the search, on the mean, and how often it gains."""
    runs = contents("tuning_ild")["runs"]
    found = {(r["condition"], r["task"], r["method"]): r["score"] for r in runs}
    gains = [
        found[key] - found[*key[:2], f"{method} lr0.0003"] for key in found if key[2] == f"{method} lr0.0001"
    ]  # fmt: skip
    return f"{100 * mean(gains):+.1f} points, better in {sum(g > 0 for g in gains)} of {len(gains)}"


def held_out(task: str, method: str) -> str:
    """Return the loss against the teacher's logits at the end of stage 2, on the selection rows, mean over seeds."""
    (found,) = (c for c in contents("curves") if (c["task"], c["method"], c["stage"]) == (task, method, "kd"))
    return f"{found['points'][-1]['held_out']:.2f}"


def passes_table() -> str:
    """Return scores after ten and after twenty passes with the same teachers, of what has both."""
    lines = []
    for task in ("SST-2", "STS-B"):
        for method in contents("twenty_passes")["methods"]:
            if count := len(row("twenty_passes", task, method).scores):
                scores = [score(name, task, method) for name in ("ten_passes", "twenty_passes")]
                lines.append([task, method, str(count), *scores, passes_gain(task, method)])
    return plain_table(["task", "method", "seeds", "ten passes", "twenty passes", "gain, points"], lines)


def passes_gain(task: str, method: str) -> str:
    """Return what twenty passes gain over ten with the same teachers, in points with the sign."""
    return points(row("twenty_passes", task, method), row("ten_passes", task, method))


def kept_epochs(grid: str, task: str, control: bool) -> list[dict[str, float]]:
    """Return what each rule for the epoch to keep would score: of the control's runs, or of all others."""
    runs = contents("selection_rules")
    return [r for r in runs if (r["grid"], r["task"], r["method"] == "ft") == (grid, task, control)]


def selection_table() -> str:
    """Return the score of the epochs kept, and what other rules would gain over it: points, mean and spread over runs.

    Two lines for each grid and task: the control's runs, and those of all students of a teacher.
    """
    rules = {"loss": "lowest loss", "last": "last epoch", "best": "best on dev"}
    lines = []
    for grid, task in dict.fromkeys((r["grid"], r["task"]) for r in contents("selection_rules")):
        for control, who in ((True, "ft"), (False, "students of a teacher")):
            if found := kept_epochs(grid, task, control):
                cells = [str(len(found)), f"{mean([r['score'] for r in found]):.3f}"]
                for rule in rules:
                    gains = [100 * (r[rule] - r["score"]) for r in found]
                    cells.append(f"{mean(gains):+.1f} ± {deviation(gains):.1f}")
                lines.append([f"{grid}, {task}", who, *cells])
    return plain_table(["grid, task", "who", "runs", "best score, kept", *rules.values()], lines)


def last_gain(grid: str, task: str) -> str:
    """Return what students of a teacher would gain by the last epoch over the one kept, in points with the sign."""
    return f"{100 * mean([r['last'] - r['score'] for r in kept_epochs(grid, task, control=False)]):+.1f}"


def distance(name: str, task: str, method: str) -> str:
    """Return the mean distance of a method's scores from its own teachers', in points."""
    return f"{100 * mean([abs(d) for d in differences(row(name, task, method), row(name, task, 'teacher'))]):.1f}"


def machine(name: str) -> str:
    """Return the machine that a grid ran on, in words."""
    found = contents(name).get("machines", [])
    words = []
    for each in found:
        gpu, versions = each["machine"]["gpu"], each["versions"]
        where = gpu or f"{each['machine']['threads']} thread(s) of a CPU ({each['machine']['processor']})"
        words.append(f"{where}, torch {versions['torch']}, transformers {versions['transformers']}")
    return "; ".join(words) or "not recorded"


def runs_section(name: str) -> str:
    """Return a grid's machine, the command of any of its runs, and every run with its score."""
    file = contents(name)
    promise = (
        "on this kind of machine the score is the same, to the last digit"
        if on_cpu(file)
        else "on another machine, a CPU above all, dropout draws other numbers: the score is that of another seed"
    )
    lines = "\n".join(f"| {escape_markdown(name_of(run))} | {run['score']!r} |" for run in finished(file))
    return f"""
## Runs

Made on {machine(name)}. Any of them again, its teacher included ({promise}):

    {" ".join(command(name, "'RUN'", f"grids/{name}"))}

| RUN | score |
| --- | ---: |
{lines}
"""


def agreement() -> tuple[list[dict[str, Any]], str]:
    """Return the rows that were run again on a CPU, each beside its committed score; and their mean difference."""
    out = []
    for again in contents("reproduced")["runs"]:
        committed = next(
            r["score"] for r in contents(again["grid"])["runs"]
            if all(r[key] == again[key] for key in ("task", "condition", "method", "seed"))
        )  # fmt: skip
        out.append({**again, "committed": committed, "difference": 100 * (again["score"] - committed)})
    sizes = [abs(r["difference"]) for r in out]
    return out, f"{mean(sizes):.1f} points on the mean, {max(sizes):.1f} at most"


def page() -> str:
    """Return docs/results.md."""
    environment = Environment(
        loader=FileSystemLoader(TOOLS), undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True
    )
    functions: list[Callable[..., Any]] = [
        agreement, block_table, distance, gain, gains, gap, gaps, grids, held_out, kept_in_tuning, last_gain, machine,
        passes_gain, passes_table, rank_line, rate_gain, row, score, seeds, selection_table, summary, table, told_apart,
        tuned, tuning,
    ]  # fmt: skip
    return environment.get_template("results.md.j2").render({f.__name__: f for f in functions})


def browser_page(text: str) -> str:
    """Return build/results.html: the page as HTML, its headings with GitHub's anchors, its links led back to docs/."""
    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)

    def anchor(found: re.Match[str]) -> str:
        name = re.sub(r"[^\w -]", "", found[2].lower()).replace(" ", "-")
        return f'<h{found[1]} id="{name}">{found[2]}</h{found[1]}>'

    body = re.sub(r"<h([1-6])>(.*?)</h\1>", anchor, body)
    body = re.sub(r'(href|src)="(?!https?:|#)', r'\1="../docs/', body)
    shell = Environment(loader=FileSystemLoader(TOOLS), keep_trailing_newline=True).get_template("page.html.j2")
    return shell.render(body=body, grids=grids())


def pages() -> dict[str, str]:
    """Return every committed page and plot by its path below docs/."""
    out = {"results.md": page(), "results/curves.svg": svg(curves(contents("curves")))}
    for name in grids():
        out[f"results/{name}.md"] = markdown(summary(name)) + runs_section(name)
        out[f"results/{name}.svg"] = svg(dots(summary(name)))
    return out


def built(text: str) -> dict[str, str]:
    """Return every page that is built and not committed, by its path below build/.

    Args:
        text: of docs/results.md.
    """
    return {"results.html": browser_page(text)} | {f"results/{name}.html": html(summary(name)) for name in grids()}


if __name__ == "__main__":
    made = pages()
    for folder, texts in ((DOCS, made), (BUILD, built(made["results.md"]))):
        (folder / "results").mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
        print(f"{len(texts)} pages in {folder.relative_to(ROOT)}/")
