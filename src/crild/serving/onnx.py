"""A PyTorch classifier -> an ONNX file, through `transformers.exporters`."""

import ast
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor
from transformers import PreTrainedModel

from crild.files import is_full
from crild.models.architecture import eager_attention, layer_stack
from crild.serving.tracing import refusal, silent

if TYPE_CHECKING:
    import onnx_ir

MOST_BYTES = 1_900_000_000  # of one file: protobuf takes 2 GB, larger weights go into a file beside it
SCOPES = "pkg.torch.onnx.name_scopes"  # the modules that a node comes from, as a list in Python's notation


def to_onnx(model: PreTrainedModel, sample: dict[str, Tensor]) -> "onnx_ir.Model":
    """Return a classifier as an ONNX graph from its inputs (batch, length) to ``logits`` (batch, C), both sizes free.

    Args:
        model: on the CPU, in fp32.
        sample: inputs as the model gets them; (B, L) with B > 1, L > 1 and B != L, or the sizes may be taken for fixed.

    Raises:
        CrildError: the exporter cannot take this architecture.
    """
    from transformers.exporters import OnnxConfig, OnnxExporter

    try:
        with silent(), eager_attention(model):
            exported = OnnxExporter().export(model.eval(), dict(sample), OnnxConfig(dynamic=True))
    except Exception as error:  # whatever torch or the exporter stumble over
        if is_full(error):
            raise
        raise refusal(model, "ONNX", error) from None
    import onnx_ir

    program: onnx_ir.Model = exported.program
    graph = program.graph
    for value in graph.inputs:
        value.shape = onnx_ir.Shape(["batch", "length"])
    graph.outputs[0].shape = onnx_ir.Shape(["batch", model.config.num_labels])
    return program


def end_nodes(program: "onnx_ir.Model", model: PreTrainedModel) -> list[str]:
    """Return the names of the nodes of a model's first and last layer and of its head.

    None of a model whose layers share weights, or that has no layers.
    """
    stack = layer_stack(model)
    if stack is None:
        return []
    ends = {f"{stack}.0", f"{stack}.{model.config.num_hidden_layers - 1}"}
    names = []
    for node in program.graph:
        scopes = ast.literal_eval(node.metadata_props.get(SCOPES, "[]"))
        modules = [scope for scope in scopes[:-1] if scope]  # the last one is the operation
        if ends.intersection(modules) or (modules and modules[0] != model.base_model_prefix):
            names.append(str(node.name))
    return names


def save(program: "onnx_ir.Model", path: Path) -> None:
    """Write a graph without what the exporters noted of this machine's source files."""
    import onnx_ir

    for graph in (program.graph, *program.functions.values()):
        for node in graph:
            node.metadata_props.clear()
    weights = sum(value.const_value.nbytes for value in program.graph.initializers.values() if value.const_value)
    onnx_ir.save(program, path, external_data=f"{path.name}.data" if weights > MOST_BYTES else None)
