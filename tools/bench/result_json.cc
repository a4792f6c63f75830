#include "tools/bench/result_json.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "nlohmann/json.hpp"

namespace vallm::tools {
namespace {

using Json = nlohmann::ordered_json;

void AddDescription(const RunDescription& run, Json* json) {
  (*json)["date"] = run.date;
  (*json)["backend"] = run.backend;
  (*json)["model_id"] = run.model_id;
  (*json)["tokenizer_id"] = run.tokenizer_id;
  (*json)["num_prompts"] = run.num_prompts;
  for (const auto& [key, value] : run.metadata) (*json)[key] = value;
  if (std::isfinite(run.traffic.request_rate)) {
    (*json)["request_rate"] = run.traffic.request_rate;
  } else {
    (*json)["request_rate"] = "inf";
  }
  (*json)["burstiness"] = run.traffic.burstiness;
  (*json)["max_concurrency"] = nullptr;
  if (run.traffic.max_concurrency > 0) (*json)["max_concurrency"] = run.traffic.max_concurrency;
  if (!run.traffic.ramp_up_strategy.empty()) {
    (*json)["ramp_up_strategy"] = run.traffic.ramp_up_strategy;
    (*json)["ramp_up_start_rps"] = run.traffic.ramp_up_start_rps;
    (*json)["ramp_up_end_rps"] = run.traffic.ramp_up_end_rps;
  }
}

void AddRequests(const std::vector<RequestRecord>& records, Json* json) {
  const auto list = [&](const auto& value) {
    Json values = Json::array();
    for (const RequestRecord& record : records) values.push_back(value(record));
    return values;
  };
  (*json)["input_lens"] = list([](const RequestRecord& r) {
    return r.prompt_tokens >= 0 ? r.prompt_tokens : r.server_prompt_tokens;
  });
  (*json)["output_lens"] = list([](const RequestRecord& r) { return r.output_tokens; });
  (*json)["ttfts"] = list([](const RequestRecord& r) { return r.ttft_s; });
  (*json)["itls"] = list([](const RequestRecord& r) { return r.itls_s; });
  (*json)["generated_texts"] = list([](const RequestRecord& r) { return r.text; });
  (*json)["errors"] = list([](const RequestRecord& r) { return r.error; });
  (*json)["latencies"] = list([](const RequestRecord& r) { return r.latency_s; });
  (*json)["start_times"] = list([](const RequestRecord& r) { return r.sent_s; });
  (*json)["due_times"] = list([](const RequestRecord& r) { return r.due_s; });
  (*json)["server_input_lens"] =
      list([](const RequestRecord& r) { return r.server_prompt_tokens; });
}

void AddLatencies(const RunDescription& run, const BenchMetrics& metrics, Json* json) {
  for (const LatencyMetricName& name : kLatencyMetrics) {
    if (std::find(run.percentile_metrics.begin(), run.percentile_metrics.end(), name.key) ==
        run.percentile_metrics.end()) {
      continue;
    }
    const Distribution& values = metrics.Of(name.metric);
    (*json)[absl::StrCat("mean_", name.key, "_ms")] = values.mean;
    (*json)[absl::StrCat("median_", name.key, "_ms")] = values.median;
    (*json)[absl::StrCat("std_", name.key, "_ms")] = values.standard_deviation;
    for (const auto& [percent, value] : values.percentiles) {
      (*json)[absl::StrCat("p", PercentileWord(percent), "_", name.key, "_ms")] = value;
    }
  }
}

// How far the client itself stood in the way.
void AddClient(const RunDescription& run, const BenchOutcome& outcome, Json* json) {
  double late = 0;
  for (const RequestRecord& record : outcome.records) {
    late = std::max(late, record.sent_s - record.due_s);
  }
  (*json)["latency_from"] = run.latency_from_due ? "due" : "sent";
  if (IsOpenLoop(run.traffic)) (*json)["max_send_delay_s"] = late;
  (*json)["client_cpu_percent"] =
      outcome.duration_s > 0 ? 100 * outcome.client_cpu_s / outcome.duration_s : 0.0;
  if (outcome.interrupted) (*json)["interrupted"] = true;
}

}  // namespace

std::string PercentileWord(double percent) {
  return percent == std::floor(percent) ? absl::StrFormat("%.0f", percent) : absl::StrCat(percent);
}

std::string RateWord(double rate) {
  if (!std::isfinite(rate)) return "inf";
  const std::string word = absl::StrCat(rate);
  return word.find_first_of(".e") == std::string::npos ? word + ".0" : word;
}

Json ResultJson(const RunDescription& run, const BenchOutcome& outcome,
                const MetricOptions& options, const BenchMetrics& metrics) {
  Json json;
  AddDescription(run, &json);
  json["duration"] = metrics.duration_s;
  json["completed"] = metrics.completed;
  json["failed"] = metrics.failed;
  json["total_input_tokens"] = metrics.total_input_tokens;
  json["total_output_tokens"] = metrics.total_output_tokens;
  json["request_throughput"] = metrics.request_throughput;
  // vLLM's own spelling has a colon at its end; newer versions have not.
  for (const char* const key : {"request_goodput", "request_goodput:"}) {
    json[key] = nullptr;
    if (!options.goodput.empty()) json[key] = metrics.request_goodput;
  }
  json["output_throughput"] = metrics.output_throughput;
  json["total_token_throughput"] = metrics.total_token_throughput;
  if (run.detailed) AddRequests(outcome.records, &json);
  AddLatencies(run, metrics, &json);
  json["max_output_tokens_per_s"] = metrics.max_output_tokens_per_s;
  json["max_concurrent_requests"] = metrics.max_concurrent_requests;
  const int64_t concurrency = run.traffic.max_concurrency > 0 ? run.traffic.max_concurrency
                                                              : metrics.max_concurrent_requests;
  json["decoding_token_throughput"] = metrics.DecodeThroughput(concurrency);
  json["per_req_decoding_token_throughput"] = metrics.PerRequestDecodeThroughput();
  json["seed"] = run.seed;
  json["requested_output_tokens"] = run.requested_output_tokens;
  AddClient(run, outcome, &json);
  return json;
}

std::string DefaultResultName(const RunDescription& run) {
  std::string model = run.model_id;
  while (model.size() > 1 && model.back() == '/') model.pop_back();
  model = model.substr(model.rfind('/') + 1);
  const std::string concurrency = run.traffic.max_concurrency > 0
                                      ? absl::StrCat("-concurrency", run.traffic.max_concurrency)
                                      : "";
  return absl::StrCat(run.backend, "-", RateWord(run.traffic.request_rate), "qps", concurrency, "-",
                      model, "-", run.date, ".json");
}

absl::Status WriteFileWhole(const std::string& path, const std::string& text) {
  const std::string beside = path + ".part";
  std::ofstream file(beside, std::ios::binary);
  file << text;
  file.close();
  if (!file || std::rename(beside.c_str(), path.c_str()) != 0) {
    std::remove(beside.c_str());
    return absl::UnavailableError(absl::StrCat("cannot write ", path));
  }
  return absl::OkStatus();
}

}  // namespace vallm::tools
