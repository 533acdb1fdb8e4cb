"""The page of `crild play` in a real browser that reaches nothing but its server."""

import threading

import pytest

import crild
from crild.playground.server import Playground

NASTY = '<script>alert(1)</script> "><img src=x onerror=alert(1)> good film'
pytestmark = [pytest.mark.slow, pytest.mark.needs_browser]


@pytest.fixture(scope="module")
def browser(student_run, student_export):
    """Chromium on the page."""
    from tools.browser import chromium

    with Playground("127.0.0.1", 0) as server, chromium(own_server=True) as driver:
        server.open(crild.RunFolder.open(student_run))
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            driver.get(server.url)
            driver.server = server
            yield driver
        finally:
            server.shutdown()
            thread.join()


def until(browser, script):
    """Wait until a script says something, and return that."""
    from selenium.webdriver.support.wait import WebDriverWait

    return WebDriverWait(browser, 30).until(lambda driver: driver.execute_script(f"return {script}"))


def test_a_text_is_answered_side_by_side_and_stays_text(browser):
    browser.find_element("id", "text").send_keys(NASTY)
    browser.find_element("id", "ask").click()
    until(browser, "document.querySelectorAll('.card').length")
    cards = browser.find_elements("css selector", ".card")
    assert [card.find_element("tag name", "h3").text for card in cards] == ["teacher", "student", "served"]
    expected = browser.server.players.answer(NASTY)
    for card, found in zip(cards, expected, strict=True):
        assert card.find_element("class name", "answer").text == found["answer"]
        shown = dict(line.text.split("\n") for line in card.find_elements("css selector", ".classes div"))
        assert {name: float(text) for name, text in shown.items()} == pytest.approx(found["probabilities"], abs=6e-4)
    assert browser.find_elements("tag name", "img") == []


def test_rows_are_chosen_turned_and_tried(browser):
    from selenium.webdriver.support.select import Select

    everything = browser.server.differences.page("all", "", 0)
    Select(browser.find_element("id", "group")).select_by_value("all")
    until(browser, f"document.getElementById('where').textContent === '1 to 20 of {everything['total']}'")
    shown = [item.text for item in browser.find_elements("css selector", "#rows li p")]
    assert shown == [row["text"] for row in everything["rows"]]
    browser.find_element("id", "on").click()
    until(browser, "document.getElementById('where').textContent.startsWith('21 ')")
    browser.find_element("id", "words").send_keys("great")
    some = browser.server.differences.page("all", "great", 0)
    until(browser, f"document.getElementById('where').textContent.endsWith('of {some['total']}')")
    browser.find_element("css selector", "#rows li button").click()
    assert browser.find_element("id", "text").get_attribute("value") == some["rows"][0]["text"]


def test_nothing_went_wrong_and_nothing_sticks_out_on_a_phone(browser):
    from selenium.common.exceptions import NoAlertPresentException

    from tools.browser import requests, resize

    with pytest.raises(NoAlertPresentException):
        _ = browser.switch_to.alert
    assert browser.get_log("browser") == []
    asked = requests(browser)
    assert asked
    assert all(address.startswith((browser.server.url, "data:,")) for address in asked)
    resize(browser, 400)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 400
