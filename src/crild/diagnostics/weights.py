"""A model's weights: changed for a while and restored bit for bit; random directions among them."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

PER_WEIGHT_DRAWN, PER_WEIGHT_SET = 1e-8, 2e-9  # seconds, about, on one core


@contextmanager
def unchanged(model: nn.Module) -> Iterator[list[tuple[nn.Parameter, Tensor]]]:
    """Put a model into evaluation mode, and restore it on exit, also after an error.

    Restored are all parameters and buffers, bit for bit, the modes of its modules, what requires a gradient, and the
    gradients that were there.

    Yields:
        Each parameter (shared ones once) with a copy of what it held.
    """
    tensors = [*model.parameters(), *model.buffers()]
    copies = [tensor.detach().clone() for tensor in tensors]
    modes = [(module, module.training) for module in model.modules()]
    gradients = [(parameter, parameter.requires_grad, parameter.grad) for parameter in model.parameters()]
    model.eval()
    try:
        yield list(zip(model.parameters(), copies, strict=False))
    finally:
        with torch.no_grad():
            for tensor, copy in zip(tensors, copies, strict=True):
                tensor.copy_(copy)
        for module, mode in modes:
            module.training = mode
        for parameter, required, gradient in gradients:
            parameter.requires_grad_(required)
            parameter.grad = gradient


def standard_normal(tensors: list[Tensor], *seed: int) -> list[Tensor]:
    """Return a standard normal draw in the shape of each tensor: a function of ``seed`` and the shapes alone."""
    state = np.random.SeedSequence(seed).generate_state(1, np.uint64)[0]
    generator = torch.Generator().manual_seed(int(state >> 1))  # no stream of the caller's is touched
    return [torch.randn(x.shape, generator=generator).to(x) for x in tensors]
