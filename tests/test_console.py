"""What crild says, and who decides where it goes."""

import io
import logging
import subprocess
import sys

import pytest

from crild import console
from crild.console import about, into, quiet, say, warn

IN_PYTHON = """
import logging, sys
import crild
from crild.console import say, warn
{setting}
say("a [line]")
warn("mind this")
"""


@pytest.fixture(autouse=True)
def same_level():
    level = console.logger.level
    yield
    console.logger.setLevel(level)


@pytest.mark.parametrize(
    ("setting", "shown"),
    [
        ("", "a [line]\nwarning: mind this\n"),
        ("crild.quiet()", "warning: mind this\n"),
        ("logging.getLogger('crild').setLevel(logging.ERROR)", ""),
        ("logging.basicConfig(format='%(levelname)s %(name)s %(message)s')",
         "INFO crild a [line]\nWARNING crild mind this\n"),
        ("logging.getLogger('crild').addHandler(logging.NullHandler())", ""),
    ],
)  # fmt: skip
def test_lines_go_to_stderr_until_somebody_configures_logging(setting, shown):
    code = IN_PYTHON.format(setting=setting)
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (ended.stdout, ended.stderr) == ("", shown)


def test_all_of_it_goes_into_a_file_and_logging_is_as_it_was_afterwards(caplog):
    before = list(console.logger.handlers), console.logger.level, console.logger.propagate
    quiet()
    with io.StringIO() as file, into(file):
        say("one")
        warn("two")
        assert file.getvalue() == "one\nwarning: two\n"
    assert console.logger.level == logging.WARNING
    console.logger.setLevel(before[1])
    assert (list(console.logger.handlers), console.logger.level, console.logger.propagate) == before
    assert not caplog.messages


def test_a_progress_bar_is_shown_only_where_lines_are(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # to rich, that is a terminal
    assert console.terminal() is None  # pytest has handlers of its own
    with into():
        assert console.terminal() is not None
        quiet()
        assert console.terminal() is None


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
