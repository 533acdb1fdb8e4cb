"""Self-relations of queries, keys and values (`method.md` 2, 5 and 8)."""

import math

from torch import Tensor

from crild.features import LayerFeatures, full_precision
from crild.objectives.base import Between, PairObjective, Side, require, require_equal_heads
from crild.objectives.rows import Relation, relation_heads, relation_logits, resplit, row_divergence

TENSOR_OF_TERM = {"relation_qq": "query", "relation_kk": "key", "relation_vv": "value"}


class Relations(PairObjective):
    """Q/K/V relations: ``D_rows`` of the self-relations ``R_QQ``, ``R_KK`` and ``R_VV`` on relation heads.

    All heads are concatenated and re-split into the same number of relation heads in both models, so widths and
    head counts may differ. The default is 48 heads where that divides both widths, else their largest common
    divisor up to 48. Keys and values narrower than queries (grouped queries) are split on their own width.

    Source: Wang et al. 2021 (MiniLMv2), section 3.1, "multi-head self-attention relation distillation".
    """

    needs = ("query", "key", "value")
    tensors = TENSOR_OF_TERM
    terms = tuple(tensors)
    takes_heads = True

    def __init__(self, between: Between) -> None:
        super().__init__(between)
        ours, theirs = between.student, between.teacher
        self.heads = {}
        for term in self.terms:
            wide = [x.head_width * (x.heads if term == "relation_qq" else x.groups) for x in (ours, theirs)]
            self.heads[term] = between.relation_heads or relation_heads(*wide)
            for who, width in zip(("student", "teacher"), wide, strict=True):
                require(
                    width % self.heads[term] == 0,
                    f"relation_heads {self.heads[term]} does not divide the {who}'s width {width} "
                    f"({self.tensors[term]}); leave it out, or use a divisor such as "
                    f"{math.gcd(self.heads[term], *wide)}",
                )

    def view(self, features: LayerFeatures, mask: Tensor, layer: int, side: Side) -> dict[str, Relation]:
        """Return the three self-relations."""
        out = {}
        for term, name in self.tensors.items():
            x = self.split(full_precision(getattr(features, name)), term)
            out[term] = Relation(relation_logits(x, x), features.window)
        return out

    def split(self, x: Tensor, term: str) -> Tensor:
        """Return queries, keys or values (B, h, L, d_h) on relation heads."""
        return resplit(x, self.heads[term])

    def compare(self, student: dict, target: dict, mask: Tensor) -> dict[str, Tensor]:
        """Return the divergence of each row (B, L), by relation."""
        return {term: row_divergence(student[term], target[term], mask) for term in self.terms}


class HeadRelations(Relations):
    """Q/K/V relations head by head: ``D_rows`` of ``R_QQ``, ``R_KK`` and ``R_VV`` on the models' own heads.

    Nothing is re-split, so both models need equal counts of query heads, and of key and value heads.

    Source: the CR-ILD authors' script (Ko et al. 2023), which `cr-ild-as-released` reproduces.
    """

    tensors = {f"head_{term}": name for term, name in TENSOR_OF_TERM.items()}  # noqa: RUF012 (as in its parent)
    terms = tuple(tensors)
    takes_heads = False

    def __init__(self, between: Between) -> None:
        PairObjective.__init__(self, between)  # no relation heads to find
        ours, theirs = between.student, between.teacher
        require_equal_heads("relations head by head", ours.heads, theirs.heads)
        require_equal_heads("relations head by head", ours.groups, theirs.groups, "key and value heads")

    def split(self, x: Tensor, term: str) -> Tensor:
        """Return the tensor on the heads that it has."""
        return x


class ValueRelation(PairObjective):
    """Value relation: ``D_rows`` of ``R_VV``, head by head. Needs equal counts of value heads.

    Source: Wang et al. 2020 (MiniLM), section 3.2, "self-attention value-relation transfer".
    """

    needs = ("value",)
    terms = ("value_relation",)

    def __init__(self, between: Between) -> None:
        super().__init__(between)
        require_equal_heads("value relations", between.student.groups, between.teacher.groups, "value heads")

    def view(self, features: LayerFeatures, mask: Tensor, layer: int, side: Side) -> Relation:
        """Return the relation of values (B, h, L, L)."""
        value = full_precision(features.value)
        return Relation(relation_logits(value, value), features.window)

    def compare(self, student: Relation, target: Relation, mask: Tensor) -> dict[str, Tensor]:
        """Return the divergence of each row (B, L)."""
        return {"value_relation": row_divergence(student, target, mask)}
