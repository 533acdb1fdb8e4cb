"""Weights of 8 bits: the few schemes of dynamic quantisation that make sense, and the choice among them.

Dynamic: weights are 8-bit integers in the file, activations become such while the model runs, with a scale for every
batch. So a text's logits depend a little on the texts that share its batch.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from crild.console import say
from crild.errors import CrildError, first_line
from crild.serving.onnx import graph_of, save, silent, size


@dataclass(frozen=True)
class Scheme:
    """What is quantised, and how.

    Attributes:
        name: for people.
        per_channel: a scale for each output of a matrix, not one for all of it.
        reduced: weights of 7 bits, which sum up without overflow on processors that lack VNNI instructions.
        embeddings: the embedding tables too.
        ends: the first and last layer and the head too.
    """

    name: str
    per_channel: bool = True
    reduced: bool = False
    embeddings: bool = True
    ends: bool = True


# By size: the next tier is tried only where the one before it loses score.
TIERS = (
    (
        Scheme("per channel"),
        Scheme("per channel, 7 bits", reduced=True),
        Scheme("per tensor", per_channel=False),
    ),
    (Scheme("per channel, first and last layer in fp32", ends=False),),
    (
        Scheme("per channel, embeddings in fp32", embeddings=False),
        Scheme("per channel, embeddings, first and last layer in fp32", embeddings=False, ends=False),
    ),
)


@dataclass(frozen=True)
class Tried:
    """A scheme, and how its model did on the selection rows.

    Attributes:
        scheme: its name.
        lost: score that it lost.
        agreement: with the model before, in the task type's measure.
        difference: root mean square of the logits' differences.
        bytes: of its file.
        path: of its file.
    """

    scheme: str
    lost: float
    agreement: float
    difference: float
    bytes: int
    path: Path


Judge = Callable[[Path], tuple[float, float, float]]
"""Takes a file; returns ``lost``, ``agreement`` and ``difference`` of `Tried`."""


def quantise(source: Path, scheme: Scheme, ends: Sequence[str], path: Path) -> None:
    """Write a quantised model.

    Args:
        source: the file of the fp32 model.
        scheme: how.
        ends: nodes of the first and last layer and of the head.
        path: the file that is written.

    Raises:
        CrildError: ONNX Runtime cannot quantise it.
    """
    from onnxruntime.quantization import QuantType
    from transformers.exporters import OnnxRuntimeDynamicConfig, OnnxRuntimeQuantizer

    config = OnnxRuntimeDynamicConfig(
        op_types_to_quantize=["MatMul", "Gemm"] + (["Gather"] if scheme.embeddings else []),
        per_channel=scheme.per_channel,
        reduce_range=scheme.reduced,
        weight_type=QuantType.QInt8,
        nodes_to_exclude=None if scheme.ends else list(ends),
    )
    try:
        with silent():
            program = OnnxRuntimeQuantizer(config).quantize(graph_of(source), {}, "onnx")  # type: ignore[arg-type]
    except OSError:  # a full disk
        raise
    except Exception as error:
        raise CrildError(
            f"--quantize int8: ONNX Runtime cannot quantise this model ({first_line(error)[:200]}); use --quantize none"
        ) from None
    save(program, path)


def choose(source: Path, ends: Sequence[str], judge: Judge, tolerance: float) -> tuple[Tried, list[Tried]]:
    """Quantise in several ways, beside the fp32 file, and choose one.

    Of the schemes of a tier the best is that with the highest agreement, of equals that with the smallest difference;
    the first tier is taken whose best loses no more than ``tolerance``. If there is none, the scheme that loses least.

    Args:
        source, ends: as of `quantise`.
        judge: measures a file on rows that are not reported.
        tolerance: score that may be lost.

    Returns:
        The choice, and all that were tried.
    """
    tried: list[Tried] = []
    for tier in TIERS:
        found: list[Tried] = []
        for scheme in tier:
            if not scheme.ends and not ends:
                continue
            path = source.with_name(f"int8-{len(tried) + len(found)}.onnx")
            quantise(source, scheme, ends, path)
            lost, agreement, difference = judge(path)
            say(f"int8 {scheme.name}: agreement {agreement:.4f}, score {-lost:+.4f} on the selection rows")
            found.append(Tried(scheme.name, lost, agreement, difference, size(path), path))
        tried += found
        if found and (best := min(found, key=lambda each: (-each.agreement, each.difference))).lost <= tolerance:
            return best, tried
    return min(tried, key=lambda each: (each.lost, -each.agreement, each.difference)), tried


def distance(logits: np.ndarray, others: np.ndarray) -> float:
    """Return the root mean square of differences."""
    return float(np.sqrt(np.mean((logits.astype(np.float64) - others) ** 2)))
