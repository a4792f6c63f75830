"""What an engine exposes to Prometheus is well-formed and has vLLM's names, types and labels."""

import json
import sys
import unittest
import urllib.request

try:
    import exposition
except ImportError:
    print("skipped: prometheus_client is missing; tests/clients/install.sh installs it")
    sys.exit(77)

from services import Services

# All that vLLM's dashboards draw; there is no LoRA here.
GAUGES = {"num_requests_running", "num_requests_waiting", "kv_cache_usage_perc", "gpu_cache_usage_perc", "cache_config_info"}
COUNTERS = {"prompt_tokens", "generation_tokens", "request_success", "prefix_cache_queries", "prefix_cache_hits", "num_preemptions",
            "spec_decode_num_drafts", "spec_decode_num_draft_tokens", "spec_decode_num_accepted_tokens"}  # fmt: skip
HISTOGRAMS = {
    "time_to_first_token_seconds", "inter_token_latency_seconds", "time_per_output_token_seconds", "e2e_request_latency_seconds",
    "request_queue_time_seconds", "request_inference_time_seconds", "request_prefill_time_seconds", "request_decode_time_seconds",
    "request_prompt_tokens", "request_generation_tokens", "iteration_tokens_total", "request_max_num_generation_tokens",
    "request_params_n", "request_params_max_tokens",
}  # fmt: skip

class EngineMetrics(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with Services(["--device=mock"]) as services:
            for max_tokens in (3, 5):
                body = {"messages": [{"role": "user", "content": "Hello!"}], "max_tokens": max_tokens, "ignore_eos": True}
                request = urllib.request.Request(services.base_url + "/v1/chat/completions", json.dumps(body).encode())
                with urllib.request.urlopen(request) as reply:
                    cls.usage = json.load(reply)["usage"]
            text = services.engine_metrics()
        cls.families = exposition.parse(text)

    def values(self, name, suffix=""):
        return exposition.values(self.families[name], suffix)

    def test_names_and_types(self):
        for names, kind in ((GAUGES, "gauge"), (COUNTERS, "counter"), (HISTOGRAMS, "histogram")):
            for name in names:
                with self.subTest(name):
                    self.assertEqual(self.families[f"vllm:{name}"].type, kind)

    def test_labels(self):
        for family in self.families.values():
            if family.name.startswith("exposer_"):  # of the exporting library
                continue
            self.assertTrue(family.documentation, family.name)
            for sample in family.samples:
                with self.subTest(sample.name):
                    self.assertEqual(sample.labels["engine"], "0")
                    self.assertTrue(sample.labels["model_name"])

    def test_histograms_are_cumulative_and_have_vllms_buckets(self):
        exposition.check_histograms(self, self.families)

    def test_values(self):
        labels = (("engine", "0"), ("model_name", "Qwen3-Demo-MoE-FP8"))
        self.assertEqual(self.values("vllm:generation_tokens", "_total")[labels], 8)
        self.assertEqual(self.values("vllm:prompt_tokens", "_total")[labels], 2 * self.usage["prompt_tokens"])
        self.assertEqual(self.values("vllm:request_params_max_tokens", "_sum")[labels], 8)
        self.assertEqual(self.values("vllm:request_params_n", "_sum")[labels], 2)
        self.assertEqual(self.values("vllm:request_generation_tokens", "_count")[labels], 2)
        ends = {dict(key)["finished_reason"]: value for key, value in self.values("vllm:request_success", "_total").items()}
        self.assertEqual(ends, {"stop": 0, "length": 2, "abort": 0, "error": 0})


if __name__ == "__main__":
    unittest.main(verbosity=1)
