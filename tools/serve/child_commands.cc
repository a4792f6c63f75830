#include "tools/serve/child_commands.h"

#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "engine_service/device/create_device.h"
#include "engine_service/device/vacc/visible_dies.h"
#include "tools/serve/instance_cpus.h"

namespace vallm::tools {
namespace {

enum StopPhase { kStopGateway, kStopEngines, kStopTokenizer };

// An engine has nothing to drain once the gateway is gone, but the requests of direct gRPC clients.
constexpr absl::Duration kEngineGrace = absl::Seconds(10);
constexpr absl::Duration kTokenizerGrace = absl::Seconds(5);
// Between the time that a service gives its requests and the time it has itself.
constexpr absl::Duration kClosingMargin = absl::Seconds(2);

// Builds a command line; values that are not set are left to the service's own default.
class ArgumentList {
 public:
  explicit ArgumentList(const std::string& program) : argv_{program} {}

  void Set(const char* flag, const std::string& value) {
    if (!value.empty()) argv_.push_back(absl::StrCat(flag, "=", value));
  }
  void Set(const char* flag, int64_t value) { Set(flag, absl::StrCat(value)); }
  template <typename Number>
  void Set(const char* flag, const std::optional<Number>& value) {
    if (value.has_value()) Set(flag, absl::StrCat(*value));
  }
  void SetFlag(const char* flag, bool on) {
    if (on) argv_.push_back(flag);
  }
  std::vector<std::string> Take() { return std::move(argv_); }

 private:
  std::vector<std::string> argv_;
};

std::string Seconds(absl::Duration duration) {
  return absl::StrCat(absl::ToDoubleSeconds(duration));
}

std::string Local(int port) { return absl::StrCat("127.0.0.1:", port); }

SupervisedChild MakeChild(const ServeOptions& options, const std::string& name,
                          std::vector<std::string> argv, std::vector<std::string> environment,
                          StopPhase phase, absl::Duration grace) {
  return {.spec = {.name = name,
                   .argv = std::move(argv),
                   .environment = std::move(environment),
                   .output_path = absl::StrCat(options.engine.log_dir, "/", name, ".out")},
          .stop_phase = phase,
          .stop_grace = grace};
}

std::vector<std::string> TokenizerCommand(const ServeOptions& options, const std::string& binary,
                                          int port) {
  ArgumentList args(binary);
  args.Set("--model", options.engine.model_dir);
  args.Set("--listen", Local(port));
  args.Set("--log-dir", options.engine.log_dir);
  args.Set("--chat-template", options.chat_template);
  args.Set("--default-chat-template-kwargs", options.default_chat_template_kwargs);
  args.Set("--prompt-cache-mib", options.prompt_cache_mib);
  args.Set("--drain-timeout", Seconds(kTokenizerGrace - kClosingMargin));
  return args.Take();
}

// As the flags spell it: 0 is strict.
std::string PriorityAgeing(const engine::EngineOptions& options) {
  const bool strict = options.priority_ageing == absl::InfiniteDuration();
  return Seconds(strict ? absl::ZeroDuration() : options.priority_ageing);
}

std::vector<std::string> EngineCommand(const ServeOptions& options, const std::string& binary,
                                       int instance, int port) {
  ArgumentList args(binary);
  args.Set("--model", options.engine.model_dir);
  args.Set("--listen", Local(port));
  args.Set("--name", absl::StrCat("engine-", instance));
  args.Set("--log-dir", options.engine.log_dir);
  args.Set("--drain-timeout", Seconds(kEngineGrace - kClosingMargin));
  const engine::EngineOptions& o = options.engine;
  args.Set("--device", o.device);
  args.Set("--cpu-isa", o.cpu_isa);
  args.Set("--tensor-parallel-size", o.tensor_parallel_size);
  args.Set("--max-model-len", o.max_model_len);
  args.Set("--max-input-len", o.max_input_len);
  args.SetFlag("--allow-long-max-model-len", o.allow_long_max_model_len);
  args.Set("--max-batch-size-for-instance", o.max_batch_size);
  args.Set("--max-num-batched-tokens", o.max_num_batched_tokens);
  args.Set("--long-prefill-token-threshold", o.long_prefill_token_threshold);
  args.SetFlag("--enable-prefix-caching", o.enable_prefix_caching);
  args.SetFlag("--no-enable-prefix-caching", !o.enable_prefix_caching);
  args.Set("--priority-ageing", PriorityAgeing(o));
  args.Set("--num-kv-blocks", o.num_kv_blocks);
  args.Set("--kv-cache-memory", o.kv_cache_bytes);
  args.Set("--kv-cache-dtype", o.kv_cache_dtype);
  args.SetFlag("--enable-qwen3-rope-scaling", o.enable_qwen3_rope_scaling);
  args.Set("--rope-scaling", o.rope_scaling_json);
  args.Set("--threads-per-worker", ThreadsPerWorker(options));
  args.Set("--worker-cpus", WorkerCpus(options, instance));
  args.Set("--step-timeout", Seconds(o.step_timeout));
  args.Set("--mock-step-time", Seconds(o.mock_step_time));
  args.Set("--mock-token-time", Seconds(o.mock_token_time));
  args.Set("--worker-binary", o.worker_binary);
  return args.Take();
}

std::vector<std::string> GatewayCommand(const ServeOptions& options, const std::string& binary,
                                        const InternalPorts& ports) {
  ArgumentList args(binary);
  args.Set("--host", options.host);
  args.Set("--port", options.port);
  args.Set("--management-host", options.host);
  args.Set("--management-port", options.management_port);
  args.Set("--tokenizer", Local(ports.tokenizer));
  args.Set("--prompt-cache-mib", options.prompt_cache_mib);
  // The file names them as they come and go.
  if (options.gateway_flags.count("--instances-file") == 0) {
    for (int port : ports.engines) args.Set("--engine", Local(port));
  }
  for (const std::string& name : options.served_model_names) args.Set("--served-model-name", name);
  args.Set("--log-dir", options.engine.log_dir);
  args.Set("--max-batch-size-for-instance", options.engine.max_batch_size);
  args.Set("--max-queue-size", options.engine.max_queue_size);
  args.Set("--priority-ageing", PriorityAgeing(options.engine));
  args.SetFlag("--no-enable-reasoning", !options.enable_reasoning);
  args.Set("--reasoning-parser", options.reasoning_parser);
  args.SetFlag("--no-enable-auto-tool-choice", !options.enable_auto_tool_choice);
  args.Set("--tool-call-parser", options.tool_call_parser);
  args.Set("--output-whitespace", options.output_whitespace);
  args.Set("--max-logprobs", options.max_logprobs);
  args.Set("--max-stored-responses", options.max_stored_responses);
  args.Set("--stored-responses-mib", options.stored_responses_mib);
  args.Set("--max-tokens-overflow", options.max_tokens_overflow);
  args.SetFlag("--force-include-usage", options.force_include_usage);
  args.SetFlag("--strict-params", options.strict_params);
  args.SetFlag("--trust-request-chat-template", options.trust_request_chat_template);
  args.Set("--drain-timeout", absl::StrCat(options.drain_timeout_s));
  args.Set("--failover-timeout", options.failover_timeout_s);
  args.Set("--stall-timeout", options.stall_timeout_s);
  args.Set("--routing-policy", options.routing_policy);
  args.Set("--background-tasks", options.background_tasks);
  for (const std::string& marker : options.background_task_markers) {
    args.Set("--background-task-marker", marker);
  }
  for (const auto& [flag, value] : options.gateway_flags) args.Set(flag.c_str(), value);
  args.SetFlag("--log-prompts", options.log_prompts);
  return args.Take();
}

// `environment`, with VACC_VISIBLE_DEVICES cut down to the dies of one instance.
std::vector<std::string> EngineEnvironment(const ServeOptions& options, int instance,
                                           const std::vector<std::string>& environment) {
  if (options.engine.device != engine::kVaccDevice) return environment;
  const std::string prefix = absl::StrCat(engine::kVisibleDiesVariable, "=");
  const int ranks = options.engine.tensor_parallel_size;
  std::vector<std::string> own;
  for (const std::string& entry : environment) {
    if (!absl::StartsWith(entry, prefix)) own.push_back(entry);
  }
  // The preflight has seen that they exist.
  const std::optional<std::string> variable = engine::VisibleDiesFromEnvironment();
  const auto dies = engine::VisibleDies(
      variable, variable.has_value() ? engine::kMostDies : options.instances * ranks);
  const size_t begin = static_cast<size_t>(instance) * static_cast<size_t>(ranks);
  if (!dies.ok() || dies->size() < begin + static_cast<size_t>(ranks)) return environment;
  const auto first = dies->begin() + static_cast<ptrdiff_t>(begin);
  own.push_back(prefix + engine::FormatDies({first, first + ranks}));
  return own;
}

}  // namespace

std::vector<SupervisedChild> ServiceChildren(const ServeOptions& options,
                                             const ServiceBinaries& binaries,
                                             const InternalPorts& ports,
                                             const std::vector<std::string>& environment) {
  std::vector<SupervisedChild> children;
  children.push_back(MakeChild(options, "tokenizer",
                               TokenizerCommand(options, binaries.tokenizer, ports.tokenizer),
                               environment, kStopTokenizer, kTokenizerGrace));
  for (size_t i = 0; i < ports.engines.size(); ++i) {
    children.push_back(MakeChild(
        options, absl::StrCat("engine-", i),
        EngineCommand(options, binaries.engine, static_cast<int>(i), ports.engines[i]),
        EngineEnvironment(options, static_cast<int>(i), environment), kStopEngines, kEngineGrace));
  }
  std::vector<std::string> gateway_environment = environment;
  for (const auto& [variable, keys] : {std::pair("VALLM_API_KEY", &options.api_keys),
                                       std::pair("VALLM_ADMIN_API_KEY", &options.admin_api_keys)}) {
    if (keys->empty()) continue;
    gateway_environment.push_back(absl::StrCat(variable, "=[", absl::StrJoin(*keys, ","), "]"));
  }
  children.push_back(MakeChild(options, "gateway", GatewayCommand(options, binaries.gateway, ports),
                               std::move(gateway_environment), kStopGateway,
                               absl::Seconds(options.drain_timeout_s) + kClosingMargin));
  return children;
}

std::vector<std::string> ChildEnvironment(const std::vector<std::string>& flag_variables) {
  std::vector<std::string> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string variable = *entry;
    const std::string name = variable.substr(0, variable.find('='));
    if (std::find(flag_variables.begin(), flag_variables.end(), name) == flag_variables.end()) {
      environment.push_back(variable);
    }
  }
  return environment;
}

}  // namespace vallm::tools
