"""`check`: what is wrong with a data set, before anything is trained on it; without a model no torch is loaded."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from crild.config import CheckConfig, SuspiciousConfig, configure, is_object, takes
from crild.data.doctor import Checks, Cut, Finding, check_data, findings
from crild.data.suspects import Suspect, Suspicious, suspects
from crild.data.task import Task, split_task
from crild.errors import CrildError
from crild.tasks.labels import align_labels, parse_label_map

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from crild.run.origin import Origin

C = TypeVar("C", bound=SuspiciousConfig)


@dataclass(frozen=True)
class Examination:
    """What a check found.

    Attributes:
        task: the data's name, or the task type's.
        checks: facts.
        findings: what is wrong; the verdict, if it is hopeless, last.
        notes: how the data was read.
        suspects: labels that are probably wrong, the worst first; ``None`` where nobody asked.
    """

    task: str
    checks: Checks
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    suspects: tuple[Suspect, ...] | None

    @property
    def hopeless(self) -> bool:
        """Whether nothing can be learned or measured."""
        return any(finding.level == "hopeless" for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {**asdict(self), "hopeless": self.hopeless}


@takes(CheckConfig)
def check(
    config: CheckConfig | None = None, *, tokenizer: "PreTrainedTokenizerBase | None" = None, **options: Any
) -> Examination:
    """Examine a data source; train nothing, write nothing.

    Args:
        config: a whole configuration; or
        tokenizer: of a model that is given as an object.
        options: the fields of `CheckConfig`, for instance ``data="tweets.csv"``. ``data``, ``validation`` and
            ``supplementary`` may be rows in memory, ``teacher`` and ``base`` models, as in `crild.distill`.

    Raises:
        CrildError: the data or the model cannot be read, or ``suspicious`` asks for what is not installed.
    """
    with on_disk(CheckConfig, config, options, tokenizer) as whole:
        return examine(whole)


@takes(SuspiciousConfig)
def suspicious(
    config: SuspiciousConfig | None = None, *, tokenizer: "PreTrainedTokenizerBase | None" = None, **options: Any
) -> Suspicious:
    """Rank the labels of train and selection rows that are probably wrong; change nothing.

    A logistic regression says how probable the labels of the rows are that it was not trained on: by TF-IDF, or by the
    mean last hidden state of ``base`` (of ``teacher`` without one). cleanlab chooses those that look wrong.

    Args:
        config: a whole configuration; or
        tokenizer: of a model that is given as an object.
        options: the fields of `SuspiciousConfig`, for instance ``data="tweets.csv", base="./encoder"``. They may be
            objects, as in `check`.

    Raises:
        CrildError: data or model cannot be read, cleanlab is not installed, or the rows have no classes.

    Source: Northcutt et al. 2021, *Confident Learning*.

    Example:
        >>> found = crild.suspicious(data="tweets.csv", base="./encoder")
        >>> found.table().to_csv("to_read.csv")
    """
    with on_disk(SuspiciousConfig, config, options, tokenizer) as whole:
        task, origin = read(whole)
        return suspected(task, origin, whole)


@contextmanager
def on_disk(
    cls: type[C], config: C | None, options: Mapping[str, Any], tokenizer: "PreTrainedTokenizerBase | None"
) -> Iterator[C]:
    """Give the configuration that a function was given; objects among its options are files for as long."""
    if tokenizer is None and not any(is_object(name, value) for name, value in options.items()):
        yield configure(cls, config, options)
        return
    from crild.run.objects import configured  # loads torch

    with (
        TemporaryDirectory(prefix="crild-") as folder,
        configured(cls, config, options, tokenizer, lambda _: Path(folder)) as (whole, _),
    ):
        yield whole


def read(config: SuspiciousConfig) -> tuple[Task, "Origin | None"]:
    """Return the task, and the models that were named."""
    if not (config.teacher or config.base):
        return split_task(config), None
    from crild.run.origin import read_origin  # loads torch

    origin = read_origin(config, config.teacher, [config.base] if config.teacher and config.base else [], "")
    return split_task(config, origin.task_type), origin


def examine(config: CheckConfig) -> Examination:
    """Examine as a configuration says; see `check`."""
    task, origin = read(config)
    found = suspected(task, origin, config) if config.suspicious else None
    if origin is None:
        return examination(task, check_data(task), [], found)
    checks = check_data(task, cut_by(task, origin))
    return examination(task, checks, label_findings(task, origin, config.label_map), found)


def suspected(task: Task, origin: "Origin | None", config: SuspiciousConfig) -> Suspicious:
    """Return the labels that are probably wrong."""
    if origin is None:
        return suspects(task)
    return suspects(
        task, embeddings(task, origin, config), f"the mean last hidden state of {config.base or origin.name}"
    )


def examination(task: Task, checks: Checks, more: list[Finding], suspected: Suspicious | None) -> Examination:
    """Put what was found together."""
    found = (*more, *findings(checks))
    return Examination(task.name, checks, found, task.notes, None if suspected is None else suspected.suspects)


def cut_by(task: Task, origin: "Origin") -> Cut:
    """Return what a model's tokenizer cuts off."""
    from crild.data.tokenise import tokenise

    length = min(task.max_length, origin.longest)
    return Cut.of(tokenise(task.train, origin.tokenizer, length), length, origin.longest)


def label_findings(task: Task, origin: "Origin", label_map: str | None) -> list[Finding]:
    """Return what stands between the data's labels and a fine-tuned teacher's."""
    if origin.teacher is None or not task.names:
        return []
    from crild.models.loading import label_names

    names = label_names(origin.teacher.config)
    try:
        text = align_labels(task.names, task.generic, names, parse_label_map(label_map)).note
    except CrildError as error:
        text = str(error)
    return [Finding("warning", "teacher labels", text, {"data": task.names, "teacher": names})] if text else []


def embeddings(task: Task, origin: "Origin", config: SuspiciousConfig) -> np.ndarray:
    """Return the mean last hidden state over real tokens of the rows of train and selection: (rows, width).

    They are ``base``'s where it is named: a fine-tuned teacher has seen the labels, the wrong ones too.
    """
    import torch

    from crild.data.batching import Collator, batches_by_length
    from crild.data.tokenise import tokenise
    from crild.models import loading
    from crild.models.architecture import model_inputs

    name, tokenizer = config.base or origin.name, origin.tokenizer
    role = "base" if config.base else origin.role
    if name != origin.name:
        tokenizer = loading.load_tokenizer(name, role, config.trust_remote_code, config.revision)
    model = origin.teacher if name == origin.name else None
    if model is None:
        model = loading.load_model(name, role, None, config.trust_remote_code, config.revision).model
    model.eval()
    length = min(task.max_length, origin.longest)
    parts = []
    for rows in (task.train, task.selection):
        tokenised = tokenise(rows, tokenizer, length)
        out = np.zeros((len(rows), model.config.hidden_size), np.float32)
        for chosen, batch in batches_by_length(tokenised, Collator(tokenizer), 64):
            with torch.no_grad():
                states = model.base_model(**model_inputs(batch, model)).last_hidden_state
            mask = batch["attention_mask"][:, :, None].to(states.dtype)
            out[chosen] = ((states * mask).sum(1) / mask.sum(1)).numpy()
        parts.append(out)
    return np.concatenate(parts)
