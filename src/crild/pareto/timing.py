"""How long models take for a batch: they take turns on the same texts, in one process, with as many threads."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from crild.data.batching import Collator
from crild.data.tokenise import tokenise
from crild.models.architecture import model_inputs
from crild.serving import onnx

ROUNDS, WARM_UP = 40, 3
Call = Callable[[int], object]
"""Runs a model on the batch of a round."""


def turns(calls: Sequence[Call], rounds: int = ROUNDS) -> list[float]:
    """Return each call's median milliseconds; in every round each is called once, with the number of the round."""
    times: list[list[float]] = [[] for _ in calls]
    for number in range(-WARM_UP, rounds):
        for call, measured in zip(calls, times, strict=True):
            start = time.perf_counter()
            call(max(number, 0))
            if number >= 0:
                measured.append(1000 * (time.perf_counter() - start))
    return [float(np.median(measured)) for measured in times]


def in_batches(rows: Dataset, size: int, count: int = ROUNDS) -> list[Dataset]:
    """Return ``count`` batches of rows, from the first on; after the last row the first one comes again."""
    numbers = np.arange(size * count) % len(rows)
    return [rows.select(numbers[i * size : (i + 1) * size].tolist()) for i in range(count)]


@contextmanager
def threads_of(count: int | None) -> Iterator[int]:
    """Let torch compute with so many threads for a while, all cores where nobody says; yield their number."""
    before, chosen = torch.get_num_threads(), count or os.cpu_count() or 1
    torch.set_num_threads(chosen)
    try:
        yield chosen
    finally:
        torch.set_num_threads(before)


def tensors(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, batches: Sequence[Dataset], max_length: int
) -> list[dict[str, torch.Tensor]]:
    """Return what a model reads of each batch of texts."""
    collate = Collator(tokenizer)
    encoded = [tokenise(batch, tokenizer, max_length) for batch in batches]
    return [model_inputs(collate([rows[i] for i in range(len(rows))]), model) for rows in encoded]


def torch_call(model: PreTrainedModel, inputs: Sequence[dict[str, torch.Tensor]]) -> Call:
    """Return what runs a PyTorch model."""
    model.eval()

    @torch.inference_mode()
    def call(number: int) -> object:
        return model(**inputs[number % len(inputs)]).logits

    return call


def session_call(session: Any, inputs: Sequence[dict[str, np.ndarray]]) -> Call:
    """Return what runs an ONNX session."""
    return lambda number: session.run(["logits"], inputs[number % len(inputs)])


def int8_call(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    batches: Sequence[Dataset],
    max_length: int,
    threads: int,
) -> Call:
    """Return what runs a model as it would be served, in int8: what its weights are takes no time.

    Raises:
        CrildError: it cannot be served.
    """
    import onnxruntime

    inputs = tensors(model, tokenizer, batches, max_length)
    pair = tensors(model, tokenizer, [batches[0].select([0, 0])], max_length)[0]
    program = onnx.to_int8(onnx.to_onnx(model, pair), onnx.SCHEMES[0], model.config.num_hidden_layers)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 3
    with TemporaryDirectory(prefix="crild-") as folder:
        path = Path(folder) / "model.onnx"
        onnx.save(program, path)
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]
    return session_call(session, [{name: batch[name].numpy() for name in names} for batch in inputs])
