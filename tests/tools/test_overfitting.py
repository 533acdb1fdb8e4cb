"""The page of the paper's overfitting claim: what it says follows from the figures."""

import math

import pytest

from crild.diagnostics.noise import SCALES
from crild.grid.spec import read_grid
from tools.committed import grid_file
from tools.overfitting import CURVES, DOCS, PAGE, SIGNS, STYLES, SURFACE, Found, figures, pages, spread

BY = {sign.name: sign for sign in SIGNS}
LEVELS = {"u-ild": 0.3, "l-ild": 0.2, "cr-ild": 0.1, "kd": 0.1}


def student(method="u-ild", seed=42, task="SST-2", gap=0.1, **more):
    """Figures as the benchmark writes them: every sign grows with ``gap``."""
    of = {"train": 1 - gap, "held_out": 1.0, "gap": gap}
    plane = [[2.0, 1.5, 2.0], [1.5, 1.0, 1.5], [2.0, 1.5, 2.0]]
    surface = {"line_at": [-1, 0, 1], "line": {"train": {"task": [2.0, 1.0, 2.0]}}}
    return {
        "task": task, "method": method, "seed": seed, "metric": "accuracy", "score": 0.8,
        "fit": {"score": of, "loss": of, "ild": of},
        "stages": ({} if method == "kd" else {"ild": {"hidden": of}}) | {"kd": {"kd": of}},
        "noise": {"scales": [0.0, *SCALES], "held_out": {"score": {"mean": [0.8, 0.8, 0.8, 0.8 - gap, 0.6]}}},
        "surface": surface | ({"plane_at": [-1, 0, 1], "plane": {"train": {"task": plane}}} if seed == 42 else {}),
        "curvature": 10 ** (1 + gap),
    } | more  # fmt: skip


def several(levels=LEVELS, seeds=(42, 43, 44), tasks=("SST-2", "STS-B")):
    """Students whose gaps are these, and differ by seed and method."""
    return [
        student(method, seed, task, level + 0.002 * ((seed * (place + 2)) % 5))
        for task in tasks
        for place, (method, level) in enumerate(levels.items())
        for seed in seeds
    ]


def found(students):
    return Found(students, read_grid(str(grid_file("overfitting"))))


def page(students):
    held = {"rows": 256, "students": students, "machine": {"gpu": None, "processor": "x86_64"},
            "versions": {"torch": "2"}}  # fmt: skip
    return pages(held)[PAGE]


def test_signs_are_in_the_units_that_the_page_names():
    assert [sign.of(student(gap=0.1)) for sign in SIGNS] == pytest.approx([10.0, 10.0, 10.0, 10.0, 1.1])


def test_a_verdict_is_paired_by_seed_averaged_over_tasks_and_has_an_interval():
    students = several()
    said = found(students).judge(BY["score gap"], "u-ild", "l-ild")
    assert (said.word, said.seeds) == ("holds", (42, 43, 44))
    low, high = said.interval
    assert 0 < low < said.difference < high
    assert said.difference == pytest.approx(10, abs=1)
    assert found(students).judge(BY["score gap"], "l-ild", "u-ild").word == "does not hold"
    assert found(students).judge(BY["score gap"], "kd", "cr-ild").word == "not told apart"
    # A task with fewer seeds is left out, not its seeds of all tasks.
    part = [one for one in students if one["task"] == "SST-2" or one["seed"] == 42]
    assert found(part).judge(BY["score gap"], "u-ild", "l-ild").seeds == (42, 43, 44)


def test_what_is_no_number_or_not_there_is_left_out():
    students = [student(seed=42, curvature=None), student(seed=43, curvature=100.0), student("kd")]
    assert found(students).values(BY["sharpness"].of, "SST-2", "u-ild") == {43: pytest.approx(math.log10(100))}
    assert found(students).values(BY["layers gap"].of, "SST-2", "kd") == {}
    assert (spread([], 1), spread([1.0], 1), spread([1.0, 3.0], 1)) == ("-", "1.0", "2.0 ± 1.4")


def test_the_words_follow_the_figures():
    text = page(several())
    assert "`u-ild` overfits more than `l-ild`: **holds** by score gap, layers gap, logits gap, lost by noise" in text
    assert "Found in 24 of 24 students" in text
    turned = page(several(LEVELS | {"u-ild": 0.1, "l-ild": 0.3}))
    assert "`u-ild` overfits more than `l-ild`: **does not hold** by score gap" in turned
    (kd,) = [line for line in text.splitlines() if line.startswith("- `kd` overfits")]
    assert "layers gap" not in kd  # it matches none


def test_a_grid_in_part_has_its_page():
    text = page([student("u-ild"), student("kd", 43, "STS-B")])
    assert "Found in 2 of 24 students" in text
    assert "| SST-2 | `u-ild` | 1 | 0.8000 |" in text
    assert "**not run yet**" in text
    assert "**too few seeds**" in page(several(seeds=(42, 43)))
    nothing = pages(None)
    assert list(nothing) == [PAGE]
    assert "none of its students has been looked at yet" in nothing[PAGE]


def test_pictures_name_every_method_and_are_the_same_twice():
    held = {"rows": 256, "students": several(), "machine": {"gpu": None, "processor": "x86_64"},
            "versions": {"torch": "2"}}  # fmt: skip
    once, again = pages(held), pages(held)
    assert once == again
    for name in (CURVES, SURFACE):
        assert all(f">{method}</text>" in once[name] for method in STYLES)


def test_the_committed_page_is_made_from_the_committed_figures():
    # Not the pictures: their last digits may differ between processors.
    text = pages(figures())[PAGE]
    assert (DOCS / PAGE).read_text(encoding="utf-8") == text, "run python -m tools.overfitting"
