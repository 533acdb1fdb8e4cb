"""Capture: read hidden states, queries, keys, values and logits from one ordinary forward pass.

``transformers`` models look their attention function up in a registry. For every implementation (`sdpa`, `eager`,
...) a twin named ``crild_<implementation>`` is registered that notes ``query, key, value`` of the layers asked for
and then calls the original, so attention maps are never materialised and fast attention stays on. Architectures
outside the registry (`Architecture.attention`) are read by hooks on their projections.

Calls are counted within one forward pass, because some attention modules carry no layer index and ALBERT calls one
module N times. Recomputation under gradient checkpointing happens in the backward pass, when no tape is active.
"""

import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, PreTrainedModel
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, AttentionMaskInterface
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from crild.errors import CrildError
from crild.features import Features, LayerFeatures
from crild.models.architecture import NAMES, QKV, find_architecture, model_inputs
from crild.models.interpolation import Mixing, mixed_embeddings


@dataclass
class _Tape:
    """Notes of one forward pass: attention calls so far, and what was kept of the layers asked for."""

    layers: Collection[int]
    calls: int = 0
    notes: dict[int, dict[str, Any]] = field(default_factory=dict)

    def note(self, query: Tensor, key: Tensor, value: Tensor, window: int | None) -> None:
        self.calls += 1
        if self.calls in self.layers:
            self.notes[self.calls] = {"query": query, "key": key, "value": value, "window": window}


_TAPE: ContextVar[_Tape | None] = ContextVar("crild_tape", default=None)


def _register_twin(implementation: str) -> str:
    name = f"crild_{implementation}"
    if name not in ALL_ATTENTION_FUNCTIONS:

        def attention(
            module: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, **kwargs: Any
        ) -> Any:
            tape = _TAPE.get()
            if tape is not None:
                tape.note(query, key, value, kwargs.get("sliding_window"))
            if implementation == "eager":  # not in the registry: every modelling file has its own
                original = sys.modules[type(module).__module__].eager_attention_forward
            else:
                original = ALL_ATTENTION_FUNCTIONS[implementation]
            return original(module, query, key, value, mask, **kwargs)

        AttentionInterface.register(name, attention)
        AttentionMaskInterface.register(name, ALL_MASK_ATTENTION_FUNCTIONS[implementation])
    return name


def _hook_projections(model: PreTrainedModel, tape: _Tape) -> list[Any]:
    """Hook the attention modules that are outside the registry; return the handles."""
    handles: list[Any] = []
    architecture = find_architecture(model.config)
    for module in model.modules():
        if type(module).__name__ != architecture.attention:
            continue
        seen: dict[str, Tensor] = {}

        def start(module: nn.Module, args: tuple, kwargs: dict, seen: dict = seen) -> None:
            seen.clear()
            seen["input"] = args[0] if args else kwargs["hidden_states"]

        def project(
            _: nn.Module,
            args: tuple,
            output: Tensor,
            seen: dict = seen,
            role: str = "",
            module: nn.Module = module,
        ) -> None:
            # DeBERTa-v3 shares these projections with its relative embeddings: keep the call on the hidden states.
            if "input" in seen and args[0] is seen["input"]:
                heads: int = module.num_attention_heads  # type: ignore[assignment]
                seen[role] = output.unflatten(-1, (heads, -1)).transpose(1, 2)

        def finish(module: nn.Module, args: tuple, output: Any, seen: dict = seen) -> None:
            if _TAPE.get() is tape:
                tape.note(seen["query"], seen["key"], seen["value"], None)
            seen.clear()

        handles.append(module.register_forward_pre_hook(start, with_kwargs=True))
        for role, name in zip(QKV, architecture.projections, strict=True):
            hook = lambda m, a, o, p=project, r=role: p(m, a, o, role=r)  # noqa: E731
            handles.append(getattr(module, name).register_forward_hook(hook))
        handles.append(module.register_forward_hook(finish))
    return handles


@contextmanager
def _recording(model: PreTrainedModel, layers: Collection[int]) -> Iterator[_Tape]:
    """Note Q, K, V of ``layers`` in forward passes of ``model``; restore everything on exit."""
    tape = _Tape(layers)
    config = model.config
    implementation = config._attn_implementation
    handles = _hook_projections(model, tape)
    if not handles:
        config._attn_implementation = _register_twin(implementation or "eager")
    token = _TAPE.set(tape)
    try:
        yield tape
    finally:
        _TAPE.reset(token)
        config._attn_implementation = implementation
        for handle in handles:
            handle.remove()


def capture(
    model: PreTrainedModel,
    inputs: dict[str, Tensor],
    tensors: Collection[str],
    layers: Collection[int] = (),
    mixing: Mixing | None = None,
) -> Features:
    """Run ``model`` once on ``inputs`` and return what was asked for.

    Args:
        model: an encoder with a sequence-classification head.
        inputs: a batch with ``input_ids`` and ``attention_mask`` (B, L); what the model does not take is left out.
        tensors: any of ``hidden``, ``query``, ``key``, ``value`` (of ``layers``) and ``logits``.
        layers: layer numbers, counted from 1; 0 is the embedding stage, the input of the first layer, which has
            ``hidden`` alone.
        mixing: interpolate the batch's rows at the output of the embedding module (`method.md` 6.1).

    Returns:
        The features, under the mask that the encoder saw. Gradients flow where the caller has them enabled.

    Raises:
        CrildError: the architecture's attention could not be read.
    """
    depth = model.config.num_hidden_layers
    wants_qkv = any(name in tensors for name in QKV)
    wants_hidden = "hidden" in tensors
    earlier = wants_hidden and any(layer < depth for layer in layers)
    with_head = "logits" in tensors
    mask = inputs["attention_mask"] if mixing is None else mixing.union(inputs["attention_mask"])
    runner = model if with_head else model.base_model
    with (
        _recording(model, layers) if wants_qkv else nullcontext() as tape,
        mixed_embeddings(model, mixing, inputs["attention_mask"]),
    ):
        output = runner(
            **{**model_inputs(inputs, model), "attention_mask": mask},
            output_hidden_states=earlier or (wants_hidden and with_head),
            return_dict=True,
        )
    if tape is not None and tape.calls != depth:
        raise CrildError(
            f"the attention of {type(model).__name__} cannot be read ({tape.calls} calls seen for {depth} layers): "
            f"use `--features h`, or an architecture such as {', '.join(NAMES)}"
        )
    captured = {}
    for layer in layers:
        notes: dict[str, Any] = {}
        if tape is not None and layer > 0:
            notes = {k: v for k, v in tape.notes[layer].items() if k == "window" or k in tensors}
        if wants_hidden:
            last = layer == depth and not with_head
            notes["hidden"] = output.last_hidden_state if last else output.hidden_states[layer]
        captured[layer] = LayerFeatures(**notes)
    return Features(mask=mask, layers=captured, logits=output.logits if with_head else None)


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Run without dropout and without gradient, touching no random stream; restore the mode on exit."""
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(training)
