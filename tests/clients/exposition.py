"""Prometheus' text format, read as strictly as promtool does, and what vLLM's dashboards need of it."""

import re

from prometheus_client.parser import text_string_to_metric_families

# vLLM's bucket bounds, all of them: dashboards draw heat-maps by them. Finer ones may be added.
_LENGTHS = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000}
_REQUEST_TIMES = {0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680}
_TOKEN_GAPS = {0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80}
BUCKETS = {
    "time_to_first_token_seconds": {0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40,
                                    80, 160, 640, 2560},
    "inter_token_latency_seconds": _TOKEN_GAPS, "time_per_output_token_seconds": _TOKEN_GAPS,
    "e2e_request_latency_seconds": _REQUEST_TIMES, "request_queue_time_seconds": _REQUEST_TIMES,
    "request_inference_time_seconds": _REQUEST_TIMES, "request_prefill_time_seconds": _REQUEST_TIMES,
    "request_decode_time_seconds": _REQUEST_TIMES,
    "request_prompt_tokens": _LENGTHS, "request_generation_tokens": _LENGTHS, "request_max_num_generation_tokens": _LENGTHS,
    "request_params_max_tokens": _LENGTHS, "request_params_n": {1, 2, 5, 10, 20},
}  # fmt: skip

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_SAMPLE = re.compile(rf'^({_NAME})(\{{(?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\.)*",?)*\}})? (\S+)$')
_COMMENT = re.compile(rf"^# (HELP|TYPE) ({_NAME}) (.+)$")


def parse(text):
    """{name: family}. Raises ValueError on what promtool refuses, warns about, or drops."""
    if not text.endswith("\n"):
        raise ValueError("the last line is not terminated")
    described, series = set(), set()
    for line in text.splitlines():
        if not line:
            continue
        if line.startswith("#"):
            found = _COMMENT.match(line)
            if not found or found.group(1, 2) in described:
                raise ValueError(f"not a comment, or one too many: {line}")
            described.add(found.group(1, 2))
            if found.group(1) == "TYPE" and found.group(3) == "counter" and not found.group(2).endswith("_total"):
                raise ValueError(f"a counter that does not end with _total: {line}")
            continue
        found = _SAMPLE.match(line)
        if not found or found.group(1, 2) in series:
            raise ValueError(f"not a sample, or one too many: {line}")
        series.add(found.group(1, 2))
        float(found.group(3))
    families = {}
    for family in text_string_to_metric_families(text):
        if family.name in families:
            raise ValueError(f"{family.name} is in two places")
        if not family.documentation or family.type == "unknown":
            raise ValueError(f"{family.name} has no help or type")
        families[family.name] = family
    return families


def values(family, suffix=""):
    """{labels: value} of the samples that end so."""
    return {tuple(sorted(s.labels.items())): s.value for s in family.samples if s.name == family.name + suffix}


def check_histograms(case, families):
    """Cumulative, sorted, complete, and with vLLM's buckets."""
    for family in families.values():
        if family.type != "histogram":
            continue
        series = {}
        for sample in family.samples:
            labels = {k: v for k, v in sample.labels.items() if k != "le"}
            entry = series.setdefault(tuple(sorted(labels.items())), {"buckets": []})
            if sample.name.endswith("_bucket"):
                entry["buckets"].append((float(sample.labels["le"]), sample.value))
            else:
                entry[sample.name.removeprefix(family.name)] = sample.value
        for entry in series.values():
            with case.subTest(family.name):
                case.assertEqual(entry["buckets"], sorted(entry["buckets"]))
                counts = [count for _, count in entry["buckets"]]
                case.assertEqual(counts, sorted(counts))
                case.assertEqual(entry["buckets"][-1], (float("inf"), entry["_count"]))
                case.assertIn("_sum", entry)
                wanted = BUCKETS.get(family.name.removeprefix("vllm:"), set())
                case.assertLessEqual(wanted, {bound for bound, _ in entry["buckets"]})
