"""The model card that goes with a student, in the hub's format: ``card.md`` filled in."""

import os
import shutil
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import yaml
from huggingface_hub import EvalResult, ModelCard, ModelCardData, metadata_load
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from crild import hub
from crild.config import DistillConfig
from crild.config.student import student_path
from crild.data.tweets import model_folder
from crild.escaping import escape_markdown
from crild.files import write_whole
from crild.methods import find_method
from crild.paths import is_path
from crild.reporting.page import standalone
from crild.run.inputs import Inputs
from crild.run.picture import scores_picture
from crild.run.result import Result, Scores
from crild.run.targets import AGREEMENT

TITLES = {"classification": "Text classifier", "regression": "Text scorer", "multi-label": "Text tagger"}
HUB_METRICS = {"macro_f1": "f1", "micro_f1": "f1", "matthews": "matthews_correlation", "pearson": "pearsonr",
               "spearman": "spearmanr"}  # fmt: skip
PICTURE = "scores.svg"
LICENCE = ("license", "license_name", "license_link")


def write_card(
    folder: Path,
    config: DistillConfig,
    result: Result,
    inputs: Inputs,
    init: str,
    classes: Sequence[tuple[dict[str, Any], dict[str, Any]]],
) -> None:
    """Write ``README.md`` into a student's folder, and beside it the licence's file where its source has one.

    Args:
        folder: of the student.
        config: options of the run.
        result: of the run; paths and notes in it are of this machine and are left out.
        inputs: what was read.
        init: where the student's weights came from.
        classes: the student's and the teacher's scores of each, as `crild.metrics.class_scores` gives them; none where
            there are no classes.
    """
    student, teacher = result.models["student"], result.models["teacher"]
    assert student is not None
    assert teacher is not None
    sources = origins(config)
    stated = {name: licence for name in sources if (licence := licence_of(name, config.revision))}
    licence = copy_licence(stated, folder)
    scored_on = config.validation if config.validation not in (None, "held-out") else config.data
    evaluations = eval_results(result, scored_on, inputs.scored_on, config.data_revision)
    card_data = ModelCardData(
        base_model=[name for name in map(hub_name, sources) if name] or None,
        datasets=[name for name in map(hub_name, (config.data, config.supplementary)) if name] or None,
        metrics=list(dict.fromkeys(each.metric_type for each in evaluations)),
        eval_results=evaluations,
        model_name=f"{result['method']} student, {student.layers} layers",
        library_name="transformers",
        pipeline_tag="text-classification",
        tags=["crild", "knowledge-distillation", result["method"]],
        **licence,
    )
    picture = scores_picture(result)
    write_whole(folder / PICTURE, standalone(picture))
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["e"] = escape_markdown
    text = environment.get_template("card.md").render(
        card_data=card_data.to_yaml().rstrip(),
        title=TITLES.get(result.kind, "Text model"),
        result=result.to_dict(),
        config=config,
        student=student,
        teacher=teacher,
        table=cost_table(result.models["control"], student, teacher),
        picture=PICTURE,
        picture_says=picture.title,
        classes=classes,
        agreement=result.metric == AGREEMENT,
        shared=inputs.checks.shared,
        pairs="text_pair" in inputs.task.train.column_names,
        split=f"{inputs.scored_on} of {shown(scored_on or result.task)}",
        data=shown(config.data or result.task),
        supplementary=shown(config.supplementary) if config.supplementary else None,
        init=without_paths(init, config),
        source=find_method(result["method"]).source,
        origins=[shown(name) for name in sources],
        licence=licence,
        stated=[shown(name) for name in stated],
        counts=[f"{name} {count}" for name, count in result.rows.items()],
        capped=capped(config, inputs),
        machine=machine(),
        version=version("crild"),
    )
    write_whole(folder / "README.md", str(ModelCard(text)))


def write_section(folder: Path, title: str, text: str) -> None:
    """Write a section into the card of a student's folder, in place of an earlier one of that title; last without one.

    A folder without a card stays without.
    """
    card = folder / "README.md"
    if not card.exists():
        return
    section = f"## {title}\n\n{text.strip()}\n"
    whole = card.read_text(encoding="utf-8")
    before, heading, rest = whole.partition(f"\n## {title}\n")
    if heading:
        _, following, after = rest.partition("\n## ")
    else:
        before, following, after = whole.partition("\n## How it was made")
    write_whole(card, f"{before.rstrip()}\n\n{section}" + (f"{following}{after}" if following else ""))


# ---- names ----


def shown(name: str) -> str:
    """Return a name as others may read it: a hub name as it is, of a path the last component."""
    path = os.path.expanduser(name)
    if os.path.exists(path) or is_path(name):
        return os.path.basename(os.path.abspath(path))
    return name


def without_paths(text: str, config: DistillConfig) -> str:
    """Return a text with every path that the options name as its last component."""
    for name in filter(None, (config.base, config.teacher, config.student)):
        text = text.replace(name, shown(name))
    return text


def hub_name(name: str | None) -> str | None:
    """Return a name that the hub's metadata may hold, or ``None``: it takes no blanks, for one."""
    if not name:
        return None
    name = hub.pinned(shown(name))[0].partition(":")[0]
    try:
        validate_repo_id(name)
    except HFValidationError:
        return None
    return name


def origins(config: DistillConfig) -> list[str]:
    """Return the models that a student comes from: whose weights it started with, then its teacher."""
    start = student_path(config.student) or config.base or config.teacher
    return list(dict.fromkeys(name for name in (start, config.teacher or config.base) if name))


# ---- licence ----


def licence_of(name: str, revision: str | None) -> dict[str, Any]:
    """Return what a model's own card says of its licence, else that there is a file of it; nothing where neither is."""
    folder = Path(model_folder(name)).expanduser()
    readme = folder / "README.md" if folder.is_dir() else hub.model_card(*hub.pinned(name, revision))
    try:
        said = (metadata_load(readme) if readme and readme.exists() else None) or {}
    except (ValueError, yaml.YAMLError):  # metadata that is none
        said = {}
    if isinstance(said, dict) and isinstance(said.get("license"), str):
        return {key: said[key] for key in LICENCE if isinstance(said.get(key), str)}
    for file in sorted(folder.glob("LICEN[CS]E*")):
        return {"license": "other", "license_name": f"{shown(name)}-licence", "license_link": file.name}
    return {}


def copy_licence(stated: dict[str, dict[str, Any]], folder: Path) -> dict[str, Any]:
    """Return the licence that all models with one state, with its file in the student's folder; none if they differ."""
    found = list(stated.values())
    if not found or any(licence != found[0] for licence in found):
        return {}
    link = str(found[0].get("license_link", ""))
    file = Path(model_folder(next(iter(stated)))).expanduser() / link
    if link and Path(link).name == link and file.is_file():
        shutil.copy(file, folder / link)
    return found[0]


# ---- scores ----


def eval_results(result: Result, data: str | None, split: str, revision: str | None) -> list[EvalResult]:
    """Return the student's scores on every split as the hub's metadata has them, in the result's metric first.

    Args:
        result: of the run.
        data: what the splits are of.
        split: the first one's name.
        revision: of the data.
    """
    student = result.models["student"]
    assert student is not None
    bare, revision = hub.pinned(data or "", revision)
    _, _, configuration = bare.partition(":")
    splits = {split: {"score": student.score, "scores": student.scores}} | (student.also or {})
    out = []
    for name, report in splits.items():
        scores = {result.metric: report["score"]}
        if result.metric != AGREEMENT:  # all others would be agreement too
            scores |= report["scores"]
        out += [
            EvalResult(
                task_type="text-classification",
                task_name=TITLES.get(result.kind, "Text model"),
                dataset_type=hub_name(data) or "unnamed",
                dataset_name=shown(data or result.task),
                dataset_config=configuration or None,
                dataset_split=name,
                dataset_revision=revision,
                metric_type=HUB_METRICS.get(metric, metric),
                metric_name=metric,
                metric_value=round(float(value), 4),
            )
            for metric, value in scores.items()
        ]
    return out


def cost_table(control: Scores | None, student: Scores, teacher: Scores) -> list[list[str]]:
    """Return the cells of teacher, control and student; the student's cost is also a share of the teacher's."""
    rows: list[tuple[str, Scores, Scores]] = [("teacher", teacher, teacher)]
    if control is not None:
        rows.append(("the same student without a teacher", control, student))
    rows.append(("this student", student, student))
    units = (("parameters", 1e6, "M"), ("bytes", 1e6, "MB"), ("latency_ms", 1.0, "ms"))
    table = []
    for name, scores, cost in rows:
        cells = [name, f"{scores.score:.4f}", "{:.4f} to {:.4f}".format(*scores.interval)]
        for what, unit, spelled in units:
            value, teachers = getattr(cost, what), getattr(teacher, what)
            share = f" ({value / teachers:.2f})" if value and teachers and name != "teacher" else ""
            cells.append("-" if value is None else f"{value / unit:.1f} {spelled}{share}")
        table.append(cells)
    return table


def capped(config: DistillConfig, inputs: Inputs) -> list[str]:
    """Return what was cut short, or changed on purpose, one sentence each."""
    out = [f"Texts were cut to {inputs.max_length} tokens (`max_length`)"]
    out[0] += f": {inputs.checks.cut.share:.1%} of the training texts were longer." if inputs.checks.cut else "."
    if config.max_steps is not None:
        out.append(
            f"Every stage ended after at most {config.max_steps} steps (`max_steps`): it may not have converged."
        )
    if config.train_rows is not None:
        out.append(f"At most {config.train_rows} of the data's rows were trained on (`train_rows`).")
    if config.imbalance is not None:
        out.append(f"Rows were left out so that the rarest class has {config.imbalance:g} of the most frequent one's "
                   "(`imbalance`).")  # fmt: skip
    if config.label_noise:
        out.append(f"{config.label_noise:.0%} of the training labels were replaced by wrong ones on purpose "
                   "(`label_noise`).")  # fmt: skip
    return out


def machine() -> str:
    """Return what latencies are measured on."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    threads = torch.get_num_threads()
    return f"{threads} {'thread' if threads == 1 else 'threads'} of a CPU"
