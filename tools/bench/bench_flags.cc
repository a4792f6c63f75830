#include "tools/bench/bench_flags.h"

#include <iostream>
#include <map>

namespace vallm::tools {
namespace {

void AddServerFlags(CLI::App& app, BenchFlags& f) {
  app.add_option("--backend,--endpoint-type", f.backend,
                 "vllm or openai: /v1/completions; openai-chat: /v1/chat/completions")
      ->check(CLI::IsMember({"vllm", "openai", "openai-chat"}))
      ->capture_default_str();
  app.add_option("--base-url", f.base_url,
                 "http:// or https:// URL of the server, instead of --host and --port");
  app.add_option("--host", f.host, "Host of the server")->capture_default_str();
  app.add_option("--port", f.port, "Port of the server")
      ->check(CLI::Range(1, 65535))
      ->capture_default_str();
  app.add_option("--endpoint", f.endpoint, "Path of the requests (default: the backend's)");
  app.add_option("--header", f.headers,
                 "NAME=VALUE, sent with every request. A key in OPENAI_API_KEY is sent as well")
      ->expected(1, -1);
  app.add_option("--ca-file", f.ca_file,
                 "PEM file of authorities that an https server's certificate may come from");
  app.add_flag("--insecure", f.insecure, "Take any certificate");
  app.add_option("--ready-check-timeout-sec", f.ready_timeout_s,
                 "Seconds to wait for the server before the run; 0: it must answer at once")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--model", f.model,
                 "Name of the model, or its folder (default: the first that the server lists)");
  app.add_option("--served-model-name", f.served_model_name,
                 "Name of the model in requests (default: --model)");
  app.add_option("--tokenizer", f.tokenizer,
                 "Folder of the tokenizer.json that counts tokens (default: --model, if that is a "
                 "folder)");
  app.add_flag_callback(
      "--trust-remote-code",
      [] {
        std::cerr << "vallm bench: --trust-remote-code has no effect: no code of a model is run\n";
      },
      "For scripts that pass it; has no effect, and says so");
}

void AddRequestFlags(CLI::App& app, BenchFlags& f) {
  RequestOptions& r = f.request;
  app.add_flag("--ignore-eos", r.ignore_eos, "Answers go on to their full length");
  app.add_option("--temperature", r.temperature, "Default: 0 (for openai-chat the server's)")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--top-p", r.top_p, "Default: the server's, as all that follow");
  app.add_option("--top-k", r.top_k, "");
  app.add_option("--min-p", r.min_p, "");
  app.add_option("--repetition-penalty", r.repetition_penalty, "");
  app.add_option("--presence-penalty", r.presence_penalty, "");
  app.add_option("--frequency-penalty", r.frequency_penalty, "");
  app.add_option("--logprobs", r.logprobs, "Log-probabilities per token to ask for");
  app.add_option("--extra-body", r.extra_body, "JSON object, merged into every request");
  app.add_option("--seed", f.seed, "Of prompts and arrival times")->capture_default_str();
  app.add_flag("--skip-initial-test", f.skip_test_run,
               "Do not send the first prompt once before the run");
}

void AddResultFlags(CLI::App& app, BenchFlags& f) {
  app.add_option("--percentile-metrics", f.percentile_metrics,
                 "Which of ttft, tpot, itl, e2el to report, separated by commas")
      ->capture_default_str();
  app.add_option("--metric-percentiles", f.metric_percentiles,
                 "Which percentiles of them, separated by commas")
      ->capture_default_str();
  app.add_option("--goodput", f.goodput,
                 "Limits of a good request in ms, KEY:VALUE of ttft, tpot, e2el")
      ->expected(1, -1);
  app.add_option("--metadata", f.metadata, "KEY=VALUE, kept in the result")->expected(1, -1);
  app.add_flag("--disable-tqdm,--no-progress", f.disable_progress, "No progress bar");
}

}  // namespace

void AddBenchFlags(CLI::App& app, BenchFlags& flags) {
  AddServerFlags(app, flags);
  AddRequestFlags(app, flags);
  AddResultFlags(app, flags);
}

}  // namespace vallm::tools
