"""The consistency term: its gradient, its targets, its ramp; what the authors' script does."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch

from crild.methods import METHODS
from crild.methods.recipe import Recipe
from crild.models.capture import capture
from crild.models.cut import cut
from crild.models.interpolation import Mixing
from crild.objectives import OBJECTIVES, Shape, compose
from crild.training.distiller import Distiller
from crild.training.terms import CONSISTENCY, Consistency, consistency_terms
from tests.architectures import padded_batch, small_model

LAM = 0.8
CR_ILD = Recipe(intermediate_weight=1.0, interpolate=True, consistency=0.1)
MIXABLE = [
    (name, layer_map)
    for name, objective in OBJECTIVES.items()
    if objective.mixable
    for layer_map in dict.fromkeys([objective.default_map, "uniform", "emd"])
    if layer_map == objective.default_map or {"uniform": "fixed"}.get(layer_map, layer_map) in objective.maps
]
every_mixable_objective = pytest.mark.parametrize(("features", "layer_map"), MIXABLE)


def make(features="ah", layer_map="last", seed=2, double=False, dropout=0.0, recipe=CR_ILD, **changes):
    teacher = small_model("bert", seed=1)
    student = cut(small_model("bert", seed=seed), [0, 1, 2])
    for module in student.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = dropout
    torch.manual_seed(7)
    objective = compose(features, layer_map, Shape.of(student.config), Shape.of(teacher.config))
    if double:
        teacher, student, objective = teacher.double(), student.double(), objective.double()
    return Distiller(student, replace(recipe, **changes), teacher, objective).train()


def values(output):
    return {k: float(total / count) for k, (total, count) in output["terms"].items()}


def own_consistency(found):
    return {k: v for k, v in found.items() if k.startswith(CONSISTENCY)}


def mean(terms):
    return sum(total / count for total, count in terms.values())


def consistency_loss(module, batch):
    """0.1 times the consistency terms, with their gradient (the distiller's output detaches them for the log)."""
    return 0.1 * mean(own_consistency(Consistency().value(module.step(batch, LAM))))


def clean_targets(module, batch):
    with torch.no_grad():
        return capture(
            deepcopy(module.student).eval(), batch, module.objective.needs, module.objective.layers("student")
        )


def check_derivatives(gradient, weight, loss):
    """Check the largest of a gradient's entries, and some others, against central differences of ``loss``."""
    assert gradient.abs().max() > 1e-8
    step = 1e-6
    largest = gradient.abs().flatten().topk(3).indices.tolist()
    for place in [*largest, 0, weight.numel() // 2, weight.numel() - 1]:
        flat = weight.data.view(-1)
        before = float(flat[place])
        flat[place] = before + step
        above = loss()
        flat[place] = before - step
        below = loss()
        flat[place] = before
        assert float(gradient.flatten()[place]) == pytest.approx((above - below) / (2 * step), rel=1e-5, abs=1e-8)


@every_mixable_objective
def test_consistency_gradient_equals_finite_differences(features, layer_map):
    module, batch = make(features, layer_map, double=True), padded_batch()
    objective, mixing = module.objective, module.step(batch, LAM).mixing
    # Whatever an objective looks at, it depends on the embeddings of positions.
    weight = module.student.bert.embeddings.position_embeddings.weight
    clean = clean_targets(module, batch)  # a constant in the loss: held fixed while the weight is moved
    (gradient,) = torch.autograd.grad(consistency_loss(module, batch), weight)

    def with_fixed_targets() -> float:
        with torch.no_grad():
            mixed = capture(module.student, batch, objective.needs, objective.layers("student"), mixing)
            return 0.1 * float(mean(consistency_terms(objective, mixed, clean, mixing)))

    check_derivatives(gradient, weight, with_fixed_targets)


def test_consistency_on_attention_and_hidden_states_reaches_the_last_layers_queries():
    for features in ("ah", "qkv"):
        module, batch = make(features, double=True), padded_batch()
        objective, mixing = module.objective, module.step(batch, LAM).mixing
        weight = module.student.bert.encoder.layer[-1].attention.self.query.weight
        clean = clean_targets(module, batch)
        (gradient,) = torch.autograd.grad(consistency_loss(module, batch), weight)

        def with_fixed_targets() -> float:
            with torch.no_grad():
                mixed = capture(module.student, batch, objective.needs, [3], mixing)  # noqa: B023
                return 0.1 * float(mean(consistency_terms(objective, mixed, clean, mixing)))  # noqa: B023

        check_derivatives(gradient, weight, with_fixed_targets)


@pytest.mark.parametrize(
    ("features", "layer_map", "learned"),
    [
        ("rail-kd", "random", "student_map.weight"),
        ("rail-kd", "random", "student_map.bias"),
        ("rail-kd", "uniform", "student_map.weight"),
        ("rail-kd", "emd", "student_map.weight"),
        ("ted", "uniform", "filters.student_2.weight"),
    ],
)
def test_no_gradient_reaches_a_learned_map_through_the_targets(features, layer_map, learned):
    module, batch = make(features, layer_map, double=True), padded_batch()
    (part,) = module.objective.parts
    part = getattr(part, "part", part)
    layers = sorted({s for s, _ in module.objective.pairs})
    mixing = module.step(batch, LAM).mixing
    with torch.no_grad():
        mixed = capture(module.student, batch, ("hidden",), layers, mixing)
    clean, weight = clean_targets(module, batch), part.get_parameter(learned)
    (gradient,) = torch.autograd.grad(mean(consistency_terms(module.objective, mixed, clean, mixing)), weight)
    frozen = deepcopy(part)

    def loss(fixed=frozen):
        total, count = 0.0, 0
        for share, target in ((LAM, clean), (1 - LAM, clean.take(mixing.partners))):
            for layer in layers:
                ours = part.view(mixed.layers[layer], target.mask, layer, "own")
                theirs = fixed.view(target.layers[layer], target.mask, layer, "own")
                if features == "rail-kd":
                    assert ours.shape == theirs.shape == (5, 128)
                    values, real = (ours - theirs).square().sum(-1), torch.ones(5)
                else:
                    values, real = (ours - theirs).square().mean(-1), target.mask
                total = total + share * (values * real).sum() / len(layers)
            count = int(real.sum())  # as many tokens, in another order
        return total / count

    with torch.no_grad():
        check_derivatives(gradient, weight, lambda: float(loss()))
    (moving,) = torch.autograd.grad(loss(fixed=part), weight)  # had the targets moved along
    assert (moving - gradient).abs().max() > 1e-3 * gradient.abs().max()
    theirs = [p for name, p in part.named_parameters() if "teacher" in name]
    total = mean(consistency_terms(module.objective, mixed, clean, mixing))
    assert all(x is None for x in torch.autograd.grad(total, theirs, allow_unused=True))


def test_no_gradient_flows_into_the_targets():
    module = make(ema_decay=0.9)
    module(padded_batch(), lam=LAM, progress=1.0)["loss"].backward()
    assert all(p.grad is None and not p.requires_grad for p in module.ema.parameters())
    assert all(p.grad is None for p in module.teacher.parameters())


def test_consistency_agrees_with_a_loop_over_examples():
    module, batch = make("h"), padded_batch()
    mixing = module.step(batch, LAM).mixing
    with torch.no_grad():
        mixed = capture(module.student, batch, ("hidden",), [3], mixing).layers[3].hidden
        clean = capture(module.student, batch, ("hidden",), [3]).layers[3].hidden
    total, count = 0.0, 0
    for i, j in enumerate(mixing.partners.tolist()):
        for weight, target in ((LAM, i), (1 - LAM, j)):
            for token in batch["attention_mask"][target].nonzero().flatten().tolist():
                total += weight * float((mixed[i, token] - clean[target, token]).square().mean())
        count += int(batch["attention_mask"][i].sum())
    assert values(module(batch, lam=LAM))["consistency/hidden"] == pytest.approx(total / count, rel=1e-5)


@pytest.mark.parametrize(("features", "layer_map"), [("ahqkv", "last"), *MIXABLE])
def test_consistency_is_zero_for_equal_inputs_without_dropout(features, layer_map):
    one = padded_batch((6,))
    batch = {name: x.repeat(4, 1) for name, x in one.items()}
    module = make(features, layer_map)
    found = values(module(batch, lam=LAM, progress=1.0))
    terms = own_consistency(found)
    assert terms.keys() == {CONSISTENCY + term for term in module.objective.terms}
    assert all(abs(value) < 1e-6 for value in terms.values()), terms
    assert all(v > 1e-4 for k, v in found.items() if not k.startswith(CONSISTENCY)), found

    batch = padded_batch()
    output = module(batch, lam=LAM, progress=1.0)
    assert all(value > 1e-7 for value in own_consistency(values(output)).values()), values(output)
    assert output["loss"].isfinite()
    counts = module.counts(batch, LAM)
    assert {k: int(n) for k, (_, n) in output["terms"].items()} == {k: int(n) for k, n in counts.items()}


@every_mixable_objective
def test_consistency_sees_the_targets_mask_alone(features, layer_map):
    module, batch = make(features, layer_map, double=True), padded_batch()
    objective, mixing = module.objective, module.step(batch, LAM).mixing
    with torch.no_grad():
        mixed, clean = (
            capture(module.student, batch, objective.needs, objective.layers("student"), how) for how in (mixing, None)
        )
        # The mixed side's own mask is the union: it means nothing here.
        terms, again = (
            consistency_terms(objective, side, clean, mixing) for side in (mixed, replace(mixed, mask=clean.mask))
        )
        assert {k: float(total) for k, (total, _) in again.items()} == {k: float(x) for k, (x, _) in terms.items()}
        # Nor does it matter what stands at the target's padding.
        own = objective.consistency(mixed, clean)
        padding = ~clean.mask.bool()
        for layer in mixed.layers.values():
            if layer.hidden is not None:
                layer.hidden[padding] = 1e3
            for x in (layer.query, layer.key, layer.value):
                if x is not None:
                    x.transpose(1, 2)[padding] = -1e3
        for term, (total, _) in objective.consistency(mixed, clean).items():
            assert float(total) == pytest.approx(float(own[term][0]), rel=1e-8), term


def test_targets_come_from_a_pass_without_dropout_and_touch_no_random_stream():
    module, plain, batch = make(dropout=0.5), make(dropout=0.5, consistency=0.0), padded_batch()
    torch.manual_seed(0)
    with_term = module(batch, lam=LAM)
    state = torch.get_rng_state()
    torch.manual_seed(0)
    without = plain(batch, lam=LAM)
    assert torch.equal(state, torch.get_rng_state())
    assert values(with_term)["hidden"] == values(without)["hidden"]


def test_weights_follow_the_ramp():
    module = make()
    for progress in (0.0, 0.25, 1.0):
        output = module(padded_batch(), lam=LAM, progress=progress)
        assert output["weights"]["consistency/attention"] == pytest.approx(0.1 * progress)
        assert output["weights"]["attention"] == 1.0
        expected = sum(output["weights"][k] * v for k, v in values(output).items())
        assert float(output["loss"].detach()) == pytest.approx(expected, rel=1e-5)


def test_moving_average_follows_the_student():
    module = make(ema_decay=0.9)
    before = [p.clone() for p in module.ema.parameters()]
    with torch.no_grad():
        for p in module.student.parameters():
            p.add_(1.0)
    module.after_step()
    for old, new in zip(before, module.ema.parameters(), strict=True):
        torch.testing.assert_close(new, old + 0.1)


def test_a_batch_of_one_is_not_interpolated():
    module, batch = make(), padded_batch((6,))
    mixed = values(module(batch, lam=LAM))
    module.recipe = Recipe(intermediate_weight=1.0)
    plain = values(module(batch, lam=None))
    assert mixed["hidden"] == pytest.approx(plain["hidden"], rel=1e-5)


def released(**changes):
    method = METHODS["cr-ild-as-released"]
    assert method.interpolate
    assert method.consistency == 0.0
    recipe = Recipe(intermediate_weight=1.0, interpolate=True, partners="reversed", masked=False)
    return make(method.matches, method.layer_map, recipe=recipe, **changes)


def test_as_released_relations_depend_on_padding_and_count_every_position():
    found, matched = {}, METHODS["cr-ild-as-released"].matches
    for name, module in (("released", released()), ("default", make(matched))):
        outputs = [module(padded_batch(extra=extra), lam=LAM, progress=1.0) for extra in (0, 6)]
        found[name] = [values(output) for output in outputs]
        for output, extra in zip(outputs, (0, 6), strict=True):
            counts = module.counts(padded_batch(extra=extra), LAM)
            assert {k: int(n) for k, (_, n) in output["terms"].items()} == {k: int(n) for k, n in counts.items()}
            if name == "released":  # 5 rows of 9 tokens at most
                assert {int(n) for n in counts.values()} == {5 * (9 + extra)}
    terms = {"head_relation_qq", "head_relation_kk", "head_relation_vv"}
    assert found["released"][0].keys() == terms
    assert found["default"][0].keys() == terms | {CONSISTENCY + term for term in terms}
    few, many = found["released"]
    assert max(abs(many[term] / few[term] - 1) for term in terms) > 3e-3
    assert found["default"][1] == pytest.approx(found["default"][0], rel=1e-5)


def test_as_released_relations_agree_with_a_loop_over_all_positions_of_the_reversed_batch():
    module, batch = released(), padded_batch(extra=2)
    mixing = Mixing.of("reversed", LAM, 5)
    with torch.no_grad():
        ours = capture(module.student, batch, ("query",), [3], mixing).layers[3].query
        theirs = capture(module.teacher, batch, ("query",), [4], mixing).layers[4].query
    total, heads = 0.0, ours.shape[1]  # the models' own
    for row in range(5):
        logs = []
        for x in (ours, theirs):
            pieces = torch.cat([*x[row]], -1).chunk(heads, -1)
            logs.append([(y @ y.T / y.shape[-1] ** 0.5).log_softmax(-1) for y in pieces])
        total += sum(float((t.exp() * (t - s)).sum()) for s, t in zip(*logs, strict=True)) / heads
    assert values(module(batch, lam=LAM))["head_relation_qq"] == pytest.approx(total / (5 * 11), rel=1e-5)
