"""What must never import what; and the page that shows it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from importlinter.api import read_configuration

from tools.architecture import imports, pages, ranks
from tools.committed import ROOT

CONTRACTS = [contract["id"] for contract in read_configuration(str(ROOT / "pyproject.toml"))["contracts_options"]]


def lint(contract: str, sources: Path = ROOT / "src") -> subprocess.CompletedProcess[str]:
    words = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--no-logo", "--contract", contract]
    return subprocess.run(
        words, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(sources)}, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("contract", CONTRACTS)
def test_nothing_imports_what_it_must_never_import(contract):
    made = lint(contract)
    assert made.returncode == 0, made.stdout + made.stderr


@pytest.mark.parametrize(
    ("contract", "module", "line"),
    [
        ("layers", "errors", "import crild.config"),
        ("layers", "new_one", "import crild.errors"),  # nobody said where it belongs
        ("cycles", "data/glue", "import crild.data.task"),
        ("metrics", "metrics", "from crild.data import glue"),
        ("methods", "methods/recipe", "import crild.inference"),  # and that imports torch
        ("objectives", "objectives/rows", "from crild.models.loading import load_model"),
        ("training", "training/distiller", "from crild.methods.registry import METHODS"),
        ("grid", "grid/statistics", "def f():\n    import crild.demo"),
        ("readers", "reporting/table", "import crild.training.trainer"),
    ],
)
def test_an_import_that_must_not_be_is_found(contract, module, line, tmp_path):
    shutil.copytree(ROOT / "src/crild", tmp_path / "crild", ignore=shutil.ignore_patterns("__pycache__"))
    with (tmp_path / "crild" / f"{module}.py").open("a", encoding="utf-8") as file:
        file.write(f"\n{line}\n")
    made = lint(contract, tmp_path)
    assert made.returncode == 1
    assert f".{Path(module).name} " in made.stdout or f".{Path(module).name}\n" in made.stdout


def test_the_page_and_its_picture_are_what_the_imports_say():
    for name, text in pages().items():
        assert (ROOT / "docs" / name).read_text(encoding="utf-8") == text, "run `make docs`"


def test_every_import_leads_down_and_every_package_is_drawn():
    graph = imports()
    rank, drawn = ranks(graph), pages()["architecture.svg"]
    assert graph.has_edge("data", "config")
    assert all(rank[top] > rank[bottom] for top, bottom in graph.edges)
    assert {path.stem for path in (ROOT / "src/crild").iterdir() if path.suffix in ("", ".py")} - {
        "__init__", "__pycache__", "py"
    } == set(graph)  # fmt: skip
    for name in graph:
        assert f">{name}</text>" in drawn
