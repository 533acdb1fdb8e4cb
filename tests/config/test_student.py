"""What `--student` says."""

import pytest

from crild.config.student import STATIC_TYPE, is_static, parse_layers
from crild.errors import CrildError
from crild.models.static import StaticConfig


@pytest.mark.parametrize(
    ("spec", "layers"),
    [
        ("3", [0, 1, 2]), ("first:2", [0, 1]), ("last:2", [4, 5]), ("every:2", [0, 2, 4]), ("every:4", [0, 4]),
        ("0,2,4", [0, 2, 4]), ("1,5", [1, 5]), ("half", [0, 1, 2]), ("6", [0, 1, 2, 3, 4, 5]), ("a/path", None),
        ("static", []),
    ],
)  # fmt: skip
def test_which_layers_a_student_takes(spec, layers):
    assert parse_layers(spec, 6) == layers


def test_a_student_is_static_by_that_word_or_by_what_its_folder_holds(tmp_path):
    (tmp_path / "half").mkdir()
    assert StaticConfig.model_type == STATIC_TYPE
    for text, expected in (('{"model_type": "crild-static"}', True), ('{"model_type": "bert"}', False), ("[]", False),
                           ("{", False)):  # fmt: skip
        (tmp_path / "config.json").write_text(text)
        assert is_static(str(tmp_path)) is expected
    assert [is_static(spec) for spec in ("static", "half", "3", "owner/name", str(tmp_path / "half"))] == [
        True, False, False, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize("spec", ["7", "last:9", "0,6", "2,1", "1,1", "0", "first:0"])
def test_layers_that_do_not_exist_are_refused(spec):
    with pytest.raises(CrildError, match=f"--student {spec}"):
        parse_layers(spec, 6)
