"""Data sets for the doctor: a healthy one, to plant something in."""

from crild.config import CheckConfig
from crild.data.task import split_task
from tests.conftest import write_jsonl


def healthy(rows=600, start=0, labels=("no", "yes")):
    """Different texts, labels in turn, each told by a word of its own."""
    return [
        {"text": f"case {start + i} of the {labels[i % len(labels)]} kind", "label": labels[i % len(labels)]}
        for i in range(rows)
    ]


def graded(rows=600, start=0):
    return [{"text": f"pair {start + i}", "score": (i % 51) / 10} for i in range(rows)]


def listed(rows=600, start=0):
    sets = (["a"], ["b"], ["a", "b"], [])
    return [{"text": f"part {start + i}", "labels": sets[i % 4]} for i in range(rows)]


def task_of(folder, train, validation=None, **options):
    write_jsonl(folder / "train.jsonl", train)
    if validation is not None:
        write_jsonl(folder / "validation.jsonl", validation)
    return split_task(CheckConfig(data=str(folder), **options))
