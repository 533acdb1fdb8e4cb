"""A dev split for a folder without one: all rows, once each, the same ones every time."""

from tools.dev_split import split


def test_rows_are_divided_once_and_keep_their_order():
    lines = ["id\ttext\n", *(f"{i}\ta\n" for i in range(50))]
    train, dev = split(lines, 10, 42)
    assert (len(train), len(dev)) == (41, 11)
    assert train[0] == dev[0] == lines[0]
    assert sorted(train[1:] + dev[1:], key=lines.index) == lines[1:]
    assert [train, dev] == [sorted(part, key=lines.index) for part in (train, dev)]
    assert (train, dev) == split(lines, 10, 42)
    assert (train, dev) != split(lines, 10, 43)
