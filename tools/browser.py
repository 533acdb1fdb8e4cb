"""Pages in a real browser: Chromium without a window and without a network."""

import base64
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import which
from typing import Any

from selenium import webdriver

ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",  # CI is root
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--hide-scrollbars",
)
NOWHERE = "--host-resolver-rules=MAP * ~NOTFOUND"


@contextmanager
def chromium(own_server: bool = False) -> Iterator[webdriver.Chrome]:
    """Run Chromium with the network off; its log holds every request and everything on the console.

    Args:
        own_server: it may ask 127.0.0.1, and nobody else.
    """
    options = webdriver.ChromeOptions()
    options.binary_location = which("chromium") or ""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        reach = f"{NOWHERE}, EXCLUDE 127.0.0.1" if own_server else NOWHERE
        for argument in (*ARGUMENTS, reach, f"--user-data-dir={profile}"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        driver = webdriver.Chrome(options, webdriver.ChromeService(which("chromedriver")))
        try:
            driver.execute_cdp_cmd("Network.enable", {})
            offline = {"offline": not own_server, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
            driver.execute_cdp_cmd("Network.emulateNetworkConditions", offline)
            driver.set_script_timeout(120)
            yield driver
        finally:
            driver.quit()


def resize(driver: webdriver.Chrome, width: int, height: int = 900, dark: bool = False) -> None:
    """Show the page as wide as said, in light or dark colours."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})


def screenshot(driver: webdriver.Chrome, file: Path, height: int | None = None) -> None:
    """Write the whole page as PNG, or its first ``height`` pixels."""
    size = driver.execute_script("return [document.documentElement.clientWidth, document.documentElement.scrollHeight]")
    clip = {"x": 0, "y": 0, "width": size[0], "height": min(size[1], height or size[1]), "scale": 1}
    asked = {"format": "png", "captureBeyondViewport": True, "clip": clip}
    file.write_bytes(base64.b64decode(driver.execute_cdp_cmd("Page.captureScreenshot", asked)["data"]))


def requests(driver: webdriver.Chrome) -> list[str]:
    """Return what the open page asked for since this was last asked."""
    events = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    asked: list[dict[str, Any]] = [e["params"] for e in events if e["method"] == "Network.requestWillBeSent"]
    return [each["request"]["url"] for each in asked if each["documentURL"] == driver.current_url]
