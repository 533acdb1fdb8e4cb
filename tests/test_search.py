"""The search for settings: on splits carved from training data, resumable, its result usable."""

import json

import pytest
import yaml

from crild.cli import main
from crild.config import TuneConfig, build
from crild.config.presets import STATIC_RATE
from crild.errors import CrildError
from crild.grid.cells import Outcome
from crild.grid.space import usual
from crild.methods import find_method
from crild.search import search_space, tune

pytest.importorskip("optuna")


def search(tiny, film_data, output, *more):
    return main(
        ["tune", "--base", str(tiny), "--data", str(film_data), "--student", "2", "--method", "kd", "--max-steps", "4",
         "--output", str(output), "--teacher", str(tiny), *more]
    )  # fmt: skip


@pytest.mark.slow
def test_a_search_goes_on_and_never_sees_validation(tiny, film_data, tmp_path, capsys):
    output = tmp_path / "tune"
    assert search(tiny, film_data, output, "--trials", "2") == 0
    first = json.loads((output / "trials.json").read_text())
    times = {p: p.stat().st_mtime_ns for p in output.glob("*/**/result.json")}
    assert len(times) == 3  # the teacher once, and two trials
    assert search(tiny, film_data, output, "--trials", "3") == 0
    second = json.loads((output / "trials.json").read_text())
    assert second["trials"][:2] == first["trials"]
    assert len(second["trials"]) == 3
    assert times.items() <= {p: p.stat().st_mtime_ns for p in output.glob("*/**/result.json")}.items()
    for result in output.glob("trials/*/result.json"):
        rows = json.loads(result.read_text())["rows"]
        assert rows["train"] + rows["selection"] + rows["validation"] == 160  # of the 60 validation rows, none
    best = yaml.safe_load((output / "best.yaml").read_text())
    assert best == second["best"]
    assert second["score"] == max(t["score"] for t in second["trials"])
    out = tmp_path / "out"
    best_of = ["--config", str(output / "best.yaml"), "--teacher", str(tiny), "--data", str(film_data)]
    own = ["--student", "2", "--method", "kd", "--max-steps", "2", "--output", str(out), "--no-control"]
    assert main(["distill", *best_of, *own]) == 0
    assert yaml.safe_load((out / "config.yaml").read_text())["kd_learning_rate"] == best["kd_learning_rate"]
    # another search is not mixed into it
    assert search(tiny, film_data, output, "--seed", "7") == 2
    assert "another search (seed: 42 there, 7 here)" in capsys.readouterr().err


def space(text, method="cr-ild", **options):
    return search_space(build(TuneConfig, {"search": text, "method": method, **options}), find_method(method))


def test_what_is_searched():
    assert space(None) == {
        "ild_learning_rate": (1e-5, 1e-3), "kd_learning_rate": (1e-5, 1e-3), "consistency": (0.01, 1.0),
    }  # fmt: skip
    assert space(None, "ft") == {"finetune_learning_rate": (1e-5, 1e-3)}
    assert space(None, "kd", student="static") == {"kd_learning_rate": (3e-4, 3e-2)}
    assert space("ild-epochs=5|10, temperature=1:4") == {"ild_epochs": [5, 10], "temperature": (1.0, 4.0)}


def test_the_first_trial_has_the_settings_of_the_options():
    def first(text, method="cr-ild", **options):
        return usual(build(TuneConfig, {"method": method, **options}), space(text, method, **options))

    assert first(None) == {"ild_learning_rate": 1e-4, "kd_learning_rate": 1e-4, "consistency": 0.1}
    assert first(None, ild_learning_rate=3e-4, consistency=0.5) == {
        "ild_learning_rate": 3e-4, "kd_learning_rate": 1e-4, "consistency": 0.5,
    }  # fmt: skip
    assert first(None, preset="paper")["kd_learning_rate"] == 3e-5
    assert first(None, "kd", student="static") == {"kd_learning_rate": STATIC_RATE}
    assert first("student=1:3") == {}
    assert first("keep=last|average,temperature=3:4,augment_ratio=1|3") == {"augment_ratio": 3.0}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ild_epoch=1|2", "did you mean 'ild_epochs'"),
        ("ild_epochs", "is neither low:high"),
        ("temperature=4:1", "temperature: '4:1' is neither low:high"),
        ("ild_epochs=a|b", "is not a whole number"),
    ],
)
def test_a_search_that_cannot_be_read_is_refused(text, message):
    with pytest.raises(CrildError, match=message):
        space(text)


def stubbed(monkeypatch, outcome):
    """A search whose runs are `outcome(number of the trial, its options)`; returns what was proposed."""
    proposed = []

    def run(root, cell, keep_weights):
        if cell.method == "teacher":
            return Outcome(result={"teacher": {"score": 0.5}})
        proposed.append(cell.options["kd_learning_rate"])
        return outcome(len(proposed) - 1, cell.options)

    monkeypatch.setattr("crild.search.run_cell", run)
    monkeypatch.setattr("crild.search.has_teacher", lambda config: False)
    monkeypatch.setattr("crild.search.load_task", lambda config: None)
    return proposed


def stub_tune(folder, trials):
    return tune(base="enc", data="films.csv", method="kd", trials=trials, output=str(folder))


def scored(options):
    return Outcome(result={"student": {"score": options["kd_learning_rate"]}})


FAILED = Outcome(error="out of memory")


def test_a_trial_that_failed_is_followed_by_one_with_other_settings(monkeypatch, tmp_path):
    proposed = stubbed(monkeypatch, lambda number, options: FAILED if number in (0, 1, 4) else scored(options))
    result = stub_tune(tmp_path, 4)
    assert len(proposed) == len(set(proposed)) == 7
    assert [t["state"] for t in result["trials"]] == ["fail", "fail", "complete", "complete", "fail", "complete",
                                                      "complete"]  # fmt: skip
    assert result["score"] == max(rate for number, rate in enumerate(proposed) if number not in (0, 1, 4))


def test_a_search_ends_where_no_settings_work(monkeypatch, tmp_path):
    proposed = stubbed(monkeypatch, lambda number, options: FAILED)
    with pytest.raises(CrildError, match="5 trials in a row failed, the last one so: out of memory"):
        stub_tune(tmp_path, 100)
    assert len(set(proposed)) == 5
    more = stubbed(monkeypatch, lambda number, options: scored(options))  # as when the cause was removed
    stub_tune(tmp_path, 2)
    assert len(more) == 2
    assert not set(more) & set(proposed)


def test_a_search_that_was_killed_proposes_what_it_would_have(monkeypatch, tmp_path):
    whole = stubbed(monkeypatch, lambda number, options: FAILED if number == 1 else scored(options))
    stub_tune(tmp_path / "whole", 4)

    def killed(number, options):
        if number == 2:
            raise KeyboardInterrupt
        return FAILED if number == 1 else scored(options)

    before = stubbed(monkeypatch, killed)
    with pytest.raises(KeyboardInterrupt):
        stub_tune(tmp_path / "killed", 4)
    after = stubbed(monkeypatch, lambda number, options: scored(options))
    stub_tune(tmp_path / "killed", 4)
    assert before[:2] + after == whole
    assert before[2] == after[0]
