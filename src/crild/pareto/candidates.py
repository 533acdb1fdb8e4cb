"""Which students are tried: several depths and widths, and one without layers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedModel

from crild.config import FrontierConfig
from crild.config.student import STATIC, chooses_layers, parse_layers
from crild.errors import CrildError
from crild.models import loading
from crild.models.cut import cut
from crild.models.narrow import narrow
from crild.models.static import static_student
from crild.randomness import own_random_state


@dataclass(frozen=True)
class Candidate:
    """A student that may be trained.

    Attributes:
        name: what tables and the grid call it.
        student: as ``--student`` says it.
        width: hidden size, where it is narrower than what it is cut from.
    """

    name: str
    student: str
    width: int | None = None

    def options(self, method: str) -> dict[str, Any]:
        """Return the options of its run; a static student has nothing to match and learns from logits."""
        narrower = {} if self.width is None else {"student_width": self.width}
        return {"method": "kd" if self.student == STATIC else method, "student": self.student, **narrower}

    def untrained(self, source: PreTrainedModel) -> PreTrainedModel:
        """Return it with the weights that it starts from, cut from ``source``.

        Raises:
            CrildError: there are no such layers, or no such width.
        """
        with own_random_state():
            layers = parse_layers(self.student, source.config.num_hidden_layers)
            if layers is None:
                return loading.load_model(self.student, "student").model
            if not layers:
                return static_student(source, 0)
            student = cut(source, layers)
            return narrow(student, self.width) if self.width else student


def candidates(config: FrontierConfig, shape: Mapping[str, int]) -> list[Candidate]:
    """Return what a configuration asks for.

    Args:
        config: its ``students`` and ``widths``.
        shape: ``layers`` and ``width`` of the model that students are cut from.

    Raises:
        CrildError: a width is none.
    """
    depth, full = shape["layers"], shape["width"]
    usual = [STATIC, *sorted({1, min(2, depth), max(1, depth // 3), max(1, depth // 2)})]
    specs = config.students.split() if config.students is not None else [str(each) for each in usual]
    widths = [read_width(each.strip(), full) for each in config.widths.split(",")]
    out: dict[str, Candidate] = {}
    for spec in specs:
        is_cut = chooses_layers(spec) and spec != STATIC
        for width in widths if is_cut else [full]:
            narrower = width if width != full else None
            name = named(spec) + (f" x {width}" if narrower else "")
            out[name] = Candidate(name, spec, narrower)
    if not out:
        raise CrildError("--students names no student: for instance --students 'static 1 2 3'")
    return list(out.values())


def named(spec: str) -> str:
    """Return what a student is called."""
    return spec if not spec.isdigit() else f"{spec} layer{'s' if int(spec) > 1 else ''}"


def read_width(said: str, full: int) -> int:
    """Return a hidden size: ``full``, ``half`` or a number.

    Raises:
        CrildError: it is none of these.
    """
    known = {"full": full, "half": full // 2}
    if said not in known and not said.isdigit():
        raise CrildError(f"--widths: {said!r} is neither full, half nor a hidden size such as {full // 2}")
    return known[said] if said in known else int(said)
