"""Open reports and comparison pages in Chromium without a network, and say what is wrong with them.

python -m tools.browser_check RUN/report.html GRID/table.html [--axe axe.min.js] [--shots FOLDER]

Looked at: the console, requests, whether every plot is drawn and says its values when it is pointed at, whether
anything sticks out at 1200 and at 400 pixels, and (with axe-core, ``npm install axe-core``) serious faults of
accessibility in light and dark. Exit code 1 where something is wrong.
"""

import argparse
from pathlib import Path

from selenium.webdriver import ActionChains, Chrome
from selenium.webdriver.remote.webelement import WebElement

from tools.browser import chromium, requests, resize, screenshot

WIDTHS = (1200, 400)
SERIOUS = ("serious", "critical")
MARKS = "circle, rect, polyline, line, polygon"
TOO_WIDE = """
const wide = document.documentElement.clientWidth;
return [...document.querySelectorAll("body *")].filter(each => !each.closest(".wide, pre, #tip")
  && each.getBoundingClientRect().right > wide + 1).map(each => each.tagName + " " + each.textContent.slice(0, 40));
"""
AXE = """
const done = arguments[arguments.length - 1];
axe.run({ resultTypes: ["violations"] }).then(found => done(found.violations.map(
  each => [each.impact, each.id, each.nodes.slice(0, 3).map(node => node.html.slice(0, 160)).join(" ; ")])));
"""


def faults(driver: Chrome, page: Path, axe: Path | None = None, shots: Path | None = None) -> list[str]:
    """Return what is wrong with a page, a line each.

    Args:
        driver: of `chromium`.
        page: the file.
        axe: of axe-core; without it, accessibility is not looked at.
        shots: folder of screenshots.
    """
    resize(driver, WIDTHS[0])
    driver.get(page.absolute().as_uri())
    found = [f"asks for {url}" for url in requests(driver) if url != driver.current_url]
    found += plots(driver)
    for width in WIDTHS:
        for dark in (False, True):
            resize(driver, width, dark=dark)
            name = f"{page.parent.name}-{page.stem}-{width}{'-dark' if dark else ''}"
            if not dark:
                found += [f"sticks out at {width} pixels: {what}" for what in driver.execute_script(TOO_WIDE)]
            if axe is not None and width == WIDTHS[0]:
                found += [f"{'dark' if dark else 'light'}: {each}" for each in inaccessible(driver, axe)]
            if shots is not None:
                shots.mkdir(parents=True, exist_ok=True)
                screenshot(driver, shots / f"{name}.png")
    return found + [f"console: {entry['message']}" for entry in driver.get_log("browser")]


def plots(driver: Chrome) -> list[str]:
    """Return what is wrong with the plots: each has marks, a text alternative and, where pointed at, values."""
    found = []
    for plot in driver.find_elements("css selector", "svg.plot"):
        name = plot.get_attribute("aria-label") or ""
        if not name:
            found.append("a plot without a text alternative")
        if not plot.size["width"] or not plot.find_elements("css selector", MARKS):
            found.append(f"nothing is drawn: {name}")
        marks = plot.find_elements("css selector", "[data-tip]")
        if not marks or pointed_at(driver, marks[-1]) != marks[-1].get_attribute("data-tip"):
            found.append(f"says no value when it is pointed at: {name}")
    return found


def pointed_at(driver: Chrome, mark: WebElement) -> str:
    """Return what is shown while the pointer is on a mark."""
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", mark)
    ActionChains(driver, duration=0).move_to_element(mark).perform()
    tip = driver.find_element("id", "tip")
    return tip.text if tip.is_displayed() else ""


def inaccessible(driver: Chrome, axe: Path) -> list[str]:
    """Return the serious faults that axe-core finds."""
    driver.execute_script(axe.read_text(encoding="utf-8"))
    return [
        f"{rule} ({impact}): {where}" for impact, rule, where in driver.execute_async_script(AXE) if impact in SERIOUS
    ]


def main() -> int:
    """Check pages; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pages", nargs="+", type=Path)
    parser.add_argument("--axe", type=Path, help="axe.min.js of axe-core")
    parser.add_argument("--shots", type=Path, help="folder for screenshots")
    arguments = parser.parse_args()
    wrong = 0
    with chromium() as driver:
        for page in arguments.pages:
            found = faults(driver, page, arguments.axe, arguments.shots)
            wrong += len(found)
            print("\n".join([f"{page}: {len(found) or 'nothing'} wrong", *(f"  {each}" for each in found)]))
    return int(wrong > 0)


if __name__ == "__main__":
    raise SystemExit(main())
