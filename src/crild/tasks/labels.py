"""Labels: what a raw value says, and the names of the data's labels against the names of the teacher's."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from crild.errors import CrildError

MOST_CODED_CLASSES = 20  # more distinct whole numbers than this are a quantity, not classes


@dataclass(frozen=True)
class Labels:
    """A label column, understood.

    Attributes:
        values: what a task type makes of each row's label: class index, number, list of 0 and 1; ``None`` for none.
        names: of the classes; empty in regression.
        generic: the data holds numbers, not names, so only the index can be trusted.
    """

    values: list[Any]
    names: list[str] = field(default_factory=list)
    generic: bool = False


def simple(name: str) -> str:
    """Return a name without case, dashes, underscores and spaces."""
    return "".join(c for c in name.casefold() if c.isalnum())


def refuse_lists(raw: Sequence[Any], where: str, name: str) -> None:
    """Raise `CrildError` where a row has a list of labels and the task has one label a row."""
    if any(isinstance(value, list) for value in raw):
        raise CrildError(f"{where}: rows have lists of labels, and a {name} task has one a row")


def is_missing(value: Any) -> bool:
    """Whether a raw label stands for no label."""
    return value is None or (isinstance(value, float) and math.isnan(value)) or str(value).strip() == ""


def as_number(value: Any) -> float | None:
    """Return a raw label as a number, or ``None``."""
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def class_name(value: Any, number: float | None, numeric: bool) -> str:
    """Return the name of a class label: ``1`` and ``1.0`` are the same class in a column of numbers."""
    if numeric and number is not None:
        return str(int(number)) if number == int(number) else str(number)
    return str(value).lower() if isinstance(value, bool) else str(value).strip()


def is_generic(names: Sequence[str]) -> bool:
    """Whether a model's label names say nothing: ``LABEL_0`` or bare integers."""
    return all(re.fullmatch(r"(LABEL_)?-?\d+", name) for name in names)


def find_label(name: str, teacher_names: Sequence[str]) -> int | None:
    """Return the position of a label: the same name, or the same but for case, or for case and punctuation."""
    for spelling in (str.strip, lambda text: text.strip().casefold(), simple):
        spelled = [spelling(other) for other in teacher_names]
        if len(set(spelled)) == len(spelled) and spelling(name) in spelled:
            return spelled.index(spelling(name))
    return None


def parse_label_map(text: str | None) -> dict[str, str]:
    """Parse ``old=new,old=new``.

    Raises:
        CrildError: the text has another form.
    """
    if not text:
        return {}
    pairs = [part.split("=", 1) for part in text.split(",")]
    if any(len(pair) != 2 or not pair[0].strip() or not pair[1].strip() for pair in pairs):
        raise CrildError(f"--label-map {text!r}: write old=new,old=new")
    return {old.strip(): new.strip() for old, new in pairs}


@dataclass(frozen=True)
class Alignment:
    """Which of the teacher's classes each of the data's classes is.

    Attributes:
        index: the teacher's class of data class 0, 1, ...
        by_index: the names said nothing, so positions were trusted; to be checked against the majority class.
        note: a warning for the user, or an empty string.
    """

    index: list[int]
    by_index: bool = False
    note: str = ""


def align_labels(
    names: Sequence[str], generic: bool, teacher_names: Sequence[str], label_map: dict[str, str]
) -> Alignment:
    """Align the data's classes with the teacher's: by ``label_map``, then by name, then (generic names) by index.

    Raises:
        CrildError: the teacher does not know a class, or ``label_map`` names one that does not exist.
    """
    listed = ", ".join(teacher_names)
    for old, new in label_map.items():
        if old not in names:
            raise CrildError(f"--label-map: the data has no label {old!r}; it has {', '.join(names)}")
        if find_label(new, teacher_names) is None and not (new.isdigit() and int(new) < len(teacher_names)):
            raise CrildError(f"--label-map: the teacher has no label {new!r}; it has {listed}")
    found = [find_label(label_map.get(name, name), teacher_names) for name in names]
    for i, name in enumerate(names):
        if found[i] is None and label_map.get(name, "").isdigit():
            found[i] = int(label_map[name])
    unmatched = [name for name, i in zip(names, found, strict=True) if i is None]
    if not unmatched:
        index = [i for i in found if i is not None]
        if len(set(index)) < len(index):
            clash = next(n for n, c in Counter(index).items() if c > 1)
            raise CrildError(f"two labels of the data become the teacher's {teacher_names[clash]!r}: use --label-map")
        return Alignment(index)
    if generic or is_generic(teacher_names):
        codes = [as_number(name) for name in names]
        direct = all(c is not None and c == int(c) and 0 <= c < len(teacher_names) for c in codes)
        index = [int(c) for c in codes if c is not None] if direct else list(range(len(names)))
        if max(index) >= len(teacher_names):
            raise CrildError(
                f"the data has {len(names)} labels ({', '.join(names)}) and the teacher only {len(teacher_names)} "
                f"({listed}): map them with --label-map old=new,..."
            )
        shown = ", ".join(f"{name}={teacher_names[i]}" for name, i in zip(names, index, strict=True))
        return Alignment(
            index,
            True,
            f"labels are matched by position, for want of common names: {shown} (--label-map decides)",
        )
    raise CrildError(
        f"the teacher does not know the label{'s' if len(unmatched) > 1 else ''} {', '.join(unmatched)}; it knows "
        f"{listed}: map them with --label-map {unmatched[0]}={teacher_names[0]},..."
    )
