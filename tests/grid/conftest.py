"""A grid that ran through."""

import json
from pathlib import Path

import pytest

from crild.cli import main
from crild.training.stage import StageTrainer
from tests.grid.grids import SMALL


@pytest.fixture(scope="package")
def trained_on():
    """The rows, token numbers and label, that every stage which starts in this process trains on or is chosen by."""
    seen, original = {}, StageTrainer.__init__

    def noted(self, distiller, train, held_out, tokenizer, settings, folder, *args, **kwargs):
        parts = [[(*row["input_ids"], row["labels"]) for row in rows] for rows in (train, held_out)]
        seen[Path(folder)] = tuple(map(tuple, parts))
        original(self, distiller, train, held_out, tokenizer, settings, folder, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StageTrainer, "__init__", noted)
        yield seen


@pytest.fixture(scope="package")
def done(tmp_path_factory, tiny, film_data, trained_on):
    """A grid that ran through, with one condition that cannot work."""
    folder = tmp_path_factory.mktemp("grid")
    path = folder / "grid.yaml"
    values = {
        "claim": "tiny <models> work",
        "tasks": {"films": str(film_data)},
        "methods": ["kd", "cr-ild"],
        "conditions": {"full": {}, "few & noisy": {"train_rows": 60, "label_noise": 0.3}, "too deep": {"student": 9}},
        "seeds": [1, 2],
        "threads": 1,
        "options": {"base": str(tiny), "track_validation": True, **SMALL},
    }
    path.write_text(json.dumps(values))
    assert main(["compare", str(path), "--output", str(folder / "out")]) == 0
    return path, folder / "out"
