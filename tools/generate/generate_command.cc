#include "tools/generate/generate_command.h"

#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "common/flags.h"
#include "common/logging.h"
#include "common/status_macros.h"
#include "engine_service/engine.h"
#include "engine_service/engine_flags.h"
#include "tools/generate/generate_row.h"
#include "tools/jsonl/json_row.h"
#include "tools/jsonl/ordered_rows.h"
#include "tools/jsonl/row_io.h"
#include "tools/progress_bar.h"
#include "tools/state_dir.h"

namespace vallm::tools {
namespace {

constexpr char kProgram[] = "vallm generate";
constexpr char kExamples[] =
    "  echo '{\"id\": 1, \"prompt\": \"1 + 1 =\", \"max_tokens\": 8, "
    "\"temperature\": 0}' | \\\n"
    "    vallm generate tools/demo_model/Qwen3-Demo-MoE-FP8\n"
    "  vallm generate ./Qwen3-8B --tensor-parallel-size 2 < rows.jsonl > "
    "answers.jsonl\n"
    "  echo '{\"messages\": [{\"role\": \"user\", \"content\": \"Hi\"}], "
    "\"kwargs\": "
    "{\"enable_thinking\": false}}' | \\\n"
    "    vallm generate ./Qwen3-8B\n";

struct GenerateOptions {
  engine::EngineOptions engine;
  std::string chat_template;
};

void AddFlags(CLI::App& app, GenerateOptions& options) {
  engine::EngineOptions& o = options.engine;
  app.add_option("MODEL_DIR,--model", o.model_dir, "Model directory")->required();
  engine::AddEngineFlags(app, o);
  app.add_option("--max-batch-size", o.max_batch_size, "Same as --max-batch-size-for-instance");
  app.add_option("--chat-template", options.chat_template,
                 "Jinja file that replaces the model's chat template");
  app.add_option("--log-dir", o.log_dir,
                 "Directory for the logs of command and workers (default: vallm/generate in "
                 "$XDG_STATE_HOME, ~/.local/state or $TMPDIR)");
}

// Shows on a terminal how far the rows are.
class ProgressLine {
 public:
  explicit ProgressLine(const engine::Engine& engine)
      : engine_(engine), terminal_(isatty(STDERR_FILENO) != 0), begin_(absl::Now()) {}

  void Show(int64_t rows) const {
    if (!terminal_) return;
    const double seconds = absl::ToDoubleSeconds(absl::Now() - begin_);
    const int64_t tokens = engine_.load().generated_tokens;
    std::fprintf(stderr, "\r%s\033[K",
                 absl::StrFormat("%d rows, %d tokens, %.1f tokens/s", rows, tokens,
                                 static_cast<double>(tokens) / seconds)
                     .c_str());
  }
  void Finish() const {
    if (terminal_) std::fprintf(stderr, "\n");
  }

 private:
  const engine::Engine& engine_;
  const bool terminal_;
  const absl::Time begin_;
};

// Waits until the engine serves; a terminal shows how far its weights are.
absl::Status WaitUntilServing(engine::Engine& engine) {
  if (isatty(STDERR_FILENO) == 0) return engine.WaitUntilServing();
  std::jthread display([&engine](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      const engine::LoadingProgress loading = engine.loading_progress();
      if (loading.total_bytes > 0) {
        const int percent = static_cast<int>(100 * loading.done_bytes / loading.total_bytes);
        std::fprintf(stderr, "\rloading %s\033[K", ProgressBar(percent).c_str());
      }
      absl::SleepFor(absl::Milliseconds(50));
    }
    std::fprintf(stderr, "\r\033[K");
  });
  return engine.WaitUntilServing();
}

absl::StatusOr<nlohmann::ordered_json> Answer(engine::Engine& engine, const GenerateRows& rows,
                                              const JsonRow& row) {
  VALLM_ASSIGN_OR_RETURN(engine::GenerationRequest request, rows.ToRequest(row));
  std::vector<engine::GenerationRequest> requests;
  requests.push_back(std::move(request));
  // Unlike Generate, it outlives a restart of the workers.
  const auto answers = engine.GenerateAll(std::move(requests));
  const absl::StatusOr<engine::Generation>& answer = answers.front();
  if (!answer.ok()) return answer.status();
  if (!answer->completion.status.ok()) return answer->completion.status;
  return rows.ToJson(*answer);
}

absl::Status Generate(const GenerateOptions& options) {
  VALLM_ASSIGN_OR_RETURN(const GenerateRows rows,
                         GenerateRows::Load(options.engine.model_dir, options.chat_template));
  VALLM_ASSIGN_OR_RETURN(const auto engine, engine::Engine::Create(options.engine));
  VALLM_RETURN_IF_ERROR(WaitUntilServing(*engine));
  const ProgressLine progress(*engine);
  std::atomic<int64_t> failed = 0;
  std::ios::sync_with_stdio(false);
  ForEachRowInOrder(std::cin, std::cout,
                    {.concurrency = options.engine.max_batch_size,
                     .progress = [&](int64_t count) { progress.Show(count); }},
                    [&](const std::string& line, int64_t line_number) {
                      const auto row = JsonRow::Parse(line);
                      if (!row.ok()) {
                        ++failed;
                        return ErrorRow(
                            "", absl::InvalidArgumentError(absl::StrCat("line ", line_number, ": ",
                                                                        row.status().message())));
                      }
                      const auto answer = Answer(*engine, rows, *row);
                      if (answer.ok()) return OutputRow(row->Raw("id"), *answer);
                      ++failed;
                      return ErrorRow(row->Raw("id"), answer.status());
                    });
  progress.Finish();
  if (failed > 0) {
    std::fprintf(stderr, "%s: %lld rows failed; see their \"error\"\n", kProgram,
                 static_cast<long long>(failed));
  }
  if (!std::cout) return absl::UnavailableError("cannot write to stdout");
  return absl::OkStatus();
}

}  // namespace

int RunGenerate(int argc, char** argv) {
  GenerateOptions options;
  FlagParser flags(kProgram,
                   "Generates without a server. In, one JSON object a line: "
                   "{\"id\", \"prompt_token_ids\" or "
                   "\"prompt\" or \"messages\" (with \"tools\", \"kwargs\"), "
                   "\"max_tokens\", \"temperature\", "
                   "\"top_p\", \"top_k\", \"min_p\", \"repetition_penalty\", "
                   "\"presence_penalty\", \"frequency_penalty\", \"logit_bias\", "
                   "\"bad_words\", \"allowed_token_ids\", \"min_tokens\", "
                   "\"seed\", \"stop_token_ids\", "
                   "\"ignore_eos\", \"logprobs\" (how many a "
                   "step), \"prompt_logprobs\", \"resume_token_ids\", "
                   "\"thinking_token_budget\", \"prompt_lookup_num_tokens\", \"constraint\" "
                   "(docs/constrained-decoding.md)}. "
                   "Out, in the same order: "
                   "{\"id\", \"token_ids\", \"text\", "
                   "\"logprobs\", \"finish_reason\", \"usage\", \"seed\"}. "
                   "Sampling that a row leaves open is "
                   "the model's own (generation_config.json).",
                   kExamples);
  AddFlags(flags.app(), options);
  if (auto exit_code = flags.Parse(argc, argv)) return *exit_code;
  options.engine.name = "generate";
  if (options.engine.log_dir.empty()) options.engine.log_dir = MakeStateDir("generate");
  absl::Status status = InitLogging("generate", options.engine.log_dir);
  if (status.ok()) status = Generate(options);
  if (status.ok()) return 0;
  std::fprintf(stderr, "%s: %s\n", kProgram, std::string(status.message()).c_str());
  return 1;
}

}  // namespace vallm::tools
