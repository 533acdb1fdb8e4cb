"""Attention rows (`method.md` 5): the divergence of the models' own attention distributions."""

from typing import Any

from crild.errors import CrildError
from crild.features import Features, full_precision
from crild.layers import Pairs
from crild.objectives.base import Objective, Term
from crild.objectives.rows import common_window, relation_logits, row_divergence


class AttentionKL(Objective):
    """``D_rows`` of ``R_QK = Q K^T / sqrt(d_h)``, head by head: KL from teacher to student attention.

    Needs equal head counts. Models that add position terms after ``Q K^T`` (MPNet, DeBERTa) are compared on the
    content part alone.

    Source: Wang et al. 2020 (MiniLM), section 3.1; the CR-ILD authors' TinyBERT-style row.
    """

    needs = ("query", "key")
    terms = ("attention",)

    def forward(self, student: Features, target: Features, pairs: Pairs) -> dict[str, Term]:
        """Return the term ``attention``, a mean over heads, real rows and layer pairs."""
        total: Any = 0.0
        for s, t in pairs:
            ours, theirs = student.layers[s], target.layers[t]
            window = common_window(ours.window, theirs.window)
            scores = [relation_logits(full_precision(x.query), full_precision(x.key)) for x in (ours, theirs)]
            total = total + row_divergence(scores[0], scores[1], target.mask, window)
        return {"attention": (total / len(pairs), self.counts(target.mask)["attention"])}

    def check(self, student_config: Any, teacher_config: Any) -> None:
        """Refuse unequal head counts."""
        ours, theirs = student_config.num_attention_heads, teacher_config.num_attention_heads
        if ours != theirs:
            raise CrildError(
                f"attention rows cannot be matched: the student has {ours} heads and the teacher {theirs}; "
                "use `--features qkv`, which re-splits the heads"
            )
