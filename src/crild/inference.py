"""A model in use: its predictions, and what it costs: parameters, bytes, latency."""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from crild.data.batching import Collator, batches_by_length
from crild.models.architecture import model_inputs
from crild.processes import gathered, share


@torch.no_grad()
def predict(
    model: PreTrainedModel,
    rows: Dataset,
    tokenizer: PreTrainedTokenizerBase,
    batch_size: int = 64,
    precision: str = "fp32",
    together: bool = False,
) -> np.ndarray:
    """Return the logits (rows, C) of tokenised rows, in their order. Scores are always taken in fp32.

    ``together``: every process of the run asks the same, answers a part of the batches, and gets all answers.
    """
    training = model.training
    model.eval()
    device = model.device
    numbers: Sequence[int] = range(-(-len(rows) // batch_size))
    answered = []
    for chosen, batch in batches_by_length(
        rows, Collator(tokenizer), batch_size, share(numbers) if together else numbers
    ):
        inputs = {name: x.to(device) for name, x in model_inputs(batch, model).items()}
        with autocast(device, precision):
            answered.append((chosen, model(**inputs).logits.float().cpu().numpy()))
    model.train(training)
    out = np.zeros((len(rows), int(model.config.num_labels or 0)), np.float32)
    for part in gathered(answered) if together else [answered]:
        for chosen, logits in part:
            out[chosen] = logits
    return out


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Return a context in which passes run in ``precision``: ``fp32``, ``bf16`` or ``fp16``."""
    dtype = torch.float16 if precision == "fp16" else torch.bfloat16
    return torch.autocast(device.type, dtype=dtype, enabled=precision != "fp32")


def parameters(model: PreTrainedModel) -> int:
    """Return the number of a model's parameters."""
    return sum(p.numel() for p in model.parameters())


def bytes_on_disk(folder: Path) -> int:
    """Return the size of a saved model's weights."""
    return sum(p.stat().st_size for p in Path(folder).glob("*.safetensors"))


@torch.no_grad()
def latencies(
    readers: Sequence[tuple[PreTrainedModel, Dataset, PreTrainedTokenizerBase]], count: int = 60
) -> list[float]:
    """Return each model's median seconds for one row at batch 1, the models taking turns on the same rows.

    Args:
        readers: each model, with the rows as its tokenizer cuts them, and that tokenizer.
        count: how many rows.
    """
    times: list[list[float]] = [[] for _ in readers]
    for model, _, _ in readers:
        model.eval()
    for number in range(-5, min(count, *(len(rows) for _, rows, _ in readers))):  # the first rounds warm up
        for (model, rows, tokenizer), measured in zip(readers, times, strict=True):
            batch = Collator(tokenizer)([rows[max(number, 0)]])
            inputs = {name: x.to(model.device) for name, x in model_inputs(batch, model).items()}
            start = time.perf_counter()
            logits = model(**inputs).logits
            logits.cpu()  # waits for the device
            if number >= 0:
                measured.append(time.perf_counter() - start)
    return [float(np.median(measured)) for measured in times]
