"""Words for times."""

import pytest

from crild.console import about


@pytest.mark.parametrize(
    ("minutes", "words"),
    [
        (0.5, "less than a minute"),
        (1.0, "about 1 to 2 minutes"),
        (7.0, "about 6 to 9 minutes"),
        (60.0, "about 48 to 78 minutes"),
        (90.0, "about 1.2 to 1.9 hours"),
    ],
)
def test_times_are_told_as_ranges(minutes, words):
    assert about(minutes) == words
