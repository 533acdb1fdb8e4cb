"""Optimal transport: plans against a linear programme, masses by hand and over training passes."""

import numpy as np
import pytest
import torch

from crild.features import LayerFeatures
from crild.objectives import compose
from crild.objectives.transport import new_masses, optimal_plan
from tests.objectives.situations import EMD, Situation, draw, shape
from tests.oracles import cheapest, dot, mean, slow_costs, texts, tokens


def make_emd(name):
    """A situation with an optimal transport plan, and its costs by loops."""
    situation = EMD[name]
    objective, student, teacher = situation.make()
    return objective, student, teacher, slow_costs(situation, objective.parts[0].part, student, teacher)


@pytest.mark.parametrize("name", EMD)
def test_held_out_transport_costs_the_cheapest_plan_between_uniform_masses(name):
    objective, student, teacher, costs = make_emd(name)
    m, n = EMD[name].student.layers, EMD[name].teacher.layers
    objective.parts[0].student_mass.copy_(torch.linspace(1, 2, m) / torch.linspace(1, 2, m).sum())
    found = objective.eval()(student, teacher)
    for term in objective.terms:
        plan = cheapest(np.full(m, 1 / m), np.full(n, 1 / n), costs[term])
        assert mean(found[term]) == pytest.approx((plan * costs[term]).sum(), rel=1e-10)


@pytest.mark.parametrize("name", EMD)
def test_masses_follow_cost_attention_over_training_passes(name):
    objective, student, teacher, costs = make_emd(name)
    part, m, n = objective.train().parts[0], EMD[name].student.layers, EMD[name].teacher.layers
    masses = {term: ([1 / m] * m, [1 / n] * n) for term in objective.terms}
    for _ in range(3):
        found = objective(student, teacher)
        for row, term in enumerate(objective.terms):
            ours, theirs = masses[term]
            plan = cheapest(np.array(ours), np.array(theirs), costs[term])
            assert mean(found[term]) == pytest.approx((plan * costs[term]).sum(), rel=1e-8)
            per_mass = [sum(plan[i, j] * costs[term][i, j] for j in range(n)) / ours[i] for i in range(m)]
            new = [1 / c / sum(1 / d for d in per_mass) for c in per_mass]
            per_mass = [sum(plan[i, j] * costs[term][i, j] for i in range(m)) / theirs[j] for j in range(n)]
            masses[term] = (new, [1 / c / sum(1 / d for d in per_mass) for c in per_mass])
            assert part.student_mass[row].tolist() == pytest.approx(masses[term][0], rel=1e-6)
            assert part.teacher_mass[row].tolist() == pytest.approx(masses[term][1], rel=1e-6)


def test_masses_start_uniform_change_in_training_alone_and_are_in_checkpoints():
    situation = Situation("hidden+attention-mse", "emd")
    objective, student, teacher = situation.make()
    names = [f"parts.{p}.{side}_mass" for p in (0, 1) for side in ("student", "teacher")]
    before = {name: x.clone() for name, x in objective.state_dict().items()}
    assert set(names) <= set(before)
    for name in names:
        assert before[name].flatten().tolist() == pytest.approx([1 / 3] * 3 if "student" in name else [1 / 5] * 5)
    objective.eval()(student, teacher)
    assert all(objective.state_dict()[name].equal(before[name]) for name in names)
    objective.train()(student, teacher)
    after = {name: x.clone() for name, x in objective.state_dict().items()}
    assert not any(after[name].equal(before[name]) for name in names)
    assert not after[names[0]].equal(after[names[2]]), "hidden states and attention have masses of their own"
    again, _, _ = situation.make()
    again.load_state_dict(after)
    expected, found = objective.train()(student, teacher), again.train()(student, teacher)
    assert all(mean(found[term]) == mean(expected[term]) for term in objective.terms)


def test_the_plan_is_a_constant_in_the_gradient():
    objective, student, teacher, costs = make_emd("hidden, emd")
    x = [student.layers[i].hidden.requires_grad_() for i in (1, 2, 3)]
    total, count = objective.train()(student, teacher)["hidden"]
    found = torch.autograd.grad(total / count, x)
    plan = cheapest(np.full(3, 1 / 3), np.full(5, 1 / 5), costs["hidden"])
    real = [len(positions) for _, positions in texts(teacher)]
    for i in range(3):
        for b, position in tokens(teacher):
            for c in range(12):
                at = float(x[i][b, position, c].detach())
                slopes = [2 * (at - float(teacher.layers[j + 1].hidden[b, position, c])) for j in range(5)]
                expected = dot(plan[i].tolist(), slopes) / 12 / sum(real)
                assert float(found[i][b, position, c]) == pytest.approx(expected, rel=1e-8, abs=1e-12)


def test_layers_that_equal_their_teachers_do_not_divide_by_zero():
    same = shape()
    torch.manual_seed(0)
    objective = compose("hidden", "emd", same, same).double().train()
    student = draw(3, same)
    part, x = objective.parts[0], student.layers[2].hidden.requires_grad_()
    for _ in range(3):
        total, _ = objective(student, student)["hidden"]
        (gradient,) = torch.autograd.grad(total, x, allow_unused=True)
        assert float(total.detach()) == pytest.approx(0.0, abs=1e-12)
        assert gradient is None or gradient.isfinite().all()
        assert part.student_mass[0].tolist() == pytest.approx([1 / 3] * 3)
        assert part.teacher_mass[0].tolist() == pytest.approx([1 / 3] * 3)
    # Only layer 1 equals its teacher: it keeps its mass, the others share the rest.
    teacher = draw(4, same)
    teacher.layers[1] = LayerFeatures(student.layers[1].hidden)
    objective(student, teacher)
    assert float(part.student_mass[0, 0]) == pytest.approx(1 / 3)
    assert float(part.student_mass.sum()) == pytest.approx(1.0)
    assert part.student_mass.isfinite().all()


@pytest.mark.parametrize(("m", "n"), [(3, 5), (1, 4), (4, 1), (2, 3), (6, 12), (5, 12), (5, 5), (12, 3)])
def test_plans_cost_what_a_linear_programme_says(m, n):
    for seed in range(40):
        rng = np.random.default_rng([m, n, seed])
        ours, theirs = rng.random(m) + 1e-3, rng.random(n) + 1e-3
        if seed % 4 == 0:
            ours, theirs = np.ones(m), np.ones(n)
        ours, theirs = ours / ours.sum(), theirs / theirs.sum()
        costs = rng.random((m, n)) * 10.0 ** rng.integers(-3, 3)
        if seed % 5 == 1:
            costs[:, rng.integers(n)] = 0.0
        plan = optimal_plan(ours, theirs, costs)
        assert plan.shape == (m, n)
        assert (plan >= -1e-15).all()
        np.testing.assert_allclose(plan.sum(1), ours, rtol=0, atol=1e-12)
        np.testing.assert_allclose(plan.sum(0), theirs, rtol=0, atol=1e-12)
        best = (cheapest(ours, theirs, costs) * costs).sum()
        assert (plan * costs).sum() == pytest.approx(best, rel=1e-8, abs=1e-8)


@pytest.mark.parametrize(
    ("masses", "paid", "expected"),
    [
        ([0.5, 0.5], [0.1, 0.3], [0.75, 0.25]),  # c = 0.2 and 0.6
        ([0.2, 0.8], [0.1, 0.1], [0.2, 0.8]),  # c = 0.5 and 0.125: 1 / c = 2 and 8
        ([0.25, 0.25, 0.5], [0.1, 0.2, 0.1], [2 / 7, 1 / 7, 4 / 7]),  # 1 / c = 2.5, 1.25 and 5
        ([0.4, 0.2, 0.4], [0.0, 0.1, 0.1], [0.4, 0.2, 0.4]),  # the first stays; 1 / c = 2 and 4 share 0.6
        ([0.1, 0.45, 0.45], [0.0, 0.09, 0.27], [0.1, 0.675, 0.225]),  # 1 / c = 5 and 5 / 3 share 0.9
        ([0.3, 0.7], [0.0, 0.2], [0.3, 0.7]),
        ([0.3, 0.7], [0.0, 0.0], [0.3, 0.7]),
        ([1.0], [0.4], [1.0]),
    ],
)
def test_new_masses_by_hand(masses, paid, expected):
    assert new_masses(np.array(masses), np.array(paid)).tolist() == pytest.approx(expected, rel=1e-12)
