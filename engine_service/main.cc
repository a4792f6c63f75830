// vallm-engine: one engine instance as a gRPC service.
#include <glog/logging.h>

#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>
#include <string>

#include "absl/time/clock.h"
#include "common/flags.h"
#include "common/logging.h"
#include "common/metrics.h"
#include "common/signals.h"
#include "common/status_macros.h"
#include "common/tls_flags.h"
#include "engine_service/engine.h"
#include "engine_service/engine_flags.h"
#include "engine_service/engine_server.h"
#include "tokenizer_service/bpe/tokenizer.h"

namespace vallm::engine {
namespace {

constexpr char kExamples[] =
    "  vallm-engine --model /models/Qwen3-30B-A3B-FP8 --tensor-parallel-size 2\n"
    "  vallm-engine --model DIR --listen unix:/run/vallm/engine.sock --log-dir /var/log/vallm\n"
    "  VALLM_MAX_QUEUE_SIZE=8 vallm-engine --config engine.yaml";

struct MainFlags {
  EngineOptions engine;
  std::string listen = "127.0.0.1:50051";
  std::string metrics_listen;
  std::string served_model_name;
  double drain_timeout_s = 30;
  TlsFiles tls;
};

void AddMainFlags(CLI::App& app, MainFlags& flags) {
  app.add_option("--model", flags.engine.model_dir, "Model directory")->required();
  app.add_option("--listen", flags.listen, "host:port (port 0: any free one) or unix:/path")
      ->capture_default_str();
  app.add_option("--name", flags.engine.name, "Name of the instance, and of its log files")
      ->capture_default_str();
  app.add_option("--log-dir", flags.engine.log_dir, "Directory of the logs (default: stderr)");
  app.add_option("--metrics-listen", flags.metrics_listen,
                 "host:port of GET /metrics for Prometheus (default: none)");
  app.add_option("--served-model-name", flags.served_model_name,
                 "model_name label of the metrics (default: the directory's name)");
  app.add_option("--drain-timeout", flags.drain_timeout_s,
                 "Seconds that running requests have to end after SIGTERM")
      ->check(Timeout())
      ->capture_default_str();
  AddServerTlsFlags(app, "", flags.tls);
  AddEngineFlags(app, flags.engine);
}

// Text prompts are a convenience: a directory without a usable tokenizer serves token ids.
std::unique_ptr<const tokenizer::Tokenizer> LoadTokenizer(const std::string& model_dir) {
  auto tokenizer = tokenizer::Tokenizer::FromModelDir(model_dir);
  if (tokenizer.ok()) return *std::move(tokenizer);
  LOG(WARNING) << "text prompts will be refused: " << tokenizer.status();
  return nullptr;
}

// Waits for a signal, logging how the model loads. Errors: why the model never will.
absl::Status WaitForEnd(const Engine& engine) {
  int logged_percent = -1;
  while (true) {
    const EngineState state = engine.load().state;
    if (state == EngineState::kFailed) return engine.failure();
    const LoadingProgress progress = engine.loading_progress();
    if (state != EngineState::kServing && progress.total_bytes > 0) {
      const int percent = static_cast<int>(100 * progress.done_bytes / progress.total_bytes);
      if (percent != logged_percent) LOG(INFO) << "loading weights: " << percent << " %";
      logged_percent = percent;
    }
    if (const std::optional<int> signal = WaitForTermination(absl::Milliseconds(250))) {
      LOG(INFO) << "draining after signal " << *signal;
      return absl::OkStatus();
    }
  }
}

absl::Status Serve(const MainFlags& flags) {
  VALLM_ASSIGN_OR_RETURN(const std::unique_ptr<Engine> engine, Engine::Create(flags.engine));
  const ModelInfo& info = engine->model_info();
  const auto tokenizer = LoadTokenizer(flags.engine.model_dir);
  const std::string model_name =
      flags.served_model_name.empty()
          ? std::filesystem::path(info.model_path).lexically_normal().filename().string()
          : flags.served_model_name;
  EngineMetrics metrics(model_name);
  std::unique_ptr<MetricsServer> metrics_server;
  if (!flags.metrics_listen.empty()) {
    VALLM_ASSIGN_OR_RETURN(metrics_server,
                           MetricsServer::Start(flags.metrics_listen, metrics.registry()));
  }
  VALLM_ASSIGN_OR_RETURN(const auto server, EngineServer::Start(flags.listen, *engine, metrics,
                                                                tokenizer.get(), flags.tls));
  LOG(INFO) << info.architecture << " from " << info.model_path << " on " << info.device << ", TP "
            << info.tensor_parallel_size << "; model length " << info.max_model_len << ", input "
            << info.max_input_len << ", batch " << info.max_batch_size << ", KV cache "
            << info.kv_cache_tokens << " tokens; fingerprint " << info.fingerprint
            << "; listening on " << flags.listen
            << (server->port() > 0 ? " (port " + std::to_string(server->port()) + ")" : "");
  const absl::Status status = WaitForEnd(*engine);
  server->Drain(absl::Seconds(flags.drain_timeout_s));
  return status;
}

}  // namespace
}  // namespace vallm::engine

int main(int argc, char** argv) {
  vallm::engine::MainFlags flags;
  vallm::FlagParser parser("vallm-engine",
                           "Serves a Qwen3 model over gRPC (vallm.v1.Engine): token ids in, token "
                           "ids out.",
                           vallm::engine::kExamples);
  vallm::engine::AddMainFlags(parser.app(), flags);
  if (const std::optional<int> exit_code = parser.Parse(argc, argv)) return *exit_code;
  vallm::BlockTerminationSignals();
  const absl::Status logging = vallm::InitLogging(flags.engine.name, flags.engine.log_dir);
  if (logging.ok()) {
    const absl::Status status = vallm::engine::Serve(flags);
    if (status.ok()) return 0;
    LOG(ERROR) << status;
    return 1;
  }
  LOG(ERROR) << logging;
  return 1;
}
