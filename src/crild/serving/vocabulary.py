"""The vocabulary of an exported model: cut to what texts use before the model is written."""

from dataclasses import replace

from crild.config import ExportConfig
from crild.console import say
from crild.data.rows import RowTexts
from crild.data.task import load_texts, other_texts
from crild.errors import CrildError
from crild.models.vocabulary import share_split, trim
from crild.run.classifier import Classifier
from crild.run.folder import RunFolder
from crild.run.reread import texts_of
from crild.serving.result import Vocabulary
from crild.serving.rows import ScoredRows

AUTO = "auto"


def trimmed(config: ExportConfig, classifier: Classifier, run: RunFolder | None) -> tuple[Classifier, list[str]]:
    """Return what ``--trim-vocabulary`` makes of a classifier, and notes; without that option the classifier itself.

    Args:
        config: says which tokens are kept.
        classifier: on the CPU; it stays as it is.
        run: of the classifier, where it is a run's.

    Raises:
        CrildError: there are no texts, or the vocabulary cannot be trimmed, or not so far.
    """
    said = config.trim_vocabulary
    if said is None:
        return classifier, []
    size = int(said) if said.isdigit() else None
    if said == AUTO or size is not None:
        texts, notes = usual_texts(config, run)
    else:
        rows, notes = load_texts(config, said)
        texts = [text for row in RowTexts(rows) for text in row]
    found = trim(classifier.model, classifier.tokenizer, texts, size=size)
    say(f"of {found.before:,} tokens {found.kept:,} are kept, by {len(texts):,} texts")
    return replace(classifier, model=found.model.eval(), tokenizer=found.tokenizer), notes


def usual_texts(config: ExportConfig, run: RunFolder | None) -> tuple[list[str], list[str]]:
    """Return the texts of a run, of another model the texts of ``--data`` but those it is proved on; and notes.

    Raises:
        CrildError: they cannot be read.
    """
    if run is not None:
        try:
            return texts_of(run), []
        except CrildError as error:
            raise CrildError(
                f"--trim-vocabulary {config.trim_vocabulary}: the run's texts cannot be read again ({error}); name a "
                "file of texts instead"
            ) from None
    texts, apart = other_texts(config)
    note = "the vocabulary was chosen by the very rows that are reported, so none of their tokens is split further"
    return texts, [] if apart else [note]


def about_vocabulary(before: Classifier, after: Classifier, rows: ScoredRows, score: float) -> Vocabulary:
    """Return what a trimmed vocabulary costs.

    Args:
        before, after: the classifier, and that with the trimmed vocabulary.
        rows: that are reported.
        score: on them, of ``after``.
    """
    texts = [text for row in RowTexts(rows.rows) for text in row]
    split = share_split(before.tokenizer, after.tokenizer, texts)
    return Vocabulary(len(after.tokenizer.get_vocab()), len(before.tokenizer.get_vocab()), split, score)


def too_few(vocabulary: Vocabulary, lost: float, tolerance: float) -> str:
    """Return a warning about a vocabulary that loses more than it may, with what to do."""
    return (
        f"the trimmed vocabulary loses {lost:.4f} of the score, more than --tolerance {tolerance:g}: "
        f"{vocabulary.split_further:.1%} of the tokens are split further; keep more of them, by more texts or a larger "
        "SIZE"
    )
