"""A shorter student: the chosen layers of a larger encoder (`method.md` 4)."""

import re
from copy import deepcopy
from typing import Any

from transformers import PreTrainedModel

from crild.errors import CrildError
from crild.models.architecture import layer_stack


def cut(source: PreTrainedModel, layers: list[int]) -> PreTrainedModel:
    """Return a student with the chosen layers of ``source``; embeddings and head are copied too.

    Raises:
        CrildError: the architecture shares one layer's weights (ALBERT) and the layers are not the first ones.
    """
    config = deepcopy(source.config)
    config.num_hidden_layers = len(layers)
    if getattr(config, "layer_types", None):
        config.layer_types = [config.layer_types[i] for i in layers]
    stack = layer_stack(source)
    if stack is None and layers != list(range(len(layers))):
        raise CrildError(
            f"{type(source).__name__} shares one layer's weights, so only the first layers can be chosen "
            f"(--student first:{len(layers)})"
        )
    student = type(source)(config)
    state = source.state_dict()
    if stack is not None:
        state = renumbered(state, stack, {old: new for new, old in enumerate(layers)})
    wanted = student.state_dict()
    unlike = sorted(set(wanted) ^ set(state))
    if unlike:  # ModernBERT's first layer has no norm before attention
        raise CrildError(
            f"{type(source).__name__}: layers {','.join(map(str, layers))} cannot stand alone ({unlike[0]} has no "
            "counterpart): choose layers that begin with 0"
        )
    student.load_state_dict({name: state[name] for name in wanted})
    return student.eval()


def renumbered(state: dict[str, Any], stack: str, numbers: dict[int, int]) -> dict[str, Any]:
    """Return a state dictionary with the layers under ``stack`` renumbered, and the others dropped."""
    pattern = re.compile(rf"({re.escape(stack)}\.)(\d+)(\..*)")
    out = {}
    for name, tensor in state.items():
        match = pattern.fullmatch(name)
        if match is None:
            out[name] = tensor
        elif int(match[2]) in numbers:
            out[f"{match[1]}{numbers[int(match[2])]}{match[3]}"] = tensor
    return out


def same_size(student: Any, source: Any) -> str | None:
    """Return a warning where a student is as deep and as wide as the model that it is taken from.

    Args:
        student, source: their configurations.
    """
    depth, width = student.num_hidden_layers, student.hidden_size
    if (depth, width) != (source.num_hidden_layers, source.hidden_size):
        return None
    return (
        f"the student has all {depth} layers of the model it is taken from and is as wide ({width}): it gets neither "
        f"smaller nor faster; choose fewer layers, such as --student {max(1, depth // 2)}"
    )


def describe(layers: list[int], source: str) -> str:
    """Return one line on where a cut student's weights come from, for log and ``result.json``."""
    if not layers:
        return f"word embeddings of {source}, no layers"
    chosen = ", ".join(map(str, layers))
    return f"layer{'s' if len(layers) > 1 else ''} {chosen} of {source}"
