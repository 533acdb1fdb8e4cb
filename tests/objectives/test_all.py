"""What holds for every objective: gradients, padding, order, counts, zero."""

import pytest
import torch

from crild.features import Features, LayerFeatures
from crild.objectives import compose
from tests.objectives.situations import ALL, SITUATIONS, TENSORS, draw, grown, leaves, shape, with_leaves
from tests.oracles import SLOW, mean


def frozen(objective, name) -> bool:
    """TED: the teacher's filters stay as they are, and heads are for the stage before."""
    return "teacher_" in name if ".filters." in name else ".heads." in name


@pytest.mark.parametrize("name", ALL)
def test_gradients_equal_finite_differences(name):
    objective, student, teacher = ALL[name].make()
    objective.eval()
    learned = [key for key, _ in objective.named_parameters() if not frozen(objective, key)]
    inputs = leaves(student, objective)

    def loss(*tensors):
        given = with_leaves(student, objective, tensors[: len(inputs)])
        parameters = dict(zip(learned, tensors[len(inputs) :], strict=True))
        terms = torch.func.functional_call(objective, parameters, (given, teacher))
        return tuple(total / count for total, count in terms.values())

    parameters = dict(objective.named_parameters())
    assert torch.autograd.gradcheck(loss, [*inputs, *(parameters[key] for key in learned)], fast_mode=True)


@pytest.mark.parametrize("name", ALL)
def test_every_term_moves_some_tensor_of_the_student(name):
    objective, student, teacher = ALL[name].make()
    inputs = leaves(student, objective)
    for term, (total, _) in objective.eval()(student, teacher).items():
        gradients = torch.autograd.grad(total, inputs, retain_graph=True, allow_unused=True)
        assert sum(float(g.abs().sum()) for g in gradients if g is not None) > 1e-6, term


@pytest.mark.parametrize("content", [1e3, -1e9])
@pytest.mark.parametrize("name", ALL)
def test_padding_changes_neither_values_nor_gradients(name, content):
    objective, student, teacher = ALL[name].make()
    objective.eval()
    results = []
    for ours, theirs in ((student, teacher), (grown(student, 3, content), grown(teacher, 3, content))):
        inputs = leaves(ours, objective)
        terms = objective(ours, theirs)
        loss = sum(total / count for total, count in terms.values())
        results.append(
            (terms, torch.autograd.grad(loss, [*inputs, *objective.parameters()], allow_unused=True), inputs)
        )
    (before, plain, _), (after, padded, inputs) = results
    for term in objective.terms:
        assert mean(after[term]) == pytest.approx(mean(before[term]), rel=1e-12, abs=1e-14)
        assert int(after[term][1]) == int(before[term][1])
    mask = student.mask.bool()
    for k, (a, b) in enumerate(zip(plain, padded, strict=True)):
        if a is None or b is None:
            assert a is b
        elif k >= len(inputs) or a.shape == b.shape:  # a learned map, or logits
            torch.testing.assert_close(b, a)
        else:
            rows = a.transpose(1, a.dim() - 2)
            grown_rows = b.transpose(1, b.dim() - 2)
            torch.testing.assert_close(grown_rows[:, : mask.shape[1]][mask], rows[mask], rtol=1e-9, atol=1e-13)
            assert not grown_rows[:, mask.shape[1] :].any()
            assert not grown_rows[:, : mask.shape[1]][~mask].any()


@pytest.mark.parametrize("name", ALL)
def test_the_order_of_a_batch_does_not_matter(name):
    # Not even to mgskd's samples, which are related to each other: all triples of the batch count.
    objective, student, teacher = ALL[name].make()
    objective.eval()
    order = torch.arange(len(student.mask)).roll(1)
    before, after = objective(student, teacher), objective(student.take(order), teacher.take(order))
    for term in objective.terms:
        assert mean(after[term]) == pytest.approx(mean(before[term]), rel=1e-12, abs=1e-14)


@pytest.mark.parametrize("name", SITUATIONS)
def test_sums_and_counts_add_up_over_micro_batches(name):
    # Samples of mgskd are related within a micro-batch, and a transport plan is one micro-batch's own.
    objective, student, teacher = SITUATIONS[name].make()
    whole = objective(student, teacher)
    pieces = [torch.tensor([0]), torch.arange(1, len(student.mask))]
    parts = [objective(student.take(rows), teacher.take(rows)) for rows in pieces]
    for term in set(objective.terms) - {"sample_angles"}:
        assert sum(int(part[term][1]) for part in parts) == int(whole[term][1])
        total = sum(float(part[term][0].detach()) for part in parts)
        assert total == pytest.approx(float(whole[term][0].detach()), rel=1e-12, abs=1e-14)


@pytest.mark.parametrize("name", ALL)
def test_counts_are_known_before_the_forward_pass(name):
    objective, student, teacher = ALL[name].make()
    found = {term: int(count) for term, (_, count) in objective(student, teacher).items()}
    assert {term: int(count) for term, count in objective.counts(teacher.mask).items()} == found
    rows, real = teacher.mask.shape[0], int(teacher.mask.sum())
    a_token = ("hidden", "embeddings", "attention", "attention_scores", "value_relation", "filtered")
    for term, count in found.items():
        if term == "sample_angles":
            assert count == rows * (rows - 1) * (rows - 2)
        else:
            assert count == (real if term in a_token or "relation_" in term else rows)


NEVER_ZERO = ("rail-kd", "alp-kd", "ted")  # as their docstrings say


@pytest.mark.parametrize(
    ("features", "layer_map"),
    [
        (features, layer_map)
        for features in SLOW
        for layer_map in ("last", "uniform", "emd")
        if features not in NEVER_ZERO and not (layer_map == "emd" and features in ("ckd", "mgskd"))
    ],
)
def test_a_perfect_student_reads_zero(features, layer_map):
    same = shape(layers=3, width=6, heads=3)
    objective = compose(features, layer_map, same, same).double().eval()
    student = draw(5, same, (6, 4, 7, 1))
    for term, (total, count) in objective(student, student).items():
        assert int(count) > 0
        assert float(total) == pytest.approx(0.0, abs=1e-12), term


@pytest.mark.parametrize("features", SLOW)
def test_a_student_is_consistent_with_itself(features):
    of, teacher = shape(width=12), shape(layers=5, width=18)
    objective = compose(features, "all" if features == "alp-kd" else "uniform", of, teacher).double()
    if not objective.mixable:
        return
    mixed, clean = draw(6, of), draw(7, of)
    for total, _ in objective.consistency(mixed, mixed).values():
        assert float(total.detach()) == pytest.approx(0.0, abs=1e-12)
    x = leaves(mixed, objective)
    terms = objective.consistency(mixed, clean)
    counts = objective.counts(clean.mask)
    assert set(terms) == set(objective.terms)
    for term, (total, count) in terms.items():
        assert int(count) == int(counts[term])
        assert total > 0
        assert any(
            g is not None and g.any() for g in torch.autograd.grad(total, x, retain_graph=True, allow_unused=True)
        )


@pytest.mark.parametrize("features", ["hidden", "attention-kl", "attention-mse", "relations", "value-relation", "pkd"])
def test_consistency_compares_a_layer_with_itself_under_any_map(features):
    of = shape(layers=3)
    student, clean = draw(6, of), draw(7, of)
    for layer_map in ("uniform", "emd", "2-3", "random"):
        objective = compose(features, layer_map, of, shape(layers=5)).double().eval()
        layers = {"2-3": [2], "random": [1, 2]}.get(layer_map, [1, 2, 3])
        expected = SLOW[features](
            getattr(objective.parts[0], "part", objective.parts[0]), student, clean, [(i, i) for i in layers]
        )
        for term, found in objective.consistency(student, clean).items():
            assert mean(found) == pytest.approx(expected[term], rel=1e-10)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("features", SLOW)
def test_losses_are_computed_in_full_precision_whatever_was_captured(features, dtype):
    of = shape(width=12)
    torch.manual_seed(0)
    objective = compose(features, "all" if features == "alp-kd" else "uniform", of, of)

    def cast(x, to):
        layers = {i: LayerFeatures(*(getattr(f, n).to(to) for n in TENSORS)) for i, f in x.layers.items()}
        return Features(x.mask, layers, x.logits.to(to), x.words)

    halves = cast(draw(1, of), dtype), cast(draw(2, of), dtype)
    found = objective(*halves)
    expected = objective(*(cast(x, torch.float32) for x in halves))
    for term in objective.terms:
        assert found[term][0].dtype == torch.float32
        assert mean(found[term]) == pytest.approx(mean(expected[term]), rel=1e-6)
