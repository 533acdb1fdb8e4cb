"""A grid that ran through."""

import json

import pytest

from crild.cli import main
from tests.grid.grids import SMALL


@pytest.fixture(scope="package")
def done(tmp_path_factory, tiny, film_data):
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
