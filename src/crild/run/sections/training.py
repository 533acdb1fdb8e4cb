"""Training and held-out value of every term by epoch of each stage: overfitting, as it happened."""

from typing import Any

from crild.reporting.figures import Curve, curves
from crild.reporting.page import Cell, Figure, Part, Table, Words
from crild.run.plan import PlannedStage
from crild.run.sections.seen import Seen

SAID = (
    "Every term that was minimised, on the training rows and on rows held out from them (the selection rows). A gap "
    "that opens while the training value falls is overfitting. Training values are means over the steps since the "
    "evaluation before, with dropout and while the weights moved; held-out values are without dropout."
)
HEADINGS = ("stage", "term", "training", "held out", "gap", "lowest held out", "at epoch")
SCORES = {"score": ("selection rows", ""), "validation": ("validation rows", " dashed")}


def training(seen: Seen) -> tuple[Part, ...]:
    """Return a picture for each term and score of each stage, and where they ended."""
    pictures: list[Part] = []
    ends: list[tuple[Cell, ...]] = []
    for stage in seen.run.plan.stages:
        history = seen.run.history(stage.name)
        for name in dict.fromkeys(name for entry in history for name in entry["held_out"]):
            picture, end = of_term(stage, history, name)
            pictures.append(picture)
            ends.append(end)
        followed = [name for name in SCORES if any(name in entry for entry in history)]
        if followed:
            epochs = [float(entry["epoch"]) for entry in history]
            lines = [
                Curve(SCORES[name][0], colour(stage) + SCORES[name][1], epochs, [entry.get(name) for entry in history])
                for name in followed
            ]
            pictures.append(curves(f"{stage.title}: score", lines, "epoch", seen.result.metric))
    return (Words(SAID), *pictures, Table(HEADINGS, tuple(ends), "At the end of each stage")) if pictures else ()


def of_term(stage: PlannedStage, history: list[dict[str, Any]], name: str) -> tuple[Figure, tuple[Cell, ...]]:
    """Return the picture of a term, and its line of the table."""
    epochs = [float(entry["epoch"]) for entry in history]
    train, held_out = ([entry[part].get(name) for entry in history] for part in ("train", "held_out"))
    gap = [None if a is None or b is None else b - a for a, b in zip(train, held_out, strict=True)]
    lowest, at = min((value, epoch) for value, epoch in zip(held_out, epochs, strict=True) if value is not None)
    lines = [Curve("training", colour(stage), epochs, train),
             Curve("held out", f"{colour(stage)} dashed", epochs, held_out)]  # fmt: skip
    note = "" if gap[-1] is None else f"Gap at the end: {gap[-1]:+.4g}"
    picture = curves(f"{stage.title}: {name}", lines, "epoch", name, note, {"gap": gap})
    return picture, (stage.title, name, train[-1], held_out[-1], gap[-1], lowest, at)


def colour(stage: PlannedStage) -> str:
    """Return the class of whom a stage trains."""
    return "teacher" if stage.trains == "fold" else stage.trains
