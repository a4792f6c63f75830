"""Headless Chromium for tests of pages. Importing it skips the test (77) where it cannot run.

    with Browser() as browser:
        page = browser.page(width=390)      # its errors are in browser.errors
        browser.screenshot(page, "phone")   # a PNG in $VALLM_SCREENSHOT_DIR, if that is set
"""

import os
import pathlib
import shutil
import sys

try:
    from playwright.sync_api import sync_playwright
except ImportError:
    print("skipped: playwright is missing; tests/clients/install.sh installs it")
    sys.exit(77)

CHROMIUM = os.environ.get("VALLM_CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)  # fmt: skip
if CHROMIUM is None:
    print("skipped: no Chromium; install the package chromium, or set VALLM_CHROMIUM to the program")
    sys.exit(77)

ARGUMENTS = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync"]  # fmt: skip
if os.geteuid() == 0:
    ARGUMENTS.append("--no-sandbox")  # which root cannot have


class Browser:
    def __enter__(self):
        self._playwright = sync_playwright().start()
        self._browser = self._playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        self.errors = []
        return self

    def __exit__(self, *_):
        self._browser.close()
        self._playwright.stop()

    def page(self, width=1280, height=900, timeout_seconds=20, **options):
        """A page of a fresh profile; what goes wrong in it is added to errors."""
        context = self._browser.new_context(viewport={"width": width, "height": height}, **options)
        context.set_default_timeout(timeout_seconds * 1000)
        page = context.new_page()
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda line: self.errors.append(line.text) if line.type == "error" else None)
        return page

    @staticmethod
    def screenshot(page, name, full_page=False):
        folder = os.environ.get("VALLM_SCREENSHOT_DIR")
        if folder:
            pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
            page.screenshot(path=pathlib.Path(folder) / f"{name}.png", full_page=full_page)
