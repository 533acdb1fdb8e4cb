"""An exported folder in use: texts -> logits, with onnxruntime (or OpenVINO), tokenizers and numpy alone."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

ABOUT, TOKENIZER = "serving.json", "tokenizer.json"
MODEL = {"onnx": "model.onnx", "openvino": "model.xml"}
COLUMNS = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}
Text = str | tuple[str, str]
# One operation for an addition and the normalisation after it, which ONNX Runtime 1.32 runs on CPUs without vector
# instructions: without it the demo's student takes 30 ms instead of 38 for 32 texts.
SLOW_FUSION = "SkipLayerNormFusion"


class Session:
    """A model's file, opened.

    Args:
        folder: of the export.
        threads: of one call; all cores without it.
        file: another model's file in the folder than the one that is served.

    Attributes:
        about: what ``serving.json`` says.
    """

    def __init__(self, folder: Path, threads: int | None = None, file: str | None = None) -> None:
        self.about: dict[str, Any] = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        self.tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
        path = folder / (file or self.about["model"])
        self._run = (onnx_runner if self.about["format"] == "onnx" else openvino_runner)(path, threads)

    def encode(self, texts: Sequence[Text]) -> dict[str, np.ndarray]:
        """Return the model's inputs (B, L), cut and padded as in training."""
        rows = self.tokenizer.encode_batch(list(texts))
        return {
            name: np.array([getattr(row, COLUMNS[name]) for row in rows], np.int64) for name in self.about["inputs"]
        }

    def run(self, inputs: dict[str, np.ndarray]) -> np.ndarray:
        """Return the logits (B, C) of a batch."""
        return self._run(inputs)

    def logits(self, texts: Sequence[Text], batch_size: int = 32) -> np.ndarray:
        """Return the logits (n, C) of texts (n > 0), in their order; batches are of texts about as long."""
        order = np.argsort([len(text) if isinstance(text, str) else sum(map(len, text)) for text in texts])
        parts = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
        answers = np.concatenate([self.run(self.encode([texts[i] for i in part])) for part in parts])
        out = np.empty_like(answers)
        out[np.concatenate(parts)] = answers
        return out


def onnx_runner(path: Path, threads: int | None) -> Any:
    """Return a function from inputs to logits, by ONNX Runtime on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads or 0, 1
    options.log_severity_level = 3
    # Its threads wait by spinning, which would take cores from a model that is timed in turn with it.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    session = onnxruntime.InferenceSession(
        str(path), options, providers=["CPUExecutionProvider"], disabled_optimizers=[SLOW_FUSION]
    )
    return lambda inputs: session.run(["logits"], inputs)[0]


def openvino_runner(path: Path, threads: int | None) -> Any:
    """Return a function from inputs to logits, by OpenVINO on the CPU, in fp32 also where the processor has bf16."""
    import openvino

    settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    if threads:
        settings["INFERENCE_NUM_THREADS"] = threads
    model = openvino.Core().compile_model(path, "CPU", settings)
    return lambda inputs: model(inputs)["logits"]
