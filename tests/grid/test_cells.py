"""The cells of a grid as runs."""

from crild.grid.cells import configure, write_demo
from crild.grid.spec import cells, make_grid
from tests.grid.grids import grid


def test_the_demos_tweets_have_as_many_to_score_on_as_the_name_says(tmp_path):
    made = make_grid(grid(tasks={"tweets": {"data": "demo:30"}}, conditions={"more": {"supplementary": "demo:30"}}))
    todo = cells(made)
    write_demo(tmp_path, todo)
    files = {path.name: len(path.read_text().splitlines()) for path in (tmp_path / "data" / "demo-30").iterdir()}
    assert files == {"train.jsonl": 1100, "unlabelled.jsonl": 2500, "validation.jsonl": 30}
    config = configure(tmp_path, next(cell for cell in todo if cell.method == "kd"))
    assert config.data == str(tmp_path / "data" / "demo-30")
    assert config.supplementary == str(tmp_path / "data" / "demo-30" / "unlabelled.jsonl")
