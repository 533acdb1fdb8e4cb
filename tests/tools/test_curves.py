"""Mean losses by epoch, from the histories of a grid's runs."""

import json

from tools.curves import series


def test_losses_are_means_over_seeds_without_the_consistency_term(tmp_path):
    grid = (
        "tasks: {a: {data: a.csv}, b: {data: b.csv}}\nmethods: [kd, cr-ild]\nseeds: [1, 2]\noptions: {base: encoder}\n"
    )
    (tmp_path / "grid.yaml").write_text(grid)
    for seed in (1, 2):
        for method, stages in {"kd": ["kd"], "cr-ild": ["ild", "kd"]}.items():
            for stage in stages:
                folder = tmp_path / "runs" / "a" / "full" / method / str(seed) / "stages" / stage
                folder.mkdir(parents=True)
                terms = {"hidden": float(seed), "attention-kl": 0.5, "consistency/hidden": 9.0}
                entries = [
                    {"step": 0, "train": None, "held_out": terms},
                    {"step": 8, "train": terms, "held_out": terms},
                ]
                (folder / "history.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    found = series(str(tmp_path), ["a", "b"], ["kd", "cr-ild"])
    assert [(s["task"], s["method"], s["stage"], s["seeds"]) for s in found] == [
        ("a", "cr-ild", "ild", 2), ("a", "cr-ild", "kd", 2), ("a", "kd", "kd", 2),
    ]  # fmt: skip
    before, after = found[0]["points"]
    assert before == {"step": 0, "train": None, "held_out": 2.0}
    assert after == {"step": 8, "train": 2.0, "held_out": 2.0}
    assert {s["method"] for s in series(str(tmp_path), ["a"], ["kd"])} == {"kd"}
