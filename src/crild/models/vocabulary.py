"""A vocabulary cut to what texts use: fewer rows of embeddings, and the same logits wherever every token is kept."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from crild.errors import CrildError, first_line, to_install
from crild.randomness import own_random_state

KINDS = ("WordPiece", "BPE", "Unigram", "WordLevel")
BYTE = re.compile(r"<0x[0-9A-F]{2}>")
TEXTS = 1000  # tokenised at a time


@dataclass(frozen=True)
class Trimmed:
    """A model and a tokenizer of fewer tokens.

    Attributes:
        model, tokenizer: copies that belong together.
        kept: tokens that are left.
        before: tokens that there were.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    kept: int
    before: int


def refuse_without_skeletoken(option: str) -> None:
    """Raise `CrildError` where the package that cuts tokenizers is not installed.

    Args:
        option: what needs it, as messages call it.
    """
    if find_spec("skeletoken") is None:
        raise CrildError(f"{option} needs skeletoken: {to_install('serve')}")


def trim(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Iterable[str],
    minimum: int = 1,
    size: int | None = None,
) -> Trimmed:
    """Return copies of a model and its tokenizer that know what texts use, and what spells any other text.

    Kept are the tokens that occur in the texts, all special and added tokens, every single character and byte, and
    what these cannot spell: a dropped word is read in pieces, never as an unknown one (but of a word-level tokenizer,
    which has no pieces). Logits of texts whose tokens are all kept are the same, bit for bit.

    Args:
        model: a sequence classifier.
        tokenizer: its own.
        texts: each text of a pair is one.
        minimum: occurrences that keep a token.
        size: the most tokens that are kept, special tokens and characters among them, the most frequent first.

    Raises:
        CrildError: the tokenizer cannot be cut, or ``size`` has no room for special tokens and characters.
    """
    counts = Counter(number for encoding in encodings(tokenizer, texts) for number in encoding.ids)
    smaller = trim_tokenizer(model, tokenizer, counts, minimum, size)
    return Trimmed(trim_model(model, tokenizer, smaller), smaller, len(smaller.get_vocab()), len(tokenizer.get_vocab()))


def trim_tokenizer(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    counts: Mapping[int, int],
    minimum: int = 1,
    size: int | None = None,
) -> PreTrainedTokenizerBase:
    """Return a copy of a tokenizer that keeps what `trim` keeps; ids are counted anew, in the order of the old ones.

    Args:
        model, tokenizer, minimum, size: as of `trim`.
        counts: how often a token id occurs.

    Raises:
        CrildError: as `trim` does.
    """
    refuse_without_skeletoken("a trimmed vocabulary")
    core = core_of(tokenizer)
    vocabulary: dict[str, int] = tokenizer.get_vocab()
    rows = embedding(model).num_embeddings
    if max(vocabulary.values()) >= rows:
        raise CrildError(
            f"the tokenizer has {len(vocabulary)} tokens and the model embeddings for {rows}: it is another model's "
            "tokenizer"
        )
    names = {number: token for token, number in vocabulary.items()}
    kept = {names[i] for i in fixed_ids(model, tokenizer) if i in names} | indispensable(core["model"], vocabulary)
    if size is not None and size < len(kept):
        raise CrildError(
            f"a vocabulary of {size} tokens has no room for the {len(kept)} special tokens and single characters, "
            "which are always kept; ask for more"
        )
    ranks = {tuple(merge): rank for rank, merge in enumerate(core["model"].get("merges", ()))}
    for number, count in sorted(counts.items(), key=lambda each: (-each[1], each[0])):
        new = {*steps_to(names[number], ranks)} - kept
        if count < minimum or (size is not None and len(kept) + len(new) > size):
            break
        kept |= new
    return cut_tokenizer(tokenizer, core, vocabulary.keys() - kept)


@own_random_state()
def trim_model(
    model: PreTrainedModel, before: PreTrainedTokenizerBase, after: PreTrainedTokenizerBase
) -> PreTrainedModel:
    """Return a copy of a model with the embeddings of a trimmed tokenizer's tokens; its configuration's ids follow.

    Args:
        model: a sequence classifier.
        before: its tokenizer.
        after: the trimmed one, of which every token is one of ``before``.
    """
    old = before.get_vocab()
    rows = [old[token] for token, _ in sorted(after.get_vocab().items(), key=lambda each: each[1])]
    model = deepcopy(model)
    table, padding = embedding(model).weight.data[rows], embedding(model).padding_idx
    model.resize_token_embeddings(len(rows), mean_resizing=False)
    new = {row: number for number, row in enumerate(rows)}
    embedding(model).weight.data.copy_(table)
    embedding(model).padding_idx = None if padding is None else new.get(padding)
    for name, value in config_ids(model):
        setattr(model.config, name, new.get(value, value))  # what was no token's id stays
    return model


def embedding(model: PreTrainedModel) -> nn.Embedding:
    """Return a model's embeddings of tokens.

    Raises:
        CrildError: they are no plain table.
    """
    try:
        table = model.get_input_embeddings()
    except NotImplementedError:
        table = None
    if not isinstance(table, nn.Embedding):
        raise CrildError(f"a {type(model).__name__} has no plain table of embeddings: its vocabulary cannot be trimmed")
    return table


def core_of(tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """Return what ``tokenizer.json`` holds, without what the last call padded and cut to.

    Raises:
        CrildError: there is none, or its kind cannot be cut.
    """
    if not tokenizer.is_fast:
        raise CrildError(f"a {type(tokenizer).__name__} has no tokenizer.json: its vocabulary cannot be trimmed")
    backend = deepcopy(tokenizer.backend_tokenizer)
    backend.no_truncation()
    backend.no_padding()
    core: dict[str, Any] = json.loads(backend.to_str())
    kind = core["model"]["type"]
    marked = any(core["model"].get(name) for name in ("continuing_subword_prefix", "end_of_word_suffix"))
    if kind not in KINDS or (kind == "BPE" and marked):
        raise CrildError(
            f"the vocabulary of a {kind} tokenizer{' with marked pieces' if marked else ''} cannot be trimmed "
            f"(those of plain {', '.join(KINDS)} ones can)"
        )
    return core


def fixed_ids(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> set[int]:
    """Return the ids of all special and added tokens, and of what the model's configuration names.

    RoBERTa and its kin count positions from the padding's id: there all tokens before it stay.
    """
    own = {value for _, value in config_ids(model)}
    counted_from = [
        module.padding_idx
        for name, module in model.named_modules()
        if isinstance(module, nn.Embedding) and "position" in name and module.padding_idx is not None
    ]
    return {
        *own,
        *tokenizer.all_special_ids,
        *tokenizer.get_added_vocab().values(),
        *range(max(counted_from, default=0)),
    }


def config_ids(model: PreTrainedModel) -> Iterator[tuple[str, int]]:
    """Yield the name and value of every token id in a model's configuration."""
    for name, value in model.config.to_dict().items():
        if name.endswith("_token_id") and isinstance(value, int):
            yield name, value


def indispensable(core: Mapping[str, Any], vocabulary: Mapping[str, int]) -> set[str]:
    """Return single characters and bytes, and the tokens that these cannot spell.

    Args:
        core: of ``tokenizer.json``, its model.
        vocabulary: all tokens.
    """
    kind = core["type"]
    if kind == "WordLevel":
        return set()
    prefix = core.get("continuing_subword_prefix") or ""

    def spelling(token: str) -> list[str]:
        if prefix and token.startswith(prefix) and token != prefix:
            return [prefix + character for character in token.removeprefix(prefix)]
        return [token[:1], *(prefix + character for character in token[1:])]

    kept = {
        token
        for token in vocabulary
        if BYTE.fullmatch(token) or len(pieces := spelling(token)) == 1 or any(p not in vocabulary for p in pieces)
    }
    if kind == "Unigram":  # what is unknown costs a little more than the least likely token
        kept.add(min(core["vocab"], key=lambda each: each[1])[0])
    return kept


def steps_to(token: str, ranks: Mapping[tuple[str, ...], int]) -> list[str]:
    """Return a BPE token, and what its merges make on the way to it."""
    parts, made = list(token), [token]
    while found := [(ranks[pair], i) for i, pair in enumerate(pairwise(parts)) if pair in ranks]:
        _, i = min(found)
        parts[i : i + 2] = ["".join(parts[i : i + 2])]
        made.append(parts[i])
    return made


def cut_tokenizer(
    tokenizer: PreTrainedTokenizerBase, core: Mapping[str, Any], dropped: Iterable[str]
) -> PreTrainedTokenizerBase:
    """Return a tokenizer without some tokens and the merges that make them; ids are counted anew."""
    from skeletoken import TokenizerModel
    from skeletoken.models import Unigram

    try:
        whole = TokenizerModel.from_string(json.dumps(core))
        smaller = whole.remove_tokens_from_vocabulary(sorted(dropped))
    except ValueError as error:
        raise CrildError(
            f"the vocabulary of this {core['model']['type']} tokenizer cannot be trimmed ({first_line(error)})"
        ) from None
    if isinstance(smaller.model, Unigram) and whole.unk_token is not None:
        smaller.model.unk_id = smaller.vocabulary[whole.unk_token]  # skeletoken 0.6.1 leaves it where it was
    with TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        smaller.to_tokenizer().save(str(Path(folder) / "tokenizer.json"))
        return type(tokenizer).from_pretrained(folder)


def encodings(tokenizer: PreTrainedTokenizerBase, texts: Iterable[str]) -> Iterator[Any]:
    """Yield what a fast tokenizer makes of each text, whole and without special tokens."""
    waiting = list(texts)
    for start in range(0, len(waiting), TEXTS):
        some = waiting[start : start + TEXTS]
        yield from tokenizer(some, add_special_tokens=False, truncation=False, verbose=False).encodings or ()


def share_split(before: PreTrainedTokenizerBase, after: PreTrainedTokenizerBase, texts: Sequence[str]) -> float:
    """Return the share of the tokens of some texts that a trimmed tokenizer splits further, or no longer knows.

    Args:
        before: the tokenizer with its whole vocabulary.
        after: the trimmed one.
        texts: such as those that were held out.
    """
    total = whole = 0
    for old, new in zip(encodings(before, texts), encodings(after, texts), strict=True):
        places = Counter(zip(old.tokens, old.offsets, strict=True))
        total += places.total()
        whole += (places & Counter(zip(new.tokens, new.offsets, strict=True))).total()
    return 1 - whole / total if total else 0.0
