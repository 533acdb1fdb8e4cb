"""How long models take for a batch: they take turns on the same texts, in one process, with as many threads."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from crild.data.batching import Collator
from crild.data.tokenise import tokenise
from crild.models.architecture import model_inputs
from crild.serving import int8, onnx
from crild.serving.session import onnx_runner
from crild.serving.timing import WARMUP, Prepare, take_turns

ROUNDS = 40
SAMPLE_ROWS, SAMPLE_LENGTH = 3, 11  # of what a graph is traced with: sizes that occur nowhere else in it


def milliseconds(models: Mapping[str, Prepare], rows: int, batch: int) -> dict[str, float]:
    """Return each model's median milliseconds for a batch.

    Args:
        models: by name.
        rows: how many there are; rounds take them in their order, and begin again after the last one.
        batch: how many of them a round takes.
    """
    numbers = np.resize(np.arange(rows), (WARMUP + ROUNDS, batch))
    times = take_turns(models, numbers.tolist())
    return {name: 1000 * float(np.median(seconds)) for name, seconds in times.items()}


def in_int8(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, rows: Dataset, length: int, threads: int
) -> Prepare:
    """Return what answers rows by a model as it would be served, in int8: what its weights are takes no time.

    Raises:
        CrildError: it cannot be served.
    """
    collate = Collator(tokenizer)
    tokenised = tokenise(rows, tokenizer, length).remove_columns("labels")
    few = tokenise(rows.select([0] * SAMPLE_ROWS), tokenizer, SAMPLE_LENGTH).remove_columns("labels")
    sample = model_inputs(Collator(tokenizer, SAMPLE_LENGTH)([few[i] for i in range(SAMPLE_ROWS)]), model)
    with TemporaryDirectory(prefix="crild-") as folder:
        exact, small = Path(folder) / "fp32.onnx", Path(folder) / "int8.onnx"
        onnx.save(onnx.to_onnx(model, sample), exact)
        int8.quantise(exact, int8.TIERS[0][0], [], small)
        run = onnx_runner(small, threads)

    def prepare(chosen: Sequence[int]) -> Callable[[], object]:
        batch = model_inputs(collate([tokenised[i] for i in chosen]), model)
        inputs = {name: batch[name].numpy() for name in sample}
        return lambda: run(inputs)

    return prepare
