"""Parts of a grid joined."""

import copy

import pytest

from tools.committed import contents, name_of
from tools.join import join


def part(methods):
    """Return what a run of these methods alone would have written: with every teacher."""
    whole = copy.deepcopy(contents("smoke"))
    whole["runs"] = [run for run in whole["runs"] if run["method"] in ("teacher", *methods)]
    whole["methods"] = [name for name in whole["methods"] if name in methods]
    return whole


def test_parts_make_the_whole_again():
    whole = contents("smoke")
    first, *others = whole["methods"]
    joined = join([part(others), part([first]), part(others)], whole["methods"])
    runs = [sorted(each["runs"], key=name_of) for each in (joined, whole)]
    assert runs[0] == runs[1]
    assert {**joined, "runs": []} == {**whole, "runs": []}


def test_a_run_that_failed_before_is_replaced_and_a_finished_one_stays():
    whole = contents("smoke")
    failed, again = part(whole["methods"]), part(whole["methods"])
    failed["runs"][-1] |= {"status": "failed", "error": "killed"}
    failed["runs"][-1].pop("score")
    again["runs"][-2] |= {"minutes": 99.0}
    runs = join([failed, again], whole["methods"])["runs"]
    assert runs[-1] == whole["runs"][-1]
    assert runs[-2] == whole["runs"][-2]


def test_a_seed_may_have_several_teachers():
    whole, again = part([]), part([])
    gentle = [run | {"folder": f"{run['folder']}-gentle", "score": run["score"] - 0.1} for run in whole["runs"]]
    again["runs"] = gentle
    whole["runs"] = whole["runs"] + gentle
    assert join([whole], [])["runs"] == whole["runs"]
    assert join([part([]), again], [])["runs"] == whole["runs"]
    again["runs"] = [run | {"score": run["score"] + 0.1} for run in gentle]
    with pytest.raises(ValueError, match="another machine"):
        join([whole, again], [])


def test_settings_that_were_found_come_along():
    parts = [part([method]) | {"tuning": [entry(method)], "left_out": []} for method in ("kd", "ft")]
    assert join(parts, ["ft", "kd"])["tuning"] == [entry("kd"), entry("ft")]


def entry(method):
    return {"task": "tweets", "condition": "few rows", "method": method, "error": None, "settings": {"keep": "last"}}


def test_another_teacher_or_another_grid_is_refused():
    whole = contents("smoke")
    teacher = next(i for i, run in enumerate(whole["runs"]) if run["method"] == "teacher")
    other = part(whole["methods"])
    other["runs"][teacher]["score"] += 1e-9
    with pytest.raises(ValueError, match="another machine"):
        join([whole, other], whole["methods"])
    with pytest.raises(ValueError, match="two grids"):
        join([whole, contents("levers_twenty_passes")], whole["methods"])
