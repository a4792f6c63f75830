"""What the gateway exposes to Prometheus is well-formed and has vLLM's names, types, labels and buckets."""

import json
import pathlib
import re
import sys
import time
import unittest
import urllib.error
import urllib.request

try:
    import exposition
except ImportError:
    print("skipped: prometheus_client is missing; tests/clients/install.sh installs it")
    sys.exit(77)

from services import Services

ROOT = pathlib.Path(__file__).resolve().parents[2]

# All that vLLM's dashboards draw and a gateway can know.
GAUGES = {"num_requests_running", "num_requests_waiting", "kv_cache_usage_perc", "gpu_cache_usage_perc", "cache_config_info"}
ENGINE_COUNTERS = {"prefix_cache_queries", "prefix_cache_hits", "num_preemptions", "spec_decode_num_drafts",
                   "spec_decode_num_draft_tokens", "spec_decode_num_accepted_tokens"}  # fmt: skip
COUNTERS = {"prompt_tokens", "generation_tokens", "request_success", *ENGINE_COUNTERS}
PROMPT = "Say the same words again and again, please: " + "the same words, " * 20


class GatewayMetrics(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.usage = []
        with Services() as services:
            cls.before = exposition.parse(services.gateway_metrics())
            for parameters in ({"max_tokens": 3}, {"max_tokens": 5, "n": 2}, {"max_tokens": 40, "prompt_lookup_num_tokens": 4}):
                cls.usage.append(cls.ask(services, ignore_eos=True, **parameters)["usage"])
            try:
                cls.ask(services, max_tokens="many")
            except urllib.error.HTTPError as error:
                assert error.code == 400
            cls.text = services.gateway_metrics()
            # The engine reports its load a moment after the answer.
            engine = exposition.parse(services.engine_metrics())
            cls.engine = {name: sum(exposition.values(engine[f"vllm:{name}"], "_total").values()) for name in ENGINE_COUNTERS}
            deadline = time.monotonic() + 10
            while cls.engine_counters(cls.text) != cls.engine and time.monotonic() < deadline:
                time.sleep(0.05)
                cls.text = services.gateway_metrics()
        cls.families = exposition.parse(cls.text)

    @staticmethod
    def ask(services, **parameters):
        body = {"messages": [{"role": "user", "content": PROMPT}], **parameters}
        request = urllib.request.Request(services.base_url + "/v1/chat/completions", json.dumps(body).encode())
        with urllib.request.urlopen(request) as reply:
            return json.load(reply)

    @staticmethod
    def engine_counters(text):
        families = exposition.parse(text)
        return {name: sum(exposition.values(families[f"vllm:{name}"], "_total").values()) for name in ENGINE_COUNTERS}

    def test_names_and_types_from_the_first_scrape_on(self):
        for families in (self.before, self.families):
            for names, kind in ((GAUGES, "gauge"), (COUNTERS, "counter"), (exposition.BUCKETS, "histogram")):
                for name in names:
                    with self.subTest(name):
                        self.assertEqual(families[f"vllm:{name}"].type, kind)

    def test_labels(self):
        for family in self.families.values():
            if not family.name.startswith("vllm:"):
                continue
            for sample in family.samples:
                with self.subTest(sample.name):
                    self.assertEqual(sample.labels["model_name"], "demo")
                    of_engine = family.name.removeprefix("vllm:") in GAUGES | ENGINE_COUNTERS
                    self.assertEqual(sample.labels.get("engine"), "0" if of_engine else None)

    def test_alerts_and_dashboard_ask_for_series_and_labels_that_there_are(self):
        there = {}
        for line in self.text.splitlines():
            if found := re.match(r"([\w:]+)(?:\{(.*)\})? ", line):
                there.setdefault(found[1], set()).update(re.findall(r'(\w+)="', found[2] or ""))
        monitoring = ROOT / "k8s/components/monitoring"
        board = json.loads((monitoring / "dashboard.json").read_text())
        asked = (monitoring / "alerts.yaml").read_text() + "\n".join(
            target["expr"] for panel in board["panels"] for target in panel["targets"])  # fmt: skip
        selectors = set(re.findall(r"([\w:]+)\{([^{}]*)\}", asked)) - {("up", 'job="vallm-gateway"')}
        selectors = {(name, labels) for name, labels in selectors if re.match("vllm:|vallm_|http_", name)}
        self.assertGreater(len(selectors), 15)
        for name, labels in selectors:
            if name == "vallm_gateway_reloads_total":  # of files that this stack does not have
                continue
            with self.subTest(name):
                self.assertIn(name, there)
                # Prometheus adds the job.
                self.assertLessEqual(set(re.findall(r"(\w+)[=!]", labels)) - {"job"}, there[name])
        self.assertLessEqual({"engine", "address"}, there["vallm_gateway_instance_info"])

    def test_histograms_are_cumulative_and_have_vllms_buckets(self):
        exposition.check_histograms(self, self.families)

    def test_counts_of_the_engine_are_the_engines(self):
        self.assertEqual(self.engine_counters(self.text), self.engine)
        self.assertGreater(self.engine["prefix_cache_hits"], 0)
        self.assertGreater(self.engine["spec_decode_num_drafts"], 0)

    def test_values(self):
        def value(name, suffix, **labels):
            return exposition.values(self.families[name], suffix)[tuple(sorted({"model_name": "demo", **labels}.items()))]

        prompts = sum(usage["prompt_tokens"] for usage in self.usage)
        self.assertEqual(value("vllm:prompt_tokens", "_total"), prompts)
        self.assertEqual(value("vllm:generation_tokens", "_total"), 3 + 2 * 5 + 40)
        self.assertEqual(value("vllm:request_params_n", "_sum"), 4)
        self.assertEqual(value("vllm:request_max_num_generation_tokens", "_sum"), 3 + 5 + 40)
        self.assertEqual(value("vllm:request_success", "_total", finished_reason="length"), 3)
        self.assertEqual(value("vllm:time_to_first_token_seconds", "_count"), 3)
        requests = {dict(labels)["status"]: count for labels, count in exposition.values(self.families["http_requests"], "_total").items()
                    if dict(labels)["handler"] == "/v1/chat/completions"}  # fmt: skip
        self.assertEqual(requests, {"2xx": 3, "4xx": 1})

    def test_the_kv_cache_is_described(self):
        (sample,) = self.families["vllm:cache_config_info"].samples
        self.assertEqual(sample.value, 1)
        self.assertEqual(sample.labels["block_size"], "16")
        self.assertGreater(int(sample.labels["num_gpu_blocks"]), 0)


class Strictness(unittest.TestCase):
    GOOD = '# HELP a_total Help.\n# TYPE a_total counter\na_total{x="1"} 2\n'

    def test_takes_what_is_right(self):
        self.assertEqual(list(exposition.parse(self.GOOD)), ["a"])

    def test_refuses_what_is_not(self):
        for text in (self.GOOD.rstrip("\n"), self.GOOD + 'a_total{x="1"} 3\n', self.GOOD + self.GOOD, self.GOOD.replace("_total", ""),
                     self.GOOD.replace("# HELP a_total Help.\n", ""), self.GOOD.replace(" 2", " two"),
                     self.GOOD.replace('"1"', "1")):  # fmt: skip
            with self.subTest(text), self.assertRaises(ValueError):
                exposition.parse(text)


if __name__ == "__main__":
    unittest.main(verbosity=1)
