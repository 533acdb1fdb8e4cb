"""One step in every architecture: padding, zero at the identical student, unlike models, half precision."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch

from crild.errors import CrildError
from crild.methods import METHODS
from crild.methods.recipe import Recipe
from crild.models.capture import QKV, capture
from crild.models.cut import cut
from crild.models.interpolation import mixed_embeddings
from crild.models.narrow import narrow
from crild.objectives import Shape, compose, parse_features
from crild.training.distiller import Distiller
from tests.architectures import ARCHITECTURES, DEPTH, padded_batch, small_model

LAM = 0.7
TERMS = {
    "cr-ild": {"attention", "hidden"},
    "minilmv2": {"relation_qq", "relation_kk", "relation_vv"},
    "tinybert": {"embeddings", "hidden", "attention_scores"},
}
every_architecture = pytest.mark.parametrize("name", ARCHITECTURES)
every_method = pytest.mark.parametrize("method", TERMS)


def distiller(method, student, teacher, recipe=None, features=None):
    """Return the module of one step: the method's own term (by default with the logits beside it)."""
    how = METHODS[method]
    shapes = Shape.of(student.config), Shape.of(teacher.config)
    recipe = replace(
        recipe or Recipe(intermediate_weight=1.0, distillation=1.0),
        interpolate=how.interpolate,
        consistency=how.consistency,
        partners="reversed" if how.released else "neighbour",
        masked=not how.released,
    )
    return Distiller(student, recipe, teacher, compose(features or how.matches, how.layer_map, *shapes)).train()


def step(module, batch):
    """Return the loss and every parameter's gradient."""
    module.zero_grad()
    output = module(batch, lam=LAM, progress=1.0)
    output["loss"].backward()
    assert output["loss"].isfinite()
    return output, {name: p.grad.clone() for name, p in module.named_parameters() if p.grad is not None}


def check_padding(module, batches):
    """Check that a batch and the same one with more padding give the same loss, gradients and counts; return both."""
    (short, gradients), (long, padded) = (step(module, batch) for batch in batches)
    torch.testing.assert_close(long["loss"], short["loss"], atol=1e-5, rtol=1e-5)
    assert {k: int(n) for k, (_, n) in long["terms"].items()} == {k: int(n) for k, (_, n) in short["terms"].items()}
    assert gradients.keys() == padded.keys()
    for parameter, gradient in gradients.items():
        torch.testing.assert_close(padded[parameter], gradient, atol=1e-5, rtol=1e-4, msg=parameter)
    return short, gradients


def embedding_gradient(student):
    return float(student.get_input_embeddings().weight.grad.abs().sum())


@every_method
@every_architecture
def test_what_a_method_sees_equals_an_independent_recomputation(name, method):
    teacher, batch = small_model(name), padded_batch()
    student = cut(small_model(name, seed=2), [0, 1])
    module = distiller(method, student, teacher)
    objective, mixing = module.objective, module.step(batch, LAM).mixing
    assert (mixing is not None) == (method == "cr-ild")
    assert 0 in objective.layers("teacher") if method == "tinybert" else objective.layers("teacher") == [DEPTH]
    for side, model in (("student", student.eval()), ("teacher", teacher)):
        seen = batch if mixing is None else {**batch, "attention_mask": mixing.union(batch["attention_mask"])}
        with torch.no_grad(), mixed_embeddings(model, mixing, batch["attention_mask"]):
            plain = model.base_model(**seen, output_hidden_states=True)
        with torch.no_grad():
            features = capture(model, batch, objective.needs, objective.layers(side), mixing)
        states = [*plain.hidden_states[:-1], plain.last_hidden_state]
        real = seen["attention_mask"].bool()
        assert torch.equal(features.mask.bool(), real)
        assert sorted(features.layers) == objective.layers(side)
        for layer, found in features.layers.items():
            assert (found.hidden is None) == ("hidden" not in objective.needs)
            if found.hidden is not None:
                torch.testing.assert_close(found.hidden, states[layer])
            with torch.no_grad():
                expected = ARCHITECTURES[name].qkv(model, layer, states[layer - 1]) if layer else (None,) * 3
            for tensor, value in zip(QKV, expected, strict=True):
                given = getattr(found, tensor)
                assert (given is None) == (tensor not in objective.needs or layer == 0)
                if given is not None:
                    torch.testing.assert_close(given.transpose(1, 2)[real], value.transpose(1, 2)[real])


@every_method
@every_architecture
def test_loss_and_gradients_do_not_change_with_padding(name, method):
    student = cut(small_model(name, seed=2), [0, 1])
    module = distiller(method, student, small_model(name, seed=1))
    assert module.training
    output, _ = check_padding(module, [padded_batch(extra=extra) for extra in (0, 6)])
    consistency = {f"consistency/{term}" for term in TERMS[method]} if method == "cr-ild" else set()
    assert output["terms"].keys() == TERMS[method] | consistency | {"kd"}
    assert embedding_gradient(student) > 1e-6


@every_method
@every_architecture
def test_identical_student_reads_zero_and_another_has_gradient(name, method):
    teacher = small_model(name)
    module = distiller(method, deepcopy(teacher), teacher)
    with torch.no_grad():
        terms = module(padded_batch(), lam=LAM, progress=1.0)["terms"]
    values = {k: float(total / count) for k, (total, count) in terms.items()}
    own = {k: value for k, value in values.items() if not k.startswith("consistency/")}
    assert own.keys() == TERMS[method] | {"kd"}
    assert all(abs(value) <= 1e-6 for value in own.values()), own
    if method == "cr-ild":  # it compares two inputs, not two models
        assert values["consistency/hidden"] > 1e-4

    student = cut(small_model(name, seed=5), [0, 1])
    for features in METHODS[method].matches.replace("ah", "a+h").split("+"):
        step(distiller(method, student, teacher, Recipe(intermediate_weight=1.0), features), padded_batch())
        assert embedding_gradient(student) > 1e-6, features


@pytest.mark.parametrize("name", [n for n in ARCHITECTURES if n not in ("mpnet", "albert")])
def test_gradient_checkpointing_changes_nothing(name):
    teacher = small_model(name, seed=1)
    results = []
    for checkpointing in (False, True):
        student = cut(small_model(name, seed=2), [0, 1])
        if checkpointing:
            student.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})
        module = distiller("cr-ild", student, teacher, features="embeddings+ahqkv")
        output, gradients = step(module, padded_batch())
        results.append((output["loss"].detach(), gradients))
    torch.testing.assert_close(results[0], results[1])


def typed_batch(extra=0, types=1):
    """Return a batch of text pairs: the tokens from the fifth on are of type 1 (or of another type)."""
    batch = padded_batch(extra=extra)
    second = torch.arange(batch["input_ids"].shape[1])[None] >= 4
    return {**batch, "token_type_ids": second * batch["attention_mask"] * types}


@every_method
@pytest.mark.parametrize(("teacher", "student"), [("bert", "distilbert"), ("distilbert", "bert")])
def test_bert_and_distilbert_teach_each_other(teacher, student, method):
    pupil = cut(small_model(student, seed=2), [0, 1])
    module = distiller(method, pupil, small_model(teacher, seed=1))
    output, gradients = check_padding(module, [typed_batch(extra) for extra in (0, 6)])
    assert embedding_gradient(pupil) > 1e-6
    assert any("attention" in name and gradient.abs().sum() > 1e-6 for name, gradient in gradients.items())
    untyped, _ = step(module, typed_batch(types=0))  # whichever of the two is BERT sees the types, DistilBERT has none
    assert (untyped["loss"] - output["loss"]).detach().abs() > 1e-4


def relation_divergence(ours, theirs, mask, heads):
    """Return the mean over real rows and heads of KL(theirs || ours), row by row, of relations of (B, h, L, d_h)."""
    total = 0.0
    for row, length in enumerate(mask.sum(1).tolist()):
        logs = []
        for x in (ours, theirs):
            pieces = torch.cat([*x[row, :, :length]], -1).chunk(heads, -1)
            logs.append([(y @ y.T / y.shape[-1] ** 0.5).log_softmax(-1) for y in pieces])
        total += sum(float((t.exp() * (t - s)).sum()) for s, t in zip(*logs, strict=True)) / heads
    return total / int(mask.sum())


def test_a_teacher_with_grouped_queries_teaches_a_bert_of_another_width():
    teacher, student = small_model("eurobert", seed=1), small_model("bert", seed=2, hidden_size=16, num_hidden_layers=2)
    batches = [padded_batch(extra=extra) for extra in (0, 6)]
    module = distiller("minilmv2", student, teacher, Recipe(intermediate_weight=1.0))
    output, _ = check_padding(module, batches)
    assert embedding_gradient(student) > 1e-6
    # queries 16 and 24 wide, keys and values 16 and 2 x 6: 8 and 4 relation heads, whatever the models' own heads
    sides = []
    for name, model in (("bert", student), ("eurobert", teacher)):
        depth = model.config.num_hidden_layers
        with torch.no_grad():
            states = model(**batches[0], output_hidden_states=True).hidden_states[depth - 1]
            sides.append(ARCHITECTURES[name].qkv(model, depth, states))
    for term, heads, ours, theirs in zip(("qq", "kk", "vv"), (8, 4, 4), *sides, strict=True):
        total, count = output["terms"][f"relation_{term}"]
        expected = relation_divergence(ours, theirs, batches[0]["attention_mask"], heads)
        assert float(total / count) == pytest.approx(expected, rel=1e-4)

    module = distiller("minilmv2", student, teacher, Recipe(intermediate_weight=1.0), "hidden")
    output, gradients = check_padding(module, batches)
    assert output["terms"].keys() == {"hidden"}
    assert embedding_gradient(student) > 1e-6
    assert gradients["objective.parts.0.width_map.weight"].shape == (24, 16)
    for features in ("attention-kl", "attention-mse", "relations+embeddings", "ckd"):  # 4 heads each; keys shared
        step(distiller("minilmv2", student, teacher, Recipe(intermediate_weight=1.0), features), batches[0])
        assert embedding_gradient(student) > 1e-6, features
    with pytest.raises(CrildError, match="4 value heads and the teacher 2"):
        distiller("minilm", student, teacher)


def own_stages():
    """Return (method, its stage) wherever a stage of either schedule looks at intermediate features."""
    stages = {
        (name, str(phase.recipe)): (name, phase)
        for name, method in METHODS.items()
        for phase in (*method.two_stage, *(method.paper or ()))
        if phase.recipe.uses_objective
    }
    return [pytest.param(*both, id=f"{both[0]}-{both[1].name}") for both in stages.values()]


@pytest.mark.parametrize(("method", "phase"), own_stages())
def test_every_method_teaches_a_student_of_half_the_width(method, phase):
    teacher = small_model("bert", seed=1)
    student = narrow(cut(small_model("bert", seed=2), [0, 1, 2]), 12)
    module = distiller(method, student, teacher, phase.recipe)
    batch = padded_batch()
    batch["labels"] = torch.tensor([0.0, 2.0, float("nan"), 1.0, 1.0])
    batch["words"] = torch.arange(9).expand(5, -1).div(2, rounding_mode="floor") - 1  # of one or two tokens
    batch["words"] = batch["words"].masked_fill(batch["attention_mask"] == 0, -1)
    before = {name: p.detach().clone() for name, p in module.named_parameters()}
    optimiser = torch.optim.AdamW(module.parameters(), lr=1e-3)
    output, gradients = step(module, batch)
    assert {k: int(n) for k, (_, n) in output["terms"].items()} == {
        k: int(n) for k, n in module.counts(batch, LAM).items()
    }
    optimiser.step()
    assert all(gradient.isfinite().all() for gradient in gradients.values())
    moved = {name for name, p in module.named_parameters() if not torch.equal(p, before[name])}
    filters = {name for name in before if ".filters." in name or ".heads." in name}
    if phase.name == "filters":  # the backbone stays
        assert filters
        assert moved == filters
        return
    assert embedding_gradient(student) > 1e-8
    assert "student.bert.encoder.layer.0.attention.self.value.weight" in moved
    maps = {name for name in before if name.startswith("objective.")}
    frozen = {name for name in filters if ".heads." in name or ".teacher_" in name}
    assert maps - moved == frozen  # every learned map learns, but a TED teacher's filters and all throw-away heads stay
    matched_hidden = {"hidden", "embeddings", "pkd", "rail-kd", "alp-kd", "ted"}
    assert bool(maps) == bool(matched_hidden & {name for name, _ in parse_features(METHODS[method].matches)})
    assert student(**padded_batch()).logits.shape == (5, 3)
    assert not any("map" in name for name in student.state_dict())


def test_attention_maps_of_a_student_with_fewer_heads_are_refused():
    teacher = small_model("bert", seed=1)
    student = narrow(cut(small_model("bert", seed=2), [0, 1]), 12, heads=2)
    for method in ("cr-ild", "tinybert", "minilm", "bert-emd"):
        with pytest.raises(CrildError, match=r"student has 2 .*heads and the teacher 4; use `--features qkv`"):
            distiller(method, student, teacher)
    step(distiller("minilmv2", student, teacher), padded_batch())
    assert embedding_gradient(student) > 1e-6


CR_ILD = Recipe(intermediate_weight=1.0, interpolate=True, consistency=0.1)
OWN_TERMS = {method.matches: (method.layer_map, method.interpolate) for method in METHODS.values() if method.matches}


@pytest.mark.parametrize(
    ("name", "features"), [*((n, "ahqkv") for n in ARCHITECTURES), *(("bert", features) for features in OWN_TERMS)]
)
def test_half_precision_passes_keep_the_loss(name, features):
    teacher, student = small_model(name, seed=1), cut(small_model(name, seed=2), [0, 1, 2])
    layer_map, interpolate = OWN_TERMS.get(features, ("last", True))
    objective = compose(features, layer_map, Shape.of(student.config), Shape.of(teacher.config))
    recipe = replace(CR_ILD, interpolate=interpolate, consistency=0.1 * interpolate, distillation=1.0)
    module = Distiller(student, recipe, teacher, objective).train()
    batch = padded_batch()
    batch["words"] = torch.arange(9).expand(5, -1).masked_fill(batch["attention_mask"] == 0, -1)
    losses = []
    for enabled in (False, True):
        again = deepcopy(module)  # masses move
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            output = again(batch, lam=0.7, progress=1.0)
        output["loss"].backward()
        assert all(total.dtype == torch.float32 for total, _ in output["terms"].values())
        losses.append(float(output["loss"].detach()))
    assert losses[1] == pytest.approx(losses[0], rel=0.1)
    assert losses[1] != losses[0]


def test_teacher_is_no_part_of_the_module():
    student, teacher = small_model("bert"), small_model("bert", seed=1)
    module = Distiller(student, Recipe(distillation=1.0), teacher)
    assert len(list(module.parameters())) == len(list(student.parameters()))
    assert not any("teacher" in name for name in module.state_dict())
    module.train()
    assert not teacher.training
    assert not any(p.requires_grad for p in teacher.parameters())
    assert deepcopy(module).teacher is not teacher
