"""Write docs/reference/ from the docstrings of the objectives and the declarations of the methods: ``make docs``."""

import inspect
import re
from pathlib import Path

from crild.describe import example, facts
from crild.methods import METHODS, Method
from crild.objectives import OBJECTIVES, SHORT, Objective, Transport, captured, parse_features

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "reference"
DEPTHS = ((3, 6), (6, 12))  # student, teacher
STAGES = {0: "embedding stage", -1: "last layer"}  # layers that are captured whatever the map
PAGES: dict[str, type[Objective]] = {**OBJECTIVES, "emd": Transport}


def counts(method: Method) -> list[str]:
    """Return "student + teacher" numbers of captured tensors, one for each of `DEPTHS`."""
    out = []
    for depths in DEPTHS:
        objective = example(method, *depths)
        out.append(
            "-"
            if objective is None
            else " + ".join(str(len(captured(objective, side))) for side in ("student", "teacher"))
        )
    return out


def users(name: str) -> list[Method]:
    """Return the methods that use an objective (or the transport map)."""
    found = []
    for method in METHODS.values():
        if method.matches is not None:
            parts = {part for part, _ in parse_features(method.matches)} | {method.layer_map}
            found += [method] if name in parts else []
    return found


def prose(cls: type) -> tuple[str, str]:
    """Return a docstring's title and text as Markdown."""
    text = inspect.getdoc(cls) or ""
    title, _, first = text.partition(":")
    text = re.sub(r"``(.+?)``", r"`\1`", first.strip())
    return title, re.sub(r"^Source:", "**Source:**", text[:1].upper() + text[1:], flags=re.MULTILINE)


def objective_page(name: str, cls: type[Objective]) -> str:
    """Return one objective's page."""
    title, text = prose(cls)
    out = [f"# {title} (`{name}`)", "", text, ""]
    if cls is not Transport:
        facts = {
            "`--features`": f"`{name}`" + "".join(f", part of `{k}`" for k, v in SHORT.items() if name in v.split("+")),
            "captures": ", ".join(cls.needs) + "".join(f" of the {STAGES[layer]}" for layer in cls.extra),
            "layer maps": "none"
            if cls.layerless
            else ", ".join("one teacher layer a student layer (last, uniform, skip, ...)" if m == "fixed" else m
                           for m in cls.maps),
            "interpolation": "yes" if cls.mixable else "no",
        }  # fmt: skip
        if cls.needs_filters:
            facts["labels"] = "needed, for the filters"
        if cls.needs_words:
            facts["tokenizer"] = "a fast one, which tells the words of a text"
        out += ["| | |", "|---|---|", *(f"| {k} | {v} |" for k, v in facts.items()), ""]
    if found := users(name):
        heads = " | ".join(f"captured, {s} from {t} layers" for s, t in DEPTHS)
        out += [f"| method | {heads} |", "|---|" + "---|" * len(DEPTHS)]
        out += [f"| [{m.name}](methods.md#{m.name}) | {' | '.join(counts(m))} |" for m in found]
        out += ["", "Captured tensors are student + teacher, in one pass of each."]
    else:
        out.append("No named method uses it; name it in `--features`.")
    return "\n".join(out) + "\n"


def methods_page() -> str:
    """Return the page of all methods."""
    heads = " | ".join(f"captured, {s} from {t} layers" for s, t in DEPTHS)
    out = [
        "# Methods",
        "",
        "Written by `make docs` from the declarations in `src/crild/methods/registry.py`; `crild methods NAME` prints "
        "the same. Captured tensors are student + teacher, in one pass of each.",
        "",
        f"| method | matches | layer map | inputs | {heads} |",
        "|---|---|---|---|" + "---|" * len(DEPTHS),
    ]
    for m in METHODS.values():
        what = "-"
        if m.matches is not None:
            what = " + ".join(f"[{n}]({n}.md)" for n, _ in parse_features(m.matches))
        layers = "-" if m.matches in (None, "logits") else m.layer_map
        layers = "[emd](emd.md)" if layers == "emd" else layers
        inputs = "interpolated" if m.interpolate else "plain"
        out.append(f"| [{m.name}](#{m.name}) | {what} | {layers} | {inputs} | {' | '.join(counts(m))} |")
    for m in METHODS.values():
        out += ["", f"## {m.name}", "", m.summary[:1].upper() + m.summary[1:] + ".", "", "| | |", "|---|---|"]
        out += [f"| {k} | {v} |".replace("||", r"\|\|") for k, v in facts(m).items()]
    return "\n".join(out) + "\n"


def pages() -> dict[str, str]:
    """Return every page by file name."""
    return {"methods.md": methods_page()} | {f"{name}.md": objective_page(name, cls) for name, cls in PAGES.items()}


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.md"):
        old.unlink()
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    print(f"{len(pages())} pages in {FOLDER}")
