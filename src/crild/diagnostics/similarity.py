"""Linear CKA: how alike the layers of two models are, whatever rotates or scales them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from transformers import PreTrainedModel

from crild.diagnostics.case import HELD_OUT, Case, Diagnostic, needs_teacher
from crild.diagnostics.passes import token_states
from crild.diagnostics.rows import Batch

TOKENS = 2048


def linear_cka(x: np.ndarray, y: np.ndarray) -> float:
    """Return the linear centred kernel alignment of two representations of the same n things.

    ``||Y^T X||^2 / (||X^T X|| * ||Y^T Y||)`` with centred columns and Frobenius norms: 1 where one is a rotation of
    the other times a number, near 0 where neither tells anything of the other. 0 where one of them is constant.

    Args:
        x: (n, d).
        y: (n, e).

    Source: Kornblith et al. 2019, ICML, arXiv 1905.00414, equation 4 and section 4.
    """
    x, y = centred(x), centred(y)
    scale = np.sqrt(alignment(x, x) * alignment(y, y))
    return float(alignment(x, y) / scale) if scale > 0 else 0.0


def cka(
    model: PreTrainedModel, other: PreTrainedModel, rows: Sequence[Batch], tokens: int = TOKENS, seed: int = 0
) -> np.ndarray:
    """Return the linear CKA of every layer of a model with every layer of another one, of the states of real tokens.

    Args:
        model: M layers, and layer 0, what the first one sees.
        other: N layers; it has the same tokenizer.
        rows: see `batches`.
        tokens: how many are looked at, drawn from all rows.
        seed: of that draw.

    Returns:
        (M + 1, N + 1).
    """
    every = sum(int(batch["attention_mask"].sum()) for batch in rows)
    chosen = np.sort(np.random.default_rng(seed).permutation(every)[:tokens])
    ours, theirs = ([centred(x) for x in token_states(each, rows, chosen)] for each in (model, other))
    norms = [np.sqrt([alignment(x, x) for x in side]) for side in (ours, theirs)]
    scale = np.outer(*norms)
    found = np.array([[alignment(x, y) for y in theirs] for x in ours])
    return np.divide(found, scale, out=np.zeros_like(found), where=scale > 0)


def centred(x: np.ndarray) -> np.ndarray:
    """Return columns with mean 0, in 64 bits."""
    return x.astype(np.float64) - x.mean(0, dtype=np.float64)


def alignment(x: np.ndarray, y: np.ndarray) -> float:
    """Return ``||Y^T X||^2`` (Frobenius)."""
    return float(np.square(y.T @ x).sum())


# ---- of a run ----


def of_run(case: Case) -> dict[str, Any]:
    """Return the heat map of each other model's layers with the teacher's, on held-out rows."""
    rows = case.sample(HELD_OUT)
    teacher = case.models["teacher"]
    maps = {role: cka(model, teacher, rows, seed=case.seed) for role, model in case.learners.items()}
    return {
        "axes": {
            "line": {"label": "layer of the model", "unit": "number; 0 is what the first layer sees"},
            "column": {"label": "layer of the teacher", "unit": "number; 0 is what the first layer sees"},
            "cka": {"label": "linear CKA of token states", "unit": "0 to 1"},
        },
        "tokens": min(TOKENS, sum(int(batch["attention_mask"].sum()) for batch in rows)),
        "models": {role: {"cka": found.tolist()} for role, found in maps.items()},
    }


DIAGNOSTIC = Diagnostic(
    name="cka",
    title="likeness of teacher and student layers (linear CKA)",
    run=of_run,
    seconds=lambda case: case.seconds(dict.fromkeys(case.layered, 2 * case.count)) + 2,
    summary=lambda figures: {role: {"CKA": found["cka"][-1][-1]} for role, found in figures["models"].items()},
    lacks=needs_teacher,
)
