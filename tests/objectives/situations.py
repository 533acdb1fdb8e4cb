"""Features by hand, and the situations in which every objective is tried."""

from dataclasses import dataclass, replace

import pytest
import torch

from crild.features import Features, LayerFeatures
from crild.objectives import Shape, compose
from tests.oracles import SLOW, mean

TENSORS = ("hidden", "query", "key", "value")


def shape(layers=3, width=12, heads=3, groups=None, outputs=3, head_width=None, pooling="first") -> Shape:
    return Shape(layers, width, heads, groups or heads, head_width or width // heads, outputs, pooling)


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
    width_map: bool = False

    def make(self):
        torch.manual_seed(7)
        shapes = self.student, self.teacher
        objective = compose(
            self.features, self.layer_map, *shapes, self.relation_heads, width_map=self.width_map
        ).double()
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
    "hidden, a map of equal widths": Situation("hidden", "uniform", width_map=True),
    "hidden, unequal widths": Situation("hidden", "1-4,3-2", **WIDE),
    "embeddings": Situation("embeddings", "last"),
    "embeddings, a map of equal widths": Situation("embeddings", "last", width_map=True),
    "embeddings, unequal widths": Situation("embeddings", "uniform", **WIDE),
    "head-input": Situation("head-input", "last"),
    "head-input, a map of equal widths": Situation("head-input", "uniform", width_map=True),
    "head-input, means of tokens": Situation("head-input", "last", shape(pooling="mean"), shape(5, pooling="mean")),
    "head-input, unlike heads, unequal widths": Situation(
        "head-input", "skip", shape(pooling="mean"), shape(layers=5, width=18)
    ),
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
    "head-relations, last layer": Situation("head-relations", "last"),
    "head-relations, several pairs, unequal widths": Situation("head-relations", "uniform", **WIDE),
    "head-relations, grouped queries": Situation(
        "head-relations", "skip", shape(width=12, heads=6, groups=3), shape(width=24, heads=6, groups=3, layers=5)
    ),
    "head-relations, local windows": Situation("head-relations", "uniform", **LOCAL),
    "value-relation, last layer": Situation("value-relation", "last"),
    "value-relation, several pairs, unequal widths": Situation("value-relation", "uniform", **WIDE),
    "value-relation, grouped queries": Situation(
        "value-relation", "last", shape(width=12, heads=6, groups=2), shape(width=12, heads=2, layers=5)
    ),
    "value-relation, local windows": Situation("value-relation", "uniform", **LOCAL),
    "pkd, skip": Situation("pkd", "skip"),
    "pkd, skip, a map of equal widths": Situation("pkd", "skip", width_map=True),
    "pkd, last-k, unequal widths": Situation("pkd", "last-k", **WIDE),
    "rail-kd, random": Situation("rail-kd", "random"),
    "rail-kd, uniform, unequal widths": Situation("rail-kd", "uniform", **WIDE),
    "alp-kd": Situation("alp-kd", "all"),
    "alp-kd, a map of equal widths": Situation("alp-kd", "all", width_map=True),
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


def situations_of(*features) -> list[str]:
    """The names of an objective's situations."""
    return [name for name, situation in SITUATIONS.items() if situation.features in features]


def check_values(name):
    """Every term of a situation is what the slow loop of its objective says."""
    objective, student, teacher = SITUATIONS[name].make()
    found = objective(student, teacher)
    expected = SLOW[SITUATIONS[name].features](objective.parts[0], student, teacher, objective.pairs)
    assert set(found) == set(objective.terms)
    for term in objective.terms:
        assert mean(found[term]) == pytest.approx(expected[term], rel=1e-10, abs=1e-12), term
