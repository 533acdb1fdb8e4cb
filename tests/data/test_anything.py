"""Whatever a file holds, `crild check` examines it or refuses it with one line (Hypothesis)."""

import csv
import json
from io import StringIO

import pyarrow
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from pyarrow.parquet import write_table

from crild.checking import check
from crild.errors import CrildError

quickly = settings(
    max_examples=60, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
columns = some.sampled_from(["text", "label", "sentence1", "sentence2", "labels", "score", ""]) | some.text(max_size=3)
words = some.sampled_from(["good film", "bad", "0", "1", "1.5", "a|b", '["a"]', " ", "", "nan", "inf", "\u200b", "é"])
texts = words | some.text(some.characters(exclude_categories=["Cs"]), max_size=8)
scalars = some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=5) | words
fragments = some.sampled_from(["text", "label", *',;\t"\n\r{}[:\0é', "good"])
cells = some.recursive(
    scalars,
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(max_size=2), inner, max_size=2),
    max_leaves=4,
)


def one_line(path, **options):
    """Examine a file; it may be refused in a line that names it."""
    try:
        found = check(data=str(path), **options)
    except CrildError as error:
        said = str(error)
    else:
        json.dumps(found.to_dict())
        return
    assert said.strip()
    assert len(said) < 5000
    assert path.name in said or "--" in said or "metric" in said


@quickly
@given(
    names=some.lists(columns, min_size=1, max_size=4, unique=True),
    kinds=some.lists(some.sampled_from([texts, scalars, cells, words, some.integers(0, 3)]), min_size=4, max_size=4),
    count=some.integers(0, 40),
    data=some.data(),
)
def test_any_rows_are_examined_or_refused(tmp_path_factory, names, kinds, count, data):
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    drawn = {
        name: data.draw(some.lists(kind, min_size=1, max_size=6)) for name, kind in zip(names, kinds, strict=False)
    }
    rows = ({name: values[(i * i) % len(values)] for name, values in drawn.items()} for i in range(count))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = data.draw(some.sampled_from(["auto", "auto", "classification", "regression", "multi-label"]))
    one_line(path, task=task)


@quickly
@given(
    ending=some.sampled_from(["csv", "tsv", "txt", "jsonl", "json", "parquet"]),
    content=some.binary(max_size=80)
    | some.lists(fragments,
                 max_size=40).map(lambda parts: "".join(parts).encode()),
)  # fmt: skip
def test_any_file_is_examined_or_refused(tmp_path_factory, ending, content):
    path = tmp_path_factory.getbasetemp() / f"any.{ending}"
    path.write_bytes(content)
    one_line(path)


@quickly
@given(
    header=some.lists(columns, min_size=1, max_size=4),
    rows=some.lists(some.lists(texts, max_size=4), max_size=30),
    delimiter=some.sampled_from(",;\t"),
    ending=some.sampled_from(["csv", "tsv"]),
)
def test_any_table_is_examined_or_refused(tmp_path_factory, header, rows, delimiter, ending):
    path = tmp_path_factory.getbasetemp() / f"any.{ending}"
    out = StringIO(newline="")
    csv.writer(out, delimiter=delimiter).writerows([header, *rows])
    path.write_text(out.getvalue(), encoding="utf-8", newline="")
    one_line(path)


TYPES = [
    pyarrow.string(), pyarrow.large_string(), pyarrow.binary(), pyarrow.int8(), pyarrow.uint64(), pyarrow.float16(),
    pyarrow.bool_(), pyarrow.date32(), pyarrow.timestamp("ns"), pyarrow.duration("s"), pyarrow.decimal128(9, 2),
    pyarrow.list_(pyarrow.string()), pyarrow.list_(pyarrow.int64(), 2), pyarrow.struct([("a", pyarrow.int8())]),
    pyarrow.map_(pyarrow.string(), pyarrow.int8()), pyarrow.dictionary(pyarrow.int8(), pyarrow.string()),
    pyarrow.null(), pyarrow.string_view(), pyarrow.time64("us"), pyarrow.list_(pyarrow.list_(pyarrow.string())),
]  # fmt: skip


@pytest.mark.parametrize("kind", TYPES, ids=str)
@pytest.mark.parametrize("role", ["text", "label"])
def test_a_column_of_any_type_is_examined_or_refused(kind, role, tmp_path):
    values = {"text": [f"film {i}" for i in range(20)], "label": [i % 2 for i in range(20)]}
    made = pyarrow.array([None] * 20, kind) if pyarrow.types.is_nested(kind) else None
    for numbers in (values[role], [1] * 20, [["a"], ["b", "a"]] * 10, [{"a": 1}] * 20, [[1, 2]] * 20, [[["a"]]] * 20):
        try:
            made = pyarrow.array(numbers).cast(kind)
            break
        except (pyarrow.ArrowInvalid, pyarrow.ArrowNotImplementedError, pyarrow.ArrowTypeError):
            continue
    columns = {**values, role: made if made is not None else pyarrow.nulls(20, kind)}
    write_table(pyarrow.table(columns), tmp_path / "any.parquet")
    one_line(tmp_path / "any.parquet")
