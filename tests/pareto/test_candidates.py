"""Which students are tried."""

import pytest

from crild.config import FrontierConfig
from crild.errors import CrildError
from crild.models.loading import load_model
from crild.pareto.candidates import Candidate, candidates

SIX = {"layers": 6, "width": 384}


def names(shape=SIX, **options):
    return [each.name for each in candidates(FrontierConfig(**options), shape)]


def test_the_usual_students_are_of_several_depths_and_widths_and_without_layers():
    assert names() == ["static", "1 layer", "1 layer x 192", "2 layers", "2 layers x 192", "3 layers", "3 layers x 192"]
    assert names({"layers": 12, "width": 768}, widths="full") == [
        "static",
        "1 layer",
        "2 layers",
        "4 layers",
        "6 layers",
    ]
    assert names({"layers": 1, "width": 8}, widths="full") == ["static", "1 layer"]


def test_students_are_what_distill_takes(tmp_path):
    said = names(students=f"static every:2 {tmp_path} 0,5", widths="full, 96")
    assert said == ["static", "every:2", "every:2 x 96", str(tmp_path), "0,5", "0,5 x 96"]
    narrow = candidates(FrontierConfig(students="2", widths="half"), SIX)[0]
    assert narrow.options("cr-ild") == {"method": "cr-ild", "student": "2", "student_width": 192}
    assert Candidate("static", "static").options("cr-ild")["method"] == "kd"  # nothing of it can be matched


def test_what_names_no_student_is_refused():
    with pytest.raises(CrildError, match="--widths: 'thin' is neither full, half nor a hidden size such as 192"):
        names(widths="full,thin")
    with pytest.raises(CrildError, match="--students names no student"):
        names(students=" ")


def test_an_untrained_student_has_the_shape_that_it_is_trained_in(tiny_teacher):
    source = load_model(str(tiny_teacher), "teacher").model
    for candidate in candidates(FrontierConfig(students="static 2"), {"layers": 4, "width": 32}):
        config = candidate.untrained(source).config
        assert config.num_hidden_layers == (0 if candidate.student == "static" else 2)
        assert config.hidden_size == (candidate.width or 32)
    with pytest.raises(CrildError, match="the model has 4 layers"):
        Candidate("9", "9").untrained(source)
