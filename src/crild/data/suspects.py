"""Labels that are probably wrong: those that a classifier trained on the other rows finds least likely; no torch.

The ranking is cleanlab's (Apache-2.0 since 2.8): confident learning, Northcutt et al. 2021, with the probability of the
given label as the order.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from crild.data.doctor import joined
from crild.data.splits import keys
from crild.data.task import Task
from crild.errors import CrildError, to_install

FOLDS = 5


@dataclass(frozen=True)
class Suspect:
    """A training row whose label is probably wrong.

    Attributes:
        text: a pair's two texts in one.
        label: the given one.
        likely: the one that the other rows suggest.
        probability: of the given label, by a classifier that never saw this row.
    """

    text: str
    label: str
    likely: str
    probability: float


def suspects(task: Task, embeddings: np.ndarray | None = None) -> list[Suspect]:
    """Return the labelled rows of train and selection that are probably mislabelled, the worst first.

    Probabilities are out of fold, of a logistic regression on TF-IDF of words and word pairs, or on ``embeddings``.
    Equal texts share a fold. Classes with fewer rows than folds are left out.

    Args:
        task: a classification.
        embeddings: (rows of train and then of selection, width), where an encoder is given.

    Raises:
        CrildError: cleanlab is not installed, this is no classification, or there are too few labels.
    """
    if task.task_type.name != "classification":
        raise CrildError(f"--suspicious is about rows with one class each, and this is a {task.task_type.name} task")
    try:
        from cleanlab.filter import find_label_issues
    except ImportError:
        raise CrildError(f"--suspicious needs cleanlab: {to_install('check')}") from None
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import Normalizer

    parts = (task.train, task.selection)
    labels = [label for rows in parts for label in rows["labels"][:]]
    texts = [text for rows in parts for text in joined(rows)]
    key_of = [key for rows in parts for key in keys(rows)]
    distinct = Counter(label for label, _ in {(label, key) for label, key in zip(labels, key_of, strict=True)})
    chosen = [i for i, label in enumerate(labels) if label is not None and distinct[label] >= FOLDS]
    classes, given = np.unique([int(labels[i]) for i in chosen], return_inverse=True)
    if len(classes) < 2:
        raise CrildError(f"--suspicious needs two classes with at least {FOLDS} training texts each")
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
    return [
        Suspect(
            text=texts[chosen[i]],
            label=task.names[classes[given[i]]],
            likely=task.names[classes[probabilities[i].argmax()]],
            probability=float(probabilities[i, given[i]]),
        )
        for i in ranked
    ]
