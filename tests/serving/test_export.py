"""Whole exports: what is proved, what is refused, and that a folder appears whole or not at all."""

import errno
import json

import numpy as np
import pytest

import crild
from crild.errors import CrildError
from crild.models.loading import load_model, load_tokenizer
from crild.models.vocabulary import trim
from crild.serving import export as exports
from crild.serving import onnx as graphs
from crild.serving.folder import FP32
from crild.serving.result import Export
from crild.serving.session import Session
from tests.conftest import complaint, reviews
from tests.models.test_vocabulary import logits
from tests.processes import Running
from tests.serving.conftest import KEPT

PRINTED = ("score_before", "score_after", "agreement", "largest_difference", "bytes_before", "bytes", "speedup_batch1",
           "speedup_batch32", "path")  # fmt: skip
FILES = {"README.md", "export.json", "model.onnx", "serve.py", "serving.json", "tokenizer.json"}
STRANGE = ["Ещё один текст 日本語 ไทย", "🙂🙃 👩‍👩‍👧 film", "good " * 10_000, "x" * 300, " ", "[PAD] [SEP] wörd"]


def test_in_fp32_logits_are_those_of_pytorch(in_fp32, pieces):
    found, served = in_fp32.found, Session(in_fp32.folder)
    assert found.largest_difference == found.fp32_difference < 1e-4
    assert (found.score_after, found.agreement, found.rows) == (found.score_before, 1.0, 60)
    assert found.score_before > 0.9
    assert (found.scheme, found.vocabulary, found.fp32_file, found.schemes) == (None, None, None, ())
    texts = [row["text"] for row in reviews(200, seed=7)] + STRANGE
    expected = logits(load_model(str(pieces), "model").model.eval(), load_tokenizer(str(pieces), "model"), texts)
    assert np.abs(served.logits(texts) - expected.numpy()).max() < 1e-4
    assert {path.name for path in in_fp32.folder.iterdir()} == FILES


def test_the_command_line_prints_what_it_wrote(printed):
    found = printed.found
    assert set(PRINTED) <= set(found)
    assert json.loads((printed.folder / "export.json").read_text()) == found
    assert found["path"] == str(printed.folder)
    assert found["bytes"] == (printed.folder / "model.onnx").stat().st_size < found["bytes_before"]
    assert {path.name for path in printed.folder.iterdir()} == FILES  # schemes that were not chosen are gone
    assert found["rows"] == 30  # the other half chose
    assert min(found["speedup_batch1"], found["speedup_batch32"]) > 0
    assert set(found["models"]) == {"before", "served"}
    again = Export.of(found)
    assert again["agreement"] == found["agreement"]
    assert again.lost_to_int8 == pytest.approx(found["vocabulary"]["score"] - found["score_after"])


def test_the_scheme_is_the_one_that_agrees_best_on_the_rows_that_choose(printed):
    tried = printed.found["schemes"]
    assert len(tried) >= 3
    first = tried[:3]  # schemes of equal size; the later ones are for what these lose
    best = min(first, key=lambda each: (-each["agreement"], each["rms_difference"]))
    assert printed.found["scheme"] == best["scheme"]
    assert best["lost"] <= 0.5


def test_int8_that_loses_too_much_is_told_in_one_line_and_the_fp32_file_stays(spoiled):
    found = spoiled.found
    assert found.lost_to_int8 > 0.3
    assert found.lost_to_int8 == pytest.approx(found.vocabulary.score - found.score_after)
    [note] = [each for each in found.notes if "int8" in each]
    assert note == (
        f"int8 loses {found.lost_to_int8:.4f} of the score, more than --tolerance 0.01: serve {FP32}, which is kept "
        "beside it, or export with --quantize none"
    )
    assert found.fp32_file == FP32
    assert {path.name for path in spoiled.folder.iterdir()} == {*FILES, FP32}
    assert f"`{FP32}`" in (spoiled.folder / "README.md").read_text()
    assert len(found.schemes) == 6  # all were tried
    assert found.fp32_difference < 1e-4 < found.largest_difference


def test_a_trimmed_model_gives_the_same_logits_bit_for_bit_where_every_token_is_kept(in_fp32, spoiled):
    whole, trimmed = Session(in_fp32.folder, 1), Session(spoiled.folder, 1, FP32)
    assert trimmed.tokenizer.get_vocab_size() < whole.tokenizer.get_vocab_size()
    texts = [*KEPT, "film film awful", "good plot 7 b c", "is nice"]
    read = [[row.tokens for row in each.tokenizer.encode_batch(texts)] for each in (whole, trimmed)]
    assert read[0] == read[1]
    assert np.array_equal(trimmed.logits(texts), whole.logits(texts))
    assert not np.array_equal(trimmed.logits(["acting"]), whole.logits(["acting"]))  # in letters now


def test_any_text_runs_through_a_trimmed_model_as_through_that_in_pytorch(spoiled, pieces):
    model, tokenizer = load_model(str(pieces), "model").model.eval(), load_tokenizer(str(pieces), "model")
    small = trim(model, tokenizer, KEPT)
    found = Session(spoiled.folder, 1, FP32).logits(STRANGE)
    assert np.abs(found - logits(small.model, small.tokenizer, STRANGE).numpy()).max() < 1e-4
    assert np.isfinite(found).all()


# ---- what is refused, and what is left of a start that came to nothing ----


def test_slips_are_one_line_and_write_nothing(cli, pieces, tiny, film_data, in_fp32, tmp_path):
    output = tmp_path / "out"
    (tmp_path / "few.csv").write_text("text,label\ngood film,pos\n")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("my only copy")
    data, to = ("--data", film_data), ("--output", output)
    for words, said in [
        ([pieces, "--format", "tflite", *data, *to], "format: 'tflite' is none of onnx, openvino"),
        ([tiny, *data, *to], f"model: {tiny} has no trained classification head; fine-tune it first"),
        ([pieces, *to], "--data is missing: rows to prove the export on"),
        ([pieces, *data], "--output is missing: folder of the export"),
        ([*to], "MODEL is missing"),
        ([pieces, *data, "--output", in_fp32.folder], "it holds an export; choose another folder, or --overwrite"),
        ([pieces, *data, "--output", tmp_path / "full"], "the folder is not empty and holds no crild export"),
        ([pieces, *data, *to, "--format", "openvino", "--quantize", "int8"], "--quantize int8 is for --format onnx"),
        ([pieces, "--data", tmp_path / "few.csv", *to, "--quantize", "int8"], "too few rows to choose a quantisation"),
        ([pieces, *data, *to, "--trim-vocabulary", "20"], "a vocabulary of 20 tokens has no room for the"),
        ([pieces, *data, *to, "--trim-vocabulary", "here"], "no such file or folder: here"),
        ([pieces, *data, *to, "--trim-vocabulary", "./x.txt"], "--trim-vocabulary: no such file or folder: ./x.txt"),
    ]:
        code, out, err = cli("export", *words)
        assert (code, out) == (2, "")
        assert said in complaint(err), (said, err)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["few.csv", "full"]
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["thesis.txt"]


def test_a_full_disk_is_one_line_and_leaves_nothing(cli, pieces, film_data, tmp_path, monkeypatch):
    def save(program, path):
        path.write_bytes(b"half of a model")
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(graphs, "to_onnx", lambda model, sample: None)
    monkeypatch.setattr(graphs, "save", save)
    code, out, err = cli("export", pieces, "--data", film_data, "--output", tmp_path / "out")
    assert (code, out) == (2, "")
    assert f"{tmp_path / 'out.part'}: the disk is full (" in complaint(err)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_up_while_the_graph_is_traced_is_not_taken_for_the_model(pieces, monkeypatch):
    from transformers.exporters import OnnxExporter

    def export(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(OnnxExporter, "export", export)
    with pytest.raises(OSError, match="No space left"):
        graphs.to_onnx(load_model(str(pieces), "model").model, {})


def test_a_killed_export_leaves_no_folder_and_the_next_one_works(pieces, film_data, tmp_path, monkeypatch, in_fp32):
    output, words = tmp_path / "out", ["export", pieces, "--data", film_data, "--output", tmp_path / "out"]
    assert Running(words, "export:save:1").finish().returncode == -9
    left = [path.name for path in tmp_path.iterdir()]
    assert left == ["out.part"]
    assert (tmp_path / "out.part" / "model.onnx").stat().st_size == 100

    def fill(job, folder, threads):
        assert list(folder.iterdir()) == []
        (folder / "export.json").write_text("{}")
        return in_fp32.found

    monkeypatch.setattr(exports, "fill", fill)
    crild.export(model=pieces, data=film_data, output=output)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    with pytest.raises(CrildError, match="it holds an export"):
        crild.export(model=pieces, data=film_data, output=output)
    assert Running([*words, "--overwrite"], "export:save:1").finish().returncode == -9
    assert (output / "export.json").read_text() == "{}"  # the earlier one is there
    crild.export(model=pieces, data=film_data, output=output, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_logits_that_are_not_pytorchs_are_refused(pieces):
    classifier = exports.load_classifier(str(pieces), "model", exports.ExportConfig())
    exports.refuse_difference(1e-4, classifier)
    for largest in (2e-4, float("nan")):
        with pytest.raises(CrildError, match=r"BertForSequenceClassification \(bert\): logits of the exported file"):
            exports.refuse_difference(largest, classifier)
