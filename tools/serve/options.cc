#include "tools/serve/options.h"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/flags.h"
#include "common/status_macros.h"
#include "engine_service/engine_flags.h"

namespace vallm::tools {
namespace {

// Far more than one engine would let wait: it is the queue of all instances.
constexpr int kGatewayQueueSize = 1024;

void AddListenFlags(CLI::App& app, ServeOptions& o) {
  app.add_option("--host", o.host, "Address the API and the management page listen on")
      ->capture_default_str();
  app.add_option("--port", o.port, "Port of the OpenAI API")
      ->check(CLI::Range(1, 65535))
      ->capture_default_str();
  app.add_option("--management-port", o.management_port, "Port of the management page")
      ->check(CLI::Range(1, 65535))
      ->capture_default_str();
  app.add_option("--tokenizer-port", o.tokenizer_port,
                 "gRPC port of the tokenizer on 127.0.0.1; 0: a free one")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str();
  app.add_option("--engine-port", o.engine_port,
                 "gRPC port of engine 0 on 127.0.0.1, the others follow; 0: free ones")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str();
  app.add_option(
         "--api-key", o.api_keys,
         "Key that clients must send as a Bearer token; repeatable or separated by commas. The "
         "environment (VALLM_API_KEY) keeps it out of process lists")
      ->delimiter(',')
      ->allow_extra_args(false);
  app.add_option(
         "--admin-api-key", o.admin_api_keys,
         "Key of the management port, for all but probes and metrics; otherwise as --api-key")
      ->delimiter(',')
      ->allow_extra_args(false);
  static constexpr std::pair<const char*, const char*> kGatewayFlags[] = {
      {"--api-key-file", "YAML file of API keys with names and limits (docs/security.md)"},
      {"--admin-api-key-file", "The same for the management port"},
      {"--tls-cert", "PEM file of the certificate to serve HTTPS with; read again when it changes"},
      {"--tls-key", "PEM file of its private key"},
      {"--tls-client-ca", "PEM file of authorities: clients must show a certificate of theirs"},
      {"--sse-keepalive", "Seconds of silence after which a comment goes into a stream; 0: never"},
      {"--max-connections-per-client", "Connections at once from one address; 0: no limit"},
  };
  for (const auto& [flag, help] : kGatewayFlags) {
    app.add_option(flag, o.gateway_flags[flag], help);
  }
  app.add_option("--local-prompt-bytes", o.gateway_flags["--local-prompt-bytes"],
                 "Prompts up to this size are encoded in the gateway; 0: none (default: 65536)")
      ->check(CLI::Range(0, 1 << 20));
  app.add_flag("--log-prompts", o.log_prompts,
               "Write the bodies of requests into the gateway's log (default: no prompt anywhere)");
}

void AddInstanceFlags(CLI::App& app, ServeOptions& o) {
  engine::AddEngineFlags(app, o.engine);
  app.get_option("--max-queue-size")
      ->description("Requests that wait in the gateway for a slot; further ones get 429");
  app.add_option("--instance", o.instances, "Engine instances behind the gateway")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
}

void AddConversationFlags(CLI::App& app, ServeOptions& o) {
  app.add_option("--served-model-name", o.served_model_names,
                 "Name of the model in the API; repeatable (default: the directory's name)")
      ->allow_extra_args(false);
  app.add_flag("--enable-reasoning,!--no-enable-reasoning", o.enable_reasoning,
               "Return thoughts as reasoning_content (default: on)");
  app.add_option("--reasoning-parser", o.reasoning_parser, "qwen3 or deepseek_r1")
      ->check(CLI::IsMember({"qwen3", "deepseek_r1"}))
      ->capture_default_str();
  app.add_flag("--enable-auto-tool-choice,!--no-enable-auto-tool-choice", o.enable_auto_tool_choice,
               "Let the model call tools (default: on)");
  app.add_option("--tool-call-parser", o.tool_call_parser,
                 "How the model writes tool calls: hermes or qwen3_coder")
      ->check(CLI::IsMember({"hermes", "qwen3_coder"}))
      ->capture_default_str();
  app.add_option("--chat-template", o.chat_template,
                 "Jinja file that replaces the model's chat template");
  app.add_option("--default-chat-template-kwargs", o.default_chat_template_kwargs,
                 "JSON object of template variables, e.g. {\"enable_thinking\": false}");
  app.add_option("--max-logprobs", o.max_logprobs,
                 "Most log-probabilities per token that a request may ask for")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--max-stored-responses", o.max_stored_responses,
                 "Responses of /v1/responses that are kept in memory, for GET and "
                 "previous_response_id; 0: none")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--stored-responses-mib", o.stored_responses_mib,
                 "Memory for them; those not used for longest go first; 0: none are kept")
      ->check(CLI::Range(0, 1 << 20))
      ->capture_default_str();
  app.add_option("--prompt-cache-mib", o.prompt_cache_mib,
                 "Memory for encoded parts of prompts, which repeat from turn to turn; 0: off")
      ->check(CLI::Range(0, 1 << 20))
      ->capture_default_str();
  app.add_option("--max-tokens-overflow", o.max_tokens_overflow,
                 "What to do with max_tokens that do not fit: clamp or reject")
      ->check(CLI::IsMember({"clamp", "reject"}))
      ->capture_default_str();
  app.add_flag("--force-include-usage", o.force_include_usage,
               "Send the usage chunk on every stream");
  app.add_flag("--strict-params", o.strict_params,
               "Refuse requests with parameters that have no effect here");
  app.add_flag("--trust-request-chat-template", o.trust_request_chat_template,
               "Let a request bring its own chat_template");
  app.add_option("--output-whitespace", o.output_whitespace,
                 "clean: line breaks around tags are markup; verbatim: keep every byte")
      ->check(CLI::IsMember({"clean", "verbatim"}))
      ->capture_default_str();
}

void AddOperationFlags(CLI::App& app, ServeOptions& o) {
  app.add_option("--log-dir", o.engine.log_dir,
                 "Directory for the logs of all processes (default: "
                 "vallm/serve-PORT in $XDG_STATE_HOME, ~/.local/state or $TMPDIR)");
  app.add_option("--drain-timeout", o.drain_timeout_s,
                 "Seconds that running requests get to finish when the server is stopped or an "
                 "instance restarted in turn")
      ->check(Timeout())
      ->capture_default_str();
  app.add_option("--hang-timeout", o.hang_timeout_s,
                 "Seconds after which a service that was ready and answers nothing any more is "
                 "killed and started again; 0: never")
      ->check(Timeout())
      ->capture_default_str();
  app.add_option("--failover-timeout", o.failover_timeout_s,
                 "Seconds an answer that has lost its instance waits for another one, or for the "
                 "same one to come back (default: 30)")
      ->check(Timeout());
  app.add_option("--stall-timeout", o.stall_timeout_s,
                 "Seconds without progress after which an answer leaves its instance; more than "
                 "the longest step takes (default: 30)")
      ->check(Timeout())
      ->check(CLI::PositiveNumber);
  app.add_option("--routing-policy", o.routing_policy,
                 "Which instance takes a request: prefix_aware, least_load, round_robin or "
                 "power_of_two")
      ->check(CLI::IsMember({"prefix_aware", "least_load", "round_robin", "power_of_two"}))
      ->capture_default_str();
  app.add_option("--background-tasks", o.background_tasks,
                 "auto: titles, tags and the like that chat front ends ask for come after chats "
                 "and do not think; off: they are chats")
      ->check(CLI::IsMember({"auto", "off"}))
      ->capture_default_str();
  app.add_option("--background-task-marker", o.background_task_markers,
                 "Text that makes a conversation of one message such a task; repeatable")
      ->allow_extra_args(false);
}

absl::Status CheckKwargs(const char* flag, const std::string& text) {
  if (text.empty()) return absl::OkStatus();
  const auto value = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!value.is_object()) {
    return absl::InvalidArgumentError(
        absl::StrCat(flag, " must be a JSON object such as {\"key\": 1}; got '", text, "'"));
  }
  for (const char* reserved : {"messages", "tools"}) {
    if (value.contains(reserved)) {
      return absl::InvalidArgumentError(
          absl::StrCat(flag, " must not set '", reserved, "': every request has its own"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckKeys(const char* flag, const std::vector<std::string>& keys) {
  for (const std::string& key : keys) {
    if (key.empty()) return absl::InvalidArgumentError(absl::StrCat(flag, " must not be empty"));
    // Keys travel to the gateway in one variable, as a list in brackets.
    if (key.find_first_of("[],") != std::string::npos) {
      return absl::InvalidArgumentError(absl::StrCat(flag, " must not contain brackets or commas"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

ServeOptions::ServeOptions() { engine.max_queue_size = kGatewayQueueSize; }

void AddServeFlags(CLI::App& app, ServeOptions& options) {
  app.add_option("MODEL_DIR,--model", options.engine.model_dir,
                 "Model directory: config.json, *.safetensors, tokenizer.json")
      ->required();
  AddListenFlags(app, options);
  AddInstanceFlags(app, options);
  AddConversationFlags(app, options);
  AddOperationFlags(app, options);
}

absl::Status FinishServeOptions(ServeOptions& options) {
  VALLM_RETURN_IF_ERROR(CheckKeys("--api-key", options.api_keys));
  VALLM_RETURN_IF_ERROR(CheckKeys("--admin-api-key", options.admin_api_keys));
  VALLM_RETURN_IF_ERROR(
      CheckKwargs("--default-chat-template-kwargs", options.default_chat_template_kwargs));
  if (options.served_model_names.empty()) {
    std::filesystem::path path = std::filesystem::path(options.engine.model_dir).lexically_normal();
    if (!path.has_filename()) path = path.parent_path();  // "model/" names the same as "model"
    if (path == "." || path == "..") {
      std::error_code error;
      path = std::filesystem::canonical(options.engine.model_dir, error);
    }
    options.served_model_names.push_back(path.filename().string());
  }
  return absl::OkStatus();
}

}  // namespace vallm::tools
