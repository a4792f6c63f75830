// Everything the gateway can be told, and its defaults. Filled from flags by gateway_flags.cc.
#ifndef VALLM_GATEWAY_OPTIONS_H_
#define VALLM_GATEWAY_OPTIONS_H_

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/tls_files.h"
#include "gateway/generation/generation.h"
#include "gateway/http_server.h"
#include "gateway/prompt_tokenizer.h"
#include "gateway/routing/instance_pool.h"
#include "gateway/routing/instance_sources.h"

namespace vallm::gateway {

// What to do with a max_tokens that does not fit the model length.
enum class MaxTokensOverflow { kClamp, kReject };

struct GatewayOptions {
  HttpServerOptions http{.host = "0.0.0.0", .port = 8000};
  HttpServerOptions management{
      .host = "0.0.0.0", .port = 9000, .max_connections = 64, .max_body_bytes = 1 << 16};

  // Of the two ports, with `http.tls` and `management.tls` made from them; empty: plain HTTP.
  TlsFiles tls;
  TlsFiles management_tls;
  // Writes the bodies of requests, prompts included, into the log.
  bool log_prompts = false;
  // A comment goes into a stream that has said nothing for so long, from the beginning on.
  absl::Duration sse_keepalive = absl::InfiniteDuration();
  int max_messages = 4096;  // of one conversation

  InstancePoolOptions instances;
  InstanceSourceOptions instance_sources;
  GenerationOptions generation;
  PromptTokenizerOptions tokenizer;

  // The first is the default and what responses say; empty: the model directory's name.
  std::vector<std::string> served_model_names;
  // Without keys and a file of them none is asked for. The texts do not outlive Gateway::Start.
  std::vector<std::string> api_keys;
  std::string api_key_file;
  std::vector<std::string> admin_api_keys;  // of the management port
  std::string admin_api_key_file;
  absl::Duration reload_interval = absl::Seconds(1);  // of files of keys and certificates
  std::vector<std::string> allowed_origins = {"*"};

  // Smaller limits than the engines'; 0: theirs.
  int max_model_len = 0;
  int max_input_len = 0;
  MaxTokensOverflow max_tokens_overflow = MaxTokensOverflow::kClamp;
  bool force_include_usage = false;
  int max_logprobs = 20;  // most log-probabilities per token that a request may ask for
  // Requests that generate or wait at the same time; further ones get 503. Connections beyond are
  // kept for everything else.
  int max_concurrent_requests = 1024;

  // Whether the tasks of chat front ends are put into the background, and by what else than the
  // known ones they are recognised.
  bool background_tasks = true;
  std::vector<std::string> background_task_markers;

  // What the Responses API keeps; either 0: nothing.
  int max_stored_responses = 4096;
  int stored_responses_mib = 64;

  std::string reasoning_parser = "qwen3";   // empty: reasoning stays in the content
  std::string tool_call_parser = "hermes";  // empty: tools are refused
  bool verbatim_whitespace = false;

  bool strict_params = false;                // parameters without effect are refused
  bool trust_request_chat_template = false;  // a request may bring its chat_template

  // How long running answers may go on after a request to stop.
  absl::Duration drain_timeout = absl::Seconds(60);
  // How long an answer that was told to stop may then take to say so.
  absl::Duration stop_grace = absl::Seconds(5);
};

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_OPTIONS_H_
