"""Students: the chosen layers of a larger encoder, or any smaller encoder (`method.md` 4)."""

import re
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from crild.errors import CrildError
from crild.models.shape import Shape


def parse_layers(spec: str, depth: int) -> list[int] | None:
    """Return the layers (counted from 0) that ``--student`` chooses from ``depth``, or ``None`` for a path.

    ``3`` and ``first:3`` the first three; ``last:3`` the last three; ``every:2`` 0, 2, 4, ...; ``0,2,4`` those;
    ``half`` the first half.

    Raises:
        CrildError: there are not so many layers.
    """
    if spec == "half":
        return list(range(max(1, depth // 2)))
    if re.fullmatch(r"\d+(,\d+)+", spec):
        layers = [int(part) for part in spec.split(",")]
    elif match := re.fullmatch(r"(?:(first|last|every):)?(\d+)", spec):
        how, number = match[1] or "first", int(match[2])
        if number == 0:
            raise CrildError(f"--student {spec}: a student needs at least one layer")
        if how != "every" and number > depth:
            raise CrildError(f"--student {spec}: the model has {depth} layers, a student cannot have {number}")
        first = depth - number if how == "last" else 0
        layers = list(range(0, depth, number)) if how == "every" else list(range(first, first + number))
    else:
        return None
    if layers != sorted(set(layers)):
        raise CrildError(f"--student {spec}: layers must rise and not repeat")
    if layers[-1] >= depth:
        raise CrildError(f"--student {spec}: the model has layers 0 to {depth - 1}, there is no layer {layers[-1]}")
    return layers


def cut(source: PreTrainedModel, layers: list[int]) -> PreTrainedModel:
    """Return a student with the chosen layers of ``source``; embeddings and head are copied too.

    Raises:
        CrildError: the architecture shares one layer's weights (ALBERT) and the layers are not the first ones.
    """
    depth = source.config.num_hidden_layers
    config = deepcopy(source.config)
    config.num_hidden_layers = len(layers)
    if getattr(config, "layer_types", None):
        config.layer_types = [config.layer_types[i] for i in layers]
    stack = layer_stack(source, depth)
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


def narrow(
    source: PreTrainedModel, width: int, heads: int | None = None, weights: str = "sliced", seed: int = 0
) -> PreTrainedModel:
    """Return a narrower student of the depth of ``source``.

    Args:
        source: the classifier to narrow; it may be cut already.
        width: the student's hidden width. Its feed-forward layers shrink in proportion; embeddings that have a width
            of their own (ALBERT) keep it.
        heads: its number of attention heads; ``None`` keeps the source's, so that attention maps can be matched.
        weights: ``sliced`` keeps the first heads of the source and the first channels of each; ``fresh`` draws all.
        seed: of fresh weights.

    Raises:
        CrildError: the width does not fit the heads, or there is nothing to slice.
    """
    old = Widths.of(source.config)
    new = old.narrowed(width, heads or old.heads)
    config = deepcopy(source.config)
    new.write(config, old)
    if weights == "fresh":
        torch.manual_seed(seed)
        return type(source)(config).eval()
    if weights != "sliced":
        raise CrildError(f"a narrower student's weights are 'sliced' or 'fresh', not {weights!r}")
    student = type(source)(config)
    wanted = student.state_dict()
    unlike = sorted(set(wanted) ^ set(source.state_dict()))
    if unlike:  # ELECTRA projects its embeddings, unless they are as wide as the hidden states
        raise CrildError(
            f"a student {width} wide cannot be sliced from this {type(source).__name__} ({unlike[0]} has no "
            "counterpart): choose another width, or fresh weights"
        )
    student.load_state_dict(sliced(source, wanted, old, new))
    return student.eval()


@dataclass(frozen=True)
class Widths:
    """The sizes in a configuration that narrowing changes.

    Attributes:
        hidden: d.
        inner: the width inside feed-forward layers.
        heads, groups: heads of queries, and of keys and values (fewer with grouped queries).
        head: channels of one head.
        rotary: positions enter by rotation, which turns channels c and c + head/2 together.
    """

    hidden: int
    inner: int
    heads: int
    groups: int
    head: int
    rotary: bool

    @classmethod
    def of(cls, config: Any) -> "Widths":
        """Read them from a ``transformers`` configuration."""
        shape = Shape.of(config)
        return cls(
            hidden=shape.width,
            inner=getattr(config, inner_name(config)),
            heads=shape.heads,
            groups=shape.groups,
            head=shape.head_width,
            rotary=getattr(config, "rope_parameters", None) is not None,
        )

    def narrowed(self, width: int, heads: int) -> "Widths":
        """Return the sizes of a student ``width`` wide.

        Raises:
            CrildError: they do not fit together.
        """
        if not 0 < width <= self.hidden:
            raise CrildError(f"a student cannot be {width} wide: the model that it is taken from is {self.hidden} wide")
        if heads < 1 or heads * self.groups % self.heads:
            raise CrildError(
                f"a student cannot have {heads} heads: {self.heads // self.groups} heads share one key and value here"
            )
        step = heads * (2 if self.rotary else 1)
        if width % step:
            near = [w for w in (width // step * step, (width // step + 1) * step) if 0 < w <= self.hidden]
            even = " of an even size, which rotary positions need" if self.rotary else ""
            raise CrildError(
                f"a student {width} wide cannot have {heads} heads{even}: choose a width such as "
                f"{' or '.join(map(str, near)) or self.hidden}, or another number of heads"
            )
        return replace(
            self,
            hidden=width,
            inner=max(1, self.inner * width // self.hidden),
            heads=heads,
            groups=heads * self.groups // self.heads,
            head=self.head * (width // heads) * self.heads // self.hidden,
        )

    def write(self, config: Any, old: "Widths") -> None:
        """Write these sizes over the ``old`` ones of ``config``."""
        sizes = {"hidden_size": self.hidden, "num_attention_heads": self.heads, inner_name(config): self.inner}
        for name, before, now in (
            ("num_key_value_heads", old.groups, self.groups),
            ("head_dim", old.head, self.head),
            ("attention_head_size", old.head, self.head),  # DeBERTa
            ("pooler_hidden_size", old.hidden, self.hidden),  # DeBERTa
            ("embedding_size", old.hidden, self.hidden),  # ELECTRA, where embeddings are as wide as the hidden states
        ):
            if getattr(config, name, None) == before:
                sizes[name] = now
        for name, size in sizes.items():
            setattr(config, name, size)


def inner_name(config: Any) -> str:
    """Return what a configuration calls the width inside feed-forward layers (DistilBERT has its own name)."""
    return "intermediate_size" if hasattr(config, "intermediate_size") else "hidden_dim"


def sliced(source: PreTrainedModel, wanted: dict[str, Tensor], old: Widths, new: Widths) -> dict[str, Tensor]:
    """Return the source's tensors cut to the shapes of ``wanted``.

    Hidden dimensions and those made of heads are cut alike, so nothing needs to tell them apart.
    """
    if new.heads > old.heads or new.head > old.head:
        raise CrildError(
            f"{new.heads} heads of {new.head} channels cannot be sliced from {old.heads} of {old.head}: choose another "
            "width or number of heads, or fresh weights"
        )
    kept = {  # by size of a dimension, the channels that stay
        old.groups * old.head: kept_channels(new.groups, old.head, new.head, old.rotary),
        old.heads * old.head: kept_channels(new.heads, old.head, new.head, old.rotary),
        old.hidden: kept_channels(new.heads, old.hidden // old.heads, new.hidden // new.heads, old.rotary),
    }
    inner = inner_dimensions(source)
    state = {}
    for name, tensor in source.state_dict().items():
        for dim, size in enumerate(wanted[name].shape):
            if size != tensor.shape[dim]:
                choices = {old.inner: torch.arange(new.inner)} if (name, dim) in inner else kept
                tensor = tensor.index_select(dim, chosen(tensor.shape[dim], size, choices).to(tensor.device))
        state[name] = tensor.contiguous()
    return state


def kept_channels(heads: int, old_head: int, new_head: int, rotary: bool) -> Tensor:
    """Return which channels of a dimension made of heads stay: of the first heads, the first channels of each.

    Where positions rotate channels c and c + old_head/2 together, half of them stay from each half of a head, spread
    evenly: so pairs stay pairs and turn about as fast as before.
    """
    if rotary:
        half = torch.arange(new_head // 2) * old_head // new_head
        channels = torch.cat([half, half + old_head // 2])
    else:
        channels = torch.arange(new_head)
    return (torch.arange(heads)[:, None] * old_head + channels).flatten()


def chosen(old_size: int, new_size: int, kept: dict[int, Tensor]) -> Tensor:
    """Return which of ``old_size`` indices stay: block by block where several such dimensions lie side by side."""
    for size, index in sorted(kept.items(), reverse=True):
        blocks, rest = divmod(old_size, size)
        if not rest and blocks * len(index) == new_size:
            return (torch.arange(blocks)[:, None] * size + index).flatten()
    return torch.arange(new_size)


def inner_dimensions(source: PreTrainedModel) -> set[tuple[str, int]]:
    """Return the (parameter, dimension) pairs that follow the width inside feed-forward layers.

    Sizes alone cannot tell: twice ModernBERT's inner width is three times its hidden width.
    """
    config = deepcopy(source.config)
    setattr(config, inner_name(config), getattr(config, inner_name(config)) + 2)
    with torch.device("meta"):  # shapes only
        other = type(source)(config).state_dict()
    return {
        (name, dim)
        for name, tensor in source.state_dict().items()
        for dim, size in enumerate(tensor.shape)
        if other[name].shape[dim] != size
    }


def layer_stack(model: PreTrainedModel, depth: int) -> str | None:
    """Return the dotted name of the list of Transformer layers, or ``None`` where layers share weights (ALBERT)."""
    names = [n for n, m in model.named_modules() if isinstance(m, nn.ModuleList) and len(m) == depth]
    shared = getattr(model.config, "num_hidden_groups", None) is not None
    return None if shared or not names else min(names, key=len)


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


def copy_head(student: PreTrainedModel, teacher: PreTrainedModel) -> bool:
    """Copy the teacher's head (and pooler) into the student where every shape agrees; return whether it was done."""
    ours, theirs = student.state_dict(), teacher.state_dict()
    encoder = re.compile(rf"{re.escape(student.base_model_prefix)}\.(?!pooler)")
    head = [name for name in ours if not encoder.match(name)]
    if type(student) is not type(teacher) or any(
        name not in theirs or ours[name].shape != theirs[name].shape for name in head
    ):
        return False
    student.load_state_dict({**ours, **{name: theirs[name] for name in head}})
    return True


def name_labels(model: PreTrainedModel, head: dict[str, Any]) -> None:
    """Write what a head's outputs mean into a model's configuration, see `TaskType.head`."""
    for key, value in head.items():
        setattr(model.config, key, value)


def renew_head(model: PreTrainedModel, seed: int) -> None:
    """Draw the head (and pooler) anew."""
    torch.manual_seed(seed)
    copy_head(model, type(model)(model.config))


def describe(layers: list[int], source: str) -> str:
    """Return one line on where a cut student's weights come from, for log and ``result.json``."""
    chosen = ", ".join(map(str, layers))
    return f"layer{'s' if len(layers) > 1 else ''} {chosen} of {source}"
