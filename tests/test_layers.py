"""Layer maps: every name against its formula, spelled out here once more."""

import pytest
import torch

from crild.errors import CrildError
from crild.layers import MAPS, LayerMap, map_family

DEPTHS = [(12, 5), (5, 3), (12, 6), (6, 3), (4, 4), (12, 1), (3, 2), (24, 7), (6, 2)]


def ceil_of_share(i, n, m):
    """The smallest whole number that is at least i * n / m."""
    k = 0
    while k * m < i * n:
        k += 1
    return k


def floor_of_share(i, n, m):
    """The largest whole number that is at most i * n / m."""
    k = 0
    while (k + 1) * m <= i * n:
        k += 1
    return k


def expected(name, n, m):
    """The pairs of one map, from `method.md` section 5."""
    pairs = []
    for i in range(1, m + 1):
        if name == "last" and i == m:
            pairs.append((i, n))
        if name == "uniform":
            pairs.append((i, ceil_of_share(i, n, m)))
        if name == "skip" and i < m:
            pairs.append((i, floor_of_share(i, n, m)))
        if name == "last-k" and i < m:
            pairs.append((i, n - m + i))
        if name == "first":
            pairs.append((i, i))
        if name in ("emd", "all"):
            pairs += [(i, j) for j in range(1, n + 1)]
    return tuple(pairs)


def test_every_map_is_tested_here():
    assert set(MAPS) == {"last", "uniform", "skip", "last-k", "first", "emd", "all", "random"}


@pytest.mark.parametrize(("n", "m"), DEPTHS)
@pytest.mark.parametrize("name", [name for name in MAPS if name != "random"])
def test_maps_agree_with_their_formulas(name, n, m):
    pairs = expected(name, n, m)
    if not pairs:
        with pytest.raises(CrildError, match="layer-map last"):
            LayerMap(name, n, m)
        return
    layer_map = LayerMap(name, n, m)
    assert layer_map.pairs == pairs
    layer_map.redraw(5, 1)  # means nothing to these
    assert layer_map.train().pairs == layer_map.eval().pairs == pairs
    assert not layer_map.state_dict()
    assert (map_family(name) == "fixed") == (name not in ("emd", "all"))


@pytest.mark.parametrize(
    ("name", "n", "m", "pairs"),
    [
        ("last", 12, 5, ((5, 12),)),
        ("uniform", 12, 6, ((1, 2), (2, 4), (3, 6), (4, 8), (5, 10), (6, 12))),
        ("uniform", 12, 5, ((1, 3), (2, 5), (3, 8), (4, 10), (5, 12))),
        ("uniform", 5, 3, ((1, 2), (2, 4), (3, 5))),
        ("skip", 12, 6, ((1, 2), (2, 4), (3, 6), (4, 8), (5, 10))),
        ("skip", 12, 5, ((1, 2), (2, 4), (3, 7), (4, 9))),
        ("skip", 5, 3, ((1, 1), (2, 3))),
        ("last-k", 12, 6, ((1, 7), (2, 8), (3, 9), (4, 10), (5, 11))),
        ("last-k", 5, 3, ((1, 3), (2, 4))),
        ("first", 6, 2, ((1, 1), (2, 2))),
        ("all", 2, 2, ((1, 1), (1, 2), (2, 1), (2, 2))),
        ("1-2,3-6", 6, 3, ((1, 2), (3, 6))),
        (" 1-2, 3-6 ", 6, 3, ((1, 2), (3, 6))),
        ("3-5", 6, 3, ((3, 5),)),
        ("2-1,1-6,2-2", 6, 3, ((1, 6), (2, 1), (2, 2))),
    ],
)
def test_layer_maps_by_hand(name, n, m, pairs):
    assert LayerMap(name, n, m).pairs == pairs


@pytest.mark.parametrize("name", ["skip", "last-k", "random"])
def test_maps_that_leave_nothing_are_refused_with_what_would_work(name):
    with pytest.raises(CrildError, match=rf"'{name}'.*--layer-map last"):
        LayerMap(name, 12, 1)


@pytest.mark.parametrize(("name", "reason"), [("1-9", "1-6"), ("4-1", "1-3"), ("0-1", "1-3"), ("1-0", "1-6")])
def test_pairs_of_layers_that_do_not_exist_are_refused(name, reason):
    with pytest.raises(CrildError, match=rf"layer map '{name}'.*{reason}"):
        LayerMap(name, 6, 3)


@pytest.mark.parametrize("name", ["1-2,1-2", "3-6,1-2,3-6"])
def test_a_pair_named_twice_is_refused_for_that(name):
    with pytest.raises(CrildError, match=f"layer map '{name}' names a pair twice"):
        LayerMap(name, 6, 3)


@pytest.mark.parametrize("name", ["1:2", "1-2,", "", "1-2-3", "a-b", "1", "3-x"])
def test_pairs_that_cannot_be_read_are_refused_with_an_example(name):
    with pytest.raises(CrildError, match="1-2,3-6"):
        LayerMap(name, 6, 3)


@pytest.mark.parametrize(
    ("name", "meant"),
    [("lst", "last"), ("unifrom", "uniform"), ("Random", "random"), ("lastk", "last-k"), ("skp", "skip")],
)
def test_misspelt_maps_are_refused_with_the_nearest(name, meant):
    with pytest.raises(CrildError, match=f"unknown layer map {name!r} .did you mean '{meant}'"):
        LayerMap(name, 6, 3)


def draws(layer_map, *seeds):
    found = []
    for seed in seeds:
        layer_map.redraw(*seed)
        found.append(layer_map.pairs)
    return found


@pytest.mark.parametrize(("n", "m"), [(12, 5), (5, 3), (12, 6), (6, 3), (4, 4), (24, 12)])
def test_random_layers_are_sorted_below_the_last_and_never_repeat(n, m):
    layer_map = LayerMap("random", n, m)
    assert map_family("random") == "random"
    seen = set()
    for pairs in [layer_map.pairs, *draws(layer_map, *((7, epoch) for epoch in range(200)))]:
        assert [s for s, _ in pairs] == list(range(1, m))
        layers = [t for _, t in pairs]
        assert layers == sorted(set(layers))
        assert all(1 <= t <= n - 1 for t in layers)
        seen |= set(layers)
    assert seen == set(range(1, n)), "every layer below the last is drawn sometimes"


def test_every_set_of_layers_is_as_likely():
    layer_map = LayerMap("random", 5, 3)
    found = draws(layer_map, *((epoch,) for epoch in range(3000)))
    shares = {pairs: found.count(pairs) / len(found) for pairs in found}
    assert len(shares) == 6  # 2 of 4 layers
    assert all(abs(share - 1 / 6) < 0.03 for share in shares.values())


def test_a_draw_is_a_function_of_its_seed_and_differs_over_epochs():
    one, other = LayerMap("random", 12, 6), LayerMap("random", 12, 6)
    torch.manual_seed(0)
    first = draws(one, *((42, epoch) for epoch in range(10)))
    torch.manual_seed(1)
    draws(other, (1, 2), (3, 4))
    assert draws(other, *((42, epoch) for epoch in range(10))) == first
    assert draws(other, (42, 3))[0] == first[3]
    assert len(set(first)) > 5
    assert draws(other, *((43, epoch) for epoch in range(10))) != first


def test_drawing_touches_no_random_stream():
    layer_map = LayerMap("random", 12, 6)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    layer_map.redraw(3, 4)
    assert torch.get_rng_state().equal(before)


def test_a_draw_is_in_checkpoints():
    one, other = LayerMap("random", 12, 6), LayerMap("random", 12, 6)
    one.redraw(9)
    assert one.pairs != other.pairs
    other.load_state_dict(one.state_dict())
    assert one.pairs == other.pairs


def test_evaluation_always_uses_the_same_draw():
    layer_map = LayerMap("random", 12, 6)
    held_out = layer_map.eval().pairs
    assert LayerMap("random", 12, 6).eval().pairs == held_out
    trained = set()
    for epoch in range(10):
        layer_map.redraw(1, epoch)
        assert layer_map.eval().pairs == held_out
        trained.add(layer_map.train().pairs)
    assert len(trained) > 5


@pytest.mark.parametrize("name", ["last", "uniform", "emd", "all"])
@pytest.mark.parametrize(("n", "m"), [(3, 6), (2, 3), (1, 2)])
def test_a_student_may_be_deeper_than_its_teacher(name, n, m):
    assert LayerMap(name, n, m).pairs == expected(name, n, m)


@pytest.mark.parametrize("name", ["skip", "last-k", "first", "random"])
@pytest.mark.parametrize(("n", "m"), [(3, 6), (1, 2)])
def test_maps_that_a_deeper_student_cannot_have_are_refused_in_one_line(name, n, m):
    with pytest.raises(CrildError, match=name):
        LayerMap(name, n, m)
