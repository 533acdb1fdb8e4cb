"""What is beside the model in an exported folder: its tokenizer, and what a program must know to serve it."""

import json
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerBase

from crild.errors import CrildError
from crild.files import write_whole
from crild.run.classifier import Classifier
from crild.serving.session import ABOUT, MODEL, TOKENIZER

FP32 = "model.fp32.onnx"


def write_tokenizer(folder: Path, tokenizer: PreTrainedTokenizerBase, length: int) -> None:
    """Write a tokenizer that cuts and pads by itself, as crild does in training.

    Raises:
        CrildError: it is a slow one, which transformers alone can run.
    """
    if not tokenizer.is_fast:
        raise CrildError(
            f"the tokenizer is a slow one ({type(tokenizer).__name__}), which runs in transformers alone: save the "
            "model with a fast tokenizer, one with a tokenizer.json"
        )
    core = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    core.enable_truncation(length, direction=tokenizer.truncation_side)
    core.enable_padding(
        direction=tokenizer.padding_side,
        pad_id=tokenizer.pad_token_id,
        pad_type_id=tokenizer.pad_token_type_id,
        pad_token=tokenizer.pad_token,
    )
    core.save(str(folder / TOKENIZER))


def write_about(folder: Path, classifier: Classifier, length: int, file_format: str, inputs: Iterable[str]) -> None:
    """Write what a program must know.

    Args:
        folder: of the export.
        classifier: that is exported.
        length: tokens kept of a text.
        file_format: of the model's file.
        inputs: names of the model's inputs.
    """
    about = {
        "format": file_format,
        "model": MODEL[file_format],
        "task_type": classifier.task_type.name,
        "labels": classifier.names if classifier.task_type.named else None,
        "max_length": length,
        "padding_id": classifier.tokenizer.pad_token_id,
        "inputs": list(inputs),
        "temperature": 1.0,
        "threshold": None,
    }
    write_whole(folder / ABOUT, json.dumps(about, indent=2, ensure_ascii=False) + "\n")


def write_confidence(folder: Path, temperature: float, threshold: float | None) -> None:
    """Write how confidences are read, once the model is there to find out.

    Args:
        folder: of the export.
        temperature: that logits are divided by before probabilities are made of them.
        threshold: below which confidence the teacher should answer; ``None`` where that is not known.
    """
    about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    about |= {"temperature": temperature, "threshold": threshold}
    write_whole(folder / ABOUT, json.dumps(about, indent=2, ensure_ascii=False) + "\n")


def bytes_of(path: Path) -> int:
    """Return the size of a model's file, and of the weights in a file beside it."""
    beside = (path.with_name(f"{path.name}.data"), path.with_suffix(".bin"))
    return sum(file.stat().st_size for file in (path, *beside) if file.exists())


def remove_model(path: Path) -> None:
    """Remove a model's ONNX file, and the weights beside it."""
    for file in (path, path.with_name(f"{path.name}.data")):
        file.unlink(missing_ok=True)
