"""Distances and angles: points that coincide, rounding, a large common part."""

from dataclasses import replace

import pytest
import torch

from crild.features import Features, LayerFeatures
from crild.objectives import compose, weighted_mean
from tests.objectives.situations import SITUATIONS, draw, leaves, shape
from tests.oracles import mean


@pytest.mark.parametrize(
    ("features", "layer_map"), [("ckd", "uniform"), ("mgskd", "uniform"), ("pkd", "last"), ("rail-kd", "last")]
)
def test_points_that_coincide_give_finite_gradients(features, layer_map):
    of = shape(layers=4, width=6, heads=3)
    objective, student, teacher = compose(features, layer_map, of, of).double(), draw(1, of), draw(2, of)
    for layer in student.layers.values():  # all tokens, texts and layers alike
        layer.hidden.copy_(torch.ones_like(layer.hidden))
    teacher.layers[2].hidden[:, 1] = teacher.layers[2].hidden[:, 0]
    inputs = leaves(student, objective)
    terms = objective(student, teacher)
    gradients = torch.autograd.grad(sum(total for total, _ in terms.values()), inputs, allow_unused=True)
    assert all(total.isfinite() for total, _ in terms.values())
    assert all(g is None or g.isfinite().all() for g in gradients)


def test_distances_and_angles_survive_a_large_common_part_in_single_precision():
    objective, student, teacher = SITUATIONS["ckd, 3 layers, long texts"].make()
    expected = objective(student, teacher)

    def shifted(x):
        layers = {i: LayerFeatures((f.hidden + 100).float()) for i, f in x.layers.items()}
        return Features(x.mask, layers)

    for term, found in objective(shifted(student), shifted(teacher)).items():
        assert mean(found) == pytest.approx(mean(expected[term]), rel=1e-3)


@pytest.mark.parametrize("features", ["ckd", "mgskd"])
def test_a_distance_that_is_a_rounding_error_gives_no_huge_gradient(features):
    # In single precision 1e-5 cannot be told from 0 between vectors of length 2.5; its reciprocal would be 1e5.
    of = shape(layers=3, width=6, heads=3)
    objective = compose(features, "uniform", of, of)
    student, teacher = (
        replace(x, layers={i: LayerFeatures(layer.hidden.float()) for i, layer in x.layers.items()})
        for x in (draw(1, of), draw(2, of))
    )
    for layer in student.layers.values():
        layer.hidden[:, 1] = layer.hidden[:, 0] + 1e-5
    inputs = leaves(student, objective)
    terms = objective(student, teacher)
    loss = sum(total / count for total, count in terms.values())
    assert all(g.abs().max() < 10 for g in torch.autograd.grad(loss, inputs))


@pytest.mark.parametrize("lengths", [(1, 1, 1), (2, 1), (4,)])
@pytest.mark.parametrize("features", ["ckd", "mgskd"])
def test_a_batch_without_relations_reads_zero_and_not_nan(features, lengths):
    of = shape(width=6, heads=2)
    objective = compose(features, "uniform", of, of).double()
    student, teacher = draw(1, of, lengths), draw(2, of, lengths)
    inputs = leaves(student, objective)
    terms = objective(student, teacher)
    loss = weighted_mean(terms, objective.weights)
    assert loss.isfinite()
    assert all(g is None or g.isfinite().all() for g in torch.autograd.grad(loss, inputs, allow_unused=True))
    if features == "mgskd" and len(lengths) < 3:
        assert float(weighted_mean({"x": terms["sample_angles"]}, {"x": 1.0}).detach()) == 0.0
