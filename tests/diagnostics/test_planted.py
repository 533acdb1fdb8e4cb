"""Planted: a model that learned random labels by heart, and the same model trained on the true ones."""

import pandas as pd
import pytest
import torch
from transformers import AutoModelForSequenceClassification

from crild.diagnostics import batches, measured, memorised_flips, noise_robustness
from crild.diagnostics.passes import logits_of
from crild.diagnostics.rows import labels_of
from crild.metrics import accuracy
from crild.tasks.registry import TASK_TYPES
from tests.conftest import reviews
from tests.tiny import save_tiny, tiny_tokenizer

NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
ROWS = 48


def frame(rows, labels=None):
    true = [float(row["label"] == "pos") for row in rows]
    return pd.DataFrame({"text": [row["text"] for row in rows], "labels": true if labels is None else labels})


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Rows, and both models: fine-tuned until they answer their training rows as they were told."""
    folder = save_tiny(tmp_path_factory.mktemp("planted"), head=True, layers=1, **NO_DROPOUT)
    seen, held_out = reviews(ROWS), reviews(200, seed=1)
    draw = torch.randint(0, 2, (ROWS,), generator=torch.Generator().manual_seed(0)).float().tolist()
    told = {"true": frame(seen), "random": frame(seen, draw)}
    rows = {name: batches(each, tiny_tokenizer(), 32, 64) for name, each in told.items()}
    rows["held_out"] = batches(frame(held_out), tiny_tokenizer(), 32, 64)
    models = {}
    for name in told:
        model = AutoModelForSequenceClassification.from_pretrained(folder)
        optimiser = torch.optim.AdamW(model.parameters(), lr=4e-3)
        for _ in range(300):
            (batch,) = rows[name]
            loss = model(**{**batch, "labels": batch["labels"].long()}).loss
            if float(loss.detach()) < 0.01:
                break
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        models[name] = model.eval()
    return models, rows


def test_who_learned_random_labels_has_the_larger_gap(trained):
    models, rows = trained
    gaps = {}
    for name, model in models.items():
        train, held_out = measured(model, rows[name]), measured(model, rows["held_out"])
        assert train["score"] == 1
        gaps[name] = train["score"] - held_out["score"], held_out["loss"] - train["loss"]
    assert gaps["random"][0] > gaps["true"][0] + 0.2
    assert gaps["random"][1] > 2 * gaps["true"][1]


def test_and_is_less_robust_to_noise_on_its_weights(trained):
    models, rows = trained
    curves = {}
    for name, model in models.items():
        curves[name] = noise_robustness(model, lambda m, of=rows[name]: measured(m, of, accuracy), (0.3,), 5, seed=1)
        assert curves[name]["score"]["mean"][0] == 1
    scores, losses = ({name: curve[what]["mean"] for name, curve in curves.items()} for what in ("score", "loss"))
    assert scores["random"][1] < scores["true"][1] - 0.02
    assert losses["random"][1] - losses["random"][0] > 3 * (losses["true"][1] - losses["true"][0])


def test_and_gives_back_the_flips(trained):
    models, rows = trained
    right, told = labels_of(rows["true"]), labels_of(rows["random"])
    flipped = right != told
    shares = {}
    for name, model in models.items():
        answers = logits_of(model, rows["true"]).numpy().argmax(-1)
        shares[name] = memorised_flips(TASK_TYPES["classification"], answers[flipped], told[flipped], right[flipped])
    assert 15 < flipped.sum() < 33
    assert shares["random"] == {"wrong": 1, "right": 0, "neither": 0}
    assert shares["true"] == {"wrong": 0, "right": 1, "neither": 0}
