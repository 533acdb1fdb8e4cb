"""Every objective against slow loops over plain numbers, written from the specification and not from the code."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from scipy.optimize import linprog
from torch import nn

from crild.errors import CrildError
from crild.features import Features, LayerFeatures
from crild.objectives import Shape, compose, distillation_loss, mixed_task_loss, task_loss, weighted_mean
from crild.objectives.relations import relation_heads, resplit
from crild.objectives.transport import new_masses, optimal_plan

TENSORS = ("hidden", "query", "key", "value")


# ---------------------------------------------------------------------------------------------- features by hand


def shape(layers=3, width=12, heads=3, groups=None, outputs=3, head_width=None) -> Shape:
    return Shape(layers, width, heads, groups or heads, head_width or width // heads, outputs)


def draw(seed, of, lengths=(5, 3, 4), windows=None) -> Features:
    """Random features in double precision; words are runs of 1, 2, 3, 1, ... tokens between [CLS] and [SEP]."""
    generator = torch.Generator().manual_seed(seed)
    rows, length, size = len(lengths), max(lengths), of.head_width

    def tensor(*sizes):
        return torch.randn(*sizes, generator=generator, dtype=torch.float64)

    mask, words = torch.zeros(rows, length, dtype=torch.long), torch.full((rows, length), -1)
    for b, n in enumerate(lengths):
        mask[b, :n] = 1
        inner = [word for word in range(n) for _ in range(word % 3 + 1)][: max(0, n - 2)]
        words[b, 1 : 1 + len(inner)] = torch.tensor(inner, dtype=torch.long)
    layers = {}
    for number in range(of.layers + 1):
        hidden, query = tensor(rows, length, of.width), tensor(rows, of.heads, length, size)
        key, value = tensor(rows, of.groups, length, size), tensor(rows, of.groups, length, size)
        layers[number] = LayerFeatures(hidden, query, key, value, (windows or {}).get(number))
    return Features(mask, layers, tensor(rows, of.outputs), words)


def leaves(features, objective) -> list[torch.Tensor]:
    """The tensors that the objective looks at, turned into leaves that want a gradient."""
    found = [
        getattr(features.layers[number], name)
        for number in objective.layers("student")
        for name in objective.needs
        if name != "logits"
    ]
    return [x.requires_grad_() for x in found + [features.logits] * ("logits" in objective.needs)]


def with_leaves(features, objective, tensors) -> Features:
    """The same features with the tensors of `leaves` replaced."""
    left, layers = list(tensors), dict(features.layers)
    for number in objective.layers("student"):
        for name in objective.needs:
            if name != "logits":
                layers[number] = replace(layers[number], **{name: left.pop(0)})
    return replace(features, layers=layers, logits=left.pop(0) if left else features.logits)


def grown(features, extra, content) -> Features:
    """The same features with ``extra`` more padded positions, and ``content`` in all padded ones."""

    def grow(x, dim, filling):
        if x is None:
            return None
        sizes = list(x.shape)
        sizes[dim] = extra
        longer = torch.cat([x.detach(), x.new_full(sizes, filling)], dim).transpose(dim, 1).clone()
        longer[mask == 0] = filling
        return longer.transpose(1, dim)

    mask = torch.cat([features.mask, features.mask.new_zeros(len(features.mask), extra)], 1)
    layers = {
        number: LayerFeatures(
            grow(x.hidden, 1, content), *(grow(getattr(x, n), 2, content) for n in TENSORS[1:]), x.window
        )
        for number, x in features.layers.items()
    }
    return Features(mask, layers, features.logits.detach().clone(), grow(features.words, 1, -1))


# ------------------------------------------------------------------------------- slow computations, number by number


def mean(term) -> float:
    return float(term[0].detach() / term[1])


def average(values) -> float:
    values = list(values)
    return sum(values) / len(values)


def average_or_zero(values) -> float:
    values = list(values)
    return average(values) if values else 0.0


def dot(x, y) -> float:
    return sum(a * b for a, b in zip(x, y, strict=True))


def squared(x, y) -> float:
    return sum((a - b) ** 2 for a, b in zip(x, y, strict=True))


def distance(x, y) -> float:
    return math.sqrt(squared(x, y))


def cosine_at(vertex, one, other) -> float:
    """Cosine of the angle at ``vertex`` between two other points."""
    x, y = [a - b for a, b in zip(one, vertex, strict=True)], [a - b for a, b in zip(other, vertex, strict=True)]
    return dot(x, y) / (math.sqrt(dot(x, x)) * math.sqrt(dot(y, y)))


def smooth_l1(x, y) -> float:
    gap = abs(x - y)
    return gap**2 / 2 if gap < 1 else gap - 0.5


def softmax(values) -> list[float]:
    top = max(values)
    exps = [math.exp(v - top) for v in values]
    return [e / sum(exps) for e in exps]


def divergence(target, student) -> float:
    """KL(softmax(target) || softmax(student))."""
    p, q = softmax(target), softmax(student)
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


def through(linear, x) -> list[float]:
    """A learned map, where there is one."""
    if linear is None:
        return x
    return [dot(row, x) + bias for row, bias in zip(linear.weight.tolist(), linear.bias.tolist(), strict=True)]


def unit(x) -> list[float]:
    return [a / math.sqrt(dot(x, x)) for a in x]


def middle(points) -> list[float]:
    return [average(column) for column in zip(*points, strict=True)]


def texts(features) -> list[tuple[int, list[int]]]:
    """Each example with its real positions."""
    return [(b, [i for i, real in enumerate(row) if real]) for b, row in enumerate(features.mask.tolist())]


def tokens(features) -> list[tuple[int, int]]:
    return [(b, i) for b, real in texts(features) for i in real]


def slow_hidden(part, student, target, pairs):
    found = []
    for s, t in pairs:
        ours, theirs = student.layers[s].hidden.tolist(), target.layers[t].hidden.tolist()
        for b, i in tokens(target):
            x, y = through(part.width_map, ours[b][i]), theirs[b][i]
            found.append(squared(x, y) / len(y))
    return {"hidden": average(found)}


def slow_embeddings(part, student, target, pairs):
    return {"embeddings": slow_hidden(part, student, target, [(0, 0)])["hidden"]}


def keys_seen(target, b, i, *windows) -> list[int]:
    real = [j for j, m in enumerate(target.mask[b].tolist()) if m]
    return [j for j in real if all(window is None or abs(i - j) < window for window in windows)]


def attention_score(layer, b, h, i, j) -> float:
    query, key = layer.query[b][h][i].tolist(), layer.key
    group = h // (layer.query.shape[1] // key.shape[1])
    return dot(query, key[b][group][j].tolist()) / math.sqrt(len(query))


def slow_attention(part, student, target, pairs):
    kl, mse = [], []
    for s, t in pairs:
        ours, theirs = student.layers[s], target.layers[t]
        heads = theirs.query.shape[1]
        for b, i in tokens(target):
            keys = keys_seen(target, b, i, ours.window, theirs.window)
            over_heads, over_all = [], []
            for h in range(heads):
                x = [attention_score(ours, b, h, i, j) for j in keys]
                y = [attention_score(theirs, b, h, i, j) for j in keys]
                over_heads.append(divergence(y, x))
                over_all += [(a - c) ** 2 for a, c in zip(x, y, strict=True)]
            kl.append(average(over_heads))
            mse.append(average(over_all))
    return {"attention": average(kl), "attention_scores": average(mse)}


def common_divisor(most, *widths) -> int:
    found = 1
    for heads in range(1, most + 1):
        if all(width % heads == 0 for width in widths):
            found = heads
    return found


def relation_row(x, b, i, keys, head, heads) -> list[float]:
    """Row i of one relation head of x (B, h, L, d_h): heads side by side, the width cut into ``heads`` equal pieces."""
    width = x.shape[1] * x.shape[3]
    size = width // heads

    def piece(position):
        wide = [number for h in range(x.shape[1]) for number in x[b][h][position].tolist()]
        return wide[head * size : (head + 1) * size]

    return [dot(piece(i), piece(j)) / math.sqrt(size) for j in keys]


def slow_relation(student, target, pairs, name, heads_of) -> float:
    found = []
    for s, t in pairs:
        ours, theirs = student.layers[s], target.layers[t]
        x, y = getattr(ours, name), getattr(theirs, name)
        heads = heads_of(x.shape[1] * x.shape[3], y.shape[1] * y.shape[3])
        for b, i in tokens(target):
            keys = keys_seen(target, b, i, ours.window, theirs.window)
            found += [
                divergence(relation_row(y, b, i, keys, h, heads), relation_row(x, b, i, keys, h, heads))
                for h in range(heads)
            ]
    return average(found)


def slow_relations(part, student, target, pairs):
    given = part.between.relation_heads
    return {
        term: slow_relation(student, target, pairs, name, lambda a, b: given or common_divisor(48, a, b))
        for term, name in (("relation_qq", "query"), ("relation_kk", "key"), ("relation_vv", "value"))
    }


def slow_value_relation(part, student, target, pairs):
    heads = next(iter(target.layers.values())).value.shape[1]
    return {"value_relation": slow_relation(student, target, pairs, "value", lambda a, b: heads)}


def slow_pkd(part, student, target, pairs):
    found = []
    for s, t in pairs:
        for b, _ in texts(target):
            x = unit(through(part.width_map, student.layers[s].hidden[b][0].tolist()))
            y = unit(target.layers[t].hidden[b][0].tolist())
            found.append(squared(x, y) / len(y))
    return {"patient": average(found)}


def slow_rail_kd(part, student, target, pairs):
    found = []
    for s, t in pairs:
        for b, real in texts(target):
            x = middle([student.layers[s].hidden[b][i].tolist() for i in real])
            y = middle([target.layers[t].hidden[b][i].tolist() for i in real])
            found.append(squared(unit(through(part.student_map, x)), unit(through(part.teacher_map, y))))
    return {"pooled": average(found)}


def slow_alp_kd(part, student, target, pairs):
    found = []
    for s in sorted({s for s, _ in pairs}):
        for b, _ in texts(target):
            x = through(part.width_map, student.layers[s].hidden[b][0].tolist())
            states = [target.layers[t].hidden[b][0].tolist() for t in sorted({t for _, t in pairs})]
            shares = softmax([dot(x, y) for y in states])
            mixture = [dot(shares, column) for column in zip(*states, strict=True)]
            found.append(squared(x, mixture) / len(mixture))
    return {"attentive": average(found)}


def differing_distances(x, y, couples) -> float:
    """Squared difference of distances that were each divided by their mean."""
    ours, theirs = ([distance(points[a], points[c]) for a, c in couples] for points in (x, y))
    return average_or_zero((a / average(ours) - c / average(theirs)) ** 2 for a, c in zip(ours, theirs, strict=True))


def differing_angles(x, y, triples) -> float:
    return average_or_zero((cosine_at(x[a], x[b], x[c]) - cosine_at(y[a], y[b], y[c])) ** 2 for a, b, c in triples)


def slow_ckd(part, student, target, pairs):
    found = {"word_distances": [], "word_angles": [], "layer_distances": [], "layer_angles": []}
    for b, real in texts(target):
        ours = {s: [student.layers[s].hidden[b][i].tolist() for i in real] for s, _ in pairs}
        theirs = {t: [target.layers[t].hidden[b][i].tolist() for i in real] for _, t in pairs}
        n = range(len(real))
        couples = [(i, j) for i in n for j in n if i != j]
        triples = [
            (i, j, k)
            for i in n
            for j in n
            for k in n
            if len({i, j, k}) == 3 and abs(real[i] - real[j]) <= 10 and abs(real[i] - real[k]) <= 10
        ]
        for s, t in pairs:
            found["word_distances"].append(differing_distances(ours[s], theirs[t], couples))
            found["word_angles"].append(differing_angles(ours[s], theirs[t], triples))
        # The layers of one token: (token, mapped layer) are the points, relations stay inside one token.
        x = {(i, p): ours[s][i] for i in n for p, (s, _) in enumerate(pairs)}
        y = {(i, p): theirs[t][i] for i in n for p, (_, t) in enumerate(pairs)}
        couples = [(a, c) for a in x for c in x if a != c and a[0] == c[0]]
        triples = [(a, c, e) for a in x for c in x for e in x if len({a, c, e}) == 3 and a[0] == c[0] == e[0]]
        if len(pairs) > 1:
            found["layer_distances"].append(differing_distances(x, y, couples))
        if len(pairs) > 2:
            found["layer_angles"].append(differing_angles(x, y, triples))
    return {term: average(values) for term, values in found.items() if values}


def head_dots(points, heads) -> list[list[list[float]]]:
    """Dots [head][i][j] of all points, scaled by 1 / sqrt(width of a head)."""
    size = len(points[0]) // heads

    def piece(x, h):
        return x[h * size : (h + 1) * size]

    return [[[dot(piece(x, h), piece(y, h)) / math.sqrt(size) for y in points] for x in points] for h in range(heads)]


def slow_local(x, y, heads) -> tuple[float, float]:
    """MGSKD among the tokens (or words) of one text: dots, and angles chosen by the teacher's attention.

    Two readings that the description leaves open: a token's dot with itself is one of the dots (and of the
    attention), and the 20 that a vertex attends to most are sought among the others.
    """
    if not y:
        return 0.0, 0.0
    n = range(len(y))
    ours, theirs = head_dots(x, heads), head_dots(y, heads)
    dots = [(ours[h][i][j] - theirs[h][i][j]) ** 2 for h in range(heads) for i in n for j in n]
    rows = [[softmax(theirs[h][i]) for i in n] for h in range(heads)]
    given = [[average(rows[h][i][j] for h in range(heads)) for j in n] for i in n]
    received = [sum(given[i][j] for i in n) for j in n]
    angles = []
    for vertex in sorted(n, key=lambda j: -received[j])[:20]:
        seen = sorted((j for j in n if j != vertex), key=lambda j: -given[vertex][j])[:20]
        angles += [
            smooth_l1(cosine_at(x[vertex], x[j], x[k]), cosine_at(y[vertex], y[j], y[k]))
            for j in seen
            for k in seen
            if j != k
        ]
    return average(dots), average_or_zero(angles)


def words_of(layer, words, b) -> list[list[float]]:
    numbers = words[b].tolist()
    return [
        middle([layer.hidden[b][i].tolist() for i, found in enumerate(numbers) if found == word])
        for word in sorted(set(numbers) - {-1})
    ]


def slow_mgskd(part, student, target, pairs):
    names = ("token_pairs", "token_angles", "span_pairs", "span_angles", "sample_angles")
    found = {name: [] for name in names}
    lower = min(2, len(pairs) - 1)
    for s, t in pairs[:lower]:
        ours, theirs = student.layers[s], target.layers[t]
        heads = common_divisor(64, ours.hidden.shape[2], theirs.hidden.shape[2])
        for b, real in texts(target):
            x, y = ([layer.hidden[b][i].tolist() for i in real] for layer in (ours, theirs))
            dots, angles = slow_local(x, y, heads)
            found["token_pairs"].append(dots)
            found["token_angles"].append(angles)
            dots, angles = slow_local(words_of(ours, target.words, b), words_of(theirs, target.words, b), heads)
            found["span_pairs"].append(dots)
            found["span_angles"].append(angles)
    for s, t in pairs[lower:]:
        ours, theirs = student.layers[s].hidden, target.layers[t].hidden
        heads = common_divisor(64, ours.shape[2], theirs.shape[2])
        x, y = ([middle([z[b][i].tolist() for i in real]) for b, real in texts(target)] for z in (ours, theirs))
        for h in range(heads):
            a, c = ([z[h * len(z) // heads : (h + 1) * len(z) // heads] for z in points] for points in (x, y))
            n = range(len(a))
            found["sample_angles"] += [
                smooth_l1(cosine_at(a[i], a[j], a[k]), cosine_at(c[i], c[j], c[k]))
                for i in n
                for j in n
                for k in n
                if len({i, j, k}) == 3
            ]
    return {name: average(values) for name, values in found.items() if values}


def slow_ted(part, student, target, pairs):
    found = []
    for s, t in pairs:
        for b, i in tokens(target):
            x = through(part.filters[f"student_{s}"], student.layers[s].hidden[b][i].tolist())
            y = through(part.filters[f"teacher_{t}"], target.layers[t].hidden[b][i].tolist())
            found.append(squared(x, y) / len(y))
    return {"filtered": average(found)}


def slow_logits(part, student, target, pairs):
    x, y = student.logits.tolist(), target.logits.tolist()
    return {"logits": average(squared(a, c) / len(c) for a, c in zip(x, y, strict=True))}


SLOW: dict[str, Callable] = {
    "hidden": slow_hidden,
    "embeddings": slow_embeddings,
    "attention-kl": slow_attention,
    "attention-mse": slow_attention,
    "relations": slow_relations,
    "value-relation": slow_value_relation,
    "pkd": slow_pkd,
    "rail-kd": slow_rail_kd,
    "alp-kd": slow_alp_kd,
    "ckd": slow_ckd,
    "mgskd": slow_mgskd,
    "ted": slow_ted,
    "logits": slow_logits,
}


# ---------------------------------------------------------------------------------------------------- the situations


@dataclass(frozen=True)
class Situation:
    """An objective, a map, two models and a batch."""

    features: str
    layer_map: str
    student: Shape = shape()
    teacher: Shape = shape(layers=5)
    lengths: tuple[int, ...] = (5, 3, 4)
    relation_heads: int | None = None
    windows: tuple = (None, None)

    def make(self):
        torch.manual_seed(7)
        objective = compose(self.features, self.layer_map, self.student, self.teacher, self.relation_heads).double()
        ours = draw(1, self.student, self.lengths, self.windows[0])
        return objective, replace(ours, words=None), draw(2, self.teacher, self.lengths, self.windows[1])

    def terms(self):
        objective, student, teacher = self.make()
        return objective.eval()(student, teacher)


WIDE = {"teacher": shape(layers=5, width=18)}
GROUPED = {"student": shape(width=12, heads=6, groups=2), "teacher": shape(layers=5, width=24, heads=6, groups=3)}
BROAD = {"student": shape(head_width=6, groups=1), "teacher": shape(layers=5, width=9, head_width=8)}
LOCAL = {"windows": ({1: 3, 2: 2, 3: None}, {2: 2, 4: 3, 5: 2}), "lengths": (6, 4, 1)}
FIVE = {"student": shape(layers=5, width=6, heads=2), "teacher": shape(layers=6, width=10, heads=2)}
TWO_HEADS = {"student": shape(width=6, heads=2), "teacher": shape(layers=5, width=10, heads=2)}  # of relations
SITUATIONS = {
    "hidden, last layer": Situation("hidden", "last"),
    "hidden, several pairs": Situation("hidden", "uniform"),
    "hidden, random layers": Situation("hidden", "random"),
    "hidden, unequal widths": Situation("hidden", "1-4,3-2", **WIDE),
    "embeddings": Situation("embeddings", "last"),
    "embeddings, unequal widths": Situation("embeddings", "uniform", **WIDE),
    "attention-kl, last layer": Situation("attention-kl", "last"),
    "attention-kl, several pairs, unequal widths": Situation("attention-kl", "uniform", **WIDE),
    "attention-kl, grouped queries": Situation("attention-kl", "skip", **GROUPED),
    "attention-kl, heads together wider than the model": Situation("attention-kl", "uniform", **BROAD),
    "attention-kl, local windows": Situation("attention-kl", "uniform", **LOCAL),
    "attention-mse, last layer": Situation("attention-mse", "last"),
    "attention-mse, several pairs, unequal widths": Situation("attention-mse", "uniform", **WIDE),
    "attention-mse, grouped queries": Situation("attention-mse", "skip", **GROUPED),
    "attention-mse, local windows": Situation("attention-mse", "uniform", **LOCAL),
    "relations, last layer": Situation("relations", "last"),
    "relations, 2 heads, several pairs": Situation("relations", "last-k", relation_heads=2),
    "relations, unequal widths and heads": Situation("relations", "last", teacher=shape(layers=5, width=20, heads=5)),
    "relations, grouped queries": Situation("relations", "uniform", **GROUPED),
    "relations, 4 heads, grouped queries": Situation("relations", "last", relation_heads=4, **GROUPED),
    "relations, heads together wider than the model": Situation("relations", "last", **BROAD),
    "relations, 2 heads, heads together wider than the model": Situation(
        "relations", "last", relation_heads=2, **BROAD
    ),
    "relations, local windows": Situation("relations", "uniform", **LOCAL),
    "value-relation, last layer": Situation("value-relation", "last"),
    "value-relation, several pairs, unequal widths": Situation("value-relation", "uniform", **WIDE),
    "value-relation, grouped queries": Situation(
        "value-relation", "last", shape(width=12, heads=6, groups=2), shape(width=12, heads=2, layers=5)
    ),
    "value-relation, local windows": Situation("value-relation", "uniform", **LOCAL),
    "pkd, skip": Situation("pkd", "skip"),
    "pkd, last-k, unequal widths": Situation("pkd", "last-k", **WIDE),
    "rail-kd, random": Situation("rail-kd", "random"),
    "rail-kd, uniform, unequal widths": Situation("rail-kd", "uniform", **WIDE),
    "alp-kd": Situation("alp-kd", "all"),
    "alp-kd, unequal widths": Situation("alp-kd", "all", **WIDE),
    "ckd, 5 layers, unequal widths": Situation("ckd", "uniform", **FIVE),
    "ckd, 3 layers, long texts": Situation("ckd", "uniform", lengths=(25, 21, 14)),
    "ckd, 2 layers, short texts": Situation("ckd", "skip", lengths=(1, 2, 3)),
    "ckd, 1 layer": Situation("ckd", "last", lengths=(4, 3)),
    "mgskd, 3 layers": Situation("mgskd", "uniform", lengths=(7, 6, 9, 8), **TWO_HEADS),
    "mgskd, 5 layers": Situation("mgskd", "uniform", lengths=(7, 6, 8), **FIVE),
    "mgskd, 2 layers, short texts": Situation("mgskd", "skip", lengths=(1, 2, 9, 3), **TWO_HEADS),
    "mgskd, 1 layer": Situation("mgskd", "last", lengths=(4, 4, 2, 1, 3), **TWO_HEADS),
    "mgskd, more than 20 tokens and words": Situation("mgskd", "skip", lengths=(55, 23, 21), **TWO_HEADS),
    "ted": Situation("ted", "uniform"),
    "ted, unequal widths": Situation("ted", "skip", **WIDE),
    "logits": Situation("logits", "last"),
    "logits, many classes": Situation("logits", "all", shape(outputs=5), shape(outputs=5)),
}
EMD = {
    "hidden, emd": Situation("hidden", "emd"),
    "hidden, emd, unequal widths": Situation("hidden", "emd", **WIDE),
    "attention-mse, emd": Situation("attention-mse", "emd"),
    "relations, emd": Situation("relations", "emd", shape(layers=2), shape(layers=3)),
    "pkd, emd": Situation("pkd", "emd", shape(layers=4), shape(layers=3)),
}
ALL = {**SITUATIONS, **EMD}


def cheapest(ours, theirs, costs) -> np.ndarray:
    """The optimal plan as a linear programme: F >= 0 with the given row and column sums."""
    m, n = costs.shape
    sums = np.zeros((m + n, m * n))
    for i in range(m):
        for j in range(n):
            sums[i, i * n + j] = sums[m + j, i * n + j] = 1.0
    found = linprog(costs.ravel(), A_eq=sums, b_eq=np.concatenate([ours, theirs]), bounds=(0, None), method="highs-ds")
    assert found.success, found.message
    return found.x.reshape(m, n)


def slow_costs(situation, part, student, target) -> dict[str, np.ndarray]:
    """Each term between student layer i and teacher layer j, by loops."""
    m, n = situation.student.layers, situation.teacher.layers
    each = [
        [SLOW[situation.features](part, student, target, [(i, j)]) for j in range(1, n + 1)] for i in range(1, m + 1)
    ]
    return {term: np.array([[cell[term] for cell in row] for row in each]) for term in part.terms}


@pytest.mark.parametrize("name", SITUATIONS)
def test_values_agree_with_slow_loops(name):
    objective, student, teacher = SITUATIONS[name].make()
    found = objective(student, teacher)
    expected = SLOW[SITUATIONS[name].features](objective.parts[0], student, teacher, objective.pairs)
    assert set(found) == set(objective.terms)
    for term in objective.terms:
        assert mean(found[term]) == pytest.approx(expected[term], rel=1e-10, abs=1e-12), term


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


# ------------------------------------------------------------------------------------------- what holds for everyone


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
            assert count == (real if term in a_token or term.startswith("relation_") else rows)


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


# ------------------------------------------------------------------------------------------------ one objective each


def test_resplit_concatenates_heads_and_cuts_the_width_evenly():
    x = torch.arange(24.0).reshape(1, 2, 3, 4)
    wide = [[float(x[0, h, i, c]) for h in range(2) for c in range(4)] for i in range(3)]
    assert resplit(x, 4)[0, 1, 2].tolist() == wide[2][2:4]


@pytest.mark.parametrize(
    ("student", "teacher", "heads"), [(384, 768, 48), (768, 768, 48), (312, 768, 24), (100, 30, 10), (128, 256, 32)]
)
def test_relation_heads_are_48_or_the_largest_common_divisor(student, teacher, heads):
    assert relation_heads(student, teacher) == heads


@pytest.mark.parametrize("features", ["hidden", "embeddings", "pkd", "alp-kd"])
def test_a_width_map_is_learned_only_where_widths_differ(features):
    layer_map = "all" if features == "alp-kd" else "last"
    assert not list(compose(features, layer_map, shape(), shape()).parameters())
    objective, student, teacher = Situation(features, layer_map, **WIDE).make()
    linear = objective.parts[0].width_map
    assert isinstance(linear, nn.Linear)
    assert linear.weight.shape == (18, 12)
    objective(student, teacher)[objective.terms[0]][0].backward()
    assert linear.weight.grad.abs().sum() > 0


def test_one_map_serves_all_layers_and_transport_learns_it_too():
    objective, student, teacher = Situation("hidden", "emd", **WIDE).make()
    assert [tuple(p.shape) for p in objective.parameters()] == [(18, 12), (18,)]
    objective(student, teacher)["hidden"][0].backward()
    assert all(p.grad.abs().sum() > 0 for p in objective.parameters())


def test_a_relation_excludes_keys_outside_either_models_window():
    wide, narrow = ({3: 3}, {5: 2}), ({3: 2}, {5: 2})
    found = [mean(Situation("relations", "last", windows=w).terms()["relation_vv"]) for w in (wide, narrow)]
    assert found[0] == pytest.approx(found[1])


def test_unequal_heads_are_refused_where_attention_is_matched():
    for features in ("attention-kl", "attention-mse"):
        with pytest.raises(CrildError, match="features qkv"):
            compose(features, "last", shape(heads=2), shape(heads=3))
    compose("relations", "last", shape(heads=2), shape(heads=3))
    with pytest.raises(CrildError, match="does not divide"):
        compose("relations", "last", shape(heads=2), shape(heads=3), 5)


def test_unequal_value_heads_are_refused_by_the_value_relation():
    with pytest.raises(CrildError, match="value"):
        compose("value-relation", "last", shape(heads=6, groups=2), shape(heads=6, groups=3))
    compose("value-relation", "last", shape(heads=6, groups=3), shape(heads=3))


def test_relation_heads_have_to_divide_the_narrower_keys_too():
    with pytest.raises(CrildError, match="does not divide"):  # 12 divides 12 and 24, but keys are 4 and 12 wide
        compose("relations", "last", **GROUPED, relation_heads=12)


def test_words_are_matched_by_their_number_and_not_by_their_place():
    objective, student, teacher = SITUATIONS["mgskd, 3 layers"].make()
    before = mean(objective(student, teacher)["span_pairs"])
    renumbered = torch.where(teacher.words < 0, teacher.words, 5 * (20 - teacher.words))
    after = mean(objective(student, replace(teacher, words=renumbered))["span_pairs"])
    assert after == pytest.approx(before, rel=1e-12)


def test_samples_weigh_four_times_tokens_and_spans():
    objective, _, _ = SITUATIONS["mgskd, 3 layers"].make()
    assert objective.weights == {
        "token_pairs": 1.0,
        "token_angles": 1.0,
        "span_pairs": 1.0,
        "span_angles": 1.0,
        "sample_angles": 4.0,
    }


# ------------------------------------------------------------------------------------------------------------ filters


def cross_entropy(logits, label) -> float:
    top = max(logits)
    return top + math.log(sum(math.exp(z - top) for z in logits)) - logits[int(label)]


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
    student, teacher = only_mapped(objective, student, teacher)
    terms = objective.filter_terms(student, teacher, torch.tensor(labels, dtype=torch.float64))
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


# -------------------------------------------------------------------------------------------- logits and the own task


def random_logits(seed, rows=4, classes=3):
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(rows, classes, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("temperature", [1.0, 2.0, 10.0])
@pytest.mark.parametrize("classes", [2, 5])
def test_logit_distillation_agrees_with_a_loop(classes, temperature):
    student, teacher = random_logits(0, classes=classes), random_logits(1, classes=classes)
    expected = [
        temperature**2 * divergence([z / temperature for z in t], [z / temperature for z in s])
        for s, t in zip(student.tolist(), teacher.tolist(), strict=True)
    ]
    found = distillation_loss(student, teacher, temperature)
    assert mean(found) == pytest.approx(average(expected), rel=1e-10)
    assert int(found[1]) == 4
    student.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: distillation_loss(x, teacher, temperature)[0], student)
    assert float(distillation_loss(teacher, teacher, temperature)[0]) == pytest.approx(0.0, abs=1e-12)


def test_logit_distillation_closed_form():
    student, teacher = torch.tensor([[0.0, 0.0]]), torch.tensor([[2.0 * math.log(3.0), 0.0]])
    # at T = 2 the teacher says 3/4, 1/4 and the student 1/2, 1/2
    expected = 4 * (0.75 * math.log(1.5) + 0.25 * math.log(0.5))
    total, count = distillation_loss(student, teacher, 2.0)
    assert float(total) == pytest.approx(expected, abs=1e-6)
    assert int(count) == 1
    total, count = distillation_loss(torch.tensor([[1.0], [2.0]]), torch.tensor([[3.0], [2.0]]))
    assert (float(total), int(count)) == (4.0, 2)


def test_classification_agrees_with_a_loop_over_the_labelled():
    logits, missing = random_logits(0), float("nan")
    for labels in ([0, 2, 1, 1], [missing, 2, missing, 0]):
        known = [(z, y) for z, y in zip(logits.tolist(), labels, strict=True) if not math.isnan(y)]
        found = task_loss(logits, torch.tensor(labels, dtype=torch.float32))
        assert mean(found) == pytest.approx(average(cross_entropy(z, y) for z, y in known), rel=1e-10)
        assert int(found[1]) == len(known)


def test_regression_agrees_with_a_loop_over_the_labelled():
    logits, missing = random_logits(0, classes=1), float("nan")
    for labels in ([0.5, -2.0, 1.25, 4.0], [missing, 2.0, missing, 0.0]):
        known = [(z, y) for (z,), y in zip(logits.tolist(), labels, strict=True) if not math.isnan(y)]
        found = task_loss(logits, torch.tensor(labels))
        assert mean(found) == pytest.approx(average((z - y) ** 2 for z, y in known), rel=1e-10)
        assert int(found[1]) == len(known)


def test_task_loss_ignores_rows_without_a_label():
    logits = torch.tensor([[0.0, 0.0], [5.0, -5.0]])
    total, count = task_loss(logits, torch.tensor([1.0, float("nan")]))
    assert float(total) == pytest.approx(math.log(2))
    assert int(count) == 1
    total, count = task_loss(logits, torch.tensor([float("nan")] * 2))
    assert float(weighted_mean({"task": (total, count)}, {"task": 1.0})) == 0.0
    total, count = task_loss(torch.tensor([[1.5], [0.0]]), torch.tensor([1.0, float("nan")]))
    assert (float(total), int(count)) == (0.25, 1)


@pytest.mark.parametrize("classes", [3, 1])
def test_rows_without_a_label_get_no_gradient(classes):
    logits = random_logits(0, classes=classes).requires_grad_()
    labels = torch.tensor([1.0, float("nan"), 0.0, float("nan")])
    task_loss(logits, labels)[0].backward()
    assert logits.grad.isfinite().all()
    assert [bool(row.any()) for row in logits.grad] == [True, False, True, False]
    logits.grad = None
    # rows 1 and 3 are each other's partners: neither share has a label
    mixed_task_loss(logits, labels, 0.8, torch.tensor([2, 3, 0, 1]))[0].backward()
    assert logits.grad.isfinite().all()
    assert [bool(row.any()) for row in logits.grad] == [True, False, True, False]


def mixed_classes(logits, labels, partners, lam):
    """The two shares of each row, each against its label; a label that is missing takes its share along."""
    total, weight = 0.0, 0.0
    for i, z in enumerate(logits.tolist()):
        for share, label in ((lam, labels[i]), (1 - lam, labels[partners[i]])):
            if not math.isnan(label):
                total += share * cross_entropy(z, label)
                weight += share
    return total, weight


@pytest.mark.parametrize("labels", [[0, 2, 1, 1, 2], [0, float("nan"), 1, 2, 2], [float("nan")] * 4 + [1]])
@pytest.mark.parametrize("partners", [[1, 0, 3, 4, 2], [1, 0, 3, 2, 4]])
def test_mixed_classification_agrees_with_a_loop_over_shares(labels, partners):
    logits, lam = random_logits(2, rows=5), 0.7
    total, count = mixed_task_loss(logits, torch.tensor(labels, dtype=torch.float32), lam, torch.tensor(partners))
    expected, weight = mixed_classes(logits, labels, partners, lam)
    assert float(total) == pytest.approx(expected, rel=1e-10)
    assert float(count) == pytest.approx(weight)  # the shares of a row add up to one over its two appearances


def test_mixed_classification_equals_cross_entropy_with_interpolated_label_vectors():
    logits, lam, labels, partners = random_logits(3, rows=3), 0.6, [0, 2, 1], [1, 2, 0]
    expected = 0.0
    for i, z in enumerate(logits.tolist()):
        soft = [lam * (c == labels[i]) + (1 - lam) * (c == labels[partners[i]]) for c in range(3)]
        expected -= sum(p * math.log(q) for p, q in zip(soft, softmax(z), strict=True))
    total, count = mixed_task_loss(logits, torch.tensor(labels, dtype=torch.float32), lam, torch.tensor(partners))
    assert (float(total), int(count)) == (pytest.approx(expected, rel=1e-10), 3)


def test_mixed_regression_has_the_gradient_of_the_interpolated_number():
    lam, labels, partners = 0.6, [0.5, 2.0, -1.0], [1, 2, 0]
    logits = random_logits(3, rows=3, classes=1).requires_grad_()
    total, count = mixed_task_loss(logits, torch.tensor(labels, dtype=torch.float64), lam, torch.tensor(partners))
    total.backward()
    assert int(count) == 3
    for i, partner in enumerate(partners):
        mixed = lam * labels[i] + (1 - lam) * labels[partner]
        assert float(logits.grad[i]) == pytest.approx(2 * (float(logits[i].detach()) - mixed), rel=1e-10)


def test_mixed_regression_learns_from_the_one_share_that_has_a_label():
    logits, labels = torch.tensor([[1.5], [0.0]]), torch.tensor([1.0, float("nan")])
    total, _ = mixed_task_loss(logits, labels, 0.75, torch.tensor([1, 0]))
    assert float(total) == pytest.approx(0.75 * (1.5 - 1.0) ** 2 + 0.25 * (0.0 - 1.0) ** 2)
