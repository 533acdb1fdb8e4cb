"""A PyTorch classifier -> an ONNX file, through `transformers.exporters`."""

import ast
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import transformers
from torch import Tensor
from transformers import PreTrainedModel

from crild.console import warn
from crild.errors import CrildError, first_line, to_install
from crild.models.architecture import layer_stack

if TYPE_CHECKING:
    import onnx_ir

PACKAGES = ("onnx", "onnxscript", "onnxruntime", "tokenizers")
TESTED = "5.23"  # of transformers, whose exporters call themselves experimental
MOST_BYTES = 1_900_000_000  # of one file: protobuf takes 2 GB, larger weights go into a file beside it
SCOPES = "pkg.torch.onnx.name_scopes"  # the modules that a node comes from, as a list in Python's notation


def refuse_without(packages: tuple[str, ...], extra: str, what: str) -> None:
    """Raise `CrildError` where a package is not installed that ``what`` needs."""
    if missing := [name for name in packages if find_spec(name) is None]:
        raise CrildError(f"{what} needs {', '.join(missing)}: {to_install(extra)}")


def refuse_untested_transformers() -> None:
    """Say that this version of transformers is another one than crild's exports were tested with.

    Raises:
        CrildError: it has no exporters.
    """
    if find_spec("transformers.exporters") is None:
        raise CrildError(
            f"crild export needs the exporters of transformers {TESTED}, and this is {transformers.__version__}: "
            "pip install -c constraints.txt transformers"
        )
    if not transformers.__version__.startswith(f"{TESTED}."):
        warn(
            f"export was tested with transformers {TESTED} and this is {transformers.__version__}, whose exporters may "
            "differ; the answers are compared all the same"
        )


@contextmanager
def silent() -> Iterator[None]:
    """Keep the exporters' progress off stdout, where results go, and their remarks on torch's insides off stderr."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with redirect_stdout(StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


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
        with silent():
            exported = OnnxExporter().export(model.eval(), dict(sample), OnnxConfig(dynamic=True))
    except Exception as error:  # whatever torch or the exporter stumble over
        raise CrildError(refusal(model, "ONNX", error)) from None
    import onnx_ir

    program: onnx_ir.Model = exported.program
    graph = program.graph
    for value in graph.inputs:
        value.shape = onnx_ir.Shape(["batch", "length"])
    graph.outputs[0].shape = onnx_ir.Shape(["batch", model.config.num_labels])
    return program


def refusal(model: PreTrainedModel, target: str, error: BaseException) -> str:
    """Return one line on an architecture that cannot be exported."""
    return (
        f"{type(model).__name__} ({model.config.model_type}) cannot be exported to {target}: transformers' exporter "
        f"does not take this architecture ({first_line(error)[:200]})"
    )


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


def size(path: Path) -> int:
    """Return the bytes of a model's file, and of its weights where they are in a file beside it."""
    files = (path, path.with_name(f"{path.name}.data"), path.with_suffix(".bin"))
    return sum(file.stat().st_size for file in files if file.exists())


def remove(path: Path) -> None:
    """Remove a model's file, and its weights beside it."""
    for file in (path, path.with_name(f"{path.name}.data")):
        file.unlink(missing_ok=True)


def graph_of(path: Path) -> Any:
    """Return the graph of a file."""
    import onnx_ir

    return onnx_ir.load(path)
