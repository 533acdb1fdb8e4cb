"""Label counts, and labels that look wrong."""

import pandas as pd

from crild.run.folder import RunFolder
from crild.run.sections.labels import label_counts, labels
from crild.run.sections.seen import Seen
from tests.run.finished import finished


def test_labels_are_counted_by_split(tmp_path):
    seen = Seen(finished(tmp_path / "run"))
    counts = label_counts(seen)
    held_out = seen.rows.held_out["label"].value_counts()
    assert counts["neutral"]["held out"] == held_out["neutral"]
    assert sum(each["selection"] for each in counts.values()) == 60
    assert counts["negative"]["training"] == 100


def test_a_planted_wrong_label_is_the_first_that_looks_wrong(tmp_path):
    run = finished(tmp_path / "run")
    frame = run.predictions
    sure = frame[["teacher_probabilities", "student_probabilities"]].map(max).sum(axis=1)
    place = sure[(frame["teacher"] == frame["label"]) & (frame["student"] == frame["label"])].idxmax()
    others = [name for name in run.result.labels if name != frame.loc[place, "label"]]
    right, frame.loc[place, "label"] = frame.loc[place, "label"], others[0]
    frame.to_parquet(run.path / "predictions.parquet")
    table = labels(Seen(RunFolder(run.path)))[-1]
    assert table.title == "Labels that look wrong"
    text, split, label, rather, *_ = table.rows[0]
    assert (text, split, label, rather) == (frame.loc[place, "text"], "held out", others[0], right)
    assert [a + b for *_, a, b in table.rows] == sorted(a + b for *_, a, b in table.rows)


def test_where_both_models_agree_with_every_label_nothing_looks_wrong(tmp_path):
    run = finished(tmp_path / "run")
    for name, frame in (("predictions", run.predictions), ("selection", run.selection_predictions)):
        pd.DataFrame(frame[frame["teacher"] == frame["label"]]).to_parquet(run.path / f"{name}.parquet")
    assert labels(Seen(RunFolder(run.path)))[-1].text.startswith("No label")
