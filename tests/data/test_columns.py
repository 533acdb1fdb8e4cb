"""Which columns are texts and labels."""

import pytest

from crild.errors import CrildError
from tests.data.files import load, write


def test_columns_can_be_named(tmp_path):
    rows = [f"left {i},right {i},{i % 2},{i % 3}" for i in range(20)]
    path = write(tmp_path / "d.csv", "a,b,c,d", *rows)
    task = load(path, text="a", text_pair="b", label="d")
    assert task.names == ["0", "1", "2"]
    assert "text_pair" in task.train.column_names
    with pytest.raises(CrildError, match=r"no column 'bb' \(did you mean 'b'\?\); the columns are a, b, c, d"):
        load(path, text="a", text_pair="bb")
    with pytest.raises(CrildError, match="no text column is recognised among a, b, c, d"):
        load(path)
