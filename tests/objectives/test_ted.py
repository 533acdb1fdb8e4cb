"""TED: filters learn the task first, then the student's go on."""

import math
from dataclasses import replace

import pytest
import torch

from crild.tasks.registry import TASK_TYPES
from tests.objectives.situations import SITUATIONS, Situation, check_values, shape, situations_of
from tests.oracles import average, cross_entropy, mean, through


@pytest.mark.parametrize("name", situations_of("ted"))
def test_values_agree_with_slow_loops(name):
    check_values(name)


def only_mapped(objective, student, teacher):
    """What the filter stage captures: the layers that the objective asks for."""
    return tuple(
        replace(x, layers={i: x.layers[i] for i in objective.layers(side)})
        for side, x in (("student", student), ("teacher", teacher))
    )


@pytest.mark.parametrize("outputs", [3, 1])
@pytest.mark.parametrize("features", ["ted", "ted+embeddings"])
def test_filters_learn_the_task_from_the_first_token_of_each_layer(features, outputs):
    missing = float("nan")
    labels = [1.0, missing, 2.0] if outputs == 3 else [0.4, -1.2, missing]
    situation = Situation(features, "uniform", shape(outputs=outputs), shape(layers=5, width=18, outputs=outputs))
    objective, student, teacher = situation.make()
    part = objective.parts[0]
    loss = TASK_TYPES["regression" if outputs == 1 else "classification"].loss
    student, teacher = only_mapped(objective, student, teacher)
    terms = objective.filter_terms(student, teacher, torch.tensor(labels, dtype=torch.float64), loss)
    expected = []
    for side, x, layers in (("student", student, (1, 2, 3)), ("teacher", teacher, (2, 4, 5))):
        losses = []
        for layer in layers:
            for b, label in enumerate(labels):
                if not math.isnan(label):
                    filtered = through(part.filters[f"{side}_{layer}"], x.layers[layer].hidden[b][0].tolist())
                    logits = through(part.heads[f"{side}_{layer}"], filtered)
                    losses.append((logits[0] - label) ** 2 if outputs == 1 else cross_entropy(logits, label))
        expected.append(average(losses))
    assert sorted(mean(term) for term in terms.values()) == pytest.approx(sorted(expected), rel=1e-10)
    assert len(terms) == 2
    assert all(int(count) == 2 for _, count in terms.values())
    sum(total for total, _ in terms.values()).backward()
    for name, parameter in part.named_parameters():
        assert parameter.grad.abs().sum() > 0, name


def test_ild_goes_on_with_the_students_filters_alone():
    objective, student, teacher = SITUATIONS["ted, unequal widths"].make()
    objective(student, teacher)["filtered"][0].backward()
    for name, parameter in objective.parts[0].named_parameters():
        if name.startswith("filters.student_"):
            assert parameter.grad.abs().sum() > 0
        else:
            assert parameter.grad is None or not parameter.grad.any(), name
