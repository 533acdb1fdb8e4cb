"""Labels that are probably wrong: those that a classifier trained on the other rows finds least likely; no torch.

The ranking is cleanlab's (Apache-2.0 since 2.8): confident learning, Northcutt et al. 2021, with the probability of the
given label as the order.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from crild.data.doctor import joined, shortened
from crild.data.splits import keys
from crild.data.task import Task
from crild.errors import CrildError, to_install
from crild.shown import Shown

if TYPE_CHECKING:
    import pandas as pd

FOLDS = 5
PRINTED = 10  # of the suspects
TF_IDF = "TF-IDF of words and word pairs"


@dataclass(frozen=True)
class Suspect:
    """A training row whose label is probably wrong.

    Attributes:
        row: its number in the data, from 0.
        text: a pair's two texts in one.
        label: the given one.
        suggested: the one that the other rows suggest.
        score: probability of the given label, by a classifier that never saw this row.
    """

    row: int
    text: str
    label: str
    suggested: str
    score: float


@dataclass(frozen=True, repr=False)
class Suspicious(Shown, Sequence[Suspect]):
    """Labels that are probably wrong, a sequence of `Suspect`, the worst first. It prints as a table of the worst.

    Attributes:
        task: the data's name, or the task type's.
        by: what the classifier saw of a text.
        suspects: the rows whose labels look wrong.
        scores: of every row that was judged, by its number in the data.
    """

    task: str
    by: str
    suspects: tuple[Suspect, ...]
    scores: dict[int, float]

    @property
    def title(self) -> str:
        """How many there are."""
        return f"{self.task}: {len(self)} of {len(self.scores)} labels look wrong to a classifier that never saw them"

    @property
    def remarks(self) -> list[str]:
        """What the scores are."""
        more = f"; the {PRINTED} worst are printed, table() has all" if len(self) > PRINTED else ""
        seen = f"score: probability of the label, by a logistic regression on {self.by} of the other rows"
        return [seen + more, "read them before you change or drop any: among them are right ones that are hard"]

    def table(self) -> "pd.DataFrame":
        """Return all of them: ``row``, ``text``, ``label``, ``suggested``, ``score``."""
        import pandas as pd

        return pd.DataFrame([asdict(each) for each in self], columns=list(Suspect.__annotations__)).set_index("row")

    def printed(self) -> "pd.DataFrame":
        """Return the worst, with the beginnings of their texts."""
        few = self.table().head(PRINTED)
        return few.assign(text=[shortened(text) for text in few["text"]])

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    def __len__(self) -> int:
        return len(self.suspects)

    @overload
    def __getitem__(self, place: int) -> Suspect: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Suspect]: ...
    def __getitem__(self, place: int | slice) -> Suspect | Sequence[Suspect]:
        return self.suspects[place]


def suspects(task: Task, embeddings: np.ndarray | None = None, by: str = TF_IDF) -> Suspicious:
    """Return the labelled rows of train and selection that are probably mislabelled, the worst first.

    Probabilities are out of fold, of a logistic regression on TF-IDF of words and word pairs, or on ``embeddings``.
    Equal texts share a fold. Classes with fewer rows than folds are left out.

    Args:
        task: a classification.
        embeddings: (rows of train and then of selection, width), where an encoder is given.
        by: what these are.

    Raises:
        CrildError: cleanlab is not installed, this is no classification, or there are too few labels.
    """
    if task.task_type.name != "classification":
        raise CrildError(f"suspicious: it is about rows with one class each, and this is a {task.task_type.name} task")
    try:
        from cleanlab.filter import find_label_issues
    except ImportError:
        raise CrildError(f"suspicious: it needs cleanlab: {to_install('check')}") from None
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import Normalizer

    parts = (task.train, task.selection)
    labels = [label for rows in parts for label in rows["labels"][:]]
    texts = [text for rows in parts for text in joined(rows)]
    numbers = [number for rows in parts for number in rows["row"][:]]
    key_of = [key for rows in parts for key in keys(rows)]
    distinct = Counter(label for label, _ in {(label, key) for label, key in zip(labels, key_of, strict=True)})
    chosen = [i for i, label in enumerate(labels) if label is not None and distinct[label] >= FOLDS]
    classes, given = np.unique([int(labels[i]) for i in chosen], return_inverse=True)
    if len(classes) < 2:
        raise CrildError(f"suspicious: it needs two classes with at least {FOLDS} training texts each")
    regression = LogisticRegression(max_iter=1000)
    if embeddings is None:
        learner = make_pipeline(TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2)), regression)
        inputs = np.array([texts[i] for i in chosen], dtype=object)
    else:
        learner, inputs = make_pipeline(Normalizer(), regression), embeddings[chosen]
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    groups = np.unique([key_of[i] for i in chosen], return_inverse=True)[1]
    probabilities = cross_val_predict(learner, inputs, given, groups=groups, cv=folds, method="predict_proba")
    ranked = find_label_issues(given, probabilities, return_indices_ranked_by="self_confidence", n_jobs=1)
    scores = probabilities[np.arange(len(given)), given].tolist()
    found = [
        Suspect(
            row=numbers[chosen[i]],
            text=texts[chosen[i]],
            label=task.names[classes[given[i]]],
            suggested=task.names[classes[probabilities[i].argmax()]],
            score=scores[i],
        )
        for i in ranked
    ]
    by_row = dict(zip((numbers[i] for i in chosen), scores, strict=True))
    return Suspicious(task.name, by, tuple(found), dict(sorted(by_row.items())))
