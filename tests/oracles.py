"""Slow, obvious computations over plain numbers, written from the specification and not from the code."""

import math
from collections.abc import Callable

import numpy as np
from scipy.optimize import linprog


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


def slow_head_input(part, student, target, pairs):
    found = []
    sides = (student, part.between.student), (target, part.between.teacher)
    for b, real in texts(target):
        read = []
        for features, of in sides:
            states = features.layers[of.layers].hidden[b].tolist()
            read.append(middle([states[i] for i in real]) if of.pooling == "mean" else states[0])
        x, y = through(part.width_map, read[0]), read[1]
        found.append(squared(x, y) / len(y))
    return {"head_input": average(found)}


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


def slow_head_relations(part, student, target, pairs):
    heads = {name: getattr(next(iter(target.layers.values())), name).shape[1] for name in ("query", "key", "value")}
    return {
        term: slow_relation(student, target, pairs, name, lambda a, b, name=name: heads[name])
        for term, name in (
            ("head_relation_qq", "query"),
            ("head_relation_kk", "key"),
            ("head_relation_vv", "value"),
        )
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
    "head-input": slow_head_input,
    "attention-kl": slow_attention,
    "attention-mse": slow_attention,
    "relations": slow_relations,
    "head-relations": slow_head_relations,
    "value-relation": slow_value_relation,
    "pkd": slow_pkd,
    "rail-kd": slow_rail_kd,
    "alp-kd": slow_alp_kd,
    "ckd": slow_ckd,
    "mgskd": slow_mgskd,
    "ted": slow_ted,
    "logits": slow_logits,
}


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


def cross_entropy(logits, label) -> float:
    top = max(logits)
    return top + math.log(sum(math.exp(z - top) for z in logits)) - logits[int(label)]


def mixed_classes(logits, labels, partners, lam):
    """The two shares of each row, each against its label; a label that is missing takes its share along."""
    total, weight = 0.0, 0.0
    for i, z in enumerate(logits.tolist()):
        for share, label in ((lam, labels[i]), (1 - lam, labels[partners[i]])):
            if not math.isnan(label):
                total += share * cross_entropy(z, label)
                weight += share
    return total, weight


# ---- diagnostics ----


def slow_cka(x, y) -> float:
    """Linear CKA by the centred Gram matrices of its definition, HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L))."""

    def gram(points):
        n = len(points)
        raw = [[dot(points[i], points[j]) for j in range(n)] for i in range(n)]
        line, whole = [average(row) for row in raw], average(average(row) for row in raw)
        return [[raw[i][j] - line[i] - line[j] + whole for j in range(n)] for i in range(n)]

    def hsic(k, m):
        return sum(a * b for ks, ms in zip(k, m, strict=True) for a, b in zip(ks, ms, strict=True))

    k, m = gram(x), gram(y)
    return hsic(k, m) / math.sqrt(hsic(k, k) * hsic(m, m))


def slow_noisy(weights, draw, scale) -> list[float]:
    """The numbers of one tensor with noise ``scale`` times as long as its root mean square."""
    root = math.sqrt(average(w**2 for w in weights))
    return [w + scale * root * z for w, z in zip(weights, draw, strict=True)]


def slow_filters(matrix, draw) -> list[list[float]]:
    """A draw in which each row is as long as the matrix's own."""
    out = []
    for row, drawn in zip(matrix, draw, strict=True):
        out.append([z * math.sqrt(dot(row, row)) / math.sqrt(dot(drawn, drawn)) for z in drawn])
    return out
