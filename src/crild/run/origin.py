"""Where a run starts: a fine-tuned teacher, or an encoder that becomes one."""

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from crild.config import SuspiciousConfig, TrainConfig
from crild.errors import CrildError
from crild.models import loading
from crild.tasks.base import TaskType
from crild.tasks.registry import task_type_of


@dataclass(frozen=True)
class Origin:
    """Where a run starts.

    Attributes:
        name: of the model, as the user gave it.
        role: how messages call it: ``teacher`` or ``base``.
        teacher: the fine-tuned teacher; ``None`` where it has yet to be fine-tuned.
        tokenizer: its own, which all models of the run share.
        longest: the most tokens that all models of the run take.
    """

    name: str
    role: str
    teacher: PreTrainedModel | None
    tokenizer: PreTrainedTokenizerBase
    longest: int

    @property
    def task_type(self) -> TaskType | None:
        """What a fine-tuned teacher does."""
        return None if self.teacher is None else task_type_of(self.teacher.config)


def read_origin(
    config: TrainConfig | SuspiciousConfig, teacher: str | None, others: Sequence[str], missing: str
) -> Origin:
    """Load the teacher, or find that it has yet to be fine-tuned.

    Args:
        config: the options.
        teacher: what ``--teacher`` names.
        others: further models of the run, which may take fewer tokens.
        missing: the error where neither a teacher nor a base is named.

    Raises:
        CrildError: there is none, or it cannot be loaded.
    """
    name, role = (teacher, "teacher") if teacher else (config.base, "base")
    if not name:
        raise CrildError(missing)
    model = None
    if teacher:
        loaded = loading.load_model(teacher, role, None, config.trust_remote_code, config.revision)
        model = loaded.model if loaded.head_is_trained else None
    tokenizer = loading.load_tokenizer(name, role, config.trust_remote_code, config.revision)
    every = [(name, role), *((other, "base" if other == config.base else "student") for other in others)]
    longest = min(loading.longest_input(each, what, config.trust_remote_code, config.revision) for each, what in every)
    return Origin(name, role, model, tokenizer, longest)
