"""Models as ONNX graphs."""

import numpy as np
import onnx_ir
import pytest
import torch

from crild.errors import CrildError
from crild.models.loading import load_model
from crild.models.static import static_student
from crild.serving import onnx
from crild.serving.session import onnx_runner
from tests.architectures import padded_batch, small_model


def test_a_static_student_is_a_graph_with_free_sizes(tmp_path):
    student = static_student(small_model("bert"), seed=1)
    program = onnx.to_onnx(student, padded_batch((11, 5, 7)))
    assert onnx.end_nodes(program, student) == []  # it has no layers
    onnx.save(program, tmp_path / "model.onnx")
    run = onnx_runner(tmp_path / "model.onnx", 1)
    for lengths in ((9, 5, 7, 3, 6), (1,), (40, 2)):
        batch = padded_batch(lengths)
        with torch.no_grad():
            expected = student(**batch).logits.numpy()
        found = run({name: values.numpy() for name, values in batch.items()})
        assert np.abs(found - expected).max() < 1e-5


def test_the_nodes_at_the_ends_are_those_of_the_first_and_last_layer_and_the_head(in_fp32):
    names = [node.name for node in onnx_ir.load(in_fp32.folder / "model.onnx").graph]
    assert set(in_fp32.ends) < set(names)
    assert len(in_fp32.ends) > 20
    assert not any(node.metadata_props for node in onnx_ir.load(in_fp32.folder / "model.onnx").graph)


def test_inputs_and_output_are_named_and_both_sizes_are_free(in_fp32):
    graph = onnx_ir.load(in_fp32.folder / "model.onnx").graph
    assert [value.name for value in graph.inputs][:2] == ["input_ids", "attention_mask"]
    assert all([str(size) for size in value.shape] == ["batch", "length"] for value in graph.inputs)
    assert [value.name for value in graph.outputs] == ["logits"]
    assert [str(size) for size in graph.outputs[0].shape] == ["batch", "2"]


def test_large_weights_go_into_a_file_beside_it(in_fp32, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx, "MOST_BYTES", 1000)
    onnx.save(onnx_ir.load(in_fp32.folder / "model.onnx"), tmp_path / "model.onnx")
    assert (tmp_path / "model.onnx.data").stat().st_size > 20_000
    inputs = {name: np.array([[2, 10, 3]]) for name in ("input_ids", "attention_mask", "token_type_ids")}
    inputs["attention_mask"], inputs["token_type_ids"] = np.ones((1, 3), np.int64), np.zeros((1, 3), np.int64)
    both = [onnx_runner(folder / "model.onnx", 1)(inputs) for folder in (in_fp32.folder, tmp_path)]
    assert np.array_equal(*both)


def test_an_architecture_that_cannot_be_exported_is_refused_in_one_line(pieces, monkeypatch):
    model = load_model(str(pieces), "model").model

    def forward(**inputs):
        raise RuntimeError("cannot be traced\nwith much to say about it")

    monkeypatch.setattr(model, "forward", forward)
    with pytest.raises(CrildError, match=r"BertForSequenceClassification \(bert\) cannot be exported to ONNX") as error:
        onnx.to_onnx(model, padded_batch((11, 5, 7)))
    assert "\n" not in str(error.value)
