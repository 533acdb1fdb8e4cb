"""What people read of an export: the terminal's table, the folder's README and example, the model card's section."""

import json
from importlib.metadata import version
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from rich.console import Group
from rich.text import Text

from crild.escaping import escape_markdown, plain
from crild.files import write_whole
from crild.reporting.table import table_of, titled
from crild.serving.result import Export
from crild.serving.session import ABOUT, SLOW_FUSION

SERVE, README = "serve.py", "README.md"
TITLES = {"classification": "Text classifier", "regression": "Text scorer", "multi-label": "Text tagger"}
RETURNS = {
    "classification": "the label and its probability",
    "regression": "the number",
    "multi-label": "the labels that apply, with their probabilities,",
}
RUNTIMES = {"onnx": "onnxruntime", "openvino": "openvino"}
KINDS = ("short", "long")


def environment() -> Environment:
    """Return where templates come from."""
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # Markdown and Python: what comes from data or models goes through the filter e
    )
    made.filters["e"] = escape_markdown
    return made


def write_pages(folder: Path, found: Export, pairs: bool) -> None:
    """Write ``serve.py`` and ``README.md`` into the folder of an export.

    Args:
        folder: that holds ``serving.json``.
        found: the proof.
        pairs: a row is a pair of texts.
    """
    about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    runtime = RUNTIMES[found.format]
    usage = '"one text" "another"' if pairs else '"a text" "another text"'
    serve = (
        environment()
        .get_template("serve.py.j2")
        .render(
            runtime=runtime,
            usage=usage,
            format=found.format,
            task_type=found.task_type,
            returns=RETURNS[found.task_type],
            rows="pairs of texts" if pairs else "texts",
            pairs=pairs,
            asks=about["threshold"] is not None,
            slow_fusion=SLOW_FUSION,
        )
    )
    readme = (
        environment()
        .get_template("readme.md.j2")
        .render(
            title=TITLES[found.task_type],
            version=version("crild"),
            model=Path(found.model).name,
            runtime=runtime,
            usage=usage,
            file=about["model"],
            fp32_file=found.fp32_file,
            about=about,
            serve=serve.rstrip(),
            proof=proof_markdown(found).rstrip(),
        )
    )
    write_whole(folder / SERVE, serve)
    write_whole(folder / README, readme)


def proof_markdown(found: Export) -> str:
    """Return the proof as Markdown, for the folder's README and the model card."""
    return (
        environment()
        .get_template("proof.md.j2")
        .render(
            format=found.format,
            scheme=found.scheme,
            rows=found.rows,
            metric=found.metric,
            table=cells(found),
            lines=[escape_markdown(line) for line in (*remarks(found), *cascade_lines(found), *found.notes)],
        )
    )


def cells(found: Export) -> list[list[str]]:
    """Return the lines of the table: name, score, MB, milliseconds and rows a second over short and long texts."""
    named = {"teacher": "teacher, PyTorch", "before": "model, PyTorch", "served": served_name(found)}
    return [
        [
            named[name],
            "-" if each.score is None else f"{each.score:.4f}",
            f"{each.bytes / 1e6:.1f}",
            *(f"{each.latency_ms[kind]:.1f}" for kind in KINDS),
            *(f"{each.throughput[kind]:.0f}" for kind in KINDS),
        ]
        for name, each in found.models.items()
    ]


def served_name(found: Export) -> str:
    """Return what the exported model is called in a table."""
    how = ["ONNX" if found.format == "onnx" else "OpenVINO", "int8" if found.scheme else "fp32"]
    return f"served, {' '.join(how)}{', trimmed' if found.vocabulary else ''}"


def remarks(found: Export) -> list[str]:
    """Return the rest of the proof, line by line."""
    low, high = found.difference_interval
    lines = [
        f"score {found.difference:+.4f} (95 % interval {low:+.4f} to {high:+.4f}, paired by row), agreement "
        f"{found.agreement:.4f} ({found.agreement_metric})",
        f"logits differ by at most {found.largest_difference:.2g}"
        + (
            f"; the file in fp32 differed by {found.fp32_difference:.1g} before it was quantised"
            if found.scheme
            else ""
        ),
        *vocabulary_lines(found),
        f"{found.speedup_batch1:.1f} x as fast as the PyTorch model at batch 1, {found.speedup_batch32:.1f} x at 32; "
        f"{found.bytes / found.bytes_before:.2f} of its bytes",
    ]
    if found.teacher_bytes:
        lines.append(
            f"{found.teacher_speedup_batch1:.1f} x as fast as the teacher at batch 1, "
            f"{found.teacher_speedup_batch32:.1f} x at 32; {found.bytes / found.teacher_bytes:.2f} of its bytes"
        )
    threads = f"{found.threads} {'thread' if found.threads == 1 else 'threads'}"
    lines.append(f"times: medians, models taking turns, {threads} of {plain(found.processor)}")
    return lines


def vocabulary_lines(found: Export) -> list[str]:
    """Return what is left of a trimmed vocabulary, and what that costs alone."""
    kept = found.vocabulary
    if kept is None:
        return []
    return [
        f"vocabulary: {kept.kept:,} of {kept.before:,} tokens; {kept.split_further:.1%} of the tokens of these rows "
        f"are split further; with that alone the score is {kept.score:.4f}"
    ]


def cascade_lines(found: Export) -> list[str]:
    """Return what the cascade with the teacher saves, line by line; none without one."""
    return [f"with the teacher behind it: {line}" for line in found.cascade.remarks] if found.cascade else []


def screen(found: Export) -> Group:
    """Return what the command line prints: a table of at most 80 columns, and the rest of the proof."""
    table = table_of("", "score", "MB", "ms short", "long", "rows/s short", "long")
    for line in cells(found):
        table.add_row(Text(line[0]), *line[1:])
    title = f"{found.metric} on {found.rows} rows; ms at batch 1, rows/s at batch 32"
    scheme = [f"int8: {found.scheme}, chosen on other rows"] if found.scheme else []
    return Group(titled(title, table), *(Text(line) for line in (*scheme, *remarks(found), *cascade_lines(found))))
