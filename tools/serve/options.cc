#include "tools/serve/options.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "tools/state_dir.h"

namespace vallm::tools {
namespace {

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
}

void AddEngineFlags(CLI::App& app, ServeOptions& o) {
  app.add_option("--device", o.device, "cpu or vacc")->capture_default_str();
  app.add_option("--tensor-parallel-size,--tp", o.tensor_parallel_size,
                 "Workers that share the model: 1, 2, 4 or 8")
      ->capture_default_str();
  app.add_option("--instance", o.instances, "Engine instances behind the gateway")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  app.add_option("--threads-per-worker", o.threads_per_worker,
                 "CPU threads of a worker; 0: the machine's cores, shared out")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  app.add_option("--num-kv-blocks", o.num_kv_blocks, "KV cache blocks of an instance; 0: what fits")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--max-model-len", o.max_model_len,
                 "Most tokens of a request, prompt and output; 0: what model and TP size allow")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--max-input-len", o.max_input_len,
                 "Most prompt tokens of a request; 0: what model and TP size allow")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--max-batch-size-for-instance", o.max_batch_size_for_instance,
                 "Requests that run together in one instance")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_option("--max-num-batched-tokens", o.max_num_batched_tokens,
                 "Tokens of one engine step; 0: the engine's default")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--max-queue-size", o.max_queue_size,
                 "Requests that wait for a slot; 0: the gateway's default")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_flag("--enable-qwen3-rope-scaling", o.enable_qwen3_rope_scaling,
               "YaRN with original length 32768 for contexts beyond it");
  app.add_option("--rope-scaling", o.rope_scaling,
                 "JSON object that replaces config.json's rope_scaling");
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
  app.add_option("--tool-call-parser", o.tool_call_parser, "How the model writes tool calls")
      ->capture_default_str();
  app.add_option("--chat-template", o.chat_template,
                 "Jinja file that replaces the model's chat template");
  app.add_option("--default-chat-template-kwargs", o.default_chat_template_kwargs,
                 "JSON object of template variables, e.g. {\"enable_thinking\": false}");
  app.add_option("--output-whitespace", o.output_whitespace,
                 "clean: line breaks around tags are markup; verbatim: keep every byte")
      ->check(CLI::IsMember({"clean", "verbatim"}))
      ->capture_default_str();
}

void AddOperationFlags(CLI::App& app, ServeOptions& o) {
  app.add_option("--log-dir", o.log_dir,
                 "Directory for the logs of all processes (default: "
                 "$XDG_STATE_HOME/vallm/serve-PORT or ~/.local/state/vallm/serve-PORT)");
  app.add_option("--drain-timeout", o.drain_timeout_s,
                 "Seconds that running requests get to finish when the server is stopped")
      ->check(CLI::Range(0.0, 86400.0))
      ->capture_default_str();
}

absl::Status CheckObject(const char* flag, const std::string& text) {
  if (text.empty()) return absl::OkStatus();
  const auto value = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (value.is_object()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(flag, " must be a JSON object such as {\"key\": 1}; got '", text, "'"));
}

absl::Status CheckKeys(const ServeOptions& o) {
  for (const std::string& key : o.api_keys) {
    if (key.empty()) return absl::InvalidArgumentError("--api-key must not be empty");
    // Keys travel to the gateway in one variable, as a list in brackets.
    if (key.find_first_of("[],") != std::string::npos) {
      return absl::InvalidArgumentError("--api-key must not contain brackets or commas");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckDevice(const ServeOptions& o) {
  if (o.device != "cpu" && o.device != "vacc") {
    return absl::InvalidArgumentError(absl::StrCat(
        "--device '", o.device, "' is not supported; use cpu, or vacc with a VACC plug-in"));
  }
  const int tp = o.tensor_parallel_size;
  if (tp != 1 && tp != 2 && tp != 4 && tp != 8) {
    return absl::InvalidArgumentError(
        absl::StrCat("--tensor-parallel-size is ", tp, "; it must be 1, 2, 4 or 8"));
  }
  return absl::OkStatus();
}

absl::Status CheckLimits(const ServeOptions& o) {
  if (o.max_model_len > 0 && o.max_input_len >= o.max_model_len) {
    return absl::InvalidArgumentError(absl::StrCat("--max-input-len is ", o.max_input_len,
                                                   "; it must be below --max-model-len, which is ",
                                                   o.max_model_len));
  }
  if (o.enable_qwen3_rope_scaling && !o.rope_scaling.empty()) {
    return absl::InvalidArgumentError(
        "--enable-qwen3-rope-scaling and --rope-scaling exclude each other; give one");
  }
  return absl::OkStatus();
}

}  // namespace

void AddServeFlags(CLI::App& app, ServeOptions& options) {
  app.add_option("MODEL_DIR,--model", options.model_dir,
                 "Model directory: config.json, *.safetensors, tokenizer.json")
      ->required();
  AddListenFlags(app, options);
  AddEngineFlags(app, options);
  AddConversationFlags(app, options);
  AddOperationFlags(app, options);
}

absl::Status FinishServeOptions(ServeOptions& options) {
  VALLM_RETURN_IF_ERROR(CheckDevice(options));
  VALLM_RETURN_IF_ERROR(CheckLimits(options));
  VALLM_RETURN_IF_ERROR(CheckKeys(options));
  VALLM_RETURN_IF_ERROR(
      CheckObject("--default-chat-template-kwargs", options.default_chat_template_kwargs));
  VALLM_RETURN_IF_ERROR(CheckObject("--rope-scaling", options.rope_scaling));
  if (options.served_model_names.empty()) {
    std::filesystem::path path = std::filesystem::path(options.model_dir).lexically_normal();
    if (!path.has_filename()) path = path.parent_path();  // "model/" names the same as "model"
    if (path == "." || path == "..") {
      std::error_code error;
      path = std::filesystem::canonical(options.model_dir, error);
    }
    options.served_model_names.push_back(path.filename().string());
  }
  if (options.log_dir.empty()) options.log_dir = StateDir(absl::StrCat("serve-", options.port));
  return absl::OkStatus();
}

}  // namespace vallm::tools
