"""The page of the paper's overfitting claim: what it says follows from the figures."""

import json
import math

import pytest

from crild.diagnostics.noise import SCALES
from tools import overfitting
from tools.overfitting import SIGNS, curves, fall, page, sentence, spread, surfaces, verdict

SIDE = [-1.0, 0.0, 1.0]


def student(method, seed=42, task="SST-2", gap=0.1, lost=0.02, curvature=10.0):
    scores = [0.8, 0.8, 0.79, 0.8 - lost, 0.6]
    plane = [[2.0, 1.5, 2.0], [1.5, 1.0, 1.5], [2.0, 1.5, 2.0]]
    return {
        "task": task, "method": method, "seed": seed, "metric": "accuracy", "score": 0.8,
        "fit": {"score": {"train": 0.8 + gap, "held_out": 0.8, "gap": gap},
                "loss": {"train": 0.5, "held_out": 0.5 + gap, "gap": gap},
                "ild": {"train": 0.1, "held_out": 0.1 * (1 + gap), "gap": 0.1 * gap}},
        "noise": {"scales": [0.0, *SCALES], "held_out": {"score": {"mean": scores}}},
        "surface": {"plane_at": SIDE, "plane": {"train": {"task": plane, "ild": plane}}},
        "curvature": curvature,
    }  # fmt: skip


def grid(**gaps):
    """Three seeds of each method, whose gaps differ a little by seed."""
    return [
        student(name.replace("_", "-"), seed, gap=gap + 0.001 * seed % 0.003, task=task)
        for task in ("SST-2", "STS-B")
        for name, gap in gaps.items()
        for seed in (42, 43, 44)
    ]


def test_signs_are_in_the_units_that_the_page_names():
    one = student("kd", gap=0.1, lost=0.02, curvature=100.0)
    assert [sign.of(one) for sign in SIGNS] == pytest.approx([10.0, 0.1, 10.0, 2.0, 2.0])
    assert fall(one) == pytest.approx(2.0)


def test_a_verdict_is_paired_by_seed_and_averaged_over_tasks():
    gap = SIGNS[0]
    found = grid(u_ild=0.2, l_ild=0.1, cr_ild=0.1)
    _, difference, seeds = verdict(found, gap, "u-ild", "l-ild")
    assert seeds == 3
    assert difference == pytest.approx(10.0)
    noisy = [student(m, s, gap=g) for s, pair in ((1, (0.2, 0.1)), (2, (0.25, 0.1)), (3, (0.22, 0.1)))
             for m, g in zip(("u-ild", "cr-ild"), pair, strict=True)]  # fmt: skip
    assert verdict(noisy, gap, "u-ild", "cr-ild")[0] == "holds"
    assert verdict(noisy, gap, "cr-ild", "u-ild")[0] == "does not hold"
    assert verdict(noisy[:4], gap, "u-ild", "cr-ild")[0] == "too few seeds"
    assert verdict(noisy, gap, "kd", "cr-ild") is None
    # A task that lacks a seed is left out, not a seed of all tasks.
    assert verdict([*noisy, student("u-ild", 1, "CoLA"), student("cr-ild", 1, "CoLA")], gap, "u-ild", "cr-ild")[2] == 3


def test_what_is_no_number_is_left_out():
    broken = student("kd", curvature=None)
    assert overfitting.values([broken, student("kd", 43)], SIGNS[-1], "SST-2", "kd") == {43: math.log10(10.0)}
    assert spread([], 1) == "-"
    assert spread([1.0], 1) == "1.0"
    assert spread([1.0, 3.0], 1) == "2.0 ± 1.4"


def test_the_page_says_what_the_figures_say():
    found = grid(u_ild=0.2, l_ild=0.1, cr_ild=0.1)
    text = page(found, 256)
    assert "| SST-2 | `u-ild` | 3 | 0.8000 ± 0.0000 |" in text
    assert sentence(found, "u-ild", "l-ild") in text
    assert "not run yet" in sentence(found, "kd", "cr-ild")
    assert "| `kd` | `cr-ild` | - | - | - | - | - |" in text
    turned = page(grid(u_ild=0.1, l_ild=0.2, cr_ild=0.1), 256)
    assert text != turned


def test_pictures_hold_every_method_and_are_the_same_twice():
    found = grid(u_ild=0.2, l_ild=0.1)
    for draw in (curves, surfaces):
        text = overfitting.svg(draw(found))
        assert text == overfitting.svg(draw(found))
        assert ">u-ild" in text
        assert ">l-ild" in text
        assert ">kd" not in text


def test_the_committed_page_is_what_the_committed_figures_say():
    held = json.loads(overfitting.FIGURES.read_text(encoding="utf-8"))
    assert overfitting.PAGE.read_text(encoding="utf-8") == page(held["students"], held["rows"]), (
        "run python -m tools.overfitting"
    )
