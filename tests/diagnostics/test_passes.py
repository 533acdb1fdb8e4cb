"""What passes over rows give: the same however rows are cut into batches, and the numbers of plain computations."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional as F

from crild.diagnostics import Losses, batches, layer_vectors, measured
from crild.models.shape import Shape
from crild.objectives import compose
from tests.architectures import small_model
from tests.conftest import reviews
from tests.tiny import tiny_tokenizer

MODEL, TEACHER = small_model("bert"), small_model("bert", seed=1)
TEXTS = pd.DataFrame({"text": [each["text"] for each in reviews(23)], "labels": [float(i % 2) for i in range(23)]})


@cache
def rows(batch_size=32, labelled=23, all_rows=True):
    """The texts in batches; the labels of the first so many of them, which are all that is left if not ``all_rows``."""
    frame = TEXTS.assign(labels=[label if i < labelled else None for i, label in enumerate(TEXTS["labels"])])
    return batches(frame if all_rows else frame[:labelled], tiny_tokenizer(), 16, batch_size)


def alone():
    """Each text in a batch of its own, without padding, in the order of the others; and its label."""
    return [(inputs(batch), batch["labels"]) for batch in rows(1)]


def inputs(batch):
    return {name: x for name, x in batch.items() if name in ("input_ids", "attention_mask")}


def test_loss_and_score_are_those_of_each_row_by_itself():
    logits = torch.cat([MODEL(**each).logits for each, _ in alone()]).detach()
    labels = torch.cat([label for _, label in alone()]).long()
    for size in (4, 32):
        found = measured(MODEL, rows(size))
        assert found["loss"] == pytest.approx(float(F.cross_entropy(logits, labels)), rel=1e-5)
        assert found["score"] == pytest.approx(float((logits.argmax(-1) == labels).float().mean()))
        assert float(Losses(rows(size))(MODEL)["task"].detach()) == pytest.approx(found["loss"], rel=1e-5)
    assert measured(MODEL, rows(), lambda truth, answers: float(len(truth)))["score"] == 23


def test_rows_without_a_label_are_left_out():
    found = measured(MODEL, rows(4, 9), lambda truth, answers: float(len(truth)))
    assert found == pytest.approx(measured(MODEL, rows(4, 9, False)) | {"score": 9}, rel=1e-5)


def test_the_loss_to_the_teacher_is_the_weighted_sum_of_the_objectives_terms():
    shape = Shape.of(MODEL.config)
    parts = {name: compose(name, "uniform", shape, shape) for name in ("hidden", "attention-kl")}
    both = compose("hidden+0.5*attention-kl", "uniform", shape, shape)
    each = {name: ild(Losses(rows(4), TEACHER, part), MODEL) for name, part in parts.items()}
    whole = Losses(rows(5), TEACHER, both)
    found = whole(MODEL)
    assert float(found["ild"].detach()) == pytest.approx(each["hidden"] + 0.5 * each["attention-kl"], rel=1e-5)
    assert float(found["task"].detach()) == pytest.approx(measured(MODEL, rows())["loss"], rel=1e-5)
    assert found["ild"].requires_grad
    assert ild(whole, TEACHER) == pytest.approx(0, abs=1e-6)
    ours, theirs = (layer_states(model) for model in (MODEL, TEACHER))
    plain = np.mean([(x - y) ** 2 for x, y in zip(ours, theirs, strict=True)])
    last = compose("hidden", "last", shape, shape)
    assert ild(Losses(rows(4), TEACHER, last), MODEL) == pytest.approx(plain, rel=1e-5)


def ild(losses, model):
    return losses(model)["ild"].item()


def layer_states(model):
    """Every number of the last layer's real tokens, text by text."""
    return torch.cat([model.bert(**each).last_hidden_state[0] for each, _ in alone()]).flatten().tolist()


@pytest.mark.parametrize("name", ["bert", "modernbert"])
def test_a_layers_vector_is_what_the_head_reads_of_it(name):
    model = small_model(name, **({"classifier_pooling": "mean"} if name == "modernbert" else {}))
    found = layer_vectors(model, rows(4))
    assert len(found) == model.config.num_hidden_layers + 1
    for row, (each, _) in enumerate(alone()):
        with torch.no_grad():
            states = model(**each, output_hidden_states=True).hidden_states
        for layer, values in enumerate(found):
            read = states[layer][0, 0] if name == "bert" else states[layer][0].mean(0)
            assert values[row] == pytest.approx(read.numpy(), abs=1e-4)
