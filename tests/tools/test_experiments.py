"""Every committed grid can be read and names its claim."""

import re

import pytest

from crild.grid.spec import cells, read_grid
from tools.committed import GRIDS, RESULTS, ROOT


@pytest.mark.parametrize("name", [path.relative_to(GRIDS).with_suffix("").as_posix() for path in GRIDS.rglob("*.yaml")])
def test_every_committed_grid_is_one_and_names_its_claim(name):
    made = read_grid(str(GRIDS / f"{name}.yaml"))
    assert made.claim.endswith(".")
    found = cells(made)
    assert len(found) > 10
    assert any(cell.options.get("method") == "ft" for cell in found)
    page = (ROOT / "docs" / "compare.md").read_text(encoding="utf-8")
    assert (
        f"| [{name.removeprefix('notebook/')}](../experiments/{name}.yaml), {len(found)} runs | {made.claim} |" in page
    )


def test_grids_outside_the_notebook_are_those_that_the_readme_speaks_of():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    claimed = {*re.findall(r"docs/results/(\w+)\.md", readme), *re.findall(r"experiments/(\w+)\.yaml", readme)}
    assert claimed == {path.stem for path in GRIDS.glob("*.yaml")}


def test_a_result_file_lies_as_its_grid_does():
    grids = {path.relative_to(GRIDS).with_suffix("") for path in GRIDS.rglob("*.yaml")}
    files = {path.relative_to(RESULTS).with_suffix("") for path in RESULTS.rglob("*.json")}
    assert {path.as_posix() for path in files - grids} == {"curves", "reproduced", "selection_rules"}  # of many grids
