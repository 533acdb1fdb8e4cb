"""Splits are seeded, and no text crosses them."""

from tests.data.files import load, write


def test_splits_are_seeded_and_no_text_crosses_them(tmp_path):
    rows = [f"text {i % 40},{i % 2}" for i in range(200)]
    path = write(tmp_path / "d.csv", "text,label", *rows)
    one, same, other = load(path), load(path), load(path, data_seed=1)
    assert one.selection["text"][:] == same.selection["text"][:]
    assert one.selection["text"][:] != other.selection["text"][:]
    parts = [set(s["text"]) for s in (one.train, one.selection, one.validation["held out"])]
    assert not parts[0] & (parts[1] | parts[2])
    assert not parts[1] & parts[2]
    assert sum(map(len, (one.train, one.selection, one.validation["held out"]))) == 200
