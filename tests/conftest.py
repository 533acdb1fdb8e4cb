"""Fixtures: the demo's real encoder, tiny saved models, tiny data."""

import gc
import json
import os
import tempfile
from pathlib import Path
from shutil import which

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_CACHE", tempfile.mkdtemp(prefix="crild-cache-"))  # the user's stays as it is
os.environ.setdefault("OMP_NUM_THREADS", "1")  # models are tiny, and several processes share the cores

import pytest
import torch

from tests.tiny import WORDS, save_tiny

# What is imported by now lives as long as the tests: a quarter of their time went into looking for garbage among it.
gc.collect()
gc.freeze()

SHARED = Path(__file__).resolve().parents[2] / "shared"
WANTED = {"needs_shared": "../shared", "needs_gpu": "a GPU", "needs_browser": "chromium and chromium-driver"}


def pytest_collection_modifyitems(items):
    there = {
        "needs_shared": (SHARED / "glue").is_dir(),
        "needs_gpu": torch.cuda.is_available(),
        "needs_browser": bool(which("chromium") and which("chromedriver")),
    }
    for item in items:
        for mark, what in WANTED.items():
            if item.get_closest_marker(mark) and not there[mark]:
                item.add_marker(pytest.mark.skip(reason=f"needs {what}"))


def pytest_terminal_summary(terminalreporter):
    """Say what was skipped; counted from the reports, for with several processes nothing is collected in this one."""
    reasons = [str(report.longrepr) for report in terminalreporter.stats.get("skipped", [])]
    counts = {mark: sum(f"needs {what}" in reason for reason in reasons) for mark, what in WANTED.items()}
    text = ", ".join(f"{count} marked {mark}" for mark, count in counts.items() if count) or "none"
    terminalreporter.write_line(f"skipped for want of ../shared, a GPU or a browser: {text}")


@pytest.fixture(scope="session")
def glue():
    return SHARED / "glue"


@pytest.fixture(scope="session")
def encoder():
    """The demo's pre-trained encoder: BERT architecture, 6 layers x 384."""
    from crild.data.tweets import encoder

    return encoder()


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """A tiny encoder without a head."""
    return save_tiny(tmp_path_factory.mktemp("tiny"))


def reviews(rows: int, seed: int = 0, labels=("neg", "pos")) -> list[dict]:
    """Rows whose label is decided by their words: good, great, nice against bad, awful, poor."""
    import random

    rng = random.Random(seed)
    sides = (["bad", "awful", "poor", "dull"], ["good", "great", "nice", "fine"])
    out = []
    for _ in range(rows):
        side = rng.randrange(2)
        words = rng.choices(WORDS[7:], k=rng.randint(1, 12)) + rng.choices(sides[side], k=rng.randint(1, 3))
        rng.shuffle(words)
        out.append({"text": " ".join(words), "label": labels[side]})
    return out


def write_jsonl(path: Path, rows: list[dict]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(scope="session")
def film_data(tmp_path_factory):
    """A folder with train.jsonl (160 rows) and validation.jsonl (60 rows)."""
    folder = tmp_path_factory.mktemp("films")
    write_jsonl(folder / "train.jsonl", reviews(160))
    write_jsonl(folder / "validation.jsonl", reviews(60, seed=1))
    return folder


@pytest.fixture(scope="session")
def tiny_teacher(tmp_path_factory, tiny, film_data):
    """A tiny classifier that was really fine-tuned on the films."""
    import crild

    out = tmp_path_factory.mktemp("teacher") / "run"
    crild.finetune(base=str(tiny), data=str(film_data), output=str(out), finetune_epochs=6, finetune_learning_rate=3e-3)
    return out / "teacher"


@pytest.fixture(scope="session")
def student_run(tmp_path_factory, tiny_teacher, film_data):
    """A finished run whose student has learned a little."""
    import crild

    folder = tmp_path_factory.mktemp("student") / "run"
    crild.distill(teacher=tiny_teacher, data=film_data, student=1, method="kd", max_steps=20, control=False,
                  kd_learning_rate=1e-3, output=folder)  # fmt: skip
    return folder


@pytest.fixture(scope="session")
def student_export(student_run):
    """The export in that run's folder."""
    import crild

    return crild.export(model=student_run)


@pytest.fixture
def cli(capsys):
    """Run the command line in this process: exit code, stdout, stderr."""
    from crild.cli import main

    def call(*arguments):
        code = main([str(a) for a in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def complaint(err: str) -> str:
    """The one line of an error; nothing else may look like one."""
    lines = [line for line in err.splitlines() if line.startswith("crild: error: ")]
    assert len(lines) == 1, err
    assert "Traceback" not in err
    return lines[0]
