"""The model card: what the score was measured on, and nothing of this machine."""

import crild
from tests.conftest import reviews, write_jsonl


def card(tmp_path, tiny, validation, **options):
    data = tmp_path / "data"
    write_jsonl(data / "train.jsonl", reviews(80))
    write_jsonl(data / "validation.jsonl", validation)
    crild.distill(
        teacher=str(tiny), data=str(data), student=2, method="kd", output=str(tmp_path / "run"), max_steps=1,
        control=False, **options,
    )  # fmt: skip
    return (tmp_path / "run/student/README.md").read_text()


def test_rows_that_were_also_trained_on_are_told(tiny, tmp_path):
    fresh = [{"text": f"{row['text']} number {i}", "label": row["label"]} for i, row in enumerate(reviews(10, seed=5))]
    text = card(tmp_path, tiny, [*fresh, *reviews(80)[:4]])
    assert "Measured on 14 rows, 4 of them with a text that was also trained on." in text
    assert "not used for training" not in text


def test_unseen_rows_are_said_to_be_and_no_path_of_this_machine_stands_there(tiny, tmp_path):
    fresh = [{"text": f"{row['text']} number {i}", "label": row["label"]} for i, row in enumerate(reviews(10, seed=5))]
    text = card(tmp_path, tiny, fresh)
    assert "Measured on 10 rows that were not used for training or selection." in text
    assert str(tiny) not in text
    assert f"the pre-trained encoder {tiny.name}" in text
    assert str(tmp_path) not in text
