"""The real encoder on real GLUE files: it runs, and the student scores with plain transformers what is reported."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import accuracy_score, f1_score
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from crild.cli import main


def accuracy_and_f1(truth, output):
    return (accuracy_score(truth, output) + f1_score(truth, output)) / 2


def correlation(truth, output):
    return (pearsonr(truth, output).statistic + spearmanr(truth, output).statistic) / 2


def read(path, header, text, pair, label, names):
    lines = path.read_bytes().decode("utf-8-sig").rstrip("\n").split("\n")[header:]
    cells = [line.split("\t") for line in lines]
    texts = [(row[text], row[pair]) if pair is not None else (row[text],) for row in cells]
    return texts, [names.index(row[label]) if names else float(row[label]) for row in cells]


CODES = ["0", "1"]
TASKS = {
    "MRPC": ((1, 3, 4, 0, CODES), accuracy_and_f1),
    "STS-B": ((1, 7, 8, 9, None), correlation),
    "SST-2": ((1, 0, None, 1, CODES), accuracy_score),
}


@pytest.mark.slow
@pytest.mark.needs_shared
@pytest.mark.parametrize("name", TASKS)
def test_real_task(name, glue, encoder, tmp_path, capsys):
    data, output = tmp_path / name, tmp_path / "out"
    data.mkdir()
    for file in ("train.tsv", "dev.tsv"):  # enough of it to tell rows and labels apart
        (data / file).write_bytes(b"".join((glue / name / file).read_bytes().splitlines(keepends=True)[:120]))
    code = main(
        ["distill", "--teacher", str(encoder), "--data", str(data), "--student", "3", "--method", "cr-ild",
         "--output", str(output), "--max-steps", "2", "--max-length", "64", "--no-control", "--json"]
    )  # fmt: skip
    out, err = capsys.readouterr()
    assert code == 0, err
    result = json.loads(out)
    assert result["task"] == name
    layout, metric = TASKS[name]
    texts, truth = read(data / "dev.tsv", *layout)
    tokenizer = AutoTokenizer.from_pretrained(output / "student")
    model = AutoModelForSequenceClassification.from_pretrained(output / "student").eval()
    logits = []
    with torch.no_grad():
        for start in range(0, len(texts), 64):
            columns = [list(column) for column in zip(*texts[start : start + 64], strict=True)]
            batch = tokenizer(*columns, truncation=True, padding=True, return_tensors="pt")
            logits.append(model(**batch).logits.numpy())
    values = np.concatenate(logits)
    rows = pd.read_parquet(output / "predictions.parquet")
    if name == "STS-B":  # of a hardly trained student many outputs are nearly equal: ranks follow the last bits
        assert np.allclose(values[:, 0], rows["student"], atol=1e-5)
        outputs = rows["student"].to_numpy()
    else:
        outputs = values.argmax(-1)
        assert [result["labels"][i] for i in outputs] == rows["student"].tolist()
    assert metric(truth, outputs) == pytest.approx(result["student"]["score"], abs=1e-6)
    assert len(texts) == result["rows"]["validation"]
