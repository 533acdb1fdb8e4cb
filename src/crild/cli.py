"""The command line: verbs whose options are the fields of the configuration dataclasses."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from crild.errors import CrildError, nearest

VERBS = {
    "demo": "run the built-in example: noisy tweets, no network",
    "finetune": "fine-tune an encoder into a classifier",
    "distill": "distil a teacher into a student",
    "compare": "run a grid of methods, tasks, conditions and seeds into one table",
    "tune": "search a method's settings on splits carved from the training data",
    "evaluate": "score a saved classifier",
    "methods": "list the methods, or explain one",
}


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are one line."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing usage."""
        raise CrildError(message)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code: 0, or 2 for a mistake in what was asked."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        code = run(arguments)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # `crild ... | head`: its reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains at exit
        return 0
    except (CrildError, OSError) as error:  # OSError: a full disk, missing rights, a name that is too long
        print(f"crild: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("crild: interrupted; the same command goes on from the last checkpoint", file=sys.stderr)
        return 130


def run(arguments: list[str]) -> int:
    """Dispatch to a verb."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print("usage: crild VERB [options]      (crild VERB --help lists the options)\n")
        for verb, what in VERBS.items():
            print(f"  {verb:10} {what}")
        return 0
    if arguments[0] == "--version":
        from crild import __version__

        print(f"crild {__version__}")
        return 0
    verb, rest = arguments[0], arguments[1:]
    if verb not in VERBS:
        raise CrildError(f"unknown verb {verb!r}{nearest(verb, VERBS)}: use one of {', '.join(VERBS)}")
    handlers: dict[str, Callable[[list[str]], int]] = {
        "demo": demo,
        "finetune": finetune,
        "distill": distill,
        "compare": compare,
        "tune": tune,
        "evaluate": evaluate,
        "methods": methods,
    }
    return handlers[verb](rest)


def parse(
    verb: str, cls: Any, arguments: list[str], positional: str | None = None, flags: Sequence[str] = ()
) -> tuple[Any, argparse.Namespace]:
    """Parse options into a configuration: defaults, then ``--config``, then the command line.

    Args:
        verb: for help.
        cls: the configuration dataclass; its fields are the options.
        arguments: what the user typed.
        positional: the field that may be given without its name.
        flags: names of further switches.

    Returns:
        The configuration, and the switches.

    Raises:
        CrildError: an option is unknown or has a wrong value.
    """
    from transformers import HfArgumentParser

    from crild.config import build, option_names, read_yaml

    class DataclassParser(Parser, HfArgumentParser):
        pass

    # Abbreviations would let a typo name another option.
    parser = DataclassParser([cls], prog=f"crild {verb}", description=VERBS[verb], allow_abbrev=False)
    own = parser.add_argument_group("how to run")
    own.add_argument("--config", help="YAML file with any of the options above; the command line overrides it")
    for flag, what in (
        ("json", "print the result as JSON on stdout, and nothing else there"),
        ("dry-run", "print what would run, write nothing"),
    ):
        if flag in flags:
            own.add_argument(f"--{flag}", action="store_true", help=what)
    if positional:
        own.add_argument("positional", metavar=positional.upper(), nargs="?")
    for action in parser._actions:  # only what the user typed counts, so that a YAML file is not overridden
        if action.dest in option_names(cls):
            action.default, action.required = argparse.SUPPRESS, False
    known, unknown = parser.parse_known_args(arguments)
    if unknown:
        options = [name for action in parser._actions for name in action.option_strings]
        raise CrildError(f"unknown option {unknown[0]!r}{nearest(unknown[0].split('=')[0], options)}")
    typed = {name: value for name, value in vars(known).items() if name in option_names(cls)}
    if positional and known.positional is not None:
        typed[positional] = known.positional
    from_file = {}
    if known.config:
        values = read_yaml(known.config)
        from_file = {k: v for k, v in values.items() if k not in typed}
        build(cls, values, known.config)  # complain about the file even where the command line overrides it
    return build(cls, {**from_file, **typed}), known


def show(result: dict[str, Any], as_json: bool) -> None:
    """Print a result: JSON, or the summary table and where things are."""
    from rich.console import Console

    from crild.report.table import result_rows, summary

    if as_json:
        print(json.dumps(result, indent=2))
        return
    out = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    out.print(summary(result_rows(result), result["metric"], f"{result['task']}, validation"))
    last = result.get("student") or result["teacher"]
    out.print(
        f"saved in {last['path']}; score it on other data: crild evaluate {last['path']} --data PATH",
        markup=False,
    )


def train(verb: str, cls: Any, arguments: list[str]) -> int:
    """Run a training verb."""
    config, flags = parse(verb, cls, arguments, flags=("json", "dry-run"))
    from crild.console import quiet_libraries

    quiet_libraries()
    from crild.run import start

    if flags.dry_run:
        prepared = start.announce(start.prepare(*start.open_folder(config)))
        import yaml

        plan = {
            "options": prepared.identity.options,
            **prepared.plan.to_dict(),
            "minutes": round(sum(prepared.minutes.values()), 1),
        }
        print(json.dumps(plan, indent=2) if flags.json else yaml.safe_dump(plan, sort_keys=False))
        return 0
    show(start.run(config).to_dict(), flags.json)
    return 0


def finetune(arguments: list[str]) -> int:
    """`crild finetune`."""
    from crild.config import FinetuneConfig

    return train("finetune", FinetuneConfig, arguments)


def distill(arguments: list[str]) -> int:
    """`crild distill`."""
    from crild.config import DistillConfig

    return train("distill", DistillConfig, arguments)


def compare(arguments: list[str]) -> int:
    """`crild compare GRID.yaml --output DIR [--workers N|ray]`."""
    from crild.config import CompareConfig

    config, flags = parse("compare", CompareConfig, arguments, positional="grid", flags=("json", "dry-run"))
    if not config.grid:
        raise CrildError("the grid is missing: crild compare GRID.yaml --output DIR")
    from crild.grid.formats import terminal
    from crild.grid.run import RESULTS
    from crild.grid.run import compare as run_grid
    from crild.grid.spec import cells, read_grid, select

    if flags.dry_run:
        names = [cell.name for cell in select(cells(read_grid(config.grid)), config.only)]
        print(json.dumps(names, indent=2) if flags.json else "\n".join(names))
        return 0
    summary = run_grid(config.grid, config.output, config.workers, config.address, config.only)
    if flags.json:
        from pathlib import Path

        print((Path(config.output) / RESULTS).read_text(encoding="utf-8"), end="")
    else:
        from rich.console import Console

        Console(highlight=False, width=None if sys.stdout.isatty() else 140).print(terminal(summary))
        print(f"saved in {config.output}: table.html, table.md, table.tex, table.csv, results.json")
    return 0


def tune(arguments: list[str]) -> int:
    """`crild tune`."""
    from crild.config import TuneConfig

    config, flags = parse("tune", TuneConfig, arguments, flags=("json",))
    from crild.search import show
    from crild.search import tune as search

    result = search(config)
    if flags.json:
        print(json.dumps(result, indent=2))
    else:
        show(result)
    return 0


def evaluate(arguments: list[str]) -> int:
    """`crild evaluate MODEL --data PATH`."""
    from crild.config import EvaluateConfig

    config, flags = parse("evaluate", EvaluateConfig, arguments, positional="model", flags=("json",))
    from crild.console import quiet_libraries, warn

    quiet_libraries()
    from crild.scoring import evaluate as score

    result = score(config)
    for note in result["notes"]:
        warn(note)
    if flags.json:
        print(json.dumps(result, indent=2))
        return 0
    low, high = result["interval"]
    print(f"{result['metric']} {result['score']:.4f} (95 % interval {low:.4f} to {high:.4f}) on {result['rows']} rows")
    return 0


def methods(arguments: list[str]) -> int:
    """`crild methods [NAME] [--json]`."""
    parser = Parser(prog="crild methods", description=VERBS["methods"], allow_abbrev=False)
    parser.add_argument("name", nargs="?", help="explain this method")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    from crild.methods import METHODS, find_method
    from crild.methods.describe import facts

    chosen = list(METHODS.values()) if options.name is None else [find_method(options.name)]
    if options.json:
        entries = [{"name": m.name, "summary": m.summary, **facts(m)} for m in chosen]
        print(json.dumps(entries if options.name is None else entries[0], indent=2))
        return 0
    if options.name is None:
        for method in chosen:
            print(f"{method.name:18} {method.summary} [{method.source}]")
        from crild.models.capture import ARCHITECTURES

        print("\nteachers and students: " + ", ".join(ARCHITECTURES))
        return 0
    import textwrap

    print(f"{chosen[0].name}: {chosen[0].summary}\n")
    for heading, what in facts(chosen[0]).items():
        print(textwrap.fill(what, 110, initial_indent=f"{heading:12}", subsequent_indent=" " * 12))
    return 0


def demo(arguments: list[str]) -> int:
    """`crild demo`."""
    parser = Parser(prog="crild demo", description=VERBS["demo"], allow_abbrev=False)
    parser.add_argument("--output", default="runs/demo", help="run directory (default: runs/demo)")
    parser.add_argument(
        "--json", action="store_true", help="print the result as JSON on stdout, and nothing else there"
    )
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        known = [name for action in parser._actions for name in action.option_strings]
        raise CrildError(f"unknown option {unknown[0]!r}{nearest(unknown[0].split('=')[0], known)}")
    from crild.demo import run_demo, show_demo

    result = run_demo(options.output)
    if options.json:
        print(json.dumps(result, indent=2))
    else:
        show_demo(result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
