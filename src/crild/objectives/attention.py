"""Attention maps (`method.md` 5), recomputed from queries and keys: the models never materialise them."""

from torch import Tensor

from crild.features import LayerFeatures, full_precision
from crild.objectives.base import Between, PairObjective, Side, require_equal_heads
from crild.objectives.rows import Relation, relation_logits, row_difference, row_divergence


class Attention(PairObjective):
    """``R_QK = Q K^T / sqrt(d_h)``, head by head; the parent of the two attention objectives.

    Needs equal head counts. With grouped queries each key serves its group of heads. Models that add position terms
    after ``Q K^T`` (MPNet, DeBERTa) are compared on the content part alone.
    """

    needs = ("query", "key")

    def __init__(self, between: Between) -> None:
        super().__init__(between)
        require_equal_heads("attention maps", between.student.heads, between.teacher.heads)

    def view(self, features: LayerFeatures, mask: Tensor, layer: int, side: Side) -> Relation:
        """Return attention scores (B, h, L, L) before the softmax."""
        query, key = full_precision(features.query), full_precision(features.key)
        key = key.repeat_interleave(query.shape[1] // key.shape[1], dim=1)
        return Relation(relation_logits(query, key), features.window)


class AttentionKL(Attention):
    """Attention rows: ``D_rows`` of ``R_QK``, the KL divergence from teacher to student attention.

    Summed over keys, mean over heads, real rows and layer pairs. Needs equal head counts.

    Source: Wang et al. 2020 (MiniLM), section 3.1; the CR-ILD authors' TinyBERT-style row.
    """

    terms = ("attention",)

    def compare(self, student: Relation, target: Relation, mask: Tensor) -> dict[str, Tensor]:
        """Return the divergence of each row (B, L)."""
        return {"attention": row_divergence(student, target, mask)}


class AttentionMSE(Attention):
    """Attention scores: the squared difference of ``R_QK`` before the softmax.

    Mean over a row's real keys, over heads, real rows and layer pairs, so that every token counts alike in short
    and long texts. Needs equal head counts.

    Source: Jiao et al. 2020 (TinyBERT), section 3.1, "attention based distillation".
    """

    terms = ("attention_scores",)

    def compare(self, student: Relation, target: Relation, mask: Tensor) -> dict[str, Tensor]:
        """Return the squared difference of each row (B, L)."""
        return {"attention_scores": row_difference(student, target, mask)}
