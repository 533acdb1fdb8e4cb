"""Runs of tiny models, and what they left behind."""

import hashlib
import json
from pathlib import Path

from crild.config import DistillConfig, build
from crild.run.start import open_folder, prepare

QUICK = {"control": False, "precision": "fp32"}


def history(output: Path, stage: str) -> list[dict]:
    return [json.loads(line) for line in (output / "stages" / stage / "history.jsonl").open()]


def sha256(output: Path) -> str:
    return hashlib.sha256((output / "student" / "model.safetensors").read_bytes()).hexdigest()


def prepared(tiny_teacher, film_data, tmp_path, **options):
    options = {"teacher": str(tiny_teacher), "data": str(film_data), "student": "2", **options}
    return prepare(*open_folder(build(DistillConfig, {**options, "output": str(tmp_path / "out")})))


def run_distill(cli, tmp_path, *options):
    code, out, err = cli("distill", "--output", tmp_path / "run", "--max-steps", "6", "--json", *options)
    assert code == 0, err
    return json.loads(out), err
