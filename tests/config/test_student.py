"""What `--student` says."""

import pytest

from crild.config.student import parse_layers
from crild.errors import CrildError


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


@pytest.mark.parametrize("spec", ["7", "last:9", "0,6", "2,1", "1,1", "0", "first:0"])
def test_layers_that_do_not_exist_are_refused(spec):
    with pytest.raises(CrildError, match=f"--student {spec}"):
        parse_layers(spec, 6)
