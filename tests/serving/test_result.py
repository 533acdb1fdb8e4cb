"""What an export found, as an object and as its file."""

import json
from dataclasses import replace

import pytest

from crild.serving.result import Export


def test_it_comes_back_from_its_file_and_reads_as_a_dictionary(spoiled):
    found = spoiled.found
    again = Export.of(json.loads((spoiled.folder / "export.json").read_text()))
    assert again.vocabulary == found.vocabulary
    assert replace(again, model=found.model).to_dict() == json.loads(found.to_json())
    assert found["difference"] == found.difference == found.score_after - found.score_before
    assert set(found) == set(found.to_dict())
    assert "teacher_bytes" not in found  # what does not apply is left out


def test_what_int8_loses_is_counted_from_the_trimmed_model(spoiled, in_fp32):
    trimmed = replace(spoiled.found, score_before=0.9, score_after=0.7)
    trimmed = replace(trimmed, vocabulary=replace(trimmed.vocabulary, score=0.8))
    assert trimmed.lost_to_int8 == pytest.approx(0.1)
    assert replace(trimmed, vocabulary=None).lost_to_int8 == pytest.approx(0.2)


def test_it_prints_as_a_table_with_its_notes(spoiled):
    found = spoiled.found
    assert str(found).startswith(f"{spoiled.folder}: accuracy on 30 rows")
    assert list(found.table().index) == ["before", "served"]
    assert f"note: {found.notes[0]}" in str(found)
