"""`check`: what is wrong with a data set, before anything is trained on it; without a model no torch is loaded."""

from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from crild.config import CheckConfig, configure, is_object, takes
from crild.data.doctor import Checks, Cut, Finding, check_data, findings
from crild.data.suspects import Suspect, suspects
from crild.data.task import Task, split_task
from crild.errors import CrildError
from crild.tasks.labels import align_labels, parse_label_map

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from crild.run.origin import Origin


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
    if tokenizer is None and not any(is_object(name, value) for name, value in options.items()):
        return examine(configure(CheckConfig, config, options))
    from crild.run.objects import configured  # loads torch

    with (
        TemporaryDirectory(prefix="crild-") as folder,
        configured(CheckConfig, config, options, tokenizer, lambda _: Path(folder)) as (whole, _),
    ):
        return examine(whole)


def examine(config: CheckConfig) -> Examination:
    """Examine as a configuration says; see `check`."""
    if not (config.teacher or config.base):
        task = split_task(config)
        checks = check_data(task)
        return examination(task, checks, [], suspects(task) if config.suspicious else None)
    from crild.run.origin import read_origin  # loads torch

    origin = read_origin(config, config.teacher, [config.base] if config.teacher and config.base else [], "")
    task = split_task(config, origin.task_type)
    return examination(
        task,
        check_data(task, cut_by(task, origin)),
        label_findings(task, origin, config.label_map),
        suspects(task, embeddings(task, origin, config)) if config.suspicious else None,
    )


def examination(task: Task, checks: Checks, more: list[Finding], suspected: list[Suspect] | None) -> Examination:
    """Put what was found together."""
    found = (*more, *findings(checks))
    return Examination(task.name, checks, found, task.notes, None if suspected is None else tuple(suspected))


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


def embeddings(task: Task, origin: "Origin", config: CheckConfig) -> np.ndarray:
    """Return the mean last hidden state over real tokens of the rows of train and selection: (rows, width).

    They are ``base``'s where it is named: a fine-tuned teacher has seen the labels, the wrong ones too.
    """
    import torch

    from crild.data.batching import Collator, batches_by_length
    from crild.data.tokenise import tokenise
    from crild.models import loading
    from crild.models.architecture import model_inputs

    name, role = (config.base, "base") if config.base else (config.teacher, "teacher")
    assert name is not None
    model = loading.load_model(name, role, None, config.trust_remote_code, config.revision).model.eval()
    tokenizer = loading.load_tokenizer(name, role, config.trust_remote_code, config.revision)
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
