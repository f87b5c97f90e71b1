"""Chromium, as Debian packs it, without a window."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
MISSING = not (BROWSER and DRIVER) and shutil.which("apt-get") is None
"""It is not here, and neither is a Debian to get it from."""
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def chromium(*arguments: str) -> Iterator[Any]:
    """A driver of a browser with a profile of its own."""
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    options = Options()
    options.binary_location = BROWSER or ""
    directory = tempfile.mkdtemp()
    for each in (*ARGUMENTS, f"--user-data-dir={directory}", *arguments):
        options.add_argument(each)
    driver = webdriver.Chrome(options=options, service=Service(DRIVER or ""))
    try:
        yield driver
    finally:
        driver.quit()
        shutil.rmtree(directory, ignore_errors=True)
