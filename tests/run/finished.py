"""Finished runs that nobody trained: folders with everything that a report reads, made in a moment."""

import json

import numpy as np
import pandas as pd
import yaml

from crild.config import DistillConfig, as_dict
from crild.run.folder import PROOF, SERVED, RunFolder, environment
from crild.run.plan import Facts, plan_distillation
from crild.run.result import Result, Scores
from crild.tasks.registry import TASK_TYPES

SCRIPT = "<script>alert(1)</script>"
IMAGE = '"><img src=x onerror=alert(2)>'
WORDS = ["good", "bad", "fine", "great", "awful", "nice", "poor", "film", "plot", "story", "acting", "music", "slow"]
BETTER = {"teacher": 2.2, "control": 1.0, "student": 1.6}  # how much a model knows of the label
LAYERS = {"teacher": 6, "control": 3, "student": 3}


def logits(kind, truth, knows, classes, rng):
    """Logits of a model that knows so much; what is noise is shared in part, so that models err alike."""
    shape = (len(truth), 1 if kind == "regression" else classes)
    if kind == "regression":
        return truth[:, None] + rng.normal(0, 1 / knows, shape)
    right = truth if kind == "multi-label" else np.eye(classes)[truth]
    return knows * (2 * right - 1) + rng.normal(0, 1.5, shape)


def frame(kind, names, rows, split, rng, texts=()):
    """Scored rows as a run writes them."""
    task_type = TASK_TYPES[kind]
    truth = {
        "classification": lambda: rng.integers(0, len(names), rows),
        "multi-label": lambda: rng.integers(0, 2, (rows, len(names))).astype(float),
        "regression": lambda: rng.uniform(0, 5, rows).round(1),
    }[kind]()  # fmt: skip
    texts = texts[:rows]
    sentences = [*texts, *(" ".join(rng.choice(WORDS, rng.integers(3, 30))) for _ in range(rows - len(texts)))]
    columns = {"text": sentences, "label": task_type.spelled(truth, names), "split": split}
    for role, knows in BETTER.items():
        found = logits(kind, truth, knows, len(names), np.random.default_rng(len(role)))
        columns[role] = task_type.spelled(task_type.answers(found), names)
        if (probabilities := task_type.probabilities(found)) is not None:
            columns[f"{role}_probabilities"] = list(probabilities)
    return pd.DataFrame(columns)


def scores_of(kind, names, table, role):
    task_type = TASK_TYPES[kind]
    truth, answers = (task_type.coded(table[name], names) for name in ("label", role))
    measure = task_type.find_metric(task_type.default_metric, max(1, len(names)))
    score = measure(truth, answers)
    more = {"path": f"/models/{role}", "parameters": LAYERS[role] * 4_000_000, "layers": LAYERS[role]}
    if role != "control":
        more |= {"bytes": LAYERS[role] * 16_000_000, "latency_ms": 1.7 * LAYERS[role]}
    return Scores(score, (score - 0.03, score + 0.03), {task_type.default_metric: score}, **more)


def history(stage, names, epochs=4):
    """Evaluations of a stage whose terms fall in training and rise again on held-out rows."""
    lines = []
    for epoch in range(epochs + 1):
        train = dict.fromkeys(names, 1 / (1 + epoch)) if epoch else {}
        held_out = dict.fromkeys(names, 0.6 + 0.1 * (epoch - 2) ** 2)
        lines.append({"stage": stage, "step": 10 * epoch, "epoch": float(epoch), "train": train, "held_out": held_out})
        if stage != "ild" and epoch:
            lines[-1] |= {"score": 0.5 + 0.05 * epoch}
    return lines


def finished(
    path,
    kind="classification",
    names=("negative", "neutral", "positive"),
    rows=200,
    texts=(),
    data="tweets.csv",
    diagnosed=False,
    exported=False,
    same=False,
) -> RunFolder:
    """Write the folder of a finished run.

    Args:
        path: the folder.
        kind: the task type.
        names: of its classes.
        rows: held out.
        texts: of the first of them.
        data: what the data is called.
        diagnosed, exported: with figures of diagnostics, with the proof of an export.
        same: the student answers as its teacher does.
    """
    names = [] if kind == "regression" else list(names)
    rng = np.random.default_rng(0)
    config = DistillConfig(teacher="my-teacher", data=data, student="first:3", method="cr-ild", preset="quick",
                           precision="fp32", output=str(path))  # fmt: skip
    plan = plan_distillation(config, Facts(rows=600, labelled=600, teacher_is_trained=False, task_type=kind))
    held_out, selection = (
        frame(kind, names, n, split, rng, texts) for n, split in ((rows, "validation"), (60, "selection"))
    )
    if same:
        for column in ("", "_probabilities"):
            held_out[f"student{column}"] = held_out[f"teacher{column}"]
    run = RunFolder(path)
    path.mkdir(parents=True, exist_ok=True)
    options = {name: value for name, value in as_dict(config).items() if name != "output"}
    (path / "config.yaml").write_text(yaml.safe_dump(options, sort_keys=False))
    facts = {
        "started": "2026-01-01T00:00:00+00:00",
        "seed": 42,
        "labels": dict.fromkeys(names, 100),
        "contents": {},
    }
    (path / "run.json").write_text(json.dumps({**facts, **environment()}))
    (path / "plan.json").write_text(json.dumps(plan.to_dict()))
    held_out.to_parquet(path / "predictions.parquet")
    selection.to_parquet(path / "selection.parquet")
    for stage in plan.stages:
        terms = ("attention", "hidden") if stage.name == "ild" else ("kd",) if stage.name == "kd" else ("task",)
        run.stage(stage.name).path.mkdir(parents=True)
        run.stage(stage.name).history.write_text(
            "".join(json.dumps(each) + "\n" for each in history(stage.name, terms))
        )
    result = Result(
        task=kind, kind=kind, metric=TASK_TYPES[kind].default_metric, labels=names, max_length=128,
        rows={"train": 600, "labelled": 600, "selection": 60, "validation": rows}, seed=42, notes=["a note"],
        models={role: scores_of(kind, names, held_out, role) for role in BETTER},
        selection={"score": 0.8, "metric": "accuracy"}, constant=0.4, minutes=1.5,
        distillation={"method": plan.method, "schedule": plan.schedule, "features": None, "layer_map": None,
                      "student_spec": "first:3"},
    )  # fmt: skip
    (path / "result.json").write_text(result.to_json())
    if diagnosed:
        for name, figures in diagnoses().items():
            run.write_diagnostic(name, {"rows": {"passed_over": 128}, "metric": result.metric, **figures})
    if exported:
        (path / SERVED).mkdir()
        (path / SERVED / PROOF).write_text(json.dumps(proof(result)))
    return run


def proof(result):
    """What `crild export` writes, as far as a report reads it."""
    student = result.models["student"]
    cost = {"throughput": {"short": 900.0, "long": 300.0}}
    return {
        "format": "onnx", "scheme": "dynamic", "score_after": student.score - 0.002, "difference": -0.002,
        "difference_interval": [-0.006, 0.001], "rows": result.rows["validation"], "bytes": 13_000_000,
        "models": {"before": cost | {"bytes": 48_000_000, "latency_ms": {"short": 4.0, "long": 8.0}},
                   "served": cost | {"bytes": 13_000_000, "latency_ms": {"short": 1.0, "long": 2.0}}},
    }  # fmt: skip


SPLITS = ("train", "held_out")
SLOPES = {"teacher": 0.3, "control": 1.0, "student": 0.6}
SCALES = [0.0, 0.05, 0.1, 0.2, 0.4]
AT = [-0.5, 0.0, 0.5]


def curve(slope):
    mean = [0.9 - slope * scale for scale in SCALES]
    low, high = ([m + sign * 0.05 * s for m, s in zip(mean, SCALES, strict=True)] for sign in (-1, 1))
    return {"mean": mean, "low": low, "high": high}


def line(role):
    return {"task": [0.6, 0.3, 0.5]} | ({"ild": [0.8, None, 0.7]} if role == "student" else {})


def diagnoses():
    """Figures of every diagnostic, in the form in which they are written."""
    noise = {role: {split: {"score": curve(n), "loss": curve(-n)} for split in SPLITS} for role, n in SLOPES.items()}
    like = [[1 / (1 + abs(i - j)) for j in range(7)] for i in range(4)]
    layers = {role: {"train": [0.9] * (n + 1), "held_out": [0.4 + 0.05 * i for i in range(n + 1)]}
              for role, n in LAYERS.items()}  # fmt: skip
    surface = {role: {"line": {split: line(role) for split in SPLITS}} for role in SLOPES}
    surface["student"]["plane"] = {"train": {"task": [[0.3 + a * a + b * b for b in AT] for a in AT]}}
    return {
        "noise": {"scales": SCALES, "models": noise},
        "cka": {"models": {role: {"cka": like} for role in ("control", "student")}},
        "probes": {"models": layers},
        "surface": {"line_at": AT, "plane_at": AT, "models": surface},
        "fit": {"models": {role: {"score": {"train": 0.95, "held_out": 0.8, "gap": 0.15}} for role in SLOPES}},
        "explained": {"models": {"student": {"linear": {"train": 0.9, "held_out": 0.7}}}},
        "hessian": {"models": {role: {"task": 12.5} for role in SLOPES}},
    }
