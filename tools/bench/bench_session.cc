#include "tools/bench/bench_session.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/status_macros.h"
#include "nlohmann/json.hpp"
#include "tools/bench/bench_progress.h"

namespace vallm::tools {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

absl::StatusOr<Pairs> SplitPairs(const char* flag, const std::vector<std::string>& items,
                                 char between) {
  Pairs pairs;
  for (const std::string& item : items) {
    const size_t at = item.find(between);
    if (at == 0 || at == std::string::npos) {
      return absl::InvalidArgumentError(
          absl::StrCat(flag, " '", item, "': write NAME", std::string(1, between), "VALUE"));
    }
    pairs.emplace_back(item.substr(0, at), item.substr(at + 1));
  }
  return pairs;
}

// What the run says of itself that its reader should know.
std::vector<std::string> Warnings(const BenchTarget& target, const BenchResult& result) {
  std::vector<std::string> warnings;
  std::map<std::string, int> errors;
  int64_t other_count = 0;
  const RequestRecord* other = nullptr;
  double late = 0;
  for (const RequestRecord& record : result.outcome.records) {
    if (!record.success && !record.cancelled) ++errors[record.error];
    late = std::max(late, record.sent_s - record.due_s);
    if (record.success && record.prompt_tokens >= 0 && record.server_prompt_tokens >= 0 &&
        record.server_prompt_tokens != record.prompt_tokens) {
      ++other_count;
      other = &record;
    }
  }
  for (const auto& [error, count] : errors) {
    warnings.push_back(absl::StrCat(count, " failed: ", error));
  }
  // A chat template adds tokens of its own.
  if (other != nullptr && !target.request.chat) {
    warnings.push_back(absl::StrCat(other_count,
                                    " prompts have another number of tokens at the "
                                    "server, e.g. ",
                                    other->server_prompt_tokens, " for ", other->prompt_tokens,
                                    ": is --tokenizer the model's?"));
  }
  if (IsOpenLoop(result.run.traffic) && late > 0.05) {
    warnings.push_back(absl::StrFormat(
        "requests were sent up to %.2f s after they were due (--max-concurrency %d); latencies "
        "count from when they were %s",
        late, result.run.traffic.max_concurrency, result.run.latency_from_due ? "due" : "sent"));
  }
  const double cpu = result.outcome.client_cpu_s / std::max(result.outcome.duration_s, 1e-9);
  if (cpu > 0.5) {
    warnings.push_back(absl::StrFormat(
        "this client used %.0f %% of a core: what it measured may be itself", cpu * 100));
  }
  return warnings;
}

// A prompt as those of the run, but none of them where new ones can be made: the server would find
// it in its prefix cache.
absl::StatusOr<BenchPrompt> TestPrompt(const BenchJob& job, const BenchPrompt& first,
                                       const tokenizer::Tokenizer* tokenizer) {
  if (job.dataset.name != "random") return first;
  VALLM_ASSIGN_OR_RETURN(const std::vector<BenchPrompt> others,
                         MakePrompts(job.dataset, 1, ~job.seed, tokenizer));
  return others.front();
}

void PrintTraffic(const TrafficOptions& traffic) {
  std::printf("Traffic request rate: %s\nBurstiness factor: %s (%s)\n",
              RateWord(traffic.request_rate).c_str(), RateWord(traffic.burstiness).c_str(),
              traffic.burstiness == 1 ? "Poisson process" : "Gamma distribution");
  std::printf("Maximum request concurrency: %s\n",
              traffic.max_concurrency > 0 ? absl::StrCat(traffic.max_concurrency).c_str() : "None");
}

}  // namespace

absl::StatusOr<std::unique_ptr<BenchSession>> BenchSession::Open(const BenchFlags& flags) {
  std::unique_ptr<BenchSession> session(new BenchSession(flags));
  VALLM_RETURN_IF_ERROR(CheckRequestOptions(flags.request));
  VALLM_RETURN_IF_ERROR(session->ReadResultFlags());
  VALLM_RETURN_IF_ERROR(session->Connect());
  VALLM_RETURN_IF_ERROR(session->AskForModels());
  VALLM_RETURN_IF_ERROR(session->LoadTokenizer());
  return session;
}

absl::Status BenchSession::ReadResultFlags() {
  percentile_metrics_ = absl::StrSplit(flags_.percentile_metrics, ',', absl::SkipEmpty());
  for (const std::string& name : percentile_metrics_) {
    if (std::none_of(kLatencyMetrics.begin(), kLatencyMetrics.end(),
                     [&](const LatencyMetricName& metric) { return name == metric.key; })) {
      return absl::InvalidArgumentError(
          absl::StrCat("--percentile-metrics '", name, "' is unknown; use ttft, tpot, itl, e2el"));
    }
  }
  metric_options_.percentiles.clear();
  for (const absl::string_view word :
       absl::StrSplit(flags_.metric_percentiles, ',', absl::SkipEmpty())) {
    double percent = 0;
    if (!absl::SimpleAtod(word, &percent) || !(percent >= 0 && percent <= 100)) {
      return absl::InvalidArgumentError(
          absl::StrCat("--metric-percentiles '", word, "' is not a number from 0 to 100"));
    }
    metric_options_.percentiles.push_back(percent);
  }
  VALLM_ASSIGN_OR_RETURN(const Pairs limits, SplitPairs("--goodput", flags_.goodput, ':'));
  for (const auto& [name, value] : limits) {
    double limit_ms = 0;
    if (name != "ttft" && name != "tpot" && name != "e2el") {
      return absl::InvalidArgumentError(
          absl::StrCat("--goodput '", name, "' is unknown; use ttft, tpot, e2el"));
    }
    if (!absl::SimpleAtod(value, &limit_ms) || !(limit_ms >= 0)) {
      return absl::InvalidArgumentError(
          absl::StrCat("--goodput ", name, ": '", value, "' is not a number of milliseconds"));
    }
    metric_options_.goodput[name] = limit_ms;
  }
  VALLM_ASSIGN_OR_RETURN(metadata_, SplitPairs("--metadata", flags_.metadata, '='));
  return absl::OkStatus();
}

absl::Status BenchSession::Connect() {
  const std::string url = flags_.base_url.empty()
                              ? absl::StrCat("http://", flags_.host, ":", flags_.port)
                              : flags_.base_url;
  VALLM_ASSIGN_OR_RETURN(target_.server, ResolveServer(url));
  target_.tls = {.verify = !flags_.insecure, .ca_file = flags_.ca_file};
  target_.path = !flags_.endpoint.empty() ? flags_.endpoint
                 : flags_.chat()          ? "/v1/chat/completions"
                                          : "/v1/completions";
  if (!target_.path.starts_with('/')) target_.path.insert(0, "/");
  // A base URL as the OpenAI SDKs have it ends in /v1, which the endpoint brings along.
  if (target_.server.path.ends_with("/v1") && target_.path.starts_with("/v1/")) {
    target_.server.path.resize(target_.server.path.size() - 3);
  }
  if (const char* key = std::getenv("OPENAI_API_KEY"); key != nullptr && *key != '\0') {
    target_.headers.emplace_back("Authorization", absl::StrCat("Bearer ", key));
  }
  VALLM_ASSIGN_OR_RETURN(const Pairs headers, SplitPairs("--header", flags_.headers, '='));
  target_.headers.insert(target_.headers.end(), headers.begin(), headers.end());
  target_.request = flags_.request;
  target_.request.chat = flags_.chat();
  if (!target_.request.chat && !target_.request.temperature.has_value()) {
    target_.request.temperature = 0;
  }
  return absl::OkStatus();
}

absl::Status BenchSession::AskForModels() {
  const absl::Time deadline = absl::Now() + absl::Seconds(flags_.ready_timeout_s);
  absl::StatusOr<HttpAnswer> answer;
  while (true) {
    answer = CallOnce(target_.server, target_.tls,
                      {.method = "GET",
                       .path = target_.server.path + "/v1/models",
                       .headers = target_.headers,
                       .body = ""});
    const bool there = answer.ok() && answer->status != 502 && answer->status != 503;
    if (there || absl::Now() >= deadline) break;
    absl::SleepFor(absl::Milliseconds(500));
  }
  if (!answer.ok()) {
    const bool certificate = absl::StrContains(answer.status().message(), "certificate");
    return absl::UnavailableError(absl::StrCat(
        answer.status().message(),
        certificate ? ". --ca-file names the authority it comes from; --insecure takes any"
                    : ". Is the server running? --host, --port or --base-url say where, and "
                      "--ready-check-timeout-sec waits for it"));
  }
  std::vector<std::string> names;
  if (answer->status == 200) {
    const auto json = nlohmann::json::parse(answer->body, nullptr, /*allow_exceptions=*/false);
    if (json.is_object() && json.contains("data") && json["data"].is_array()) {
      for (const auto& model : json["data"]) {
        if (!model.is_object() || !model.contains("id") || !model["id"].is_string()) continue;
        names.push_back(model["id"].get<std::string>());
        if (model.contains("max_model_len") && model["max_model_len"].is_number_integer()) {
          max_model_len_ = model["max_model_len"].get<int64_t>();
        }
      }
    }
  }
  std::string& name = target_.request.model;
  name = flags_.served_model_name.empty() ? flags_.model : flags_.served_model_name;
  // A folder is where the weights are; what the server calls them it says itself.
  const bool is_folder = flags_.served_model_name.empty() && std::filesystem::is_directory(name);
  const bool known = std::find(names.begin(), names.end(), name) != names.end();
  if (name.empty() || (is_folder && !known)) {
    if (names.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("the server lists no model (GET /v1/models: status ", answer->status,
                       "); name it with --served-model-name"));
    }
    name = names.front();
  }
  return absl::OkStatus();
}

absl::Status BenchSession::LoadTokenizer() {
  tokenizer_id_ = flags_.tokenizer.empty() ? flags_.model : flags_.tokenizer;
  if (flags_.tokenizer.empty() && !std::filesystem::is_directory(tokenizer_id_)) {
    return absl::OkStatus();
  }
  auto loaded = tokenizer::Tokenizer::FromModelDir(tokenizer_id_);
  if (!loaded.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("--tokenizer: ", loaded.status().message()));
  }
  tokenizer_ = *std::move(loaded);
  return absl::OkStatus();
}

absl::Status BenchSession::TestRun(const BenchPrompt& prompt, const std::atomic<bool>& stop) const {
  VALLM_ASSIGN_OR_RETURN(
      const BenchOutcome test,
      RunBench(target_, {prompt}, {.schedule = {.due_s = {0}}}, tokenizer_.get(), nullptr, stop));
  if (test.interrupted) return absl::CancelledError("interrupted");
  const RequestRecord& record = test.records.front();
  if (!record.success) {
    return absl::FailedPreconditionError(
        absl::StrCat("the initial test run failed: ", record.error));
  }
  return absl::OkStatus();
}

absl::StatusOr<BenchResult> BenchSession::Run(const BenchJob& job,
                                              const std::atomic<bool>& stop) const {
  VALLM_ASSIGN_OR_RETURN(const std::vector<BenchPrompt> prompts,
                         MakePrompts(job.dataset, job.num_prompts, job.seed, tokenizer_.get()));
  if (!flags_.skip_test_run) {
    if (!job.quiet) std::printf("Starting initial single prompt test run...\n");
    std::fflush(stdout);
    VALLM_ASSIGN_OR_RETURN(const BenchPrompt test,
                           TestPrompt(job, prompts.front(), tokenizer_.get()));
    VALLM_RETURN_IF_ERROR(TestRun(test, stop));
    if (!job.quiet) {
      std::printf("Initial test run completed. Starting main benchmark run...\n");
    }
  }
  if (!job.quiet) PrintTraffic(job.traffic);
  std::fflush(stdout);

  BenchResult result;
  result.run = {.date = absl::FormatTime("%Y%m%d-%H%M%S", absl::Now(), absl::LocalTimeZone()),
                .backend = flags_.backend,
                .model_id = flags_.model.empty() ? target_.request.model : flags_.model,
                .tokenizer_id = tokenizer_id_,
                .num_prompts = job.num_prompts,
                .seed = job.seed,
                .traffic = job.traffic,
                .latency_from_due = IsOpenLoop(job.traffic) && !job.latency_from_sent,
                .metadata = metadata_,
                .percentile_metrics = percentile_metrics_,
                .detailed = job.detailed};
  for (const BenchPrompt& prompt : prompts) {
    result.run.requested_output_tokens += prompt.output_tokens;
  }
  ProgressLine line(job.label, !flags_.disable_progress && isatty(STDERR_FILENO) != 0);
  const BenchTraffic traffic = {
      .schedule = {.due_s = MakeSchedule(job.traffic, job.num_prompts, job.seed),
                   .concurrency = job.traffic.max_concurrency},
      .latency_from_due = result.run.latency_from_due};
  VALLM_ASSIGN_OR_RETURN(
      result.outcome, RunBench(
                          target_, prompts, traffic, tokenizer_.get(),
                          [&line](const BenchProgress& progress) { line.Show(progress); }, stop));
  line.Clear();
  result.metrics = Summarize(result.outcome.records, result.outcome.duration_s, metric_options_);
  result.warnings = Warnings(target_, result);
  return result;
}

}  // namespace vallm::tools
