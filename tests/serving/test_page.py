"""What people read of an export, and the example that needs neither torch nor transformers."""

import importlib.util
import json
import subprocess
import venv
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from rich.console import Console

from crild.serving.page import SERVE, cells, screen, write_pages
from crild.serving.session import Session


def shown(found):
    console = Console(width=80, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(screen(found))
    return console.export_text()


def test_the_terminal_shows_the_proof_in_eighty_columns(spoiled, in_fp32):
    text = shown(spoiled.found)
    assert max(map(len, text.splitlines())) <= 80
    kept = spoiled.found.vocabulary
    line = (
        f"vocabulary: {kept.kept} of {kept.before} tokens; {kept.split_further:.1%} of the tokens of these rows are "
        f"split further; with that alone the score is {kept.score:.4f}"
    )
    assert line in " ".join(text.split())
    assert "served, ONNX int8, trimmed" in text
    assert f"int8: {spoiled.found.scheme}, chosen on other rows" in " ".join(text.split())
    assert [row[0] for row in cells(in_fp32.found)] == ["model, PyTorch", "served, ONNX fp32"]
    assert "vocabulary" not in shown(in_fp32.found)


def test_the_folders_page_has_the_whole_example_and_the_proof(in_fp32):
    page = (in_fp32.folder / "README.md").read_text()
    assert (in_fp32.folder / SERVE).read_text().strip() in page
    for row in cells(in_fp32.found):
        assert f"| {' | '.join(row)} |" in page
    assert "pip install onnxruntime tokenizers numpy" in page


def test_names_from_data_do_not_break_the_page(in_fp32, tmp_path):
    about = json.loads((in_fp32.folder / "serving.json").read_text()) | {"labels": ["a|b", "<c>\nd"]}
    (tmp_path / "serving.json").write_text(json.dumps(about))
    write_pages(tmp_path, replace(in_fp32.found, model="x/<script>"), pairs=False)
    page = (tmp_path / "README.md").read_text()
    assert "<script>" not in page
    assert "<c>" not in page


# ---- serve.py ----


@pytest.fixture
def served(in_fp32, tmp_path):
    """A folder whose model answers row i with its number of tokens times (1, -1): of any task type."""

    def make(task_type, labels, threshold=None, pairs=False):
        vector = np.array([[1.0, -1.0][: max(1, len(labels or []))]], np.float32)
        ids = helper.make_tensor_value_info("attention_mask", TensorProto.INT64, ["batch", "length"])
        out = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", vector.shape[1]])
        nodes = [
            helper.make_node("Cast", ["attention_mask"], ["numbers"], to=TensorProto.FLOAT),
            helper.make_node("ReduceSum", ["numbers", "axis"], ["length"], keepdims=1),
            helper.make_node("MatMul", ["length", "vector"], ["logits"]),
        ]
        weights = [
            helper.make_tensor("axis", TensorProto.INT64, [1], [1]),
            helper.make_tensor("vector", TensorProto.FLOAT, vector.shape, vector.ravel()),
        ]
        graph = helper.make_graph(nodes, "counts", [ids], [out], weights)
        onnx.save(
            helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10),
            tmp_path / "model.onnx",
        )
        about = json.loads((in_fp32.folder / "serving.json").read_text())
        about |= {"inputs": ["attention_mask"], "labels": labels, "task_type": task_type, "temperature": 2.0,
                  "threshold": threshold}  # fmt: skip
        (tmp_path / "serving.json").write_text(json.dumps(about))
        (tmp_path / "tokenizer.json").write_bytes((in_fp32.folder / "tokenizer.json").read_bytes())
        write_pages(tmp_path, replace(in_fp32.found, task_type=task_type), pairs=pairs)
        spec = importlib.util.spec_from_file_location("serve", tmp_path / SERVE)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module.answer

    return make


def share(logit):
    return 1 / (1 + np.exp(-logit / 2.0))


def test_the_example_answers_with_numbers_where_the_model_does(served):
    assert served("regression", None)(["good film", "a"]) == [4.0, 3.0]  # with [CLS] and [SEP]


def test_the_example_names_every_label_that_applies(served):
    answers = served("multi-label", ["warm", "cold"])(["good film", "a"])
    assert [list(each) for each in answers] == [["warm"], ["warm"]]
    assert answers[0]["warm"] == pytest.approx(share(4.0))


def test_the_example_of_several_labels_is_as_sure_as_of_the_least_sure_one(served):
    answers = served("multi-label", ["warm", "cold"], threshold=0.85)(["good film", "a"])
    assert [ask for _, ask in answers] == [bool(share(4.0) < 0.85), bool(share(3.0) < 0.85)] == [False, True]


def test_the_example_takes_pairs(served):
    assert served("regression", None, pairs=True)([("good film", "bad plot")]) == [7.0]


@pytest.mark.slow
def test_the_example_runs_in_a_fresh_environment_without_torch(in_fp32, printed, tmp_path):
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    asked = subprocess.run([python, "-m", "pip", "install", "-q", "onnxruntime", "tokenizers", "numpy"],
                           capture_output=True, text=True, check=False)  # fmt: skip
    if asked.returncode and any(
        each in asked.stderr for each in ("No matching distribution", "Connection", "timed out")
    ):
        pytest.skip("pip finds no index to install onnxruntime, tokenizers and numpy from")
    assert asked.returncode == 0, asked.stderr
    absent = "from importlib.util import find_spec; print([find_spec(x) for x in ('torch', 'transformers', 'crild')])"
    assert subprocess.check_output([python, "-I", "-c", absent], text=True).strip() == "[None, None, None]"
    texts = ["a good film", "awful plot, 日本語 🙂"]
    for folder in (in_fp32.folder, printed.folder):
        out = subprocess.run([python, "-I", folder / SERVE, *texts], capture_output=True, text=True, check=True)
        found = [eval(line)[:2] for line in out.stdout.splitlines()]
        logits, about = Session(folder).logits(texts), json.loads((folder / "serving.json").read_text())
        shares = np.exp(logits / about["temperature"])
        shares /= shares.sum(-1, keepdims=True)
        assert [name for name, _ in found] == [about["labels"][i] for i in shares.argmax(-1)]
        assert [sure for _, sure in found] == pytest.approx(shares.max(-1).tolist(), abs=1e-3)
