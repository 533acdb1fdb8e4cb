"""Curvature: the largest eigenvalue of a loss's Hessian."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from scipy.sparse.linalg import ArpackError, ArpackNoConvergence, LinearOperator, eigsh
from torch import Tensor, nn
from transformers import PreTrainedModel

from crild.diagnostics.case import TRAIN, Case, Diagnostic
from crild.diagnostics.passes import Losses
from crild.diagnostics.progress import track
from crild.diagnostics.rows import count
from crild.diagnostics.weights import unchanged
from crild.errors import CrildError, first_line
from crild.models.architecture import eager_attention

VECTORS = 6  # of Lanczos, kept in memory, each as large as the weights
RESTARTS = 20
TOLERANCE = 0.02


def largest_eigenvalue(
    loss: Callable[[], Tensor], parameters: Sequence[Tensor], seed: int = 0, tolerance: float = TOLERANCE
) -> float:
    """Return the largest eigenvalue of the Hessian of a loss, by Lanczos on Hessian-vector products.

    Args:
        loss: gives the loss (a scalar), with a graph; it must be the same at every call, so without dropout.
        parameters: what it is differentiated by; the Hessian is theirs together.
        seed: of the vector to start from.
        tolerance: relative, of the eigenvalue.

    Raises:
        CrildError: it was not found in `RESTARTS` restarts.

    Source: ARPACK's implicitly restarted Lanczos, `scipy.sparse.linalg.eigsh`; Pearlmutter 1994 for the products.
    """
    parameters = list(parameters)
    sizes = [parameter.numel() for parameter in parameters]
    gradients = torch.autograd.grad(loss(), parameters, create_graph=True, allow_unused=True, materialize_grads=True)
    bent = [place for place, gradient in enumerate(gradients) if gradient.requires_grad]

    def product(vector: np.ndarray) -> np.ndarray:
        flat = torch.from_numpy(vector.astype(np.float32).reshape(-1)).to(parameters[0])
        pieces = [x.view_as(p) for x, p in zip(flat.split(sizes), parameters, strict=True)]
        found = torch.autograd.grad(
            [gradients[place] for place in bent],
            parameters,
            [pieces[place] for place in bent],
            retain_graph=True,
            allow_unused=True,
            materialize_grads=True,
        )
        return torch.cat([x.reshape(-1) for x in found]).cpu().numpy()

    size = sum(sizes)
    operator = LinearOperator((size, size), matvec=product, dtype=np.float32)
    start = np.random.default_rng(seed).standard_normal(size).astype(np.float32)
    if not bent:  # the loss is linear
        return 0.0
    try:
        values = eigsh(
            operator, k=1, which="LA", v0=start, ncv=min(size, VECTORS), tol=tolerance, maxiter=RESTARTS,
            return_eigenvectors=False,
        )  # fmt: skip
    except ArpackNoConvergence:
        raise CrildError(f"the largest Hessian eigenvalue was not found in {RESTARTS} restarts of Lanczos") from None
    except ArpackError:
        if product(start).any():
            raise
        return 0.0  # linear as well: Lanczos had nothing to start from
    return float(values[0])


def curved(model: nn.Module) -> list[nn.Parameter]:
    """Return the weights whose curvature is measured: all but tables of embeddings, of which rows see few entries."""
    tables = {id(p) for module in model.modules() if isinstance(module, nn.Embedding) for p in module.parameters()}
    return [parameter for parameter in model.parameters() if id(parameter) not in tables]


# ---- of a run ----

ROWS = 32
PRODUCTS, PASSES = 8, 12  # about how many products are needed, and what one costs in forward passes


def of_run(case: Case) -> dict[str, Any]:
    """Return the largest eigenvalue of each model's losses on training rows."""
    rows = case.sample(TRAIN, most=ROWS)
    models: dict[str, dict[str, float]] = {}
    missing = {}
    jobs = [(role, "task") for role in case.models]
    jobs += [("student", "ild")] if "student" in case.models and case.objective is not None else []
    for role, loss in track(jobs, "Hessian"):
        model, losses = case.models[role], case.losses(role, rows)
        with unchanged(model), eager_attention(model):
            try:
                value = largest_eigenvalue(partial(loss_of, losses, model, loss), curved(model), case.seed)
                models.setdefault(role, {})[loss] = value
            except (CrildError, RuntimeError) as error:  # not found, or a kernel without a second derivative
                missing[f"{role}, {loss}"] = first_line(error)
    if not models:
        raise CrildError(f"no loss could be differentiated twice ({next(iter(missing.values()))})")
    return {
        "axes": {
            "task": {"label": "largest Hessian eigenvalue of the task's loss", "unit": "loss per squared weight"},
            "ild": {
                "label": f"the same of the loss to the teacher: {case.matching}",
                "unit": "loss per squared weight",
            },
        },
        "training_rows": count(rows),
        "weights": "all but tables of embeddings",
        "tolerance": TOLERANCE,
        "missing": missing,
        "models": models,
    }


def loss_of(losses: Losses, model: PreTrainedModel, name: str) -> Tensor:
    """Return one of a model's losses."""
    return losses(model)[name]


DIAGNOSTIC = Diagnostic(
    name="hessian",
    title="largest eigenvalue of the losses' Hessian",
    run=of_run,
    seconds=lambda case: case.seconds(
        {role: ROWS * PRODUCTS * PASSES * (2 if role == "student" and case.objective else 1) for role in case.models}
    ),
    summary=lambda figures: {
        role: {"curvature": found["task"]} for role, found in figures["models"].items() if "task" in found
    },
)
