// The flags of `vallm serve`: names, defaults and what can be checked without touching the machine.
#ifndef VALLM_TOOLS_SERVE_OPTIONS_H_
#define VALLM_TOOLS_SERVE_OPTIONS_H_

#include <CLI/CLI.hpp>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "engine_service/engine_options.h"

namespace vallm::tools {

// Texts are empty where the service's own default applies.
struct ServeOptions {
  ServeOptions();

  std::vector<std::string> served_model_names;  // default: the last part of engine.model_dir

  // Where it listens.
  std::string host = "0.0.0.0";
  int port = 8000;
  int management_port = 9000;
  int tokenizer_port = 0;  // 0: a free one, picked once
  int engine_port = 0;     // of instance 0, the others follow; 0: free ones, picked once
  std::vector<std::string> api_keys;
  std::vector<std::string> admin_api_keys;
  // Flags of the gateway that are handed on as they are, with their values; empty: not given.
  std::map<std::string, std::string> gateway_flags;
  bool log_prompts = false;

  // What runs. engine.max_queue_size is the gateway's queue: engines get no more than they run.
  engine::EngineOptions engine;
  int instances = 1;

  // The conversation.
  bool enable_reasoning = true;
  std::string reasoning_parser = "qwen3";
  bool enable_auto_tool_choice = true;
  std::string tool_call_parser = "hermes";
  std::string chat_template;
  std::string default_chat_template_kwargs;  // a JSON object
  int max_logprobs = 20;
  int max_stored_responses = 4096;
  int stored_responses_mib = 64;
  std::string output_whitespace = "clean";    // or "verbatim"
  std::string max_tokens_overflow = "clamp";  // or "reject"
  bool force_include_usage = false;
  bool strict_params = false;
  bool trust_request_chat_template = false;
  int prompt_cache_mib = 64;

  // Operation. Logs go to engine.log_dir.
  double drain_timeout_s = 60;
  double hang_timeout_s = 30;                // 0: services that hang are left alone
  std::optional<double> failover_timeout_s;  // absent: the gateway's default
  std::optional<double> stall_timeout_s;     // the same
  std::string routing_policy = "prefix_aware";
  std::string background_tasks = "auto";  // or "off"
  std::vector<std::string> background_task_markers;
};

// Adds the flags to `app`; parsing fills `options`, which must outlive it.
void AddServeFlags(CLI::App& app, ServeOptions& options);

// Fills in the served name and refuses what makes no sense. Errors: INVALID_ARGUMENT naming the
// flag, the value and what to do.
absl::Status FinishServeOptions(ServeOptions& options);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_SERVE_OPTIONS_H_
