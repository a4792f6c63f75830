"""The pages of `vallm report` and `vallm eval` in a real browser, made from real runs against a mock engine: charts are drawn,
tables say what the files say and can be sorted, text that looks like markup stays text, and nothing is loaded from anywhere.
Screenshots go to $VALLM_SCREENSHOT_DIR."""

import json
import os
import pathlib
import subprocess
import tempfile
import unittest

from browser import Browser
from stack import API_KEY, BIN_DIR, MODEL_DIR, MODEL_NAME, Stack

HOSTILE = "</script><img src=x onerror=\"window.hacked = 1\"><svg onload='window.hacked = 1'>&amp;\u2028"


class ReportPages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory(prefix="vallm-report-")))
        with Stack(["--device", "mock", "--mock-step-time", "0.002"]) as stack:
            cls.make_results(stack)
        cls.browser = cls.enterClassContext(Browser())

    @classmethod
    def run_vallm(cls, *arguments):
        done = subprocess.run([str(BIN_DIR / "vallm"), *map(str, arguments)], capture_output=True, text=True, env={**os.environ, "OPENAI_API_KEY": API_KEY})
        if done.returncode != 0:
            raise RuntimeError(f"vallm {arguments[0]} {arguments[1]}: {done.stderr}")
        return done.stdout

    @classmethod
    def make_results(cls, stack):
        server = ["--base-url", stack.base_url.removesuffix("/v1"), "--model", MODEL_NAME, "--tokenizer", MODEL_DIR, "--no-progress", "--ignore-eos"]
        cls.sweep = cls.folder / "sweep"
        cls.run_vallm(
            "bench", "sweep", *server, "--concurrency", "1,2", "--input-lens", "64,128,256", "--output-lens", "8", "--prompts-per-concurrency", "3", "--result-dir", cls.sweep
        )
        cls.hostile = cls.folder / "hostile"
        for rate in ("40", "80"):
            cls.run_vallm(
                "bench", "serve", *server, "--random-input-len", "32", "--random-output-len", "8", "--random-range-ratio", "0.5", "--num-prompts", "12", "--request-rate", rate,
                "--save-result", "--save-detailed", "--metadata", f"note={HOSTILE}", "--result-dir", cls.hostile, "--result-filename", f"{rate}<img src=x onerror=alert(1)>.json",
            )  # fmt: skip
        for path in cls.hostile.glob("*.json"):
            path.write_text(json.dumps({**json.loads(path.read_text()), "model_id": HOSTILE}))
        questions = cls.folder / "questions"
        questions.mkdir()
        rows = [{"id": f"{HOSTILE}{i}", "question": f"{HOSTILE} {i}?", "answer": HOSTILE} for i in range(6)]
        for subset in ("one", "two"):
            (questions / f"{subset}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        cls.evaluation = cls.folder / "evaluation"
        config = {
            "model": MODEL_NAME, "api_url": stack.base_url, "api_key": API_KEY, "eval_type": "service", "datasets": ["general_qa"], "generation_config": {"max_tokens": 16},
            "dataset_args": {"general_qa": {"local_path": str(questions), "subset_list": ["one", "two"], "metric_list": ["ExactMatch", "AverageRouge"]}}, "work_dir": str(cls.evaluation),
        }  # fmt: skip
        (cls.folder / "eval.yaml").write_text(json.dumps(config))
        cls.run_vallm("eval", cls.folder / "eval.yaml")

    def open(self, path, **options):
        """A page whose every request but the one for itself fails the test."""
        self.browser.errors.clear()
        page = self.browser.page(**options)
        self.addCleanup(page.context.close)
        requests = []
        page.on("request", lambda request: requests.append(request.url))
        page.goto(path.as_uri())
        self.addCleanup(lambda: self.assertEqual(requests, [path.as_uri()]))
        self.addCleanup(lambda: self.assertEqual(self.browser.errors, []))
        self.addCleanup(lambda: self.assertIsNone(page.evaluate("window.hacked ?? null")))
        self.addCleanup(lambda: self.assertEqual(page.locator("main img, body > img").count(), 0))
        return page

    def report(self, folder, **options):
        output = self.folder / f"{folder.name}.html"
        self.run_vallm("report", folder, "--output", output)
        return self.open(output, **options)

    def assert_fits(self, page):
        """Wide tables scroll by themselves, not the page."""
        self.assertLessEqual(page.evaluate("document.documentElement.scrollWidth"), page.viewport_size["width"])

    def test_a_sweep(self):
        page = self.report(self.sweep)
        rows = page.locator("table tbody tr")
        self.assertEqual(rows.count(), 6)
        files = {path.stem: json.loads(path.read_text()) for path in self.sweep.glob("c*.json")}
        shown = dict(zip(*(page.locator(f"table tbody td:nth-child({n})").all_inner_texts() for n in (1, 6))))
        self.assertEqual(set(shown), set(files))
        for name, text in shown.items():
            self.assertAlmostEqual(float(text.replace(",", "")), files[name]["output_throughput"], delta=0.51)
        # A line for each concurrency, a dot for each cell.
        chart = page.locator("figure, .chart", has_text="Output throughput").first
        self.assertEqual(chart.locator("svg polyline, svg path.line").count(), 2)
        self.assertEqual(chart.locator("svg circle").count(), 6)
        # Its head sorts upwards, and then downwards: one of these the rows did not have before.
        for downwards in (False, True):
            page.get_by_role("button", name="Output tok/s").click()
            order = [float(t.replace(",", "")) for t in page.locator("table tbody td:nth-child(6)").all_inner_texts()]
            self.assertEqual(order, sorted(order, reverse=downwards))
        self.browser.screenshot(page, "report-sweep", full_page=True)
        self.assert_fits(page)

    def test_a_phone_in_the_dark(self):
        page = self.report(self.sweep, width=390, color_scheme="dark")
        self.browser.screenshot(page, "report-phone", full_page=True)
        self.assert_fits(page)

    def test_runs_with_hostile_text(self):
        page = self.report(self.hostile)
        self.assertIn("<img src=x onerror=alert(1)>", page.locator("table tbody tr").first.inner_text())
        self.assertIn("By request rate", page.locator("main").inner_text())
        self.assertIn("40<img", page.locator("dl").inner_text())
        page.locator("table tbody tr").nth(1).click()
        self.assertIn("80<img", page.locator("dl").inner_text())
        self.assertIn("</script>", page.locator("dl").inner_text())
        self.browser.screenshot(page, "report-hostile", full_page=True)
        self.assert_fits(page)

    def test_an_evaluation(self):
        result = json.loads((self.evaluation / "results.json").read_text())
        page = self.report(self.evaluation)
        self.assertIn("Accuracy", page.locator("main").inner_text())
        cells = dict(zip(page.locator("table").first.locator("th").all_inner_texts(), page.locator("table tbody tr").first.locator("td").all_inner_texts()))
        self.assertEqual((cells["Subset_Num"], cells["Sample_Num"]), ("2", "12"))
        self.assertEqual(page.locator("table").nth(1).locator("tbody tr").count(), 2)
        self.assertEqual(result["datasets"][0]["sample_num"], 12)
        self.browser.screenshot(page, "report-eval", full_page=True)
        self.assert_fits(page)

    def test_the_page_of_an_evaluation(self):
        page = self.open(self.evaluation / "report.html")
        details = page.locator("details")
        self.assertEqual(details.count(), 12)
        details.first.locator("summary").click()
        self.assertIn(HOSTILE.rstrip("\u2028"), details.first.locator("pre").first.inner_text())
        self.assertNotIn(API_KEY, page.content())
        self.assertNotIn(API_KEY, (self.evaluation / "results.json").read_text())
        self.browser.screenshot(page, "eval-report", full_page=True)
        self.assert_fits(page)


if __name__ == "__main__":
    unittest.main()
