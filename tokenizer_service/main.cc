// vallm-tokenizer: serves the tokenizer, the chat template and the output parsers of one model
// directory over gRPC. Ends on SIGTERM or SIGINT after letting running calls finish.
#include <glog/logging.h>

#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/flags.h"
#include "common/grpc_server.h"
#include "common/logging.h"
#include "common/metrics.h"
#include "common/signals.h"
#include "common/status_macros.h"
#include "common/tls_flags.h"
#include "tokenizer_service/served_model.h"
#include "tokenizer_service/service_metrics.h"
#include "tokenizer_service/tokenizer_server.h"

namespace {

struct Options {
  vallm::tokenizer::ServedModelOptions model;
  std::string listen = "127.0.0.1:50060";
  std::string metrics_listen;
  std::string log_dir;
  int prompt_cache_mib = 64;
  double drain_seconds = 30;
  vallm::TlsFiles tls;
};

void AddFlags(CLI::App& app, Options& options) {
  app.add_option("--model", options.model.model_dir,
                 "Model directory: tokenizer.json, tokenizer_config.json")
      ->required();
  app.add_option("--listen", options.listen, "host:port (port 0: a free one) or unix:/path")
      ->capture_default_str();
  app.add_option("--metrics-listen", options.metrics_listen,
                 "host:port of GET /metrics for Prometheus (default: none)");
  app.add_option("--chat-template", options.model.chat_template_path,
                 "File with a Jinja chat template to use instead of the model's own");
  app.add_option("--default-chat-template-kwargs", options.model.default_kwargs_json,
                 "JSON object of template variables that requests may override, e.g. "
                 "{\"enable_thinking\": false}");
  app.add_option("--prompt-cache-mib", options.prompt_cache_mib,
                 "Memory for encoded parts of prompts, which repeat from turn to turn; 0: off")
      ->check(CLI::Range(0, 1 << 20))
      ->capture_default_str();
  app.add_option("--log-dir", options.log_dir, "Directory of the log file; empty: stderr");
  app.add_option("--drain-timeout", options.drain_seconds,
                 "Seconds that running calls may take to end on SIGTERM")
      ->check(vallm::Timeout())
      ->capture_default_str();
  vallm::AddServerTlsFlags(app, "", options.tls);
}

absl::Status Serve(const Options& options) {
  using vallm::tokenizer::ServedModel;
  VALLM_ASSIGN_OR_RETURN(
      auto files,
      vallm::tokenizer::ReadModelFiles(options.model.model_dir, options.model.chat_template_path));
  files.default_kwargs_json = options.model.default_kwargs_json;
  VALLM_ASSIGN_OR_RETURN(const auto model,
                         ServedModel::Create(files, options.model.prompt_cache_bytes));
  vallm::tokenizer::ServiceMetrics metrics;
  std::unique_ptr<vallm::MetricsServer> metrics_server;
  if (!options.metrics_listen.empty()) {
    VALLM_ASSIGN_OR_RETURN(metrics_server,
                           vallm::MetricsServer::Start(options.metrics_listen, metrics.registry()));
  }
  vallm::tokenizer::TokenizerServer service(*model, std::move(files), metrics);
  VALLM_ASSIGN_OR_RETURN(
      const auto server,
      vallm::GrpcServer::Start(options.listen, {{"vallm.v1.Tokenizer", &service}}, options.tls));
  server->SetServing(true);
  LOG(INFO) << "serving " << options.model.model_dir << " on " << options.listen << " (port "
            << server->port() << "), vocabulary " << model->tokenizer().vocab_size()
            << ", chat template " << (model->has_chat_template() ? "yes" : "no")
            << ", tokenizer.json sha256 " << model->fingerprint();
  const int signal = vallm::WaitForTermination();
  LOG(INFO) << "signal " << signal << ": draining";
  server->SetServing(false);
  server->Shutdown(absl::Seconds(options.drain_seconds));
  LOG(INFO) << "stopped";
  return absl::OkStatus();
}

}  // namespace

// NOLINTNEXTLINE(bugprone-exception-escape): only a flag defined twice throws.
int main(int argc, char** argv) {
  vallm::BlockTerminationSignals();
  Options options;
  vallm::FlagParser flags(
      "vallm-tokenizer", "Serves tokenizer, chat template and output parsers of a model over gRPC.",
      "  vallm-tokenizer --model Qwen3-30B-A3B-FP8 --listen 127.0.0.1:50060");
  AddFlags(flags.app(), options);
  if (const auto exit_code = flags.Parse(argc, argv)) return *exit_code;
  options.model.prompt_cache_bytes = static_cast<size_t>(options.prompt_cache_mib) << 20;
  if (const absl::Status status = vallm::InitLogging("vallm-tokenizer", options.log_dir);
      !status.ok()) {
    std::fprintf(stderr, "vallm-tokenizer: %s\n", status.ToString().c_str());
    return 1;
  }
  if (const absl::Status status = Serve(options); !status.ok()) {
    LOG(ERROR) << status.ToString();
    return 1;
  }
  return 0;
}
