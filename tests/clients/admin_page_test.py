"""The admin page in a real browser, over two real engines (device mock): it shows what happens, draws it,
drains and enables, asks for the key, and fits a phone. Screenshots go to $VALLM_SCREENSHOT_DIR."""

import concurrent.futures
import json
import time
import unittest
import urllib.request

from browser import Browser
from services import Services
from stack import API_KEY, MODEL_NAME, Stack

PROMPT = "A-secret-that-no-page-may-show"
SERVE_ARGS = ["--instance", "2", "--device", "mock"]


def chat(stack, max_tokens=20, **parameters):
    """Answers with the name of the instance that ran it and the body."""
    body = {"messages": [{"role": "user", "content": PROMPT}], "max_tokens": max_tokens, "ignore_eos": True, **parameters}
    request = urllib.request.Request(stack.base_url + "/chat/completions", json.dumps(body).encode(),
                                     {"Authorization": f"Bearer {API_KEY}", "Content-Type": "application/json"})  # fmt: skip
    with urllib.request.urlopen(request) as reply:
        return reply.headers["x-instance"], json.load(reply)


class AdminPage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = cls.enterClassContext(Stack(SERVE_ARGS))
        cls.browser = cls.enterClassContext(Browser())

    def open(self, **options):
        """A page that shows its instances."""
        page = self.browser.page(**options)
        self.addCleanup(page.context.close)
        page.goto(self.stack.management_url)
        page.wait_for_selector("#instances tbody tr")
        return page

    def setUp(self):
        self.browser.errors.clear()
        self.addCleanup(lambda: self.assertEqual(self.browser.errors, []))

    def row(self, page, instance):
        return page.locator(f"#instances tbody tr[data-instance={instance}]")

    def wait_for_state(self, page, instance, state):
        self.row(page, instance).locator(".pill", has_text=state).wait_for()

    def test_shows_the_instances(self):
        page = self.open()
        self.assertEqual(page.locator("#instances tbody tr").count(), 2)
        for instance in ("engine-0", "engine-1"):
            self.wait_for_state(page, instance, "serving")
        self.assertEqual(page.locator("#health-text").inner_text(), "2 of 2 instances serve")
        self.assertEqual(page.locator("#model").inner_text(), MODEL_NAME)

    def test_draws_what_happens_and_remembers_it(self):
        page = self.open(height=1400)
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            for _ in pool.map(lambda _: chat(self.stack, max_tokens=300), range(30)):
                pass

        def heights(series):
            """The different y that a series' line goes through."""
            path = page.locator(f"path[data-series={series}]").first.get_attribute("d") or ""
            return {point.split(",")[1].split("h")[0] for point in path.replace("M", "L").split("L") if "," in point}

        def wait_for_line(series):
            page.wait_for_function(
                "name => (document.querySelector(`path[data-series=${name}]`)?.getAttribute('d') ?? '').split('L').length > 2", arg=series)

        def expect_uneven(series, why):
            """The line comes with the next points, or with their history."""
            wait_for_line(series)
            deadline = time.monotonic() + 20
            found = heights(series)
            while len(found) < 2 and time.monotonic() < deadline:
                page.wait_for_timeout(200)
                found = heights(series)
            self.assertGreater(len(found), 1, why)

        for series in ("generated_tokens_per_second", "prompt_tokens_per_second", "running", "succeeded"):
            wait_for_line(series)
        expect_uneven("generated_tokens_per_second", "the line is flat")
        page.mouse.move(0, 0)
        self.browser.screenshot(page, "admin-light", full_page=True)
        page.reload()
        expect_uneven("generated_tokens_per_second", "a reload has lost the history")
        # Another range asks for other points.
        with page.expect_response(lambda response: "step=5" in response.url):
            page.get_by_role("button", name="15 min").click()
        page.wait_for_timeout(500)  # until they are drawn
        expect_uneven("generated_tokens_per_second", "another range is flat")

    def test_lists_requests_without_their_text(self):
        instance, body = chat(self.stack, max_tokens=7)
        page = self.open()
        row = page.locator("#requests tbody tr", has_text="/v1/chat/completions").first
        row.wait_for()
        self.assertIn("200 length", row.inner_text())
        self.assertIn(instance, row.inner_text())
        self.assertIn(f"{body['usage']['prompt_tokens']} → 7", row.inner_text())
        row.click()
        detail = page.locator("#detail")
        self.assertIn(body["id"], detail.inner_text())
        self.assertIn("Prefill", detail.inner_text())
        self.browser.screenshot(page, "admin-request")
        page.get_by_role("button", name="Close").click()
        page.wait_for_timeout(1600)  # the list is asked for again
        self.assertNotIn(PROMPT, page.content())

    def test_drains_and_enables(self):
        page = self.open()
        self.row(page, "engine-0").get_by_role("button", name="Drain").click()
        dialog = page.locator("#confirm-dialog")
        self.assertIn("Drain engine-0?", dialog.inner_text())
        dialog.get_by_role("button", name="Cancel").click()
        page.wait_for_timeout(1100)
        self.wait_for_state(page, "engine-0", "serving")

        self.row(page, "engine-0").get_by_role("button", name="Drain").click()
        self.browser.screenshot(page, "admin-confirm")
        dialog.get_by_role("button", name="Drain").click()
        self.wait_for_state(page, "engine-0", "drained")
        self.assertEqual({chat(self.stack)[0] for _ in range(4)}, {"engine-1"})
        self.browser.screenshot(page, "admin-drained")

        self.row(page, "engine-0").get_by_role("button", name="Enable").click()
        self.wait_for_state(page, "engine-0", "serving")
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            used = {instance for instance, _ in pool.map(lambda _: chat(self.stack, max_tokens=200), range(16))}
        self.assertEqual(used, {"engine-0", "engine-1"})

    def test_adds_and_removes_an_instance(self):
        page = self.open()
        add = page.locator("#add-dialog")

        def submit(address):
            page.get_by_role("button", name="Add instance").click()
            page.locator("#add-input").fill(address)
            page.locator("#add-input").press("Enter")

        submit("<b>nowhere</b>")
        page.locator("#add-error").wait_for()
        self.assertNotEqual(page.locator("#add-error").inner_text(), "")
        self.browser.errors.clear()  # Chromium's console names every 400
        add.get_by_role("button", name="Cancel").click()
        submit("127.0.0.1:1")
        self.row(page, "engine-2").locator(".pill", has_text="unreachable").wait_for()
        self.assertFalse(add.is_visible())
        self.row(page, "engine-2").get_by_role("button", name="Drain").click()
        page.locator("#confirm-ok").click()
        self.row(page, "engine-2").get_by_role("button", name="Remove").click()
        page.locator("#confirm-ok").click()
        self.row(page, "engine-2").wait_for(state="detached")

    def test_what_the_server_says_is_text(self):
        evil = "<img src=x onerror=\"document.title='broken'\">"
        page = self.browser.page()
        self.addCleanup(page.context.close)

        def poison(route):
            answer = route.fetch().json()
            if "instances" in answer:
                answer["models"] = [evil]
                answer["instances"][0].update(name=evil, address=evil, state=evil, fingerprint=evil)
            else:
                entry = (answer["recent"] or answer["active"])[0]
                entry.update(endpoint=evil, key=evil, id=evil, instances=[evil], finish_reason=evil)
            route.fulfill(json=answer)

        chat(self.stack)
        for path in ("overview", "requests?*"):
            page.route(f"**/api/v1/{path}", poison)
        page.goto(self.stack.management_url)
        page.wait_for_selector("#requests tbody tr")
        self.assertEqual(page.locator("#instances tbody tr").first.locator(".strong").inner_text(), evil)
        self.assertIn(evil, page.locator("#requests tbody tr").first.inner_text())
        self.assertEqual(page.locator("img").count(), 0)
        self.assertEqual(page.title(), f"{evil} · vallm")

    def test_dark_light_and_phone(self):
        brightness = "sum(getComputedStyle(document.documentElement).backgroundColor)"
        script = f"(() => {{ const sum = (c) => c.match(/[\\d.]+/g).slice(0, 3).reduce((a, b) => a + +b, 0); return {brightness}; }})()"
        dark = self.open(color_scheme="dark")
        self.assertLess(dark.evaluate(script), 150)
        self.browser.screenshot(dark, "admin-dark", full_page=True)
        for _ in range(2):  # auto, light, dark
            dark.locator("#theme").click()
        self.assertLess(dark.evaluate(script), 150)
        dark.emulate_media(color_scheme="light")
        self.assertLess(dark.evaluate(script), 150, "the choice counts, not the system")
        dark.locator("#theme").click()
        self.assertGreater(dark.evaluate(script), 600)

        phone = self.open(width=360, height=780, locale="zh-CN", is_mobile=True, device_scale_factor=2)
        self.assertLessEqual(phone.evaluate("document.documentElement.scrollWidth"), 360)
        self.assertIn("排空", self.row(phone, "engine-0").inner_text())
        self.browser.screenshot(phone, "admin-phone", full_page=True)
        phone.locator("#language").click()
        self.assertIn("Drain", self.row(phone, "engine-0").inner_text())
        self.assertEqual(phone.evaluate("document.documentElement.lang"), "en")

    def test_asks_for_the_key(self):
        with Services(["--device=mock"], gateway_args=["--admin-api-key=open-sesame"]) as services:
            page = self.browser.page()
            self.addCleanup(page.context.close)
            page.goto(services.management_url)
            dialog, field = page.locator("#key-dialog"), page.locator("#key-input")
            field.wait_for()
            self.browser.screenshot(page, "admin-key")
            self.assertEqual(page.locator("#instances tbody tr").count(), 0, "shown without a key")
            field.fill("sesame")
            field.press("Enter")
            page.locator("#key-error").wait_for()
            field.fill("open-sesame")
            field.press("Enter")
            self.wait_for_state(page, "engine-0", "serving")
            self.assertFalse(dialog.is_visible())
            page.reload()
            self.wait_for_state(page, "engine-0", "serving")
            self.assertFalse(dialog.is_visible(), "a reload asks again")
            self.assertEqual(page.evaluate("JSON.stringify([localStorage, document.cookie])").count("sesame"), 0)
            page.get_by_role("button", name="Forget key").click()
            field.wait_for()
            self.browser.errors.clear()  # Chromium's console names every 401

    def test_says_when_the_gateway_is_away(self):
        page = self.open()
        page.context.set_offline(True)
        page.locator("#banner", has_text="does not answer").wait_for()
        page.context.set_offline(False)
        page.locator("#banner").wait_for(state="hidden")
        self.browser.errors.clear()  # of the calls that failed


if __name__ == "__main__":
    unittest.main(verbosity=1)
