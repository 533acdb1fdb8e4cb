"""One small classifier with a WordPiece tokenizer, and what is exported of it: each export takes seconds."""

import io
import json
import string
from contextlib import redirect_stderr, redirect_stdout
from types import SimpleNamespace

import onnx_ir
import pandas as pd
import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

import crild
from crild.cli import main
from crild.serving import int8
from crild.serving import onnx as graphs
from tests.conftest import reviews, write_jsonl
from tests.tiny import WORDS

LETTERS = string.ascii_lowercase + string.digits
WHOLE = [word for word in WORDS if len(word) > 1]
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *LETTERS, *(f"##{each}" for each in LETTERS), *WHOLE]
KEPT = ["good film", "bad film", "the plot is great", "awful", "very nice", "a poor story"]  # texts that a trim goes by


def piece_tokenizer() -> PreTrainedTokenizerFast:
    """Whole words of the films, and every letter: no word of letters is unknown."""
    core = Tokenizer(models.WordPiece({piece: i for i, piece in enumerate(PIECES)}, unk_token="[UNK]"))
    core.normalizer, core.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.Whitespace()
    core.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=core, model_max_length=64, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]",
        sep_token="[SEP]", model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )  # fmt: skip


@pytest.fixture(scope="session")
def pieces(tmp_path_factory):
    """The folder of a BERT of two layers that was trained on the films for a second."""
    tokenizer = piece_tokenizer()
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_attention_heads=4, num_hidden_layers=2, intermediate_size=48,
        max_position_embeddings=64, pad_token_id=0, num_labels=2, id2label={0: "neg", 1: "pos"},
        label2id={"neg": 0, "pos": 1}, hidden_dropout_prob=0.0,
    )  # fmt: skip
    model = BertForSequenceClassification(config)
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    rows = reviews(160)
    for step in range(40):
        some = [rows[(16 * step + i) % len(rows)] for i in range(16)]
        batch = tokenizer([row["text"] for row in some], padding=True, return_tensors="pt")
        optimiser.zero_grad()
        model(**batch, labels=torch.tensor([row["label"] == "pos" for row in some]).long()).loss.backward()
        optimiser.step()
    folder = tmp_path_factory.mktemp("pieces")
    model.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def in_fp32(pieces, film_data, tmp_path_factory):
    """The classifier in fp32, and its nodes at the ends as they were found."""
    folder, ends, original = tmp_path_factory.mktemp("fp32") / "served", [], graphs.to_onnx

    def to_onnx(model, sample):
        program = original(model, sample)
        ends.extend(graphs.end_nodes(program, model))
        return program

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(graphs, "to_onnx", to_onnx)
        found = crild.export(model=pieces, data=film_data, output=folder, threads=1)
    return SimpleNamespace(folder=folder, found=found, ends=ends)


@pytest.fixture(scope="session")
def spoiled(pieces, film_data, tmp_path_factory):
    """The classifier with the tokens of `KEPT`, and every int8 file of it spoiled: it answers each row alike."""
    folder, original = tmp_path_factory.mktemp("spoiled") / "served", int8.quantise

    def quantise(source, scheme, ends, path):
        original(source, scheme, ends, path)
        program = onnx_ir.load(path)
        bias = next(value for name, value in program.graph.initializers.items() if name.endswith("classifier.bias"))
        bias.const_value = onnx_ir.tensor([50.0, -50.0], onnx_ir.DataType.FLOAT, name=bias.name)
        graphs.save(program, path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(int8, "quantise", quantise)
        texts = pd.DataFrame({"text": KEPT})
        found = crild.export(model=pieces, data=film_data, output=folder, threads=1, quantize="int8",
                             trim_vocabulary=texts)  # fmt: skip
    return SimpleNamespace(folder=folder, found=found)


@pytest.fixture(scope="session")
def printed(pieces, film_data, tmp_path_factory):
    """The same in int8, by the command line: what it prints."""
    folder = tmp_path_factory.mktemp("printed") / "served"
    texts = write_jsonl(folder.parent / "texts.jsonl", [{"text": text} for text in KEPT])
    words = ["export", pieces, "--format", "onnx", "--quantize", "int8", "--data", film_data, "--json", "--output",
             folder, "--trim-vocabulary", texts, "--threads", 1, "--tolerance", "0.5"]  # fmt: skip
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main([str(word) for word in words])
    assert code == 0, err.getvalue()
    return SimpleNamespace(folder=folder, found=json.loads(out.getvalue()), err=err.getvalue())
