"""The data of a finished run, read again."""

from dataclasses import replace

import pytest

from crild.data.splits import keys
from crild.errors import CrildError
from crild.run.folder import RunFolder
from crild.run.reread import config_of, found_again, texts_of
from crild.run.result import Result
from tests.conftest import reviews, write_jsonl
from tests.runs import prepared


@pytest.fixture
def run(tiny_teacher, film_data, tmp_path):
    """A run's folder that says what was run on which data, and the rows that it read."""
    more = write_jsonl(tmp_path / "more.jsonl", [{"text": "music fast"}, {"text": reviews(60, seed=1)[0]["text"]}])
    begun = prepared(tiny_teacher, film_data, tmp_path, method="kd", supplementary=str(more), train_rows=40,
                     supplementary_mode="join")  # fmt: skip
    begun.folder.path.mkdir()
    begun.folder.start(begun.identity, begun.plan, {})
    opened = RunFolder(begun.folder.path)
    opened.__dict__["result"] = Result(
        task="classification", kind="classification", metric="accuracy", labels=["neg", "pos"], max_length=64, rows={},
        seed=1, notes=[], models={}, selection={}, constant={}, minutes=0.0,
    )  # fmt: skip
    return opened, begun.inputs.task, more


def test_the_texts_are_those_that_were_learned_and_chosen_from(run):
    opened, task, _ = run
    texts = texts_of(opened)
    assert texts[:-1] == task.train["text"][:] + task.selection["text"][:]
    assert texts[-1] == "music fast"  # the other further text is held out
    assert len(texts) == 41
    assert not set(keys(task.validation["validation"])) & {"music fast"}


def test_what_is_gone_or_holds_something_else_is_told(run, tmp_path):
    opened, _, more = run
    config = config_of(opened)
    assert found_again(opened, config) == config
    more.write_text('{"text": "another"}\n')
    found_again(opened, config)  # where further texts are not asked for
    with pytest.raises(CrildError, match=r"--supplementary .*more.jsonl holds something else than then"):
        texts_of(opened)
    more.unlink()
    with pytest.raises(CrildError, match=r"--supplementary .*more.jsonl is not there \(from "):
        texts_of(opened)
    with pytest.raises(CrildError, match=r"--data ./gone is not there"):
        found_again(opened, replace(config, data="./gone"))


def test_rows_in_memory_are_found_in_a_folder_that_was_moved(run):
    opened, _, more = run
    (opened.path / "inputs").mkdir()
    more.rename(opened.path / "inputs" / "more.jsonl")
    assert texts_of(opened)[-1] == "music fast"
