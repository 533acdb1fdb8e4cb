"""Rewrites of training texts, made when they are asked for: what a teacher can label without anybody's labels.

Every rewrite is a function of a seed, the epoch and its number alone. So each epoch has its own, none is stored, and a
resumed epoch sees the very same ones.

Source: masking and replacement by frequency as in Tang et al. 2019, arXiv 1903.12136 (who keep the part of speech);
deletion as in Wei and Zou 2019 (EDA), arXiv 1901.11196. Crossing and pairing are made here.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from numpy.random import Generator
from transformers import PreTrainedTokenizerBase

from crild.data.batching import as_rows
from crild.data.rows import BLOCK, RowTexts, column
from crild.data.tokenise import encode
from crild.errors import CrildError, nearest

LEAST, MOST = 0.1, 0.4  # share of a text's words that a rewrite changes
LONGEST_WORD = 20  # characters; a longer text without whitespace is cut into characters (Chinese, Japanese)
Texts = tuple[str, ...]
"""One text, or the two of a pair."""


@dataclass(frozen=True)
class Corpus:
    """What rewrites are made from.

    Attributes:
        rows: the texts of every training row.
        words: all words, over both texts of a pair.
        ends: words that are the first of ``words``, counted as often as they occur: up to each.
        mask: the tokenizer's mask token; ``None`` where it has none.
        rewrites: names of those that are drawn from.
    """

    rows: Sequence[Texts]
    words: Sequence[str]
    ends: Sequence[int]
    mask: str | None
    rewrites: Sequence[str]

    @classmethod
    def of(cls, rows: Dataset, said: str, mask: str | None) -> "Corpus":
        """Return the corpus of rows with ``text`` and perhaps ``text_pair``.

        Args:
            rows: as text.
            said: what ``--augment`` says; ``all`` leaves out what these rows or this tokenizer cannot have.
            mask: the tokenizer's mask token, if it has one.

        Raises:
            CrildError: a rewrite that is named needs what is not there.
        """
        texts = RowTexts(rows)
        single = "text_pair" not in rows.column_names
        impossible = {"pairing": "is of pairs, and the data holds single texts"} if single else {}
        if mask is None:
            impossible["masking"] = "needs a mask token, and the tokenizer has none"
        names = parse_rewrites(said)
        for name in names if said != ALL else ():
            if name in impossible:
                raise CrildError(f"--augment {said}: {name} {impossible[name]}; leave it out")
        counts = Counter(word for side in range(len(texts[0])) for row in texts for word in split(row[side])[0])
        return cls(
            texts,
            list(counts),
            list(accumulate(counts.values())),
            mask,
            [name for name in names if name not in impossible],
        )

    def draw(self, rng: Generator) -> str:
        """Return a word, as likely as it is frequent."""
        return self.words[bisect_right(self.ends, rng.integers(self.ends[-1]))]

    def other(self, rng: Generator, i: int) -> Texts:
        """Return the texts of another row than ``i``, or its own where there is no other."""
        if len(self.rows) == 1:
            return self.rows[i]
        return self.rows[(i + int(rng.integers(1, len(self.rows)))) % len(self.rows)]


# ---- words of one text ----


def split(text: str) -> tuple[list[str], str]:
    """Return a text's words and what is between them: its characters where it has no whitespace and is no word."""
    words = text.split()
    if len(words) == 1 and len(words[0]) > LONGEST_WORD:
        return list(words[0]), ""
    return words, " "


def chosen(rng: Generator, count: int) -> np.ndarray:
    """Return which of ``count`` words are changed (count,): at the text's own rate, at least one and never all.

    A single word stays.
    """
    changed: np.ndarray = rng.random(count) < rng.uniform(LEAST, MOST)
    if count < 2:
        return np.zeros(count, bool)
    if changed.all() or not changed.any():
        changed[rng.integers(count)] ^= True
    return changed


def dropped(rng: Generator, words: list[str], corpus: Corpus) -> list[str]:
    """Return a part of the words, in their order."""
    return [word for word, gone in zip(words, chosen(rng, len(words)), strict=True) if not gone]


def masked(rng: Generator, words: list[str], corpus: Corpus) -> list[str]:
    """Return the words, some of them the mask token."""
    assert corpus.mask is not None
    return [corpus.mask if gone else word for word, gone in zip(words, chosen(rng, len(words)), strict=True)]


def replaced(rng: Generator, words: list[str], corpus: Corpus) -> list[str]:
    """Return the words, some of them others that are drawn by their frequency."""
    return [corpus.draw(rng) if gone else word for word, gone in zip(words, chosen(rng, len(words)), strict=True)]


# ---- rewrites: (rng, texts of a row, its number, corpus) -> texts ----

Change = Callable[[Generator, list[str], Corpus], list[str]]
Rewrite = Callable[[Generator, Texts, int, Corpus], Texts]
SIDES = {1: ((0,),), 2: ((0,), (1,), (0, 1))}  # of a text, and of a pair


def rewritten(change: Change, rng: Generator, text: str, corpus: Corpus) -> str:
    """Return a text with its words changed."""
    words, between = split(text)
    return between.join(change(rng, words, corpus))


def word_by_word(change: Change, rng: Generator, texts: Texts, i: int, corpus: Corpus) -> Texts:
    """Change the words of a text; of a pair, those of one side or of both."""
    sides = SIDES[len(texts)][rng.integers(len(SIDES[len(texts)]))]
    return tuple(rewritten(change, rng, text, corpus) if side in sides else text for side, text in enumerate(texts))


def crossing(rng: Generator, texts: Texts, i: int, corpus: Corpus) -> Texts:
    """Put the last part of another row's text behind the first part of this one's; of a pair, on one side or on both.

    Both are cut at the same share of their words, and at least one of each is kept.
    """
    sides = SIDES[len(texts)][rng.integers(len(SIDES[len(texts)]))]
    other, share = corpus.other(rng, i), rng.random()
    return tuple(crossed(text, other[side], share) if side in sides else text for side, text in enumerate(texts))


def crossed(first: str, second: str, share: float) -> str:
    """Return the first ``share`` of one text and the rest of another."""
    (head, between), (tail, gap) = split(first), split(second)
    kept = between.join(head[: max(1, round(share * len(head)))])
    rest = gap.join(tail[min(len(tail) - 1, round(share * len(tail))) :]) if tail else ""
    return (" " if " " in (between, gap) else "").join(part for part in (kept, rest) if part)


def pairing(rng: Generator, texts: Texts, i: int, corpus: Corpus) -> Texts:
    """Put the first text of this row beside the second of another; or one of its texts beside its own rewrite."""
    if rng.random() < 0.5:
        return texts[0], corpus.other(rng, i)[1]
    text = texts[rng.integers(2)]
    return text, rewritten((dropped, replaced)[rng.integers(2)], rng, text, corpus)


REWRITES: Mapping[str, Rewrite] = {
    "deletion": partial(word_by_word, dropped),
    "masking": partial(word_by_word, masked),
    "replacement": partial(word_by_word, replaced),
    "crossing": crossing,
    "pairing": pairing,
}
ALL, NONE = "all", "none"


def parse_rewrites(said: str) -> tuple[str, ...]:
    """Return the names in ``all`` or ``deletion+crossing``.

    Raises:
        CrildError: there is no such rewrite; the nearest is suggested.
    """
    names = tuple(REWRITES) if said == ALL else tuple(said.split("+"))
    for name in names:
        if name in (ALL, NONE):
            raise CrildError(f"--augment {said}: {name} stands alone; leave it out, or the others")
        if name not in REWRITES:
            raise CrildError(
                f"--augment: there is no rewrite {name!r}{nearest(name, (ALL, NONE, *REWRITES))}: use {ALL}, {NONE}, "
                f"or some of {', '.join(REWRITES)} joined with +"
            )
    return names


# ---- as rows ----


class Augmented(torch.utils.data.Dataset):
    """Tokenised rows, and behind them rewrites of training texts, which have no label and are new in every epoch.

    Rows are numbered through all epochs: row i of epoch e is ``e * len(self) + i``.

    Args:
        rows: tokenised; the training rows come first.
        corpus: the same training rows, as text.
        count: rewrites beside them; every training row has as many of them, or they are spread evenly.
        tokenizer: of the rows.
        max_length: tokens kept of a rewrite.
        seed: any number of integers.
    """

    def __init__(
        self,
        rows: Dataset,
        corpus: Corpus,
        count: int,
        tokenizer: PreTrainedTokenizerBase,
        max_length: int,
        *seed: int,
    ) -> None:
        self.rows, self.corpus, self.count, self.seed = rows, corpus, count, seed
        self.encode = partial(encode, tokenizer=tokenizer, max_length=max_length, words="words" in rows.column_names)
        self.blank: dict[str, Any] = {"labels": None}
        if "fold_logits" in rows.column_names:
            self.blank["fold_logits"] = [float("nan")] * len(rows[0]["fold_logits"])
        self.measured: tuple[int, np.ndarray] | None = None

    def __len__(self) -> int:
        return len(self.rows) + self.count

    def __getitem__(self, number: int) -> dict[str, Any]:
        return self.__getitems__([number])[0]

    def __getitems__(self, numbers: Sequence[int]) -> list[dict[str, Any]]:
        """Return the rows of a batch, all its rewrites tokenised at once."""
        places = [divmod(number, len(self)) for number in numbers]
        own = len(self.rows)
        given = as_rows(self.rows[[i for _, i in places if i < own]])
        made = as_rows(self.made([(epoch, i - own) for epoch, i in places if i >= own]))
        return [next(given if i < own else made) for _, i in places]

    def lengths(self, epoch: int) -> np.ndarray:
        """Return the tokens of each row of an epoch (rows,).

        Its rewrites are made once more for that, a tenth of a millisecond each. It is worth it: grouped by the lengths
        of their sources, a quarter of each batch would be padding.
        """
        if self.measured is None or self.measured[0] != epoch:
            parts = [column(self.rows, "length").to_numpy()]
            for start in range(0, self.count, BLOCK):
                stop = min(start + BLOCK, self.count)
                parts.append(np.array(self.made([(epoch, k) for k in range(start, stop)])["length"]))
            self.measured = epoch, np.concatenate(parts)
        return self.measured[1]

    def source(self, k: int) -> int:
        """Return the training row that rewrite ``k`` is made from."""
        return k * len(self.corpus.rows) // self.count

    def texts(self, epoch: int, k: int) -> Texts:
        """Return rewrite ``k`` of an epoch."""
        rng = np.random.default_rng((*self.seed, epoch, k))
        names, i = self.corpus.rewrites, self.source(k)
        return REWRITES[names[int(rng.integers(len(names)))]](rng, self.corpus.rows[i], i, self.corpus)

    def made(self, which: Iterable[tuple[int, int]]) -> dict[str, list[Any]]:
        """Return rewrites, by (epoch, number), as tokenised columns; what only real rows have is blank."""
        texts = [self.texts(epoch, k) for epoch, k in which]
        if not texts:
            return {}
        columns = dict(zip(("text", "text_pair"), map(list, zip(*texts, strict=True)), strict=False))
        return self.encode(columns) | {name: [value] * len(texts) for name, value in self.blank.items()}
