#include "tools/bench/serve_command.h"

#include <cstdio>
#include <filesystem>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/flags.h"
#include "common/status_macros.h"
#include "nlohmann/json.hpp"
#include "tools/bench/bench_flags.h"
#include "tools/bench/bench_session.h"
#include "tools/bench/interrupt.h"
#include "tools/bench/result_table.h"
#include "tools/bench/vendor_csv.h"

namespace vallm::tools {
namespace {

constexpr char kProgram[] = "vallm bench serve";
constexpr char kExamples[] =
    "  vallm bench serve --model /models/Qwen3-30B-A3B-FP8 --served-model-name Qwen3 \\\n"
    "    --random-input-len 1024 --random-output-len 1024 --num-prompts 20 --max-concurrency 4 "
    "--ignore-eos\n"
    "  vallm bench serve --tokenizer ./Qwen3-8B --request-rate 2 --burstiness 0.5 --goodput "
    "ttft:500 tpot:50\n"
    "  vallm bench serve --tokenizer ./Qwen3-8B --dataset-name sharegpt --dataset-path "
    "ShareGPT.json \\\n"
    "    --percentile-metrics ttft,tpot,itl,e2el --metric-percentiles 50,90,99 --save-result "
    "--save-detailed\n"
    "  OPENAI_API_KEY=secret vallm bench serve --backend openai-chat --base-url "
    "https://server/v1 --model Qwen3 \\\n"
    "    --dataset-name custom --dataset-path prompts.jsonl --num-prompts 100 --csv "
    "benchmark.csv\n";

struct ServeFlags {
  BenchFlags bench;
  BenchJob job;
  bool save_result = false;
  std::string result_dir;
  std::string result_filename;
  std::string csv;
};

void AddDatasetFlags(CLI::App& app, DatasetOptions& d) {
  app.add_option("--dataset-name", d.name,
                 "random, sharegpt, sonnet (lines of any text), prefix_repetition, or custom (JSON "
                 "Lines of {\"prompt\", \"output_tokens\"})")
      ->check(CLI::IsMember({"random", "sharegpt", "sonnet", "prefix_repetition", "custom"}))
      ->capture_default_str();
  app.add_option("--dataset-path", d.path, "File of sharegpt, sonnet and custom");
  const auto length = [&app](const char* name, int64_t& value, const char* help, bool zero) {
    app.add_option(name, value, help)
        ->check(zero ? CLI::Validator(CLI::NonNegativeNumber) : CLI::Validator(CLI::PositiveNumber))
        ->capture_default_str();
  };
  length("--random-input-len,--input-len", d.random_input_len, "Tokens of a prompt, exactly",
         false);
  length("--random-output-len,--output-len", d.random_output_len, "Most tokens of an answer",
         false);
  length("--random-prefix-len", d.random_prefix_len,
         "Tokens in front of each prompt that all share", true);
  app.add_option("--random-range-ratio", d.random_range_ratio,
                 "Lengths are drawn from len * (1 - ratio) to len * (1 + ratio)")
      ->check(CLI::Range(0.0, 0.999999))
      ->capture_default_str();
  length("--sonnet-input-len", d.sonnet_input_len, "Tokens of a prompt, exactly", false);
  length("--sonnet-output-len", d.sonnet_output_len, "Most tokens of an answer", false);
  length("--sonnet-prefix-len", d.sonnet_prefix_len, "Of these, shared by all", true);
  length("--sharegpt-output-len", d.sharegpt_output_len,
         "Most tokens of an answer; 0: as in the file", true);
  length("--prefix-repetition-prefix-len", d.prefix_repetition_prefix_len,
         "Tokens of each shared beginning", true);
  length("--prefix-repetition-suffix-len", d.prefix_repetition_suffix_len,
         "Tokens behind it, of each prompt's own", false);
  length("--prefix-repetition-num-prefixes", d.prefix_repetition_num_prefixes,
         "How many beginnings there are", false);
  length("--prefix-repetition-output-len", d.prefix_repetition_output_len,
         "Most tokens of an answer", false);
  length("--custom-output-len", d.custom_output_len,
         "Most tokens of an answer, for rows that do not say", false);
}

// CLI11's own checks refuse "inf".
CLI::Validator Rate() {
  return CLI::Validator(
      [](const std::string& text) {
        double rate = 0;
        return absl::SimpleAtod(text, &rate) && rate > 0
                   ? std::string()
                   : absl::StrCat("'", text, "' is not a rate: a positive number, or inf");
      },
      "RATE");
}

void AddTrafficFlags(CLI::App& app, BenchJob& job) {
  app.add_option("--num-prompts", job.num_prompts, "Requests of the run")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--request-rate", job.traffic.request_rate,
                 "Requests per second that are due whatever the server does; inf: all at once")
      ->check(Rate())
      ->capture_default_str();
  app.add_option("--burstiness", job.traffic.burstiness,
                 "Of the intervals between them: 1 is a Poisson process, less comes in bursts, "
                 "more is more even (gamma distribution)")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--ramp-up-strategy", job.traffic.ramp_up_strategy,
                 "linear or exponential: the rate changes over the run")
      ->check(CLI::IsMember({"linear", "exponential"}));
  app.add_option("--ramp-up-start-rps", job.traffic.ramp_up_start_rps, "Rate at its beginning")
      ->check(CLI::PositiveNumber);
  app.add_option("--ramp-up-end-rps", job.traffic.ramp_up_end_rps, "Rate at its end")
      ->check(CLI::PositiveNumber);
  app.add_option("--max-concurrency", job.traffic.max_concurrency,
                 "Most requests at a time (default: no limit)")
      ->check(CLI::PositiveNumber);
  app.add_flag("--latency-from-sent", job.latency_from_sent,
               "With a request rate: latencies count from when a request was sent, as vLLM has it, "
               "and not from when it was due");
}

void AddOutputFlags(CLI::App& app, ServeFlags& flags) {
  app.add_flag("--save-result", flags.save_result, "Write the result to a JSON file");
  app.add_flag("--save-detailed", flags.job.detailed,
               "With the values of every request (input_lens, output_lens, ttfts, itls, errors, "
               "...): what 'vallm bench compare' needs");
  app.add_option("--result-dir", flags.result_dir, "Folder of the file (default: this one)");
  app.add_option("--result-filename", flags.result_filename,
                 "Name of the file (default: BACKEND-RATEqps-concurrencyN-MODEL-DATE.json)");
  app.add_option("--csv", flags.csv,
                 "Append a line to this file, with the columns of the vendor's benchmark.csv");
}

absl::Status CheckTraffic(const TrafficOptions& traffic) {
  const bool ramps = !traffic.ramp_up_strategy.empty();
  if (ramps != (traffic.ramp_up_start_rps > 0) || ramps != (traffic.ramp_up_end_rps > 0)) {
    return absl::InvalidArgumentError(
        "--ramp-up-strategy, --ramp-up-start-rps and --ramp-up-end-rps belong together");
  }
  return absl::OkStatus();
}

absl::Status Save(const ServeFlags& flags, const BenchResult& result,
                  const MetricOptions& options) {
  const nlohmann::ordered_json json =
      ResultJson(result.run, result.outcome, options, result.metrics);
  if (flags.save_result) {
    const std::filesystem::path name =
        flags.result_filename.empty() ? DefaultResultName(result.run) : flags.result_filename;
    const std::filesystem::path path = std::filesystem::path(flags.result_dir) / name;
    std::error_code error;
    if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), error);
    VALLM_RETURN_IF_ERROR(WriteFileWhole(
        path.string(),
        json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace)));
    std::printf("Result: %s\n", path.c_str());
  }
  if (!flags.csv.empty()) VALLM_RETURN_IF_ERROR(AppendVendorCsv(flags.csv, json));
  return absl::OkStatus();
}

absl::StatusOr<int> Measure(const ServeFlags& flags, const std::atomic<bool>& stop) {
  VALLM_RETURN_IF_ERROR(CheckTraffic(flags.job.traffic));
  VALLM_ASSIGN_OR_RETURN(const auto session, BenchSession::Open(flags.bench));
  VALLM_ASSIGN_OR_RETURN(const BenchResult result, session->Run(flags.job, stop));
  std::fputs(ResultTable(result.run, session->metric_options(), result.metrics).c_str(), stdout);
  for (const std::string& warning : result.warnings) {
    std::fprintf(stderr, "%s: %s\n", kProgram, warning.c_str());
  }
  if (result.outcome.interrupted) {
    std::fprintf(stderr, "%s: interrupted; nothing was saved\n", kProgram);
    return 130;
  }
  VALLM_RETURN_IF_ERROR(Save(flags, result, session->metric_options()));
  return result.metrics.completed > 0 ? 0 : 1;
}

}  // namespace

int RunBenchServe(int argc, char** argv) {
  ServeFlags flags;
  FlagParser parser(kProgram,
                    "Sends one workload to a running server that speaks OpenAI's API and measures "
                    "throughput and latencies. Flags, figures and files are those of vLLM's "
                    "benchmark_serving.py; docs/benchmarking.md says where they differ.",
                    kExamples);
  AddBenchFlags(parser.app(), flags.bench);
  AddDatasetFlags(parser.app(), flags.job.dataset);
  AddTrafficFlags(parser.app(), flags.job);
  AddOutputFlags(parser.app(), flags);
  if (auto exit_code = parser.Parse(argc, argv)) return *exit_code;
  flags.job.seed = flags.bench.seed;
  const absl::StatusOr<int> exit_code = Measure(flags, CatchInterrupts());
  if (exit_code.ok()) return *exit_code;
  std::fprintf(stderr, "%s: %s\n", kProgram, std::string(exit_code.status().message()).c_str());
  if (absl::IsCancelled(exit_code.status())) return 130;
  return absl::IsInvalidArgument(exit_code.status()) ? 2 : 1;
}

}  // namespace vallm::tools
