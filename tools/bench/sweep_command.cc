#include "tools/bench/sweep_command.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/flags.h"
#include "common/status_macros.h"
#include "nlohmann/json.hpp"
#include "tools/bench/bench_flags.h"
#include "tools/bench/bench_session.h"
#include "tools/bench/interrupt.h"
#include "tools/bench/result_json.h"
#include "tools/bench/sweep_folder.h"
#include "tools/bench/sweep_matrix.h"

namespace vallm::tools {
namespace {

constexpr char kProgram[] = "vallm bench sweep";
constexpr char kExamples[] =
    "  vallm bench sweep --model /models/Qwen3-30B-A3B-FP8 --served-model-name Qwen3 "
    "--service-num 2\n"
    "  vallm bench sweep --tokenizer ./Qwen3-8B --concurrency 1,4,16 --input-lens 512,2048 "
    "--output-lens 256 \\\n"
    "    --result-dir sweep-v2 --dry-run\n"
    "  vallm bench sweep --tokenizer ./Qwen3-8B --max-seqlen 65536    # the vendor's 50 cells\n";

struct SweepFlags {
  BenchFlags bench;
  SweepMatrix matrix;
  int64_t prompts_per_concurrency = 5;
  std::string result_dir;
  bool dry_run = false;
  bool stop_at_eos = false;
};

void AddFlags(CLI::App& app, SweepFlags& f) {
  SweepMatrix& m = f.matrix;
  app.add_option("--service-num", m.service_num,
                 "Instances behind the server: concurrencies are 4 times that, halved down to 1")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  const auto list = [&app](const char* name, std::vector<int64_t>& values, const char* help) {
    app.add_option(name, values, help)->delimiter(',')->check(CLI::PositiveNumber);
  };
  list("--concurrency", m.concurrencies, "These instead, separated by commas");
  list("--input-lens", m.input_lens, "Tokens of prompts (default: 128,256,...,32768,54272,65536)");
  list("--output-lens", m.output_lens, "Tokens of answers (default: 1024,8192)");
  app.add_option("--prompts-per-concurrency", f.prompts_per_concurrency,
                 "Requests of a cell, times its concurrency")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--max-model-len", m.max_model_len,
                 "Leave cells out whose requests have more tokens (default: what the server says)")
      ->check(CLI::PositiveNumber);
  app.add_option("--max-input-len", m.max_input_len, "The same for the prompt alone; 0: no limit")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--max-seqlen", m.max_seqlen,
                 "The vendor's rule: so many tokens are shared by the requests of an instance; 0: "
                 "each may have --max-model-len")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--result-dir", f.result_dir,
                 "Folder of the results; cells that are in it are not measured again (default: "
                 "bench-sweep)");
  app.add_flag("--stop-at-eos", f.stop_at_eos,
               "Let answers end by themselves; without it --ignore-eos is on")
      ->excludes("--ignore-eos");
  app.add_flag("--dry-run", f.dry_run, "List the cells and end");
}

class Sweep {
 public:
  Sweep(const SweepFlags& flags, const BenchSession& session, std::vector<SweepCell> cells,
        const std::atomic<bool>& stop)
      : flags_(flags),
        session_(session),
        cells_(std::move(cells)),
        stop_(stop),
        folder_(flags.result_dir, {.backend = flags.bench.backend,
                                   .request = RequestBody(session.request(), {}),
                                   .prompts_per_concurrency = flags.prompts_per_concurrency,
                                   .seed = flags.bench.seed}) {
    fitting_ = std::count_if(cells_.begin(), cells_.end(),
                             [](const SweepCell& cell) { return cell.too_large.empty(); });
  }

  // Lists the cells and whether they have a result.
  void List() const {
    for (const SweepCell& cell : cells_) {
      std::printf("%-20s %s\n", cell.Name().c_str(),
                  !cell.too_large.empty()   ? absl::StrCat("left out: ", cell.too_large).c_str()
                  : folder_.HasResult(cell) ? "measured"
                                            : "to measure");
    }
    std::printf("%d cells of %zu fit\n", static_cast<int>(fitting_), cells_.size());
  }

  absl::StatusOr<int> Run() {
    if (fitting_ == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("no cell fits, e.g. ", cells_.front().Name(), ": ", cells_.front().too_large,
                       "; give smaller --input-lens and --output-lens"));
    }
    VALLM_RETURN_IF_ERROR(folder_.Open());
    int number = 0;
    for (const SweepCell& cell : cells_) {
      if (!cell.too_large.empty()) continue;
      ++number;
      if (folder_.HasResult(cell)) {
        std::printf("[%d/%d] %s: measured before\n", number, static_cast<int>(fitting_),
                    cell.Name().c_str());
        continue;
      }
      VALLM_RETURN_IF_ERROR(MeasureCell(cell, number));
      if (stop_) break;
    }
    VALLM_RETURN_IF_ERROR(folder_.WriteSummary(cells_, failures_));
    std::printf("%s: sweep.json, benchmark.csv, report.html\n", flags_.result_dir.c_str());
    if (stop_) {
      std::printf("Interrupted; the same command goes on from here.\n");
      return 130;
    }
    return failures_.empty() ? 0 : 1;
  }

 private:
  // A cell that fails is noted, and the sweep goes on. Errors: of writing.
  absl::Status MeasureCell(const SweepCell& cell, int number) {
    const std::string label = absl::StrCat("[", number, "/", fitting_, "] ", cell.Name());
    std::printf("%s: %d requests\n", label.c_str(),
                static_cast<int>(flags_.prompts_per_concurrency * cell.concurrency));
    BenchJob job;
    job.num_prompts = flags_.prompts_per_concurrency * cell.concurrency;
    job.seed = SeedOf(cell);
    job.detailed = true;
    job.label = label + " ";
    job.quiet = true;
    job.dataset.random_input_len = cell.input_len;
    job.dataset.random_output_len = cell.output_len;
    job.traffic.max_concurrency = static_cast<int>(cell.concurrency);
    const absl::StatusOr<BenchResult> result = session_.Run(job, stop_);
    if (absl::IsCancelled(result.status())) return absl::OkStatus();
    if (!result.ok()) {
      return Note(cell, std::string(result.status().message()));
    }
    if (result->outcome.interrupted) return absl::OkStatus();
    for (const std::string& warning : result->warnings) {
      std::fprintf(stderr, "%s: %s: %s\n", kProgram, cell.Name().c_str(), warning.c_str());
    }
    const BenchMetrics& metrics = result->metrics;
    std::printf("    %.1f s, %.1f output tok/s, TTFT %.1f ms, TPOT %.2f ms\n", metrics.duration_s,
                metrics.output_throughput, metrics.Of(LatencyMetric::kTtft).mean,
                metrics.Of(LatencyMetric::kTpot).mean);
    VALLM_RETURN_IF_ERROR(folder_.SaveResult(
        cell, ResultJson(result->run, result->outcome, session_.metric_options(), metrics)));
    if (metrics.failed > 0) {
      VALLM_RETURN_IF_ERROR(Note(cell, absl::StrCat(metrics.failed, " requests failed")));
    }
    // So that there is something to look at while a long sweep runs.
    return folder_.WriteSummary(cells_, failures_);
  }

  // Prompts of their own for every cell: those of another would be in the server's prefix cache.
  uint64_t SeedOf(const SweepCell& cell) const {
    std::seed_seq mixed = {static_cast<uint64_t>(cell.concurrency),
                           static_cast<uint64_t>(cell.input_len),
                           static_cast<uint64_t>(cell.output_len), flags_.bench.seed};
    std::mt19937_64 random(mixed);
    return random() >> 12;  // JSON numbers are doubles in many readers
  }

  absl::Status Note(const SweepCell& cell, const std::string& why) {
    std::fprintf(stderr, "%s: %s failed: %s\n", kProgram, cell.Name().c_str(), why.c_str());
    failures_[cell.Name()] = why;
    return absl::OkStatus();
  }

  const SweepFlags& flags_;
  const BenchSession& session_;
  const std::vector<SweepCell> cells_;
  const std::atomic<bool>& stop_;
  const SweepFolder folder_;
  int64_t fitting_ = 0;
  std::map<std::string, std::string> failures_;  // by the name of the cell
};

absl::StatusOr<int> Run(SweepFlags flags, const std::atomic<bool>& stop) {
  VALLM_ASSIGN_OR_RETURN(const auto session, BenchSession::Open(flags.bench));
  if (flags.matrix.max_model_len == 0) flags.matrix.max_model_len = session->max_model_len();
  Sweep sweep(flags, *session, SweepCells(flags.matrix), stop);
  if (flags.dry_run) {
    sweep.List();
    return 0;
  }
  return sweep.Run();
}

}  // namespace

int RunBenchSweep(int argc, char** argv) {
  SweepFlags flags;
  flags.result_dir = "bench-sweep";
  FlagParser parser(kProgram,
                    "Measures a running server with the vendor's matrix: concurrency x input "
                    "length x output length, only the cells that fit. Writes a result file per "
                    "cell, sweep.json, benchmark.csv and report.html; run again, it goes on where "
                    "it stopped.",
                    kExamples);
  AddBenchFlags(parser.app(), flags.bench);
  AddFlags(parser.app(), flags);
  if (auto exit_code = parser.Parse(argc, argv)) return *exit_code;
  flags.bench.request.ignore_eos = !flags.stop_at_eos;
  const absl::StatusOr<int> exit_code = Run(std::move(flags), CatchInterrupts());
  if (exit_code.ok()) return *exit_code;
  std::fprintf(stderr, "%s: %s\n", kProgram, std::string(exit_code.status().message()).c_str());
  return absl::IsInvalidArgument(exit_code.status()) ? 2 : 1;
}

}  // namespace vallm::tools
