"""The HTML table in a real browser, from disk, with the network off."""

import pytest

from crild.grid.noise import Noise
from crild.grid.page import html
from crild.grid.table import summarise

NASTY = "<img src=x onerror=alert(1)>&\"'"
SCORES = {"teacher": 0.9, "ft": 0.05, "cr-ild": 0.8, "kd": -0.2, "pkd": 0.75, "ted": None, "m10": 0.1, "m9": 0.6}

NOISES = [
    Noise(NASTY, "full", m, (0.0, 0.1, 0.2), (0.8, 0.7, 0.5), (0.8, 0.6, 0.4), (0.8, 0.75, 0.6)) for m in ("kd", "pkd")
]


def records():
    for task in (NASTY, "RTE"):
        for place, (method, score) in enumerate(SCORES.items()):
            for seed in range(1, 6):
                run = {"task": task, "condition": "full", "method": method, "seed": seed, "control": method == "ft"}
                if score is None:
                    yield run | {"status": "failed", "error": NASTY}
                else:
                    spread = 0.01 * ((seed * (place + 2)) % 7)
                    yield run | {"status": "done", "metric": "matthews", "score": score + spread, "parameters": 1000}


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """Chromium on the page, without a network; its log holds every request."""
    page = tmp_path_factory.mktemp("page") / "table.html"
    methods = [m for m in SCORES if m != "teacher"]
    page.write_text(html(summarise(records(), NASTY, "cr-ild", methods), NOISES), encoding="utf-8")
    from tools.browser import chromium

    with chromium() as driver:
        driver.get(page.as_uri())
        yield driver


def table(browser):
    """The first block's table and its headings by name."""
    found = browser.find_element("css selector", "#block-1 table.sortable")
    return found, {h.text.strip(" ▲▼"): h for h in found.find_elements("css selector", "thead th")}


def column(browser, name):
    found, headings = table(browser)
    place = list(headings).index(name)
    return [
        row.find_elements("css selector", "th, td")[place].text
        for row in found.find_elements("css selector", "tbody tr")
    ]


def sort(browser, name, times=1):
    for _ in range(times):
        table(browser)[1][name].find_element("tag name", "button").click()
    return table(browser)[1][name].get_attribute("aria-sort")


pytestmark = [pytest.mark.slow, pytest.mark.needs_browser]


def test_numbers_are_sorted_as_numbers(browser):
    assert table(browser)[1]["matthews"].get_attribute("aria-sort") == "none"
    assert sort(browser, "matthews") == "ascending"
    up = column(browser, "matthews")
    assert up[-1] == "failed"  # what is missing stays last
    means = [float(text.split(" ")[0]) for text in up[:-1]]
    assert means == sorted(means)
    assert means[0] < 0 < means[-1]
    assert sort(browser, "matthews") == "descending"
    down = column(browser, "matthews")
    assert down == [*up[-2::-1], "failed"]
    assert [h.get_attribute("aria-sort") for h in table(browser)[1].values()].count("none") == 8


def test_names_are_sorted_as_texts(browser):
    assert sort(browser, "method") == "ascending"
    names = column(browser, "method")
    assert names.index("m9") < names.index("m10")
    assert names[0] == "cr-ild"
    assert sort(browser, "method") == "descending"
    assert column(browser, "method") == names[::-1]


def test_keys_sort_too(browser):
    from selenium.webdriver.common.keys import Keys

    heading = table(browser)[1]["rank"]
    button = heading.find_element("tag name", "button")
    browser.execute_script("arguments[0].focus()", button)
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    assert heading.get_attribute("aria-sort") == "ascending"
    browser.switch_to.active_element.send_keys(Keys.SPACE)
    assert heading.get_attribute("aria-sort") == "descending"
    ranks = column(browser, "rank")
    assert ranks[-2:] == ["-", "-"]  # of the teacher, and of what failed
    assert [float(r) for r in ranks[:-2]] == [6, 5, 4, 3, 2, 1]


def test_text_from_data_is_text(browser):
    titles = [h.text for h in browser.find_elements("tag name", "h2")]
    assert titles == ["Overview", f"{NASTY}, full", "RTE, full"]
    assert browser.find_elements("tag name", "img") == []
    for details in browser.find_elements("tag name", "details"):
        details.find_element("tag name", "summary").click()
    failures = [item.text for item in browser.find_elements("css selector", "details li")]
    assert failures[0] == f"ted, seed 1: {NASTY}"


def test_details_open(browser):
    for details in browser.find_elements("css selector", "section:last-of-type details"):
        if not details.get_attribute("open"):
            details.find_element("tag name", "summary").click()
        assert details.find_element("css selector", "table, li").is_displayed()


def test_no_error_and_no_request(browser):
    from selenium.common.exceptions import NoAlertPresentException

    with pytest.raises(NoAlertPresentException):
        _ = browser.switch_to.alert
    from tools.browser import requests

    assert requests(browser) == [browser.current_url]
    assert browser.get_log("browser") == []


def test_nothing_is_wrong_with_its_pictures(browser):
    from tools.browser_check import plots

    assert len(browser.find_elements("css selector", "svg.plot")) == 4  # ranks, scores of both blocks, noise of one
    assert plots(browser) == []
