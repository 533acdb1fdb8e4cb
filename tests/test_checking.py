"""`crild check`, whole: by a command, and what a run says of the same data."""

import json
import subprocess
import sys

import pandas as pd
import pytest

import crild
from crild.checking import check
from crild.config import CheckConfig
from crild.data.doctor import Finding
from crild.models import loading
from tests.conftest import reviews, write_jsonl
from tests.data.patients import healthy
from tests.tiny import save_tiny


@pytest.fixture(scope="module")
def hopeless_file(tmp_path_factory):
    rows = [{"text": f"the parcel {i} came", "label": "good" if i < 28 else "bad"} for i in range(30)]
    return write_jsonl(tmp_path_factory.mktemp("hopeless") / "parcels.jsonl", rows)


def test_a_hopeless_file_ends_with_its_verdict_and_is_no_error(cli, hopeless_file):
    code, out, _ = cli("check", hopeless_file)
    assert code == 0
    assert "verdict   hopeless: " in out
    assert max(map(len, out.splitlines())) <= 80


def test_data_is_named_with_or_without_its_option(cli, hopeless_file):
    _, first, _ = cli("check", hopeless_file, "--json")
    code, out, _ = cli("check", "--data", hopeless_file, "--json")
    assert code == 0
    assert first == out
    found = json.loads(out)
    assert set(found) == {"task", "checks", "findings", "notes", "suspects", "hopeless"}
    assert found["hopeless"] is True
    assert found["suspects"] is None
    assert {*found["checks"]} >= {"rows", "labels", "constant", "metric", "words", "duplicates", "shared", "cut"}
    assert all(set(each) == {"level", "name", "text", "facts"} for each in found["findings"])


def test_no_model_no_torch(hopeless_file):
    """What takes seconds to load is not loaded."""
    code = (
        "import sys; from crild.cli import main; main(sys.argv[1:]); "
        "print([m for m in ('torch', 'transformers', 'sklearn', 'scipy.stats', 'datasets') if m in sys.modules])"
    )
    for data, loaded in ((str(hopeless_file), ["datasets"]), ("nope.csv", [])):
        out = subprocess.run([sys.executable, "-c", code, "check", data], capture_output=True, text=True, timeout=120)
        assert out.stdout.splitlines()[-1] == str(loaded)


def test_a_model_tells_its_limit_and_whether_it_knows_the_labels(tmp_path, tiny):
    long = [{**row, "text": row["text"] + " film" * 80} for row in healthy(400)]
    data = str(write_jsonl(tmp_path / "d.jsonl", long))
    cut = check(data=data, base=str(tiny)).checks.cut
    assert (cut.share, cut.kept, cut.longest) == (1.0, 64, 64)
    teacher = save_tiny(tmp_path / "t", head=True, labels=("cold", "warm"))
    found = {each.name: each for each in check(data=data, teacher=str(teacher)).findings}
    assert "--label-map" in found["teacher labels"].text
    assert "split the texts" in found["truncated"].text
    mapped = check(data=data, teacher=str(teacher), label_map="no=cold,yes=warm").findings
    assert "teacher labels" not in {each.name for each in mapped}


def test_suspects_by_an_encoder(cli, tmp_path, tiny):
    pytest.importorskip("cleanlab")
    data = write_jsonl(tmp_path / "d.jsonl", healthy(60))
    code, out, _ = cli("check", data, "--suspicious", "--base", tiny, "--json")
    assert code == 0
    assert all(set(each) == {"row", "text", "label", "suggested", "score"} for each in json.loads(out)["suspects"])
    assert "look wrong" in cli("check", data, "--suspicious")[1]


def test_suspicious_loads_each_model_once_and_says_what_check_says(tmp_path, tiny_teacher, tiny, monkeypatch):
    pytest.importorskip("cleanlab")
    rows = reviews(60)
    data = str(write_jsonl(tmp_path / "d.jsonl", rows))
    loaded = []
    for name in ("load_model", "load_tokenizer"):
        real = getattr(loading, name)
        monkeypatch.setattr(
            loading, name, lambda at, *a, real=real, **k: loaded.append((real.__name__, at)) or real(at, *a, **k)
        )
    teacher, base = str(tiny_teacher), str(tiny)
    found = crild.suspicious(data=data, teacher=teacher)
    assert sorted(loaded) == [("load_model", teacher), ("load_tokenizer", teacher)]
    assert found.suspects == check(data=data, teacher=teacher, suspicious=True).suspects
    loaded.clear()
    by_base = crild.suspicious(data=data, base=base)
    assert sorted(loaded) == [("load_model", base), ("load_tokenizer", base)]
    assert by_base.scores != found.scores
    assert found.scores.keys() == by_base.scores.keys() < set(range(60))
    in_memory = crild.suspicious(data=pd.DataFrame(rows))
    assert in_memory.scores == crild.suspicious(data=data).scores


def test_a_run_warns_with_the_same_sentences(tiny, tmp_path, caplog):
    rows = healthy(120)
    data = str(write_jsonl(tmp_path / "d.jsonl", [*rows, {**rows[0], "label": "yes"}]))
    found = check(data=data, base=str(tiny)).findings
    assert {each.name for each in found} == {"selection", "validation", "contradictions"}
    result = crild.finetune(base=str(tiny), data=data, output=str(tmp_path / "run"), max_steps=1)
    assert [note for note in result["notes"] if note in {each.text for each in found}] == [each.text for each in found]
    assert {each.text for each in found} <= {each.message for each in caplog.records if each.levelname == "WARNING"}


def test_options_by_name_or_whole(hopeless_file):
    whole = check(CheckConfig(data=str(hopeless_file), metric="macro_f1"))
    assert whole == check(data=str(hopeless_file), metric="macro_f1")
    assert whole.hopeless
    assert isinstance(whole.findings[-1], Finding)
