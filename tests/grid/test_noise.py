"""Noise curves of a grid's methods."""

import json

from crild.grid.noise import noise_of
from tests.grid.records import run


def diagnosed(folder, record, curve, scales=(0.0, 0.1)):
    path = folder / record["folder"] / "diagnostics"
    path.mkdir(parents=True)
    models = {"student": {"held_out": {"score": {"mean": curve}}}}
    (path / "noise.json").write_text(json.dumps({"scales": scales, "models": models}))


def test_curves_are_means_over_the_diagnosed_runs_of_a_method(tmp_path):
    records = [
        run("RTE", "cr-ild", 1, 0.8),
        run("RTE", "cr-ild", 2, 0.9),
        run("RTE", "kd", 1, 0.7),
        run("RTE", "ft", 1, 0.5),
    ]
    diagnosed(tmp_path, records[0], [0.8, 0.6])
    diagnosed(tmp_path, records[1], [0.9, 0.4])
    diagnosed(tmp_path, records[3], [0.5, 0.5])
    ours, control = noise_of(records, tmp_path)
    assert (ours.task, ours.condition, ours.method, ours.scales) == ("RTE", "full", "cr-ild", (0.0, 0.1))
    assert ours.low == (0.8, 0.4)
    assert ours.high == (0.9, 0.6)
    assert [round(value, 12) for value in ours.mean] == [0.85, 0.5]
    assert control.method == "ft"


def test_a_grid_that_nobody_diagnosed_has_none(tmp_path):
    assert noise_of([run("RTE", "kd", 1, 0.7)], tmp_path) == []
