"""Whether embeddings of a low rank pay on top of a smaller vocabulary, in a file of 8 bits.

The word embeddings (V x D) of a run's student become two factors, V x R and R x D, of the truncated singular value
decomposition of the trained table, rows weighted by how often the training texts use their token. With whole and
trimmed vocabularies, each is exported to int8 and compared with the student in PyTorch: agreement on the selection
rows, by which a rank would be chosen, and the score on the validation rows.

    python -m benchmarks.low_rank runs/demo/cr-ild [--output benchmarks/results/low_rank.json]
"""

import argparse
import json
from collections import Counter
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from rich.progress import track
from torch import nn
from transformers import PreTrainedModel

from crild.config import ExportConfig
from crild.console import quiet_libraries
from crild.files import write_whole
from crild.models.architecture import model_inputs
from crild.models.vocabulary import encodings, trim
from crild.run.classifier import Classifier, load_classifier, run_of
from crild.run.folder import RunFolder, environment
from crild.run.reread import texts_of
from crild.serving import int8, onnx
from crild.serving.folder import FP32, bytes_of, write_about, write_tokenizer
from crild.serving.proof import compare
from crild.serving.rows import read_rows
from crild.serving.session import MODEL, Session, Text

SIZES: tuple[int | None, ...] = (None, 20_000, 10_000, 7000, 5000, 4000, 3000)  # most tokens
RANKS = (None, 256, 192, 128, 96)  # of the embeddings' D


def factorised(model: PreTrainedModel, rank: int, counts: Counter[int]) -> PreTrainedModel:
    """Return a copy whose word embeddings are a product of two smaller tables.

    Args:
        model: a classifier.
        rank: R, at most D.
        counts: how often texts use each token; what none uses counts as one.
    """
    copy = deepcopy(model)
    table = copy.get_input_embeddings()
    weight = table.weight.detach().double()
    often = torch.tensor([max(counts[i], 1) for i in range(len(weight))]).double().sqrt()[:, None]
    _, _, right = torch.linalg.svd(often * weight, full_matrices=False)
    narrow = nn.Embedding(len(weight), rank, table.padding_idx)
    wide = nn.Linear(rank, weight.shape[1], bias=False)
    with torch.no_grad():
        narrow.weight.copy_(weight @ right[:rank].T)
        wide.weight.copy_(right[:rank].T)
    copy.set_input_embeddings(nn.Sequential(narrow, wide))
    return copy.eval()


def served(classifier: Classifier, length: int, texts: list[Text], folder: Path) -> Session:
    """Write a classifier in 8 bits into a folder, as `crild.export` does, and open it."""
    write_tokenizer(folder, classifier.tokenizer, length)
    inputs = classifier.tokenizer(texts[:3], truncation=True, max_length=11, padding=True, return_tensors="pt")
    sample = model_inputs(inputs, classifier.model)
    write_about(folder, classifier, length, "onnx", sample)
    exact = folder / FP32
    onnx.save(onnx.to_onnx(classifier.model, sample), exact)
    int8.quantise(exact, int8.TIERS[0][0], [], folder / MODEL["onnx"])
    return Session(folder)


def measure(run: RunFolder) -> list[dict[str, Any]]:
    """Return bytes, agreement and scores of every combination of vocabulary and rank."""
    config = ExportConfig(model=str(run.path), quantize="int8")
    student = load_classifier(str(run.path), "model", config)
    student = replace(student, model=student.model.cpu().eval())
    rows, selection, _ = read_rows(config, student, run, None)
    assert selection is not None
    length, texts = student.length(None), texts_of(run)
    whole = {"selection": (selection, student.logits(selection.rows, length)),
             "validation": (rows, student.logits(rows.rows, length))}  # fmt: skip
    found = []
    for size in track(SIZES, description="vocabularies"):
        smaller = trim(student.model, student.tokenizer, texts, size=size or len(student.tokenizer))
        model, tokenizer = (student.model, student.tokenizer) if size is None else (smaller.model, smaller.tokenizer)
        counts = Counter(i for each in encodings(tokenizer, texts) for i in each.ids)
        for rank in RANKS:
            narrow = model if rank is None else factorised(model, rank, counts)
            with TemporaryDirectory() as folder:
                each = replace(student, model=narrow, tokenizer=tokenizer)
                session = served(each, length, texts, Path(folder))
                parts = {
                    name: compare(student.task_type, of, logits, session.logits(of.texts))
                    for name, (of, logits) in whole.items()
                }
                found.append({
                    "tokens": len(tokenizer.get_vocab()),
                    "rank": rank,
                    "bytes": bytes_of(Path(folder) / MODEL["onnx"]),
                    "selection_agreement": parts["selection"].agreement,
                    "agreement": parts["validation"].agreement,
                    "score": parts["validation"].after,
                    "student": parts["validation"].before,
                })  # fmt: skip
    return sorted(found, key=lambda line: line["bytes"])


def markdown(result: dict[str, Any]) -> str:
    """Return the page beside the JSON file."""
    lines = [
        "# Embeddings of a low rank",
        "",
        "Written by `python -m benchmarks.low_rank RUN`: a student whose word embeddings are a product V x R times R x "
        f"D, in int8, by bytes; the student in PyTorch scores {result['lines'][0]['student']:.4f} on "
        f"{result['rows']} held-out rows. **Frontier**: no smaller file agrees as much on the held-out rows.",
        "",
        "| tokens | rank | MB | agreement, selection rows | agreement, held-out rows | score | frontier |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    best = -1.0
    for line in result["lines"]:
        frontier, best = line["agreement"] > best, max(best, line["agreement"])
        lines.append(
            f"| {line['tokens']:,} | {line['rank'] or '-'} | {line['bytes'] / 1e6:.1f} | "
            f"{line['selection_agreement']:.3f} | {line['agreement']:.3f} | {line['score']:.4f} | "
            f"{'yes' if frontier else ''} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", help="a finished run")
    parser.add_argument("--output", default="benchmarks/results/low_rank.json")
    options = parser.parse_args()
    quiet_libraries()
    run = run_of(options.run)
    if run is None:
        parser.error(f"{options.run}: no finished run")
    lines = measure(run)
    result = {"rows": run.result.rows["validation"], "lines": lines, **environment()}
    output = Path(options.output)
    write_whole(output, json.dumps(result, indent=1) + "\n")
    write_whole(output.with_suffix(".md"), markdown(result))
    print(markdown(result))


if __name__ == "__main__":
    main()
