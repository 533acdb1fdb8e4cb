"""Data of a run: splits that do not touch, labels as the teacher numbers them."""

from tests.runs import prepared


def test_held_out_rows_for_choices_never_touch_validation(tiny_teacher, film_data, tmp_path):
    inputs = prepared(tiny_teacher, film_data, tmp_path, method="kd", validation="held-out").inputs
    assert list(inputs.validation) == ["held out"]
    assert len(inputs.train) + len(inputs.selection) + len(inputs.validation["held out"]) == 160
