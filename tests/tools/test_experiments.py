"""Every committed grid can be read and names its claim."""

from pathlib import Path

import pytest

from crild.grid.spec import cells, read_grid

EXPERIMENTS = Path(__file__).resolve().parents[2] / "experiments"


@pytest.mark.parametrize("name", [path.stem for path in EXPERIMENTS.glob("*.yaml")])
def test_every_committed_grid_is_one_and_names_its_claim(name):
    made = read_grid(str(EXPERIMENTS / f"{name}.yaml"))
    assert made.claim.endswith(".")
    found = cells(made)
    assert len(found) > 10
    assert any(cell.options.get("method") == "ft" for cell in found)
    page = (EXPERIMENTS.parent / "docs" / "compare.md").read_text(encoding="utf-8")
    assert f"| [{name}](../experiments/{name}.yaml), {len(found)} runs | {made.claim} |" in page
