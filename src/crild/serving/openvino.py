"""A PyTorch classifier -> OpenVINO's intermediate representation, through `transformers.exporters`."""

from pathlib import Path

from torch import Tensor
from transformers import PreTrainedModel

from crild.files import is_full
from crild.serving.tracing import refusal, silent


def write_openvino(model: PreTrainedModel, sample: dict[str, Tensor], path: Path) -> None:
    """Write a classifier from its inputs (batch, length) to ``logits`` (batch, C), both sizes free, in fp32.

    Args:
        model, sample: as of `crild.serving.onnx.to_onnx`.
        path: ends in ``.xml``; the weights go beside it, into ``.bin``.

    Raises:
        CrildError: the exporter cannot take this architecture.
    """
    import openvino
    from transformers.exporters import OpenVINOConfig, OpenVINOExporter

    try:
        with silent():
            exported = OpenVINOExporter().export(model.eval(), dict(sample), OpenVINOConfig(dynamic=True))
    except Exception as error:  # whatever torch or the exporter stumble over
        if is_full(error):
            raise
        raise refusal(model, "OpenVINO", error) from None
    openvino.save_model(exported.program, path, compress_to_fp16=False)
