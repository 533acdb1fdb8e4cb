"""Which students are trained, in what order, and a real search."""

import json
from pathlib import Path

import pytest

import crild
from crild.config import FrontierConfig
from crild.errors import CrildError
from crild.pareto import find
from crild.pareto.result import Served
from crild.run.folder import RunFolder

TIMES = {"3 layers": 3.0, "1 layer": 1.0, "static": 0.1, "2 layers": 2.0, "4 layers": 9.0}
LOSSES = {"static": -0.3, "1 layer": -0.1, "2 layers": -0.02, "3 layers": 0.0}


@pytest.fixture
def planted(monkeypatch, tmp_path, tiny_teacher):
    """A search whose times and scores are planted: returns what was trained, batch by batch, and what was left out."""

    def search(**options):
        config = FrontierConfig(teacher=tiny_teacher, data="unread.csv", output=tmp_path / "out",
                                students="static 1 2 3 4", widths="full", vocabularies="full", **options)  # fmt: skip
        batches = []

        def train(folder, config, options, chosen):
            batches.append([each.name for each in chosen])
            return [(each, RunFolder(folder), "no memory" if each.name == "1 layer" else None) for each in chosen]

        def serve(folder, run, student, vocabulary):
            return Served(student.name, 0.9, LOSSES[student.name], (0.0, 0.0), student.latency_ms, 1, "p")

        def untrained(folder, config, listed, source):
            deep = {"4 layers": "cannot be: too deep"}
            return {c.name: Served(c.name, latency_ms=TIMES[c.name], left_out=deep.get(c.name)) for c in listed}

        for name, stand_in in {"train": train, "serve": serve, "untrained": untrained}.items():
            monkeypatch.setattr(find, name, stand_in)
        monkeypatch.setattr(find, "conclude", lambda folder, config, students, run: students)
        students = find.find(config)
        return batches, {each.name: each.left_out for each in students}

    return search


def test_students_are_trained_cheapest_first_until_one_qualifies(planted):
    batches, left_out = planted(within=0.05)
    assert batches == [["static"], ["static", "1 layer"], ["static", "1 layer", "2 layers"]]
    assert left_out == {
        "static": None,
        "1 layer": "failed: no memory",
        "2 layers": None,
        "3 layers": "not trained: slower than one that qualifies",
        "4 layers": "cannot be: too deep",
    }


def test_several_workers_train_as_many_at_once(planted):
    assert planted(within=0.05, workers=2)[0] == [["static", "1 layer"], ["static", "1 layer", "2 layers", "3 layers"]]
    assert planted(within=0.05, workers="ray")[0] == [["static", "1 layer", "2 layers", "3 layers"]]


def test_a_student_that_is_too_slow_is_not_trained(planted):
    batches, left_out = planted(within=0.001, max_latency="2ms")
    assert batches[-1] == ["static", "1 layer", "2 layers"]
    assert left_out["3 layers"] == "not trained: slower than 2 ms"
    with pytest.raises(CrildError, match=r"--max-latency 0\.05: every student takes longer, static 0\.1 ms"):
        planted(max_latency=0.05)


def test_vocabularies_are_whole_trimmed_or_of_a_size():
    assert find.read_vocabularies("full, auto,7000, auto") == ["full", "auto", "7000"]
    student = Served("1 layer", latency_ms=1.0)
    asked = []

    def export(config):
        asked.append((config.trim_vocabulary, Path(config.output).name))
        raise CrildError("no")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(find, "export", export)
        names = [find.serve(Path("out"), RunFolder("run"), student, each).name for each in ("full", "auto", "7000")]
    assert names == ["1 layer", "1 layer, trimmed", "1 layer, 7000 tokens"]
    assert asked == [(None, "1-layer"), ("auto", "1-layer-trimmed"), ("7000", "1-layer-7000-tokens")]


def planted_times(models, rows, batch):
    """Every model answers once; how long it takes is planted, for real times say nothing on a busy machine."""
    for prepare in models.values():
        prepare([row % rows for row in range(batch)])()
    return {name: {"static": 0.1, "1 layer": 1.0, "teacher": 9.0}[name] for name in models}


def test_a_search_ends_in_served_students_and_goes_on_where_it_was(tiny, film_data, tmp_path, cli, monkeypatch):
    """With an encoder in place of the teacher, which the grid fine-tunes once."""
    monkeypatch.setattr(find, "milliseconds", planted_times)
    output = tmp_path / "out"
    options = {"teacher": tiny, "data": film_data, "output": output, "students": "1 static", "widths": "full",
               "vocabularies": "full", "method": "kd", "max_steps": 3, "threads": 1, "within": 1}  # fmt: skip
    given = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", value)]
    code, out, err = cli("frontier", *given, "--json")
    assert code == 0, err
    found = json.loads(out)
    assert json.loads((output / "frontier.json").read_text()) == found
    assert (output / "frontier.svg").read_text().startswith("<svg")
    static, layer = found["students"]
    assert found["fastest"] == static["name"] == "static"
    assert layer["left_out"] == "not trained: slower than one that qualifies"
    assert static["difference"] == pytest.approx(static["score"] - found["teacher"]["score"])
    assert [each["latency_ms"] for each in (static, layer, found["teacher"])] == [0.1, 1.0, 9.0]
    exported = json.loads((output / "served" / "static" / "export.json").read_text())
    assert (exported["score_after"], exported["bytes"]) == (static["score"], static["bytes"])

    results = {path: path.stat().st_mtime_ns for path in output.glob("*/**/*.json")}
    assert sum(path.name == "result.json" for path in results) == 2  # the teacher's and the student's
    again = crild.frontier(**options)
    assert {path: path.stat().st_mtime_ns for path in output.glob("*/**/*.json")} == results
    assert again.students[0].score == static["score"]
    assert "the fastest within 1 of the teacher's accuracy is static" in str(again)
