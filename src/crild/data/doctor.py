"""What is wrong with a data set: facts of a task's rows, and findings that say what to do; no torch.

`check_data` counts, `findings` judges what was counted: a run warns with the same sentences that ``crild check`` shows.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from datasets import Dataset
from pyarrow import compute

from crild.data.rows import RowTexts, column, has, values
from crild.data.splits import key_hashes, keys
from crild.data.task import Task

FEW_OF_A_CLASS = 8  # training rows of one label: fewer are hardly learned
FEW_LABELS = 30  # labelled training rows in all
FEW_TO_CHOOSE, FEW_TO_SCORE = 30, 100  # rows of selection, of validation
RARE = 0.1  # rows of the rarest label for each one of the most frequent
DOMINANT = 0.8  # share of the most frequent class
MANY = 0.01  # share of rows from which an everyday thing is worth a warning
MANY_CUT = 0.05
LONG, VERY_LONG = 20, 500  # words: so many medians, and at least so many
OUTLYING = 3.0  # interquartile ranges beyond the quartiles: Tukey 1977, "far out"
APART = 0.2  # of the range: two numbers for the same text contradict each other
BLIND = {"accuracy", "accuracy_f1", "micro_f1", "subset_accuracy"}  # metrics that forget rare labels
EXAMPLE_LENGTH = 40
ANY_LENGTH = 10**6  # what an encoder without a limit is said to take

Level = Literal["warning", "hopeless"]


@dataclass(frozen=True)
class Finding:
    """Something that is wrong.

    Attributes:
        level: ``warning``, or ``hopeless``: nothing can be learned or measured.
        name: what it is about; no two findings of a data set share one.
        text: what is wrong and what to do, in a sentence.
        facts: the numbers in it.
    """

    level: Level
    name: str
    text: str
    facts: dict[str, Any]


@dataclass(frozen=True)
class Cut:
    """What a tokenizer makes of the training texts.

    Attributes:
        share: of the texts, cut.
        kept: tokens kept of a row.
        longest: the most tokens that the encoder takes.
    """

    share: float
    kept: int
    longest: int

    @classmethod
    def of(cls, train: Dataset, kept: int, longest: int) -> "Cut":
        """Return it for tokenised training rows."""
        return cls(compute.sum(column(train, "truncated")).as_py() / len(train), kept, longest)


@dataclass(frozen=True)
class Numbers:
    """Labels of a regression: lowest, highest, mean and standard deviation; how many lie far out (`OUTLYING`)."""

    lowest: float
    highest: float
    mean: float
    deviation: float
    outliers: int


@dataclass(frozen=True)
class Checks:
    """What to know about the data before training.

    Attributes:
        kind: the task type.
        metric: what is scored.
        rows: number by split.
        scored_on: the validation split that the score is of.
        labelled: rows with a label, by split.
        labels: training rows by label name; regression: an empty dictionary.
        scored_labels: different labels among the rows that are scored.
        unlabelled: training rows without a label.
        constant: the score of whoever always gives the same answer; ``None`` without labels to score.
        numbers: of the training rows of a regression; else ``None``.
        max_length: tokens kept of a row.
        words: median and most words of a row (of both texts of a pair).
        longer: training rows with more words than `max_length`: they are cut whatever the tokenizer.
        very_long: rows that are `LONG` times the median, and at least `VERY_LONG` words.
        wordless: rows with a text that has neither a letter nor a digit.
        duplicates: rows of train and selection whose text came before there.
        shared: validation rows whose text is also in train or selection.
        contradictions: texts that have different labels.
        contradicting: rows of those texts.
        example: the beginning of one of those texts; or ``None``.
        cut: what the tokenizer says; ``None`` where there is no model.
    """

    kind: str
    metric: str
    rows: dict[str, int]
    scored_on: str
    labelled: dict[str, int]
    labels: dict[str, int]
    scored_labels: int
    unlabelled: int
    constant: float | None
    numbers: Numbers | None
    max_length: int
    words: tuple[int, int]
    longer: int
    very_long: int
    wordless: int
    duplicates: int
    shared: int
    contradictions: int
    contradicting: int
    example: str | None
    cut: Cut | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    @property
    def to_score(self) -> int:
        """Labelled rows of the split that is scored."""
        return self.labelled[self.scored_on]

    @property
    def known(self) -> int:
        """Training rows with a label."""
        return self.labelled["train"]


# ---- counting ----


def check_data(task: Task, cut: Cut | None = None) -> Checks:
    """Count what there is to know about a task's rows.

    Args:
        task: with all its splits.
        cut: what a tokenizer makes of the training texts, where there is one.
    """
    labels = {name: values(rows, "labels") for name, rows in task.splits.items()}
    labelled = {name: int(has(rows, "labels").sum()) for name, rows in task.splits.items()}
    hashes = {name: key_hashes(rows) for name, rows in task.splits.items()}
    sizes = {name: word_counts(rows) for name, rows in task.splits.items()}
    every = np.concatenate(list(sizes.values()))
    scored_on = next(iter(task.validation))
    median = float(np.median(every))
    scored = [label for label in labels[scored_on] if label is not None]
    ours = np.concatenate([hashes["train"], hashes["selection"]])
    seen = np.unique(ours)
    contradicting = contradictions(task, np.concatenate(list(hashes.values())), [v for s in labels.values() for v in s])
    first = next(iter(contradicting), None)
    return Checks(
        kind=task.task_type.name,
        metric=task.metric,
        rows={name: len(rows) for name, rows in task.splits.items()},
        scored_on=scored_on,
        labelled=labelled,
        labels=task.task_type.counts(labels["train"], task.names),
        scored_labels=len({str(label) for label in scored}),
        unlabelled=len(task.train) - labelled["train"],
        constant=constant_score(task, scored),
        numbers=None if task.task_type.named else numbers(labels["train"]),
        max_length=task.max_length,
        words=(round(median), int(every.max())),
        longer=int((sizes["train"] > task.max_length).sum()),
        very_long=int(((every > LONG * median) & (every >= VERY_LONG)).sum()),
        wordless=sum(not all(map(has_word, row)) for rows in task.splits.values() for row in RowTexts(rows)),
        duplicates=len(ours) - len(seen),
        shared=sum(int(np.isin(hashes[name], seen).sum()) for name in task.validation),
        contradictions=len(contradicting),
        contradicting=sum(contradicting.values()),
        example=None if first is None else shortened(text_at(task, first)),
        cut=cut,
    )


def word_counts(rows: Dataset) -> np.ndarray:
    """Return how many words each row has (n,), a pair's two texts together."""
    return np.fromiter((sum(len(text.split()) for text in row) for row in RowTexts(rows)), int, len(rows))


def joined(rows: Dataset) -> list[str]:
    """Return each row's text, a pair's two texts in one."""
    return [" ".join(row) for row in RowTexts(rows)]


def has_word(text: str) -> bool:
    """Whether a text has a letter or a digit."""
    return any(c.isalnum() for c in text)


def shortened(text: str) -> str:
    """Return the beginning of a text, in one line."""
    line = " ".join(text.split())
    return line if len(line) <= EXAMPLE_LENGTH else f"{line[: EXAMPLE_LENGTH - 1]}…"


def constant_score(task: Task, labels: Sequence[Any]) -> float | None:
    """Return the score of whoever always gives the answer that is best on these labels; ``None`` without any."""
    if not labels:
        return None
    truth = np.array(labels)
    measure = task.task_type.find_metric(task.metric, len(task.names) or 2, task.positive)
    return measure(truth, task.task_type.constant(truth))


def numbers(labels: Sequence[float | None]) -> Numbers | None:
    """Return what there is to say of a regression's labels; ``None`` without any."""
    known = np.array([label for label in labels if label is not None])
    if not len(known):
        return None
    low, high = np.quantile(known, [0.25, 0.75])
    far = OUTLYING * (high - low)
    outliers = int(((known < low - far) | (known > high + far)).sum()) if far else 0
    return Numbers(float(known.min()), float(known.max()), float(known.mean()), float(known.std()), outliers)


def contradictions(task: Task, hashes: np.ndarray, labels: Sequence[Any]) -> dict[int, int]:
    """Return the texts with different labels: of each the first labelled row, and how many labelled rows it has.

    Two numbers differ if they lie `APART` of the whole range from each other.

    Args:
        task: its type.
        hashes: of each row's key (n,), see `crild.data.splits.key_hashes`.
        labels: of each row.
    """
    known = np.flatnonzero([label is not None for label in labels])
    there = [label for label in labels if label is not None]
    if not there:
        return {}
    if task.task_type.named:  # any numbers, of which different labels have different ones
        codes: dict[str, int] = {}
        numbers = np.array([codes.setdefault(str(label), len(codes)) for label in there])
        apart = 0.0
    else:
        numbers = np.array(there)
        apart = APART * float(np.ptp(numbers))
    _, first, text_of, rows = np.unique(hashes[known], return_index=True, return_inverse=True, return_counts=True)
    starts = np.cumsum(rows) - rows
    by_text = numbers[np.argsort(text_of, kind="stable")]
    different = np.maximum.reduceat(by_text, starts) - np.minimum.reduceat(by_text, starts) > apart
    return {int(known[first[i]]): int(rows[i]) for i in sorted(np.flatnonzero(different), key=lambda i: first[i])}


def text_at(task: Task, place: int) -> str:
    """Return the key of a row that is numbered through all splits."""
    for rows in task.splits.values():
        if place < len(rows):
            return keys(rows.select([place]))[0]
        place -= len(rows)
    raise IndexError(place)


# ---- judging ----


def findings(checks: Checks) -> list[Finding]:
    """Return what is wrong, the verdict (if it is hopeless) last; nothing where all is well."""
    return [found for judge in JUDGES if (found := judge(checks)) is not None]


def unlabelled(checks: Checks) -> Finding | None:
    """Nothing to fine-tune on."""
    if checks.known:
        return None
    text = "no training row has a label (--label names the column): only a fine-tuned --teacher can answer for them"
    return Finding("warning", "unlabelled", text, {"rows": checks.unlabelled})


def unbalanced(checks: Checks) -> Finding | None:
    """A metric that forgets the rare labels."""
    counts = [count for count in checks.labels.values() if count]
    if checks.metric not in BLIND or len(counts) < 2:
        return None
    share = max(counts) / sum(counts)
    if min(counts) >= RARE * max(counts) and (checks.kind == "multi-label" or share < DOMINANT):
        return None
    better = "matthews" if checks.kind == "classification" and len(checks.labels) == 2 else "macro_f1"
    constant = "" if checks.constant is None else f", and always the same answer scores {checks.constant:.3f}"
    text = f"the labels are unbalanced ({listed(checks.labels)}){constant}: use --metric {better}"
    return Finding("warning", "unbalanced", text, {"labels": checks.labels, "metric": better})


def rare_labels(checks: Checks) -> Finding | None:
    """Labels with too few training rows."""
    rare = {name: count for name, count in checks.labels.items() if count < FEW_OF_A_CLASS}
    if not rare or not checks.known:
        return None
    text = (
        f"too few training rows to learn a label from ({listed(rare)}): label at least {FEW_OF_A_CLASS} of each, merge "
        "labels or leave them out"
    )
    return Finding("warning", "rare labels", text, {"labels": rare})


def few_to_choose(checks: Checks) -> Finding | None:
    """A selection split on which the best score is luck."""
    rows = checks.labelled["selection"]
    if not checks.known or rows >= FEW_TO_CHOOSE:
        return None
    low, high = expected_interval(checks.kind, rows)
    text = (
        f"selection has {rows} labelled rows, too few to choose on (a score of 0.8 there may be {low:.2f} to "
        f"{high:.2f}): --keep last chooses nothing"
    )
    return Finding("warning", "selection", text, {"rows": rows, "interval": [low, high]})


def few_to_score(checks: Checks) -> Finding | None:
    """A validation split whose scores say little."""
    rows = checks.to_score
    if not checks.known or rows >= FEW_TO_SCORE:
        return None
    low, high = expected_interval(checks.kind, rows)
    text = (
        f"validation has {rows} labelled rows, too few to score on: of a score of 0.8 there the 95 % interval is about "
        f"{low:.2f} to {high:.2f}; give more with --validation"
    )
    return Finding("warning", "validation", text, {"rows": rows, "interval": [low, high]})


def expected_interval(kind: str, rows: int, score: float = 0.8) -> tuple[float, float]:
    """Return about what the 95 % interval of a score on so many rows will be.

    Of a share of right answers it is Wilson's (1927), of a correlation Fisher's (1921); F1 and Matthews' coefficient
    are no shares, and theirs are rather wider.
    """
    if kind == "regression":
        if rows <= 3:
            return -1.0, 1.0
        centre, half = np.arctanh(score), 1.96 / np.sqrt(rows - 3)
        return float(np.tanh(centre - half)), float(np.tanh(centre + half))
    if not rows:
        return 0.0, 1.0
    z2 = 1.96**2 / rows  # in closed form: `scipy.stats` takes a second to load
    centre, half = score + z2 / 2, np.sqrt(z2 * (score * (1 - score) + z2 / 4))
    return float((centre - half) / (1 + z2)), float((centre + half) / (1 + z2))


def truncated(checks: Checks) -> Finding | None:
    """Texts of which the end is never read."""
    cut = checks.cut
    if cut is None:
        share = checks.longer / checks.rows["train"]
        if share < MANY_CUT:
            return None
        text = (
            f"{share:.0%} of the texts have more words than the {checks.max_length} tokens that are kept: see what an "
            "encoder takes with --teacher or --base, and raise --max-length"
        )
        return Finding("warning", "truncated", text, {"share": share, "kept": checks.max_length, "longest": None})
    if cut.share < MANY_CUT:
        return None
    if cut.kept < cut.longest:
        most = "any number" if cut.longest >= ANY_LENGTH else f"up to {cut.longest}"
        cure = f"the encoder takes {most}: raise --max-length"
    else:
        cure = "more the encoder does not take: split the texts, or put what decides first"
    text = f"{cut.share:.0%} of the texts are cut to {cut.kept} tokens; {cure}"
    return Finding("warning", "truncated", text, asdict(cut))


def very_long(checks: Checks) -> Finding | None:
    """Texts that may have swallowed others."""
    if not checks.very_long:
        return None
    median, longest = checks.words
    text = (
        f"{several(checks.very_long, 'text')} of up to {longest} words, where the median is {median}: a lost quotation "
        "mark in the file, or documents among sentences?"
    )
    return Finding("warning", "very long", text, {"rows": checks.very_long, "words": longest, "median": median})


def wordless(checks: Checks) -> Finding | None:
    """Texts that say nothing."""
    if not checks.wordless:
        return None
    text = f"{several(checks.wordless, 'row')} with a text without any letter or digit: leave them out"
    return Finding("warning", "wordless", text, {"rows": checks.wordless})


def duplicated(checks: Checks) -> Finding | None:
    """The same text again in train."""
    text = (
        "{} of {} training rows repeat an earlier text but for case and punctuation: they count more than others; keep "
        "one of each"
    )
    return everyday("duplicates", text, checks.duplicates, checks.rows["train"] + checks.rows["selection"])


def leaking(checks: Checks) -> Finding | None:
    """Validation rows that train knows."""
    rows = sum(checks.rows.values()) - checks.rows["train"] - checks.rows["selection"]
    text = (
        "{} of {} validation rows have a text that is also in train: on them a score measures memory; take them out of "
        "train"
    )
    return everyday("leak", text, checks.shared, rows)


def everyday(name: str, text: str, count: int, rows: int) -> Finding | None:
    """Return a finding that is worth a warning from a share of `MANY` of the rows on.

    Args:
        name: of the finding.
        text: with two places, for the count and all rows.
        count: of the rows that are so.
        rows: all.
    """
    if count < MANY * rows:
        return None
    return Finding("warning", name, text.format(count, rows), {"rows": count, "of": rows})


def contradicting(checks: Checks) -> Finding | None:
    """The same text with different labels."""
    if not checks.contradictions:
        return None
    text = (
        f"{several(checks.contradictions, 'text')} with different labels ({checks.contradicting} rows), such as "
        f'"{checks.example}": decide which is right'
    )
    facts = {"texts": checks.contradictions, "rows": checks.contradicting, "example": checks.example}
    return Finding("warning", "contradictions", text, facts)


def outlying(checks: Checks) -> Finding | None:
    """Numbers far from all others."""
    found = checks.numbers
    if found is None or not found.outliers:
        return None
    text = (
        f"{several(found.outliers, 'label')} far from the others (from {found.lowest:g} to {found.highest:g}, mean "
        f"{found.mean:.3g}): squared errors are mostly theirs; check the units"
    )
    return Finding("warning", "outliers", text, asdict(found))


def hopeless(checks: Checks) -> Finding | None:
    """Data from which nothing can be learned, or on which nothing can be measured."""
    if not checks.known:
        return None  # a fine-tuned teacher answers without labels
    reasons, cures = [], []
    learnable = [name for name, count in checks.labels.items() if count >= FEW_OF_A_CLASS]
    if checks.known < FEW_LABELS:
        reasons.append(f"only {checks.known} labelled rows to train on")
        cures.append(f"label at least {FEW_LABELS} more")
    if checks.kind != "regression" and len(learnable) < 2:
        reasons.append(f"fewer than two labels with {FEW_OF_A_CLASS} training rows ({listed(checks.labels)})")
        cures.append("find more rows of the rare labels")
    if checks.to_score and checks.scored_labels < 2:
        reasons.append("all rows to score on have the same label")
        cures.append("score on rows of every label (--validation)")
    if not reasons:
        return None
    text = f"hopeless: {'; '.join(reasons)}. Do this: {'; '.join(cures)}"
    return Finding("hopeless", "verdict", text, {"reasons": reasons, "cures": cures})


JUDGES = (
    unlabelled,
    unbalanced,
    rare_labels,
    few_to_choose,
    few_to_score,
    truncated,
    very_long,
    wordless,
    duplicated,
    leaking,
    contradicting,
    outlying,
    hopeless,
)


def several(count: int, what: str) -> str:
    """Return a number of things."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def listed(labels: dict[str, int], most: int = 6) -> str:
    """Return counts of labels, the most frequent first; of many the first and the last."""
    ordered = sorted(labels.items(), key=lambda item: -item[1])
    shown = ordered if len(ordered) <= most else [*ordered[: most - 2], ("...", 0), ordered[-1]]
    return ", ".join(name if name == "..." else f"{name} {count}" for name, count in shown)
