"""The lock file, and what is made of an audit of it."""

import re
import sys
from importlib.metadata import version

import pytest

from tools.audit import verdict
from tools.lock import LOCK, lock


def test_the_lock_holds_every_package_of_this_environment():
    text = LOCK.read_text(encoding="utf-8")
    pins = dict(line.split("==") for line in text.splitlines() if "==" in line)
    assert not [name for name, pinned in pins.items() if version(name).partition("+")[0] != pinned]
    if re.search(r"Python (\d+\.\d+)", text)[1] == "{}.{}".format(*sys.version_info):
        assert lock() == text


@pytest.mark.parametrize(
    ("packages", "code", "words"),
    [
        ([{"name": "a", "version": "1", "vulns": []}], 0, "1 of 1 packages audited, nothing is known"),
        ([{"name": "a", "version": "1", "vulns": [{"id": "CVE-1"}]}], 1, "a 1: CVE-1\n1 of 1"),
        ([{"name": "a", "version": "1", "vulns": []}, {"name": "b", "skip_reason": "?"}], 2, "1 of 2 packages audited"),
        ([{"name": "a", "version": "1", "vulns": [{"id": "X"}]}, {"name": "b", "skip_reason": "?"}], 1, "a 1: X"),
    ],
)
def test_an_audit_that_knows_nothing_is_no_clean_one(packages, code, words):
    found, told = verdict({"dependencies": packages})
    assert found == code
    assert words in told
