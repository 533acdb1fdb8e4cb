"""How far `crild.suspicious` can be trusted: tweets of whose labels it is known how many of a crowd gave them.

    python benchmarks/suspicious.py benchmarks/results/suspicious.jsonl

Two cases, by TF-IDF and by the demo's encoder, each for three samples of tweets:

- *contested*: tweets as the crowd labelled them; found is a label that somebody in the crowd did not give.
- *flipped*: tweets on which the whole crowd agreed, every tenth label replaced; found is a replaced one.

Every sample has as many rows as the demo trains on, and 100 more that are only there to score on.
"""

import json
import platform
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

import crild
from crild.data.tweets import LABELLED, LABELS, Tweet, read_tweets

SEEDS = (1, 2, 3)
FIRST = 100  # of the list, by which precision is measured
FLIPPED = 0.1
TO_SCORE_ON = 100


def known_tweets() -> list[Tweet]:
    """Tweets whose crowd is known, of each retweeted text one."""
    first: dict[str, Tweet] = {}
    for each in read_tweets():
        if each.key and each.confidence is not None:
            first.setdefault(each.key, each)
    return list(first.values())


def contested(seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    tweets = known_tweets()
    order = np.random.default_rng(seed).permutation(len(tweets))[: LABELLED + TO_SCORE_ON]
    drawn = [tweets[i] for i in order]
    rows = pd.DataFrame({"text": [each.text for each in drawn], "label": [each.label for each in drawn]})
    return rows, np.array([each.confidence < 1 for each in drawn])


def flipped(seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    tweets = [each for each in known_tweets() if each.confidence == 1]
    rng = np.random.default_rng(seed)
    drawn = [tweets[i] for i in rng.permutation(len(tweets))[: LABELLED + TO_SCORE_ON]]
    wrong = rng.random(len(drawn)) < FLIPPED
    right = np.array([LABELS.index(each.label) for each in drawn])
    given = np.where(wrong, (right + rng.integers(1, len(LABELS), len(drawn))) % len(LABELS), right)
    return pd.DataFrame({"text": [each.text for each in drawn], "label": [LABELS[i] for i in given]}), wrong


def measured(rows: pd.DataFrame, wrong: np.ndarray, base: str | None) -> dict[str, float]:
    """Share of wrong labels in all rows, in the first ones and in the list; the area under the curve of all scores."""
    train, others = rows[:LABELLED], rows[LABELLED:]
    found = crild.suspicious(data=train, validation=others, base=base)
    judged = np.array(list(found.scores))
    scores = np.array(list(found.scores.values()))
    by_score = judged[np.argsort(scores, kind="stable")]
    listed = [each.row for each in found]
    return {
        "share": wrong[judged].mean(),
        "precision_at_100": wrong[by_score[:FIRST]].mean(),
        "auc": roc_auc_score(wrong[judged], -scores),
        "listed": len(listed),
        "precision_of_list": wrong[listed].mean(),
        "recall_of_list": wrong[listed].sum() / wrong[judged].sum(),
    }


if __name__ == "__main__":
    output = Path(sys.argv[1])
    crild.quiet()
    lines = []
    for name, draw in (("contested", contested), ("flipped", flipped)):
        samples = [draw(seed) for seed in SEEDS]
        for base in (None, "demo"):
            runs = pd.DataFrame([measured(*each, base) for each in samples])
            lines.append({"case": name, "by": base or "TF-IDF", **runs.round(4).to_dict("list")})
            print(lines[-1]["case"], lines[-1]["by"], runs.mean().round(3).to_dict(), flush=True)
    about = {"seeds": SEEDS, "rows": LABELLED, "machine": platform.processor() or platform.machine()}
    output.write_text("".join(json.dumps(line) + "\n" for line in (about, *lines)), encoding="utf-8")
