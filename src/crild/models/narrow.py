"""A narrower student: fewer or thinner heads, sliced from a wider encoder or drawn anew (`method.md` 4)."""

from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from crild.errors import CrildError
from crild.models.architecture import inner_width
from crild.models.shape import Shape


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
            inner=getattr(config, inner_width(config)),
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
        sizes = {"hidden_size": self.hidden, "num_attention_heads": self.heads, inner_width(config): self.inner}
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
    setattr(config, inner_width(config), getattr(config, inner_width(config)) + 2)
    with torch.device("meta"):  # shapes only
        other = type(source)(config).state_dict()
    return {
        (name, dim)
        for name, tensor in source.state_dict().items()
        for dim, size in enumerate(tensor.shape)
        if other[name].shape[dim] != size
    }
