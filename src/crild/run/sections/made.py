"""How a run was made, and the command that makes it again."""

import shlex
from dataclasses import fields

import yaml

from crild.config import DistillConfig, FinetuneConfig
from crild.config.arguments import flag
from crild.reporting.page import Part, Table, Words, words
from crild.run.folder import RunFolder
from crild.run.sections.seen import Seen


def made(seen: Seen) -> tuple[Part, ...]:
    """Return stages, the command, versions and machine, and every option."""
    run, facts = seen.run, seen.run.facts
    stages = tuple(
        (each.title, each.trains, each.rows, each.steps, each.settings.learning_rate, each.settings.batch_size)
        for each in run.plan.stages
    )
    rows = ", ".join(f"{name} {count}" for name, count in seen.result.rows.items())
    machine = ", ".join(f"{name} {value}" for name, value in facts["machine"].items() if value is not None)
    return (
        *words(
            f"Rows: {rows}. Seed {seen.result.seed}. Started {facts['started']}, {seen.result.minutes:g} minutes.",
            f"Student: {seen.student.init}." if seen.student and seen.student.init else "",
        ),
        Table(("stage", "trains", "rows", "steps", "learning rate", "batch"), stages, "Stages"),
        Words("The command that makes it again:"),
        Words(command(run), code=True),
        Table(("package", "version"), tuple(facts["versions"].items()), "Versions", note=f"Machine: {machine}."),
        Words("Every option, as it was resolved (config.yaml):"),
        Words(yaml.safe_dump(run.options, sort_keys=False, allow_unicode=True).rstrip(), code=True),
    )


def command(run: RunFolder) -> str:
    """Return the command line that makes the run again; options that are as by default are left out."""
    distils = run.plan.method is not None
    parts = ["crild", "distill" if distils else "finetune"]
    for each in fields(DistillConfig if distils else FinetuneConfig):
        value = run.options.get(each.name, each.default)
        if value is None or value == each.default:
            continue
        if isinstance(value, bool) and isinstance(each.default, bool):
            parts.append(flag(each.name) if value else f"--no-{flag(each.name)[2:]}")
        else:
            parts += [flag(each.name), str(value).lower() if isinstance(value, bool) else str(value)]
    return shlex.join([*parts, "--output", "OUTPUT"])
