"""From names to objectives: features, layer maps, what goes with what, and objectives of the user's own."""

import gc
import re

import pytest
import torch

from crild.errors import CrildError
from crild.features import Features, LayerFeatures
from crild.objectives import (
    OBJECTIVES,
    SHORT,
    Transport,
    captured,
    compose,
    default_map,
    load_plugin,
    objective,
    parse_features,
)
from tests.objectives.situations import Situation, draw, shape
from tests.oracles import average, mean, slow_hidden, texts, tokens

STUDENT, TEACHER = shape(layers=3), shape(layers=5)
MAPS = ("last", "uniform", "skip", "last-k", "first", "1-2,3-5", "random", "emd", "all")
FIXED = MAPS[:6]


@pytest.fixture(autouse=True)
def registry():
    """Objectives that a test registers are gone after it."""
    before = dict(OBJECTIVES)
    yield
    OBJECTIVES.clear()
    OBJECTIVES.update(before)


# ------------------------------------------------------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("features", "parts"),
    [
        ("hidden", [("hidden", 1.0)]),
        ("a", [("attention-kl", 1.0)]),
        ("h", [("hidden", 1.0)]),
        ("ah", [("attention-kl", 1.0), ("hidden", 1.0)]),
        ("qkv", [("relations", 1.0)]),
        ("ahqkv", [("attention-kl", 1.0), ("hidden", 1.0), ("relations", 1.0)]),
        ("a+h", [("attention-kl", 1.0), ("hidden", 1.0)]),
        ("relations+0.5*hidden", [("relations", 1.0), ("hidden", 0.5)]),
        (" relations + 0.5 * hidden ", [("relations", 1.0), ("hidden", 0.5)]),
        ("2*ah+3*qkv", [("attention-kl", 2.0), ("hidden", 2.0), ("relations", 3.0)]),
        ("100*pkd+1e-3*logits+.5*h", [("pkd", 100.0), ("logits", 0.001), ("hidden", 0.5)]),
    ],
)
def test_features_are_parts_with_weights(features, parts):
    assert parse_features(features) == parts


@pytest.mark.parametrize("weight", ["0", "-1", "nan", "inf", "x", "", "1,5", "2*3"])
def test_weights_that_are_no_positive_numbers_are_refused(weight):
    with pytest.raises(CrildError, match=r"no positive weight.*0\.5\*hidden"):
        parse_features(f"{weight}*hidden")


@pytest.mark.parametrize(
    ("features", "meant"),
    [
        ("hiden", "hidden"),
        ("attention", "attention-kl"),
        ("ah+relation", "relations"),
        ("mgksd", "mgskd"),
        ("0.5*railkd", "rail-kd"),
    ],
)
def test_unknown_objectives_are_refused_with_the_nearest(features, meant):
    with pytest.raises(CrildError, match=f"did you mean '{meant}'") as caught:
        parse_features(features)
    assert all(name in str(caught.value) for name in [*OBJECTIVES, *SHORT])


@pytest.mark.parametrize("features", ["", "+", "hidden+", "hidden++logits", "xyz", "hidden hidden", "hidden,logits"])
def test_features_that_cannot_be_read_are_refused(features):
    with pytest.raises(CrildError, match="no objective"):
        parse_features(features)


@pytest.mark.parametrize("features", ["hidden+hidden", "ah+h", "a+2*attention-kl", "qkv+relations", "ahqkv+qkv"])
def test_objectives_named_twice_are_refused_with_a_weight_instead(features):
    with pytest.raises(CrildError, match=r"is named twice.*2\*"):
        parse_features(features)


def test_no_two_objectives_share_the_name_of_a_term():
    seen = []
    for name, cls in OBJECTIVES.items():
        seen += compose(name, cls.default_map, STUDENT, TEACHER).terms
    assert len(seen) == len(set(seen))


# -------------------------------------------------------------------------------------------------- what is composed


def test_a_composition_is_its_parts_side_by_side():
    situation = Situation("ah+0.5*relations+embeddings+3*logits", "uniform")
    whole, student, teacher = situation.make()
    assert whole.terms == (
        "attention", "hidden", "relation_qq", "relation_kk", "relation_vv", "embeddings", "logits",
    )  # fmt: skip
    assert list(whole.weights.values()) == [1.0, 1.0, 0.5, 0.5, 0.5, 1.0, 3.0]
    assert set(whole.needs) == {"hidden", "query", "key", "value", "logits"}
    assert whole.layers("student") == [0, 1, 2, 3]
    assert whole.layers("teacher") == [0, 2, 4, 5]
    found, counts = whole(student, teacher), whole.counts(teacher.mask)
    for name in ("attention-kl", "hidden", "relations", "embeddings", "logits"):
        alone = compose(name, "uniform", STUDENT, TEACHER).double()
        for term, (total, count) in alone(student, teacher).items():
            assert float(found[term][0]) == pytest.approx(float(total), rel=1e-12)
            assert int(found[term][1]) == int(count) == int(counts[term])


def test_weights_of_parts_multiply_those_inside_them():
    weights = compose("0.5*mgskd+2*hidden", "uniform", STUDENT, TEACHER).weights
    assert weights["sample_angles"] == 2.0
    assert weights["token_pairs"] == weights["span_angles"] == 0.5
    assert weights["hidden"] == 2.0


def test_transport_wraps_what_compares_layers_and_leaves_the_rest():
    whole = compose("hidden+embeddings+attention-mse+logits", "emd", STUDENT, TEACHER)
    assert [isinstance(part, Transport) for part in whole] == [True, False, True, False]
    assert whole.weights == dict.fromkeys(("hidden", "embeddings", "attention_scores", "logits"), 1.0)
    assert whole.layers("student") == [0, 1, 2, 3]
    assert whole.layers("teacher") == [0, 1, 2, 3, 4, 5]
    assert set(whole.needs) == {"hidden", "query", "key", "logits"}


def test_what_has_no_layers_captures_none():
    logits = compose("logits", "uniform", STUDENT, TEACHER)
    assert logits.pairs == ()
    assert (logits.layers("student"), logits.layers("teacher"), logits.needs) == ([], [], ("logits",))
    both = compose("logits+embeddings", "last", STUDENT, TEACHER)
    assert (both.pairs, both.layers("student"), both.layers("teacher")) == ((), [0], [0])
    assert not compose("logits+hidden", "last", STUDENT, TEACHER).layerless


def test_what_is_captured_can_be_said_in_words():
    assert captured(compose("a", "last", STUDENT, TEACHER), "teacher") == ["query of layer 5", "key of layer 5"]
    whole = compose("embeddings+hidden+logits", "skip", STUDENT, TEACHER)
    assert captured(whole, "student") == ["embeddings", "hidden of layer 1", "hidden of layer 2", "logits"]
    assert captured(whole, "teacher") == ["embeddings", "hidden of layer 1", "hidden of layer 3", "logits"]


def test_a_random_map_is_redrawn_for_all_parts_and_is_in_checkpoints():
    whole, again = (compose("rail-kd+hidden", "random", STUDENT, shape(layers=9)) for _ in range(2))
    seen = set()
    for epoch in range(10):
        whole.layer_map.redraw(3, epoch)
        seen.add(whole.pairs)
        assert whole.layers("teacher") == [t for _, t in whole.pairs]
    assert len(seen) > 3
    again.load_state_dict(whole.state_dict())
    assert again.pairs == whole.pairs
    assert whole.eval().pairs == again.eval().pairs


def test_needs_of_the_parts_are_needs_of_the_whole():
    plain = compose("hidden+pkd", "uniform", STUDENT, TEACHER)
    assert (plain.mixable, plain.needs_words, plain.needs_filters, plain.least_rows) == (True, False, False, 1)
    samples = compose("hidden+mgskd", "uniform", STUDENT, TEACHER)
    assert (samples.mixable, samples.needs_words, samples.least_rows) == (False, True, 3)
    assert compose("hidden+ted", "uniform", STUDENT, TEACHER).needs_filters


@pytest.mark.parametrize(
    ("acting", "terms"),
    [
        (None, {"attention", "hidden", "embeddings"}),
        ("a", {"attention"}),
        ("hidden", {"hidden"}),
        ("embeddings+h", {"hidden", "embeddings"}),
    ],
)
@pytest.mark.parametrize("layer_map", ["last", "emd"])
def test_consistency_may_act_on_some_of_the_parts(acting, terms, layer_map):
    whole = compose("ah+embeddings", layer_map, STUDENT, TEACHER, consistency_features=acting).double()
    plain = compose("ah+embeddings", layer_map, STUDENT, TEACHER).double()
    mixed, clean = draw(1, STUDENT), draw(2, STUDENT)
    found, every = whole.consistency(mixed, clean), plain.consistency(mixed, clean)
    assert set(found) == set(whole.consistency_counts(clean.mask)) == terms
    for term, (total, count) in found.items():
        assert float(total) == pytest.approx(float(every[term][0]), rel=1e-12)
        assert int(count) == int(whole.consistency_counts(clean.mask)[term])
    assert set(whole(mixed, draw(3, TEACHER))) == {"attention", "hidden", "embeddings"}


def test_consistency_on_what_is_not_matched_is_refused():
    with pytest.raises(CrildError, match="relations is not matched"):
        compose("ah", "last", STUDENT, TEACHER, consistency_features="qkv")


# ------------------------------------------------------------------------------------------------ what goes with what

ONE_TO_ONE = (*FIXED, "random")
GOES_WITH = {
    "hidden": (*ONE_TO_ONE, "emd"),
    "embeddings": (*ONE_TO_ONE, "emd"),
    "head-input": MAPS,
    "attention-kl": (*ONE_TO_ONE, "emd"),
    "attention-mse": (*ONE_TO_ONE, "emd"),
    "relations": (*ONE_TO_ONE, "emd"),
    "head-relations": (*ONE_TO_ONE, "emd"),
    "value-relation": (*ONE_TO_ONE, "emd"),
    "pkd": (*ONE_TO_ONE, "emd"),
    "rail-kd": (*ONE_TO_ONE, "emd"),
    "ckd": ONE_TO_ONE,
    "mgskd": ONE_TO_ONE,
    "ted": FIXED,  # a filter belongs to a layer: no random ones
    "alp-kd": ("all",),
    "logits": MAPS,
}


def test_every_objective_is_in_the_table():
    assert set(GOES_WITH) == set(OBJECTIVES)


@pytest.mark.parametrize("layer_map", MAPS)
@pytest.mark.parametrize("features", GOES_WITH)
def test_an_objective_takes_a_map_or_names_those_that_it_takes(features, layer_map):
    if layer_map in GOES_WITH[features]:
        assert compose(features, layer_map, STUDENT, TEACHER).layer_map.name == layer_map
        return
    with pytest.raises(CrildError, match=f"{features} makes no sense with layer map '{layer_map}'") as caught:
        compose(features, layer_map, STUDENT, TEACHER)
    offered = re.search("--layer-map (.*)", str(caught.value)).group(1).split(" or ")
    named = [offer.removeprefix("pairs such as ") for offer in offered]
    assert named
    for offer in named:
        compose(features, "1-2,3-5" if "-2," in offer else offer, STUDENT, TEACHER)


def test_maps_and_shapes_are_refused_with_one_line():
    for layer_map, reason in (("unifrom", "did you mean 'uniform'"), ("1-9", "1-5"), ("4-1", "1-3")):
        with pytest.raises(CrildError, match=reason) as caught:
            compose("hidden", layer_map, STUDENT, TEACHER)
        assert "\n" not in str(caught.value)


def test_objectives_that_no_map_suits_together_are_refused_without_offering_one():
    # Offering what suits one of them sends the user from one refusal to the other.
    for layer_map in ("all", "last"):
        with pytest.raises(CrildError) as caught:
            compose("alp-kd+hidden", layer_map, STUDENT, TEACHER)
        assert "alp-kd" in str(caught.value)
        assert "hidden" in str(caught.value)


@pytest.mark.parametrize(
    ("features", "method_map", "expected"),
    [
        ("hidden", "last", "last"),
        ("hidden", "uniform", "uniform"),
        ("hidden", "random", "random"),
        ("hidden", "emd", "emd"),
        ("hidden", "all", "last"),
        ("hidden", "1-2,3-5", "1-2,3-5"),
        ("ah", "skip", "skip"),
        ("rail-kd", "last", "random"),
        ("ckd", "last", "uniform"),
        ("pkd+hidden", "uniform", "skip"),
        ("rail-kd", "all", "random"),
        ("pkd", "all", "skip"),
        ("alp-kd", "last", "all"),
        ("alp-kd", "all", "all"),
        ("ted", "random", "uniform"),
        ("ckd", "emd", "uniform"),
        ("mgskd", "emd", "uniform"),
        ("hidden+mgskd", "emd", "uniform"),
        ("logits", "all", "all"),
        ("logits+alp-kd", "last", "all"),
        ("ted+rail-kd", "last", "uniform"),
        ("rail-kd+ted", "last", "uniform"),  # random would suit rail-kd alone
    ],
)
def test_features_without_a_map_take_their_own_or_else_the_methods(features, method_map, expected):
    assert default_map(features, method_map) == expected
    compose(features, expected, STUDENT, TEACHER)


# ------------------------------------------------------------------------------------------------------ users' own


def cosine(student, teacher, mask):
    """One minus the cosine of hidden states."""
    return 1 - torch.cosine_similarity(student.hidden, teacher.hidden, dim=-1)


def slow_cosine(student, target, pairs):
    found = []
    for s, t in pairs:
        for b, i in tokens(target):
            x, y = student.layers[s].hidden[b][i].tolist(), target.layers[t].hidden[b][i].tolist()
            xx, yy, xy = (sum(a * c for a, c in zip(u, v, strict=True)) for u, v in ((x, x), (y, y), (x, y)))
            found.append(1 - xy / (xx * yy) ** 0.5)
    return average(found)


def test_a_users_objective_is_a_mean_over_tokens_and_pairs():
    assert objective("cosine")(cosine) is cosine
    assert OBJECTIVES["cosine"].__doc__ == cosine.__doc__
    whole, student, teacher = Situation("cosine", "uniform").make()
    found = whole(student, teacher)
    assert mean(found["cosine"]) == pytest.approx(slow_cosine(student, teacher, whole.pairs), rel=1e-10)
    assert int(found["cosine"][1]) == int(whole.counts(teacher.mask)["cosine"]) == 12
    assert captured(whole, "student") == [f"hidden of layer {i}" for i in (1, 2, 3)]


def test_a_users_objective_may_be_a_mean_over_examples():
    @objective("queries", needs=("query", "value"), per="example")
    def queries(student, teacher, mask):
        gap = (student.query - teacher.query)[:, :, 0].square().sum((1, 2))
        return gap + (student.value - teacher.value)[:, :, 0].square().sum((1, 2))

    whole, student, teacher = Situation("queries", "last-k").make()
    expected = []
    for s, t in whole.pairs:
        for b, _ in texts(teacher):
            x, y = student.layers[s], teacher.layers[t]
            expected.append(
                sum(
                    (float(getattr(x, n)[b, h, 0, c]) - float(getattr(y, n)[b, h, 0, c])) ** 2
                    for n in ("query", "value")
                    for h in range(3)
                    for c in range(4)
                )
            )
    found = whole(student, teacher)
    assert mean(found["queries"]) == pytest.approx(average(expected), rel=1e-10)
    assert int(found["queries"][1]) == int(whole.counts(teacher.mask)["queries"]) == 3
    assert whole.needs == ("query", "value")


def test_a_users_objective_joins_others_with_a_weight():
    objective("cosine")(cosine)
    whole, student, teacher = Situation("0.25*cosine+ah", "uniform").make()
    assert whole.weights == {"cosine": 0.25, "attention": 1.0, "hidden": 1.0}
    found = whole(student, teacher)
    assert mean(found["cosine"]) == pytest.approx(slow_cosine(student, teacher, whole.pairs), rel=1e-10)
    part = compose("hidden", "uniform", STUDENT, TEACHER).parts[0]
    assert mean(found["hidden"]) == pytest.approx(slow_hidden(part, student, teacher, whole.pairs)["hidden"])


def test_a_users_objective_works_with_optimal_transport():
    objective("cosine")(cosine)
    whole, student, teacher = Situation("cosine", "emd", shape(layers=2), shape(layers=2)).make()
    costs = [[slow_cosine(student, teacher, [(i, j)]) for j in (1, 2)] for i in (1, 2)]
    straight, crossed = costs[0][0] + costs[1][1], costs[0][1] + costs[1][0]
    assert mean(whole.eval()(student, teacher)["cosine"]) == pytest.approx(min(straight, crossed) / 2, rel=1e-10)


def test_a_users_objective_works_with_a_random_map_and_in_consistency():
    objective("cosine")(cosine)
    whole, mixed, _ = Situation("cosine", "random").make()
    clean = draw(8, STUDENT)
    assert mean(whole(mixed, draw(2, TEACHER))["cosine"]) > 0
    found = whole.consistency(mixed, clean)
    assert mean(found["cosine"]) == pytest.approx(slow_cosine(mixed, clean, [(1, 1), (2, 2)]), rel=1e-10)
    emd = compose("cosine", "emd", STUDENT, TEACHER).double()
    expected = slow_cosine(mixed, clean, [(1, 1), (2, 2), (3, 3)])
    assert mean(emd.consistency(mixed, clean)["cosine"]) == pytest.approx(expected, rel=1e-10)


def test_padding_does_not_reach_a_users_objective():
    objective("cosine")(cosine)
    whole, student, teacher = Situation("cosine", "uniform").make()
    before = mean(whole(student, teacher)["cosine"])
    for features in (student, teacher):
        for layer in features.layers.values():
            layer.hidden[features.mask == 0] = 1e3
    assert mean(whole(student, teacher)["cosine"]) == pytest.approx(before, rel=1e-12)


def test_a_users_objective_has_a_gradient():
    objective("cosine")(cosine)
    whole, student, teacher = Situation("cosine", "last").make()

    def loss(hidden):
        total, count = whole(Features(student.mask, {3: LayerFeatures(hidden)}), teacher)["cosine"]
        return total / count

    assert torch.autograd.gradcheck(loss, student.layers[3].hidden.requires_grad_())


@pytest.mark.parametrize(
    ("per", "returned", "shown"),
    [
        ("token", lambda s, t, m: s.hidden.mean(), r"\(\)"),
        ("token", lambda s, t, m: s.hidden.mean((1, 2)), r"\(3,\)"),
        ("token", lambda s, t, m: s.hidden, r"\(3, 5, 12\)"),
        ("token", lambda s, t, m: s.hidden.mean(-1).T, r"\(5, 3\)"),
        ("example", lambda s, t, m: s.hidden.mean(-1), r"\(3, 5\)"),
        ("example", lambda s, t, m: 0.5, "float"),
        ("token", lambda s, t, m: None, "NoneType"),
        ("example", lambda s, t, m: [1.0, 2.0, 3.0], "list"),
    ],
)
def test_values_of_another_shape_are_refused(per, returned, shown):
    objective("odd", per=per)(returned)
    whole, student, teacher = Situation("odd", "last").make()
    wanted = r"\(3, 5\)" if per == "token" else r"\(3,\)"
    with pytest.raises(CrildError, match=f"objective 'odd' returned {shown}, not one number a {per}, {wanted}"):
        whole(student, teacher)


@pytest.mark.parametrize("name", [*SHORT, "hidden", "attention-kl", "logits", "rail-kd"])
def test_the_name_of_an_objective_that_is_there_is_taken(name):
    with pytest.raises(CrildError, match="taken"):
        objective(name)


@pytest.mark.parametrize("name", ["attention", "patient", "relation_qq", "sample_angles", "kd", "task", "mixed_task"])
def test_the_name_of_a_term_that_is_there_is_taken(name):
    # The user's term would hide that one (or take its weight): a log line and a loss with one of the two.
    with pytest.raises(CrildError, match="taken"):
        objective(name)


def test_a_users_own_objective_may_be_replaced():
    objective("mine")(cosine)
    objective("mine")(lambda student, teacher, mask: student.hidden.mean(-1) * 0 + 7)
    whole, student, teacher = Situation("mine", "last").make()
    assert mean(whole(student, teacher)["mine"]) == pytest.approx(7.0)


@pytest.mark.parametrize("name", ["", "2x", "a+b", "a*b", "my cosine", "-x", "é"])
def test_names_that_features_could_not_read_are_refused(name):
    with pytest.raises(CrildError, match="a name begins with a letter"):
        objective(name)


@pytest.mark.parametrize("needs", [("logits",), ("hidden", "attention"), ("Hidden",)])
def test_needs_that_a_layer_has_not_are_refused(needs):
    with pytest.raises(CrildError, match="hidden, query, key and value"):
        objective("mine", needs=needs)


def test_a_per_that_is_neither_token_nor_example_is_refused():
    with pytest.raises(CrildError, match="token"):
        objective("mine", per="tokens")


# ----------------------------------------------------------------------------------------------------------- plugins

GOOD = '''
import torch
import crild

SCALE = 3.0

def scaled(x):
    return SCALE * torch.square(x).mean(-1)

@crild.objective("scaled-gap")
def scaled_gap(student, teacher, mask):
    """The gap, scaled."""
    return scaled(student.hidden - teacher.hidden)
'''


def test_a_plugin_registers_objectives_that_still_work_later(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(GOOD)
    load_plugin(str(path))
    gc.collect()
    whole, student, teacher = Situation("scaled-gap+hidden", "uniform").make()
    found = whole(student, teacher)
    assert mean(found["scaled-gap"]) == pytest.approx(3 * mean(found["hidden"]), rel=1e-12)
    load_plugin(str(path))  # a second run in the same process


def test_a_plugin_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(CrildError, match=r"--plugin .*mine\.py: no such file"):
        load_plugin(str(tmp_path / "mine.py"))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("def f(:\n", "SyntaxError"),
        ("import no_such_module_at_all", "ModuleNotFoundError"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("open('no-such-table.csv')", "FileNotFoundError.*no-such-table.csv"),
        ("import crild\ncrild.objective('hidden')", "the name is taken"),
    ],
)
def test_a_plugin_that_fails_is_refused_with_its_error(tmp_path, text, shown):
    path = tmp_path / "mine.py"
    path.write_text(text)
    with pytest.raises(CrildError, match=shown):
        load_plugin(str(path))


def test_a_folder_is_no_plugin(tmp_path):
    with pytest.raises(CrildError, match="--plugin"):
        load_plugin(str(tmp_path))
