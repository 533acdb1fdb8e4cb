"""What is beside the model: tokenizer, names, confidences."""

import json
from types import SimpleNamespace

import pytest
from tokenizers import Tokenizer

from crild.errors import CrildError
from crild.models.loading import load_tokenizer
from crild.serving.folder import bytes_of, remove_model, write_confidence, write_tokenizer


def test_the_tokenizer_cuts_and_pads_by_itself_as_in_training(pieces, tmp_path):
    tokenizer = load_tokenizer(str(pieces), "model")
    for side in ("right", "left"):
        tokenizer.padding_side = side
        write_tokenizer(tmp_path, tokenizer, 12)
        texts = ["good film", "the plot was very slow and not really nice at all in the end", ""]
        rows = Tokenizer.from_file(str(tmp_path / "tokenizer.json")).encode_batch(texts)
        expected = tokenizer(texts, padding=True, truncation=True, max_length=12)
        assert [row.ids for row in rows] == expected["input_ids"]
        assert [row.attention_mask for row in rows] == expected["attention_mask"]
        assert len(rows[0].ids) == 12


def test_a_slow_tokenizer_is_refused(tmp_path):
    with pytest.raises(CrildError, match="the tokenizer is a slow one"):
        write_tokenizer(tmp_path, SimpleNamespace(is_fast=False), 12)


def test_the_small_file_says_what_a_program_must_know(in_fp32):
    about = json.loads((in_fp32.folder / "serving.json").read_text())
    assert about["temperature"] == in_fp32.found.temperature
    assert sorted(about["inputs"]) == ["attention_mask", "input_ids", "token_type_ids"]
    assert about == about | {
        "format": "onnx",
        "model": "model.onnx",
        "task_type": "classification",
        "labels": ["neg", "pos"],
        "max_length": 64,
        "padding_id": 0,
        "threshold": None,
    }


def test_confidences_are_written_beside_the_rest(tmp_path):
    (tmp_path / "serving.json").write_text(json.dumps({"model": "m", "temperature": 1.0, "threshold": None}))
    write_confidence(tmp_path, 2.5, 0.75)
    said = json.loads((tmp_path / "serving.json").read_text())
    assert said == {"model": "m", "temperature": 2.5, "threshold": 0.75}


def test_weights_beside_a_model_count_and_go_with_it(tmp_path):
    sizes = {"model.onnx": 10, "model.onnx.data": 500, "other.onnx": 7, "m.xml": 3, "m.bin": 90}
    for name, size in sizes.items():
        (tmp_path / name).write_bytes(b"x" * size)
    assert [bytes_of(tmp_path / name) for name in ("model.onnx", "other.onnx", "m.xml")] == [510, 7, 93]
    remove_model(tmp_path / "model.onnx")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.bin", "m.xml", "other.onnx"]
