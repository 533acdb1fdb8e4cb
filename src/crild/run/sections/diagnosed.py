"""What `crild diagnose` found of a run, as pictures of its report."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from crild.reporting import figures
from crild.reporting.page import Part, Table, Words, words
from crild.run.folder import RunFolder
from crild.run.sections.seen import called

Figures = Mapping[str, Any]
LOSSES = {"task": "the task's loss", "ild": "the loss to the teacher"}
PLANE = "In the middle is the student; directions are random, as long as its own filters."


def diagnosed(run: RunFolder) -> tuple[Part, ...]:
    """Return the pictures of every diagnostic that ran."""
    found = run.diagnostics
    parts = [part for name, draw in DRAWN.items() if name in found for part in draw(found[name])]
    if not parts:
        return words(f"None yet: crild diagnose {run.path.name} looks at noise, curvature, layers and gaps; "
                     f"crild report {run.path.name} then shows them here.")  # fmt: skip
    rows = next(iter(found.values()))["rows"]["passed_over"]
    return (Words(f"By crild diagnose, on {rows} rows of each split; docs/diagnose.md says how to read each."), *parts)


def fit(found: Figures) -> list[Part]:
    """Return loss and score of the finished models on training and held-out rows."""
    rows = tuple(
        (called(role), name, each["train"], each["held_out"], each["gap"])
        for role, of in found["models"].items()
        for name, each in of.items()
    )
    note = "Gap: what a loss is higher, and a score lower, on held-out rows: above 0 is overfitting."
    return [Table(("model", "what", "training", "held out", "gap"), rows, "The finished models", note=note)]


def noise(found: Figures) -> list[Part]:
    """Return scores under noise on the weights."""
    lines = [
        figures.Curve(called(role), role, found["scales"], of["held_out"]["score"]["mean"],
                      of["held_out"]["score"]["low"], of["held_out"]["score"]["high"])
        for role, of in found["models"].items()
    ]  # fmt: skip
    note = "Means over draws; the bands reach from the lowest to the highest. A flat line is a flat place of the loss."
    return [figures.curves("Robustness to noise on the weights, held-out rows", lines,
                           "noise, share of each tensor's size", found["metric"], note)]  # fmt: skip


def cka(found: Figures) -> list[Part]:
    """Return how alike layers are."""
    return [
        figures.heat(f"Likeness of layers (linear CKA): {called(role)}", of["cka"], "layer of the teacher", "layer",
                     role, (0.0, 1.0))
        for role, of in found["models"].items()
    ]  # fmt: skip


def probes(found: Figures) -> list[Part]:
    """Return what a linear classifier tells of each layer."""
    lines = [
        figures.Curve(called(role), role, list(range(len(of["held_out"]))), of["held_out"])
        for role, of in found["models"].items()
    ]
    return [figures.curves("Linear probes, held-out rows", lines, "layer", found["metric"],
                           "Layer 0 is what the first layer sees.")]  # fmt: skip


def surface(found: Figures) -> list[Part]:
    """Return the losses along a random direction, and the student's on the plane of two."""
    by_loss: dict[str, list[figures.Curve]] = {}
    for role, of in found["models"].items():
        for split, dashes in (("train", ""), ("held_out", " dashed")):
            for name, values in of["line"].get(split, {}).items():
                title = f"{called(role)}, {'training' if split == 'train' else 'held out'}"
                by_loss.setdefault(name, []).append(figures.Curve(title, role + dashes, found["line_at"], values))
    parts: list[Part] = [
        figures.curves(f"Loss surface: {LOSSES[name]}", lines, "along a random direction", LOSSES[name])
        for name, lines in by_loss.items()
    ]
    planes = found["models"].get("student", {}).get("plane", {}).get("train", {})
    for name, values in planes.items():
        title = f"Loss surface of the student: {LOSSES[name]}, training rows"
        at = found["plane_at"]
        parts.append(figures.heat(title, values, "second direction", "first", "student", places=at, note=PLANE))
    return parts


def numbers(title: str, note: str) -> Callable[[Figures], list[Part]]:
    """Return what shows figures that are a number or a few for each model."""

    def draw(found: Figures) -> list[Part]:
        rows = tuple(
            (called(role), " ".join(path), value) for role, of in found["models"].items() for path, value in leaves(of)
        )
        return [Table(("model", "what", "value"), rows, title, note=note)]

    return draw


def leaves(values: Any, path: Sequence[str] = ()) -> list[tuple[tuple[str, ...], Any]]:
    """Return every number of nested dictionaries, with the way to it."""
    if isinstance(values, Mapping):
        return [leaf for name, value in values.items() for leaf in leaves(value, (*path, name.replace("_", " ")))]
    return [(tuple(path), values)]


DRAWN: dict[str, Callable[[Figures], list[Part]]] = {
    "noise": noise,
    "surface": surface,
    "cka": cka,
    "probes": probes,
    "fit": fit,
    "explained": numbers("Share of what the teacher's head reads that is explained (R²)", "1 is all of it."),
    "hessian": numbers("Largest Hessian eigenvalue", "Large: a sharp place. Compare models of one architecture."),
    "flips": numbers("Answers to training rows with labels that were replaced on purpose", "Wrong: learned by heart."),
}
