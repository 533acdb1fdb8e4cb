"""Every committed grid can be read and names its claim."""

import re

import pytest

from crild.grid.spec import cells, read_grid
from tools.committed import GRIDS, RESULTS, ROOT, contents, grid_files


@pytest.mark.parametrize("path", grid_files(), ids=lambda path: path.stem)
def test_every_committed_grid_is_one_and_names_its_claim(path):
    made = read_grid(str(path))
    assert made.claim.endswith(".")
    found = cells(made)
    assert len(found) > 10
    assert any(cell.options.get("method") == "ft" for cell in found)
    page = (ROOT / "docs" / "compare.md").read_text(encoding="utf-8")
    file = path.relative_to(ROOT).as_posix()
    assert f"| [{path.stem}](../{file}), {len(found)} runs | {made.claim} |" in page


def test_the_page_names_the_grids_that_have_not_run():
    page = (ROOT / "docs" / "compare.md").read_text(encoding="utf-8")
    (named,) = re.findall(r"^Not run so far, of all of them: ([\w, ]+); in part: ", page, re.M)
    assert set(named.split(", ")) == {path.stem for path in grid_files() if not contents(path.stem)}


def test_a_result_file_lies_as_its_grid_does():
    grids = {path.relative_to(GRIDS).with_suffix("").as_posix() for path in grid_files()}
    files = {path.relative_to(RESULTS).with_suffix("").as_posix() for path in RESULTS.rglob("*.json")}
    of_many = {f"notebook/{name}" for name in ("curves", "reproduced", "selection_rules")}
    assert files - grids == of_many
    assert len({name.rsplit("/", 1)[-1] for name in files}) == len(files)  # a name alone finds a file
