"""What the docs say about presets and files is what the code does."""

import logging
import re
import runpy
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from transformers import AutoModelForSequenceClassification, pipeline

import crild
from crild.config import ANY, PRESETS
from crild.layers import MAPS
from crild.methods import METHODS
from crild.models.architecture import NAMES
from crild.objectives import OBJECTIVES
from tests.conftest import reviews, write_jsonl
from tests.tiny import save_tiny, tiny_tokenizer
from tools.reference import pages

ROOT = Path(__file__).resolve().parents[2]
TITLES = {"finetune": "fine-tuning (teacher, control)", "ild": "ILD", "kd": "KD"}


def cell(preset) -> str:
    """One stage's settings as the guide writes them."""
    epochs, least = [], 0
    for most, number in preset.epochs:
        rows = f" to {most:,} rows" if most != ANY else f" above {least:,}" if least else ""
        epochs.append(f"{number}{rows}")
        least = most
    rhythm = f", evaluated every {preset.eval_steps} steps" if preset.eval_steps else ""
    return f"lr {preset.learning_rate:.0e}, batch {preset.batch_size}, epochs {', '.join(epochs)}{rhythm}".replace(
        "e-0", "e-"
    )


def preset_table() -> str:
    return "".join(
        f"| {TITLES[kind]} | {cell(PRESETS['quick'][kind])} | {cell(PRESETS['paper'][kind])} |\n" for kind in TITLES
    )


def test_the_guide_lists_the_presets():
    assert preset_table() in (ROOT / "docs/guide.md").read_text()


def test_links_in_the_docs_lead_somewhere():
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md")]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_reference_pages_are_what_the_docstrings_say():
    folder = ROOT / "docs/reference"
    assert {path.name: path.read_text() for path in folder.glob("*.md")} == pages(), "run `make docs`"


def test_docs_name_every_method_map_objective_and_architecture():
    when, guide = (ROOT / "docs/methods.md").read_text(), " ".join((ROOT / "docs/guide.md").read_text().split())
    for name in METHODS:
        assert f"| `{name}` |" in when
    for name in OBJECTIVES:
        assert f"(reference/{name}.md)" in when
    for name in MAPS:
        assert f"| `{name}` |" in when
    for name in NAMES:
        assert name in guide or name == "DeBERTa-v3", name


def test_no_page_or_message_names_an_index_or_an_address_that_does_not_hold_crild():
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("src/**/*.py"), *ROOT.glob("src/**/*.md")]
    for page in [*pages, ROOT / "pyproject.toml", ROOT / "CITATION.cff"]:
        assert not re.search(r"pip install '?crild\b(?!-)|github\.com/crild", page.read_text(encoding="utf-8")), page


def test_step_costs_are_the_measured_ones():
    import json

    steps = json.loads((ROOT / "benchmarks/results/step_cost.json").read_text())["steps"]
    page = (ROOT / "docs/methods.md").read_text()
    for name, each in steps.items():
        assert f"{each['ratio_to_kd']:.2f} ({each['lowest']:.2f} to {each['highest']:.2f}) |" in page, name


@pytest.mark.parametrize("page", ["README.md", "src/crild/run/card.md"])
def test_the_pipeline_call_that_a_page_shows_takes_a_text_of_any_length(page, tmp_path):
    folder = save_tiny(tmp_path, head=True)
    tokenizer = tiny_tokenizer()
    tokenizer.model_max_length = 32  # as a student's is; the model has 64 positions
    tokenizer.save_pretrained(folder)
    (call,) = re.findall(r"^classify = .*", (ROOT / page).read_text(encoding="utf-8"), flags=re.MULTILINE)
    names = {"pipeline": pipeline}
    exec(re.sub(r'model="[^"]+"', f"model={str(folder)!r}", call), names)
    (answer,) = names["classify"]("good film " * 200)
    assert answer["label"] in ("neg", "pos")


@pytest.fixture
def films(tmp_path, monkeypatch):
    """A folder as the examples have it: a teacher in ./my-bert, and rows."""
    folder = save_tiny(tmp_path / "my-bert", head=True)
    for name, seed in (("train", 0), ("held-out", 1)):
        found = [{"text": row["text"], "label": int(row["label"] == "pos")} for row in reviews(32, seed)]
        write_jsonl(tmp_path / f"{name}.jsonl", found)
    monkeypatch.chdir(tmp_path)
    return folder


def test_the_page_on_the_trainer_runs(films, capsys):
    page = (ROOT / "docs/trainer.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    names = {}
    for block in blocks:
        exec(block, names)
    assert "'eval_consistency/hidden'" in capsys.readouterr().out
    assert names["student"].config.num_hidden_layers == 2


def test_the_example_of_callbacks_runs(films, capsys, monkeypatch):
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", "")  # the example sets it
    main = runpy.run_path(str(ROOT / "examples/trainer_callbacks.py"))["main"]
    main("my-bert", "train.jsonl", "held-out.jsonl", "out")
    assert re.findall(r"step (\d+): (\w+) [\d.]+ x", capsys.readouterr().out) == [
        (str(step), term) for term in ("hidden", "kd") for step in (1, 2, 3)
    ]
    assert list(Path("out/events/ild").glob("events.*"))
    AutoModelForSequenceClassification.from_pretrained("out/student")


def test_the_python_page_runs_as_it_is_written(tmp_path, monkeypatch):
    save_tiny(tmp_path / "my-bert", head=True)
    pd.DataFrame(reviews(100)).to_csv(tmp_path / "tweets.csv", index=False)
    monkeypatch.chdir(tmp_path)
    distill, compare = crild.distill, crild.compare
    monkeypatch.setattr(crild, "distill", partial(distill, max_steps=2, control=False), raising=False)
    few = {"conditions": {"few": {"max_steps": 1}}, "threads": 1}
    monkeypatch.setattr(crild, "compare", lambda grid, **rest: compare(grid | few, **rest), raising=False)
    page = (ROOT / "docs/python.md").read_text(encoding="utf-8")
    names: dict = {}
    level = logging.getLogger("crild").level
    try:
        for block in re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL):
            exec(block, names)
    finally:
        logging.getLogger("crild").setLevel(level)
    assert len(names["result"].predictions) == 20
    assert names["summary"].table()["seeds"].max() == 2
