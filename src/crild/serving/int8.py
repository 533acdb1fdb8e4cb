"""Weights of 8 bits: the few schemes of dynamic quantisation that make sense, and the choice among them.

Dynamic: weights are 8-bit integers in the file, activations become such while the model runs, with a scale for every
batch. So a text's logits depend a little on the texts that share its batch.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crild.console import say
from crild.errors import CrildError, first_line
from crild.serving.onnx import save
from crild.serving.proof import Compared
from crild.serving.tracing import MOST_TEXT, silent


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
    """A scheme, how its model did on the selection rows, and its file."""

    scheme: Scheme
    found: Compared
    path: Path
    bytes: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for the proof."""
        chosen_by = {"lost": self.found.lost, "agreement": self.found.agreement, "rms_difference": self.found.rms}
        return {"scheme": self.scheme.name, **chosen_by, "bytes": self.bytes}


Judge = Callable[[Path], Compared]
"""Compares a file's answers on the selection rows with the PyTorch model's."""


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
    import onnx_ir
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
            program = OnnxRuntimeQuantizer(config).quantize(onnx_ir.load(source), {}, "onnx")  # type: ignore[arg-type]
    except OSError:  # a full disk
        raise
    except Exception as error:
        raise CrildError(
            f"ONNX Runtime cannot quantise this model ({first_line(error)[:MOST_TEXT]}): use --quantize none"
        ) from None
    save(program, path)


def choose(source: Path, ends: Sequence[str], judge: Judge, tolerance: float) -> tuple[Tried, list[Tried]]:
    """Quantise in several ways, beside the fp32 file, and choose one.

    Of the schemes of a tier the best is that with the highest agreement, of equals that with the smallest difference;
    the first tier is taken whose best does not surely lose more than ``tolerance`` (one standard error: the rows are
    few, and a larger file for a loss by luck is dear). If there is none, the scheme that loses least.

    Args:
        source, ends: as of `quantise`.
        judge: measures a file on rows that are not reported.
        tolerance: score that may be lost.

    Returns:
        The choice, and all that were tried.
    """
    tried: list[Tried] = []
    for tier in TIERS:
        start = len(tried)
        for scheme in tier:
            if not scheme.ends and not ends:
                continue
            path = source.with_name(f"int8-{len(tried)}.onnx")
            quantise(source, scheme, ends, path)
            tried.append(Tried(scheme, judge(path), path, path.stat().st_size))
            found = tried[-1].found
            change = found.after - found.before
            say(f"int8 {scheme.name}: agreement {found.agreement:.4f}, score {change:+.4f} on the selection rows")
        if tried[start:]:
            best = min(tried[start:], key=lambda each: (-each.found.agreement, each.found.rms))
            if best.found.surely_lost <= tolerance:
                return best, tried
    return min(tried, key=lambda each: (each.found.lost, -each.found.agreement, each.found.rms)), tried
