"""Report in Chromium without a network: nothing on the console, every plot drawn, values on hover, no serious fault."""

import os
from pathlib import Path

import pytest

from crild.run.report import write_report
from tests.run.finished import IMAGE, SCRIPT, finished

pytestmark = [pytest.mark.slow, pytest.mark.needs_browser]


@pytest.fixture(scope="module")
def browser():
    from tools.browser import chromium

    with chromium() as driver:
        yield driver


@pytest.fixture(scope="module")
def nasty(tmp_path_factory):
    """The report of a run with everything, whose texts, labels and file name would like to run."""
    named = {"names": (SCRIPT, IMAGE, "plain"), "texts": (SCRIPT, IMAGE), "data": f"{IMAGE}.csv"}
    return write_report(finished(tmp_path_factory.mktemp("runs") / "nasty", diagnosed=True, exported=True, **named))


def test_nothing_is_wrong_with_it(browser, nasty):
    from tools.browser_check import faults

    assert faults(browser, nasty) == []


def test_no_serious_fault_of_accessibility(browser, nasty):
    from tools.browser import resize
    from tools.browser_check import inaccessible

    axe = os.environ.get("AXE_CORE")
    if not axe:
        pytest.skip("needs axe-core: npm install axe-core, and AXE_CORE=node_modules/axe-core/axe.min.js")
    browser.get(nasty.as_uri())
    for dark in (False, True):
        resize(browser, 1200, dark=dark)
        assert inaccessible(browser, Path(axe)) == []


def test_texts_are_text(browser, nasty):
    browser.get(nasty.as_uri())
    assert browser.find_elements("css selector", "body img") == []
    assert len(browser.find_elements("tag name", "script")) == 1
    cells = [each.text for each in browser.find_elements("css selector", "#rows tbody td")]
    assert {SCRIPT, IMAGE} <= set(cells)


def test_rows_are_searched_and_chosen(browser, nasty):
    browser.get(nasty.as_uri())
    rows = browser.find_elements("css selector", "#rows tbody tr")
    browser.find_element("css selector", "#rows input").send_keys("<SCRIPT")
    shown = [row for row in rows if row.is_displayed()]
    assert 0 < len(shown) < len(rows)
    assert all(SCRIPT in row.text for row in shown)
    assert browser.find_element("css selector", "#rows output").text == f"{len(shown)} of {len(rows)} rows"
    browser.find_element("css selector", "#rows option[value=teacher-alone]").click()
    for row in (row for row in rows if row.is_displayed()):
        label, teacher, student, _ = (cell.text for cell in row.find_elements("tag name", "td"))
        assert label == teacher != student
