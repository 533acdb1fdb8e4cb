"""Whether an exported file answers as PyTorch does: every architecture of the tests' table, on real rows.

Each small random classifier of `tests/architectures.py` gets a tokenizer of its kind (WordPiece, byte-level BPE or
Unigram, learned from the rows) and goes through `crild.export` in fp32, as a user's model does.

    python -m benchmarks.export_parity [--only bert ...] [--output benchmarks/results/export_parity.json]
"""

import argparse
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

import crild
from crild.console import quiet_libraries
from crild.data.tweets import tweet_splits
from crild.errors import CrildError
from crild.run.folder import environment
from crild.serving.export import MOST_DIFFERENCE
from crild.serving.proof import processor
from tests.architectures import ARCHITECTURES, small_model

SST2 = Path("../shared/glue/SST-2/dev.tsv")
ROWS, POSITIONS, TOKENS = 200, 130, 2000
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
BPE = ("roberta", "data2vec-text", "roberta-prelayernorm", "modernbert", "eurobert", "ultrabert")
UNIGRAM = ("xlm-roberta", "camembert", "albert", "xlm-roberta-xl", "jina-embeddings-v3", "rembert", "deberta-v2",
           "deberta-v3")  # fmt: skip


def read_texts() -> tuple[list[str], str]:
    """Return the rows, and where they are from: SST-2 where it is there, else the demo's tweets."""
    if SST2.exists():
        texts = pd.read_csv(SST2, sep="\t", quoting=3)["sentence"]
        return texts[:ROWS].tolist(), f"the first {ROWS} rows of SST-2's dev split"
    return tweet_splits(f"demo:{ROWS}")["validation"]["text"][:], f"{ROWS} tweets of the demo ({SST2} is not there)"


def kind_of(name: str) -> str:
    """Return the kind of tokenizer that models of an architecture have."""
    return "BPE" if name in BPE else "Unigram" if name in UNIGRAM else "WordPiece"


def learned(kind: str, texts: list[str]) -> PreTrainedTokenizerFast:
    """Return a tokenizer of this kind, learned from texts; padding has the id 1, as in RoBERTa."""
    model, pre_tokenizer, trainer = {
        "WordPiece": (
            models.WordPiece(unk_token="<unk>"),
            pre_tokenizers.Whitespace(),
            trainers.WordPieceTrainer(vocab_size=TOKENS, special_tokens=SPECIAL),
        ),
        "BPE": (
            models.BPE(),
            pre_tokenizers.ByteLevel(),
            trainers.BpeTrainer(
                vocab_size=TOKENS, special_tokens=SPECIAL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
            ),
        ),
        "Unigram": (
            models.Unigram(),
            pre_tokenizers.Metaspace(),
            trainers.UnigramTrainer(vocab_size=TOKENS, special_tokens=SPECIAL, unk_token="<unk>"),
        ),
    }[kind]
    core = Tokenizer(model)
    core.normalizer, core.pre_tokenizer = normalizers.Lowercase(), pre_tokenizer
    core.train_from_iterator(texts, trainer)
    core.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    names = dict(zip(("cls_token", "pad_token", "sep_token", "unk_token", "mask_token"), SPECIAL, strict=True))
    return PreTrainedTokenizerFast(tokenizer_object=core, model_max_length=POSITIONS - 2, **names)


def export(name: str, tokenizer: PreTrainedTokenizerFast, texts: list[str]) -> dict[str, Any]:
    """Return how the export of an architecture's small model went."""
    model = small_model(name, vocab_size=len(tokenizer), max_position_embeddings=POSITIONS, pad_token_id=1)
    with torch.inference_mode():
        logits = model(**tokenizer(texts, padding=True, truncation=True, return_tensors="pt")).logits
    about = {"tokenizer": kind_of(name), "spread": float(logits.std(0).min())}
    with TemporaryDirectory(prefix="crild-") as folder:
        try:
            found = crild.export(
                model=model, tokenizer=tokenizer, data=pd.DataFrame({"text": texts}), output=f"{folder}/{name}"
            )
        except CrildError as error:
            return about | {"taken": False, "line": str(error)}
    return about | {"taken": True, "largest_difference": found.largest_difference, "bytes": found.bytes}


def markdown(result: dict[str, Any]) -> str:
    """Return the page beside the JSON file."""
    versions, found = result["versions"], result["architectures"]
    taken = [each for each in found.values() if each["taken"]]
    largest = max((each["largest_difference"] for each in taken), default=0.0)
    lines = [
        "# Do exported files answer as PyTorch does?",
        "",
        f"Written by `python -m benchmarks.export_parity`: a small random classifier of each architecture of "
        f"`tests/architectures.py` ({len(found)}), exported by `crild export` to ONNX in fp32, its logits beside "
        f"PyTorch's on {result['rows']}. The tokenizers are learned from these rows, of the kind that the architecture "
        "comes with. *Spread*: the standard deviation of a logit over the rows, the smallest of three.",
        "",
        f"transformers {versions['transformers']}, torch {versions['torch']}; {result['machine']['processor']}, "
        f"{result['machine']['threads']} thread(s). {len(taken)} of {len(found)} are taken; the largest difference is "
        f"{largest:.1g}, and `crild export` refuses more than {MOST_DIFFERENCE:g}.",
        "",
        "| architecture | tokenizer | spread | largest difference | |",
        "|---|---|---|---|---|",
    ]
    for name, each in found.items():
        verdict = "taken" if each["taken"] else f"refused: {each['line']}"
        difference = f"{each['largest_difference']:.1g}" if each["taken"] else "-"
        lines.append(f"| {name} | {each['tokenizer']} | {each['spread']:.2g} | {difference} | {verdict} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", default=list(ARCHITECTURES), choices=list(ARCHITECTURES))
    parser.add_argument("--output", default="benchmarks/results/export_parity.json")
    options = parser.parse_args()
    quiet_libraries()
    texts, rows = read_texts()
    tokenizers = {kind: learned(kind, texts) for kind in ("WordPiece", "BPE", "Unigram")}
    found = {name: export(name, tokenizers[kind_of(name)], texts) for name in options.only}
    result = {"rows": rows, "architectures": found, **environment()}
    result["machine"]["processor"] = processor()
    path = Path(options.output)
    path.write_text(json.dumps(result, indent=2) + "\n")
    path.with_suffix(".md").write_text(markdown(result))
    print(markdown(result))


if __name__ == "__main__":
    main()
