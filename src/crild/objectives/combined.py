"""Several objectives as one."""

from collections.abc import Iterable

from torch import Tensor, nn

from crild.features import Features
from crild.layers import Pairs
from crild.objectives.base import Objective, Term


class Combined(Objective):
    """The terms of several objectives side by side, each under its own name."""

    def __init__(self, parts: Iterable[Objective]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self.needs = tuple(dict.fromkeys(name for part in self for name in part.needs))
        self.terms = tuple(term for part in self for term in part.terms)

    def __iter__(self):  # type: ignore[no-untyped-def]
        return iter(self.parts)

    def forward(self, student: Features, target: Features, pairs: Pairs) -> dict[str, Term]:
        """Return the terms of all parts."""
        return {k: v for part in self for k, v in part(student, target, pairs).items()}

    def counts(self, mask: Tensor) -> dict[str, Tensor]:
        """Return the counts of all parts."""
        return {k: v for part in self for k, v in part.counts(mask).items()}

    def check(self, student_config: object, teacher_config: object) -> None:
        """Check every part."""
        for part in self:
            part.check(student_config, teacher_config)
