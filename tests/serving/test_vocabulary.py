"""Which tokens an export keeps, and by what texts."""

import re
import shutil
from dataclasses import replace

import pytest

from crild.config import ExportConfig
from crild.errors import CrildError
from crild.run.classifier import load_classifier
from crild.run.folder import RunFolder
from crild.serving.rows import read_rows
from crild.serving.vocabulary import too_few, trimmed, usual_texts
from tests.conftest import reviews, write_jsonl
from tests.serving.conftest import KEPT, PIECES, WHOLE


@pytest.fixture(scope="module")
def classifier(pieces):
    return load_classifier(str(pieces), "model", ExportConfig())


def words_of(classifier):
    """The tokens of more than a letter."""
    special = {"[PAD]", "[UNK]", "[CLS]", "[SEP]"}
    return {piece for piece in classifier.tokenizer.get_vocab() if len(piece.removeprefix("##")) > 1} - special


def test_without_the_option_the_classifier_stays(classifier):
    assert trimmed(ExportConfig(), classifier, None) == (classifier, [])


def test_texts_of_a_file_say_what_is_kept(classifier, tmp_path):
    path = write_jsonl(tmp_path / "texts.jsonl", [{"text": text} for text in KEPT])
    small, notes = trimmed(ExportConfig(trim_vocabulary=str(path)), classifier, None)
    assert words_of(small) == {word for text in KEPT for word in text.split() if len(word) > 1}
    assert notes == []
    assert small.model.config.vocab_size == len(small.tokenizer)
    assert len(classifier.tokenizer) == classifier.model.config.vocab_size == len(PIECES)  # what was given stays
    assert not small.model.training


def test_auto_of_a_model_are_the_texts_that_nothing_is_proved_on(classifier, tmp_path):
    write_jsonl(tmp_path / "train.jsonl", [{"text": "good film", "label": "pos"}] * 2)
    write_jsonl(tmp_path / "unlabelled.jsonl", [{"text": "slow music"}])
    write_jsonl(tmp_path / "validation.jsonl", [{"text": "awful plot", "label": "neg"}])
    small, notes = trimmed(ExportConfig(data=str(tmp_path), trim_vocabulary="auto"), classifier, None)
    assert words_of(small) == {"good", "film", "slow", "music"}
    assert notes == []
    alone = ExportConfig(data=str(tmp_path / "train.jsonl"), trim_vocabulary="auto")
    small, notes = trimmed(alone, classifier, None)
    assert words_of(small) == {"good", "film"}
    assert notes == [
        "the vocabulary was chosen by the very rows that are reported, so none of their tokens is split further"
    ]
    texts, notes = usual_texts(replace(alone, validation=str(tmp_path / "validation.jsonl")), None)
    assert (set(texts), notes) == ({"good film"}, [])


def test_a_size_keeps_the_most_frequent_tokens_of_auto(classifier, tmp_path):
    least = len(PIECES) - len(words_of(classifier))
    write_jsonl(
        tmp_path / "train.jsonl", [{"text": "good film good", "label": "pos"}, {"text": "awful", "label": "neg"}]
    )
    config = ExportConfig(data=str(tmp_path / "train.jsonl"), trim_vocabulary=least + 1)
    assert words_of(trimmed(config, classifier, None)[0]) == {"good"}
    config = replace(config, trim_vocabulary=str(len(PIECES) + 100))
    assert words_of(trimmed(config, classifier, None)[0]) == {"good", "film", "awful"}


def test_auto_of_a_run_are_its_own_texts(student_run, tmp_path):
    texts, notes = usual_texts(ExportConfig(trim_vocabulary="auto", data="another.csv"), RunFolder.open(student_run))
    assert (set(texts), notes) == ({row["text"] for row in reviews(160)}, [])
    shutil.copytree(student_run, tmp_path / "run", ignore=shutil.ignore_patterns("student", "served"))
    config = tmp_path / "run" / "config.yaml"
    config.write_text(re.sub("^data: .*$", "data: ./gone", config.read_text(), flags=re.MULTILINE))
    with pytest.raises(CrildError, match="the run's texts cannot be read again") as error:
        usual_texts(ExportConfig(trim_vocabulary="auto"), RunFolder.open(tmp_path / "run"))
    assert "./gone is not there" in str(error.value)
    assert str(error.value).endswith("; name a file of texts instead")
    assert "\n" not in str(error.value)


def test_the_report_says_what_is_kept_and_what_is_split(printed, classifier, film_data):
    kept = printed.found["vocabulary"]
    dropped = set(WHOLE) - {word for text in KEPT for word in text.split()}
    assert (kept["before"], kept["kept"]) == (len(PIECES), len(PIECES) - len(dropped))
    rows, _, _ = read_rows(ExportConfig(data=str(film_data), quantize="int8"), classifier, None, None)
    words = [word for text in rows.texts for word in text.split()]
    assert kept["split_further"] == pytest.approx(sum(word in dropped for word in words) / len(words))
    line = f"vocabulary: {kept['kept']} of {kept['before']} tokens; {kept['split_further']:.1%} of the tokens"
    assert line in (printed.folder / "README.md").read_text()


def test_a_vocabulary_that_loses_too_much_is_told(spoiled):
    vocabulary = replace(spoiled.found.vocabulary, split_further=0.25)
    assert too_few(vocabulary, 0.03, 0.01) == (
        "the trimmed vocabulary loses 0.0300 of the score, more than --tolerance 0.01: 25.0% of the tokens are split "
        "further; keep more of them, by more texts or a larger SIZE"
    )
    lost = spoiled.found.score_before - spoiled.found.vocabulary.score
    assert any("trimmed vocabulary loses" in note for note in spoiled.found.notes) == (lost > 0.01)
