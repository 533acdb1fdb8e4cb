"""The command line: verbs whose options are the fields of the configuration classes.

A mistake in options is told before torch is loaded, which takes seconds. Only this module silences libraries.
"""

import io
import json
import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any

from crild.config import (
    CheckConfig,
    CompareConfig,
    DataConfig,
    DemoConfig,
    DiagnoseConfig,
    DistillConfig,
    EvaluateConfig,
    ExportConfig,
    FinetuneConfig,
    FrontierConfig,
    MethodsConfig,
    PlayConfig,
    PredictConfig,
    ReportConfig,
    StatusConfig,
    TuneConfig,
)
from crild.config.arguments import check_paths, parse
from crild.config.student import student_path
from crild.config.trackers import parse_trackers
from crild.errors import CrildError, nearest
from crild.escaping import plain
from crild.files import FULL
from crild.methods import METHODS, find_method
from crild.processes import GONE, is_first_to_fail, is_main, launched, leave, lost_another, part, refuse_several

SWITCHES = {
    "json": "print the result as JSON on stdout, and nothing else there",
    "dry_run": "print what would run, write nothing",
    "verbose": "with --dry-run: print every option and every stage, as YAML",
    "traceback": "of an error, also print where in the code it came up",
}
MOST_TOLD = 2000  # characters of an error


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code: 0, or 2 for a mistake in what was asked.

    Of several processes that work together only the first that fails says why; all end with exit code 2.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    from crild.console import into

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a text's emoji ends no command where the terminal has none
    try:
        with into():
            code = run(arguments)
        sys.stdout.flush()
        if launched() > 1:
            part()
        return code
    except BrokenPipeError:  # `crild ... | head`: its reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains at exit
        return 0
    except Exception as error:
        text = failure(error)
        if launched() > 1 and not is_first_to_fail():
            leave(2)
        if text is None:
            raise
        if "--traceback" in arguments:
            show_traceback(error)
        print(f"crild: error: {told(text)}", file=sys.stderr)
        if launched() > 1:
            leave(2)
        return 2
    except KeyboardInterrupt:
        if is_main():
            print("crild: interrupted; the same command goes on from the last checkpoint", file=sys.stderr)
        if launched() > 1:
            leave(130)
        return 130


def told(text: str) -> str:
    """Return what an error says, in one line of which beginning and end are there however long its names are."""
    text = plain(text)
    return text if len(text) <= MOST_TOLD else f"{text[: MOST_TOLD // 2]} ... {text[-MOST_TOLD // 2 :]}"


def show_traceback(error: BaseException) -> None:
    """Print where an error came up, and those that it stands for: for people it is said without them."""
    import traceback

    cause: BaseException | None = error
    while cause is not None:
        cause.__suppress_context__ = False
        cause = cause.__context__
    traceback.print_exception(error)


def run(arguments: list[str]) -> int:
    """Dispatch to a verb."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print("usage: crild VERB [options]      (crild VERB --help lists the options)\n")
        for name, verb in VERBS.items():
            print(f"  {name:10} {verb.summary}")
        return 0
    name, rest = arguments[0], arguments[1:]
    if name == "--version":
        print(f"crild {version()}")
        return 0
    if name not in VERBS:
        raise CrildError(f"unknown verb {name!r}{nearest(name, VERBS)}: use one of {', '.join(VERBS)}")
    if name not in TOGETHER:
        refuse_several(f"crild {name}")
    verb = VERBS[name]
    switches = {each: SWITCHES[each] for each in (*verb.switches, "traceback")}
    config: Any
    config, chosen = parse(verb.options, rest, name, verb.summary, verb.positional, switches)
    check_paths(config, verb.positional)
    try:
        return verb.handler(config, chosen)
    except RuntimeError as error:
        if type(error).__name__ != "OutOfMemoryError":  # torch's, which is not loaded here
            raise
        ways = ["--accumulation 2, 4, ... takes a step in smaller parts"] if hasattr(config, "accumulation") else []
        ways.append("a smaller --max-length needs less")
        raise CrildError(f"the GPU is out of memory: {'; '.join(ways)}") from None


def version() -> str:
    """Return crild's version."""
    from crild import __version__

    return __version__


def begin(what: str, data: DataConfig | None = None, known_later: bool = False) -> None:
    """Say at once what is going on; then load the libraries, which takes seconds, and keep them quiet.

    Args:
        what: is going on.
        data: whose columns are looked at before torch is loaded.
        known_later: a model that is a run knows the columns that nobody names.
    """
    if is_main():
        print(f"crild {version()}: {what}", file=sys.stderr, flush=True)
    if data is not None:
        from crild.data.columns import refuse_columns

        refuse_columns(data, known_later)
    from crild.console import quiet_libraries

    quiet_libraries()


def failure(error: Exception) -> str | None:
    """Return what the user is told of an error; ``None``: it is crild's own mistake."""
    if isinstance(error, OSError) and error.filename is not None:  # a full disk, missing rights, too long a name
        cure = "; make room, and the same command goes on" if error.errno in FULL else ""
        return f"{error.filename}: {(error.strerror or '').lower()}{cure}"
    if isinstance(error, (CrildError, OSError)):
        return str(error)
    return GONE if launched() > 1 and lost_another(error) else None


def show(result: dict[str, Any], as_json: bool) -> None:
    """Print a result: JSON, or the summary table and where things are."""
    from rich.console import Console

    from crild.reporting.table import LEGEND, result_rows, summary

    if as_json:
        print(json.dumps(result, indent=2))
        return
    Console(highlight=False).print(summary(result_rows(result), result["metric"], f"{result['task']}, validation"))
    print(LEGEND)
    last = result.get("student") or result["teacher"]
    print(f"saved in {last['path']}\nscore it on other data: crild evaluate {last['path']} --data PATH")


def paragraph(heading: str, text: str) -> str:
    """Return a heading and a text beside it, in lines as wide as the terminal (80 columns in a pipe)."""
    width, indent = shutil.get_terminal_size().columns, " " * (len(heading) + bool(heading))
    return textwrap.fill(text, width, initial_indent=f"{heading:{len(indent)}}", subsequent_indent=indent)


# ---- the verbs: what was asked for, and the switches of the command line ----


def distill(config: DistillConfig, switches: Any) -> int:
    """`crild distill`."""
    find_method(config.method)
    student_path(config.student)
    return train(config, switches)


def train(config: DistillConfig | FinetuneConfig, switches: Any) -> int:
    """`crild distill` and `crild finetune`."""
    if switches.verbose and not switches.dry_run:
        raise CrildError("--verbose would do nothing without --dry-run")
    parse_trackers(config.report_to)
    begin(f"reading {config.data}", config)
    from crild.run import start

    if switches.dry_run:
        prepared = start.with_minutes(start.prepare(*start.open_folder(config)))
        start.warn_of(prepared)
        plan = {
            "options": prepared.identity.options,
            **prepared.plan.to_dict(),
            "minutes": round(sum(prepared.minutes.values()), 1),
        }
        if not is_main():
            return 0
        if switches.json:
            print(json.dumps(plan, indent=2))
        elif switches.verbose:
            import yaml

            print(yaml.safe_dump(plan, sort_keys=False))
        else:
            print("\n".join(paragraph(f"{name:8}", plain(text)) for name, text in start.outline(prepared).items()))
        return 0
    with redirect_stdout(sys.stderr):  # some trackers print
        result = start.run(config)
    if is_main():
        show(result.to_dict(), switches.json)
    return 0


def compare(config: CompareConfig, switches: Any) -> int:
    """`crild compare GRID.yaml --output DIR [--workers N|ray]`."""
    assert config.grid is not None
    from crild.grid.spec import cells, read_grid, select

    names = [cell.name for cell in select(cells(read_grid(config.grid)), config.only)]
    if switches.dry_run:
        print(json.dumps(names, indent=2) if switches.json else "\n".join(names))
        return 0
    if config.output is None:
        raise CrildError("--output is missing: folder of the grid")
    begin(f"{len(names)} runs of {config.grid}")
    from pathlib import Path

    from crild.grid.formats import terminal
    from crild.grid.run import RESULTS
    from crild.grid.run import compare as run_grid

    summary = run_grid(config.grid, config.output, config.workers, config.address, config.only)
    if switches.json:
        print((Path(config.output) / RESULTS).read_text(encoding="utf-8"), end="")
    else:
        from rich.console import Console

        Console(highlight=False).print(terminal(summary))
        more = "settings.csv, " if summary.tunings else ""
        print(f"saved in {config.output}: table.html, table.md, table.tex, table.csv, {more}results.json")
    return 0


def frontier(config: FrontierConfig, switches: Any) -> int:
    """`crild frontier`."""
    find_method(config.method)
    parse_trackers(config.report_to)
    begin(f"reading {config.data}", config)
    from crild.pareto.find import FOUND, PICTURE
    from crild.pareto.find import frontier as find

    found = find(config)
    if switches.json:
        print(json.dumps(found.to_dict(), indent=2))
    else:
        print(found)
        print(f"saved in {config.output}: {FOUND}, {PICTURE}, served/, and the runs' table.html")
    return 0


def tune(config: TuneConfig, switches: Any) -> int:
    """`crild tune`."""
    find_method(config.method)
    parse_trackers(config.report_to)
    begin(f"reading {config.data}", config)
    from crild.search import show as show_trials
    from crild.search import tune as search

    result = search(config)
    if switches.json:
        print(json.dumps(result, indent=2))
    else:
        show_trials(result)
    return 0


def evaluate(config: EvaluateConfig, switches: Any) -> int:
    """`crild evaluate MODEL --data PATH`."""
    begin(f"reading {config.data}", None if config.validation else config, True)  # else data is not read
    from crild.console import warn
    from crild.scoring import evaluate as score

    result = score(config)
    for note in result["notes"]:
        warn(note)
    if switches.json:
        print(json.dumps(result.to_dict(), indent=2))
        return 0
    from rich.console import Console

    from crild.reporting.table import class_table, comparison_lines, confusion_table

    low, high = result["interval"]
    print(f"{result['metric']} {result['score']:.4f} (95 % interval {low:.4f} to {high:.4f}) on {result['rows']} rows")
    out = Console(highlight=False)
    if "classes" in result:
        out.print(class_table(result["classes"]))
    if "confusion" in result:
        out.print(confusion_table(result["labels"], result["confusion"]))
    if "compare" in result:
        print("\n".join(comparison_lines(result)))
    if config.predictions:
        print(f"every row: {config.predictions}")
    return 0


def predict(config: PredictConfig, switches: Any) -> int:
    """`crild predict MODEL --data PATH --output FILE`."""
    begin(f"reading {config.data}")
    from crild.console import warn
    from crild.scoring import predict as answer

    result = answer(config)
    for note in result["notes"]:
        warn(note)
    if switches.json:
        print(json.dumps(result, indent=2))
        return 0
    print(f"{result['rows']} rows answered in {result['output']}")
    for name, count in result.get("answers", {}).items():
        print(f"  {plain(name)}: {count}")
    return 0


def export(config: ExportConfig, switches: Any) -> int:
    """`crild export RUN-OR-MODEL`."""
    from crild.serving.packages import refuse_missing

    refuse_missing(config)
    begin(f"exporting {config.model}", config if config.data and not config.validation else None, True)
    from crild.serving.export import export as serve
    from crild.serving.page import screen

    found = serve(config)
    if switches.json:
        print(json.dumps(found.to_dict(), indent=2))
        return 0
    from rich.console import Console

    Console(highlight=False).print(screen(found))
    print(f"saved in {found.path}\ntry it: python {found.path}/serve.py 'a text'")
    return 0


def check(config: CheckConfig, switches: Any) -> int:
    """`crild check`."""
    if config.teacher or config.base:
        begin(f"reading {config.data}", config)
    else:  # no torch: the answer comes at once
        from crild.console import quiet_datasets

        quiet_datasets()
    from crild import checking

    found = checking.check(config)
    if switches.json:
        print(json.dumps(found.to_dict(), indent=2))
        return 0
    from rich.console import Console

    from crild.reporting.check import WIDTH, screen, suspects_table

    out = Console(highlight=False, width=WIDTH)
    out.print(screen(found.checks, found.findings, found.notes))
    if found.suspects is not None:
        out.print(suspects_table(found.suspects))
    return 0


def diagnose(config: DiagnoseConfig, switches: Any) -> int:
    """`crild diagnose RUN [RUN ...]`."""
    begin(f"opening {', '.join(config.runs)}")
    from crild.console import warn
    from crild.diagnostics.diagnose import diagnose as look
    from crild.diagnostics.diagnosis import screen

    found = look(config)
    if switches.json:
        print(json.dumps(found.to_dict(), indent=2))
        return 0
    from rich.console import Console

    Console(highlight=False, width=80).print(screen(found))
    for remark in found.remarks:
        warn(remark)
    print("every figure: " + ", ".join(f"{run.path}/diagnostics" for run in found.runs))
    return 0


def report(config: ReportConfig, switches: Any) -> int:
    """`crild report RUN`."""
    begin(f"reading {config.run}")
    from crild.run.report import report as write

    assert config.run is not None
    path = write(config.run)
    print(json.dumps({"report": str(path)}, indent=2) if switches.json else path)
    return 0


def play(config: PlayConfig, switches: Any) -> int:
    """`crild play RUN`."""
    begin(f"opening {config.run}")
    from crild.playground.server import play as serve

    serve(config, lambda url: print(f"{url}\nCtrl-C ends it", flush=True))
    return 0


def status(config: StatusConfig, switches: Any) -> int:
    """`crild status RUN`; no torch: the answer comes at once."""
    from crild.watching import status as look

    found = look(config)
    print(json.dumps(found.to_dict(), indent=2) if switches.json else found)
    return 0


def methods(config: MethodsConfig, switches: Any) -> int:
    """`crild methods [NAME] [--json]`."""
    chosen = list(METHODS.values()) if config.name is None else [find_method(config.name)]
    if config.name is None and not switches.json:
        from crild.models.architecture import NAMES

        for method in chosen:
            print(paragraph(f"{method.name:18}", f"{method.summary} [{method.source}]"))
        print("\n" + paragraph("", "teachers and students: " + ", ".join(NAMES)))
        return 0
    from crild.describe import facts

    if switches.json:
        entries = [{"name": m.name, "summary": m.summary, **facts(m)} for m in chosen]
        print(json.dumps(entries if config.name is None else entries[0], indent=2))
        return 0
    print(paragraph("", f"{chosen[0].name}: {chosen[0].summary}") + "\n")
    for heading, what in facts(chosen[0]).items():
        print(paragraph(f"{heading:12}", what))
    return 0


def demo(config: DemoConfig, switches: Any) -> int:
    """`crild demo`."""
    begin("the built-in example")
    from crild.demo import run_demo, show_demo

    result = run_demo(config.output)
    if switches.json:
        print(json.dumps(result, indent=2))
    else:
        show_demo(result)
    return 0


@dataclass(frozen=True)
class Verb:
    """A verb of the command line.

    Attributes:
        summary: its line of help.
        options: the class of its options.
        handler: what it does with them, and with its switches; returns the exit code.
        positional: the option that may be given without its name.
        switches: of `SWITCHES`.
    """

    summary: str
    options: type[Any]
    handler: Callable[[Any, Any], int]
    positional: str | None = None
    switches: tuple[str, ...] = ("json",)


PLAN = ("json", "dry_run")
TOGETHER = ("finetune", "distill")  # verbs that several processes may work on together
VERBS = {
    "demo": Verb("run the built-in example: noisy tweets, no network", DemoConfig, demo),
    "finetune": Verb("fine-tune an encoder into a classifier", FinetuneConfig, train, switches=(*PLAN, "verbose")),
    "distill": Verb("distil a teacher into a student", DistillConfig, distill, switches=(*PLAN, "verbose")),
    "compare": Verb(
        "run a grid of methods, tasks, conditions and seeds into one table", CompareConfig, compare, "grid", PLAN
    ),
    "frontier": Verb("find the fastest student that is nearly as good as its teacher", FrontierConfig, frontier),
    "tune": Verb("search a method's settings on splits carved from the training data", TuneConfig, tune),
    "check": Verb("say what is wrong with a data set, before anything is trained on it", CheckConfig, check, "data"),
    "evaluate": Verb("score a saved classifier", EvaluateConfig, evaluate, "model"),
    "predict": Verb("write a saved classifier's answers to rows without labels", PredictConfig, predict, "model"),
    "export": Verb("export a classifier into files that run without PyTorch", ExportConfig, export, "model"),
    "diagnose": Verb(
        "look at finished runs: gaps, noise, curvature, layers, loss surfaces", DiagnoseConfig, diagnose, "runs"
    ),
    "report": Verb("write the page that shows a finished run, anew", ReportConfig, report, "run"),
    "play": Verb("try a finished run's models in the browser, side by side", PlayConfig, play, "run", ()),
    "status": Verb("say how far a run, a grid or a frontier is, and what it goes on from", StatusConfig, status, "run"),
    "methods": Verb("list the methods, or explain one", MethodsConfig, methods, "name"),
}


if __name__ == "__main__":
    sys.exit(main())
