#include "gateway/gateway_flags.h"

#include "common/flags.h"
#include "common/tls_flags.h"

namespace vallm::gateway {
namespace {

constexpr char kExamples[] =
    "  vallm-gateway --tokenizer 127.0.0.1:50060 --engine 127.0.0.1:50051 --engine "
    "127.0.0.1:50052\n"
    "  vallm-gateway --engine unix:/run/vallm/engine-0 --tokenizer unix:/run/vallm/tokenizer "
    "--api-key token-abc123";

// Flags whose option is of another type.
struct RawFlags {
  double dns_refresh = 5;
  std::string routing_policy = "prefix_aware";
  std::string background_tasks = "auto";
  double queue_timeout = 600;
  double no_instance_timeout = 15;
  double failover_timeout = 30;
  double stall_timeout = 30;
  double header_timeout = 10;
  double read_timeout = 30;
  double sse_keepalive = 0;
  double stream_write_timeout = 30;
  double keep_alive_timeout = 75;
  double drain_timeout = 60;
  int max_connections = 0;
  std::string max_tokens_overflow = "clamp";
  std::string output_whitespace = "clean";
  bool enable_reasoning = true;
  bool enable_auto_tool_choice = true;
};

void AddServerFlags(CLI::App& app, GatewayOptions& options, RawFlags& raw) {
  const CLI::Range port(0, 65535);
  app.add_option("--host", options.http.host, "Address to listen on")->capture_default_str();
  app.add_option("--port", options.http.port, "Port of the API")
      ->check(port)
      ->capture_default_str();
  app.add_option("--management-host", options.management.host,
                 "Address of the management port to listen on")
      ->capture_default_str();
  app.add_option("--management-port", options.management.port,
                 "Port of the admin page, its API, health and metrics")
      ->check(port)
      ->capture_default_str();
  app.add_option("--api-key", options.api_keys, "Bearer key that clients must give; repeatable");
  app.add_option("--api-key-file", options.api_key_file,
                 "YAML file of API keys with names and limits (docs/security.md); read again when "
                 "it changes");
  app.add_option("--admin-api-key", options.admin_api_keys,
                 "Bearer key of the management port, for all but probes and metrics; repeatable");
  app.add_option("--admin-api-key-file", options.admin_api_key_file,
                 "The same in a file like that of --api-key-file");
  app.add_option("--allowed-origins", options.allowed_origins, "CORS origins; repeatable")
      ->capture_default_str();
  app.add_option("--max-body-bytes", options.http.max_body_bytes, "Largest request body")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--max-concurrent-requests", options.max_concurrent_requests,
                 "Requests that generate or wait at once; further ones get 503")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--max-header-bytes", options.http.max_header_bytes,
                 "Largest header of a request, its first line included")
      ->check(CLI::Range(1024, 1 << 20))
      ->capture_default_str();
  app.add_option("--max-messages", options.max_messages, "Most messages of one conversation")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--max-connections", raw.max_connections,
                 "Connections at once; 0 = --max-concurrent-requests and 256 for everything else")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--max-connections-per-client", options.http.max_connections_per_client,
                 "The same from one address; 0 = no limit (behind a proxy all have its address)")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--header-timeout", raw.header_timeout,
                 "Seconds for a TLS handshake and for a request's header to arrive in full")
      ->check(Timeout())
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--min-body-rate", options.http.min_body_rate,
                 "Bytes per second of a body that --read-timeout need not cover; 0 = none")
      ->check(CLI::Range(int64_t{0}, int64_t{1'000'000'000}))
      ->capture_default_str();
  app.add_option("--sse-keepalive", raw.sse_keepalive,
                 "Seconds of silence after which a comment line goes into a stream, also while it "
                 "waits to begin; 0 = never")
      ->check(Timeout())
      ->capture_default_str();
  app.add_flag("--log-prompts", options.log_prompts,
               "Write the bodies of requests into the log (default: no prompt text anywhere)");
  AddServerTlsFlags(app, "", options.tls);
  AddServerTlsFlags(app, "management-", options.management_tls);
  app.add_option("--read-timeout", raw.read_timeout,
                 "Seconds for a request's body to arrive in full")
      ->check(Timeout())
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--stream-write-timeout", raw.stream_write_timeout,
                 "Seconds after which a client that reads nothing is cut off")
      ->check(Timeout())
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--keep-alive-timeout", raw.keep_alive_timeout,
                 "Seconds an idle connection is kept")
      ->check(Timeout())
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--drain-timeout", raw.drain_timeout,
                 "Seconds running answers may go on after SIGTERM")
      ->check(Timeout())
      ->capture_default_str();
}

void AddRoutingFlags(CLI::App& app, GatewayOptions& options, RawFlags& raw) {
  app.add_option("--engine", options.instances.addresses,
                 "Address of an engine instance, host:port or unix:/path; repeatable");
  app.add_option("--instances-file", options.instance_sources.file,
                 "YAML or JSON list of addresses of further instances, read again when it changes");
  app.add_option("--engine-dns", options.instance_sources.dns_name,
                 "NAME:PORT of further instances: all addresses of the name, looked up again and "
                 "again, as of a headless service in Kubernetes");
  app.add_option("--dns-refresh", raw.dns_refresh, "Seconds between two look-ups of --engine-dns")
      ->check(Timeout())
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--routing-policy", raw.routing_policy,
                 "Which instance takes a request: prefix_aware, least_load, round_robin or "
                 "power_of_two")
      ->check(CLI::IsMember({"prefix_aware", "least_load", "round_robin", "power_of_two"}))
      ->capture_default_str();
  app.add_option("--routing-load-weight", options.instances.queue.policy.load_weight,
                 "What prefix_aware takes off for load: with W, a prompt that is cached as a whole "
                 "is worth 1/W of a batch")
      ->check(CLI::Range(0.01, 1000.0))
      ->capture_default_str();
  app.add_option("--background-tasks", raw.background_tasks,
                 "auto: titles, tags and the like that chat front ends ask for come after chats "
                 "and do not think; off: they are chats")
      ->check(CLI::IsMember({"auto", "off"}))
      ->capture_default_str();
  app.add_option("--background-task-marker", options.background_task_markers,
                 "Text that makes a conversation of one message such a task; repeatable")
      ->allow_extra_args(false);
  app.add_option("--tokenizer", options.tokenizer.address, "Address of the tokenizer service")
      ->capture_default_str();
  app.add_option(
         "--local-prompt-bytes", options.tokenizer.local_prompt_bytes,
         "Prompts up to this size are rendered and encoded in the gateway, by a copy of the "
         "tokenizer that it fetches from the service; larger ones, and such with a template "
         "of their own, in the service; 0: all of them")
      ->check(CLI::Range(0, 1 << 20))
      ->capture_default_str();
  app.add_option(
         "--prompt-cache-mib", options.tokenizer.prompt_cache_mib,
         "Memory for encoded parts of these prompts, which repeat from turn to turn; 0: off")
      ->check(CLI::Range(0, 1 << 20))
      ->capture_default_str();
  AddClientTlsFlags(app, "engine-", "engines and the tokenizer", options.instances.tls);
  app.add_option("--max-batch-size-for-instance", options.instances.max_batch_size_for_instance,
                 "Requests an instance runs at once; 0 = what it says itself")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--max-queue-size", options.instances.queue.max_queue_size,
                 "Requests that may wait for an instance; further ones get 429")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--queue-timeout", raw.queue_timeout, "Seconds a request may wait for an instance")
      ->check(Timeout())
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--no-instance-timeout", raw.no_instance_timeout,
                 "Seconds a request may wait while no instance serves")
      ->check(Timeout())
      ->capture_default_str();
  app.add_option("--failover-timeout", raw.failover_timeout,
                 "Seconds an answer that has lost its instance waits for another one, or for the "
                 "same one to come back")
      ->check(Timeout())
      ->capture_default_str();
  app.add_option("--stall-timeout", raw.stall_timeout,
                 "Seconds without progress after which an answer leaves its instance; more than "
                 "the longest step takes")
      ->check(Timeout())
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--breaker-failures", options.instances.breaker.failures,
                 "Failures in a row after which an instance gets no requests for a while")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
}

void AddPriorityFlag(CLI::App& app, absl::Duration& priority_ageing) {
  app.add_option_function<double>(
         "--priority-ageing",
         [&priority_ageing](const double& seconds) {
           priority_ageing = seconds == 0 ? absl::InfiniteDuration() : absl::Seconds(seconds);
         },
         "Seconds of waiting that are worth one class of priority; 0: priorities are strict")
      ->check(Timeout())
      ->default_str("60");
}

void AddModelFlags(CLI::App& app, GatewayOptions& options, RawFlags& raw) {
  app.add_option("--served-model-name", options.served_model_names,
                 "Name of the model in the API; repeatable, the first is the default");
  app.add_option("--max-model-len", options.max_model_len,
                 "Most tokens of prompt and answer; 0 = the engine's limit")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--max-input-len", options.max_input_len,
                 "Most tokens of a prompt; 0 = the engine's limit")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--max-tokens-overflow", raw.max_tokens_overflow,
                 "What to do with max_tokens that do not fit: clamp or reject")
      ->check(CLI::IsMember({"clamp", "reject"}))
      ->capture_default_str();
  app.add_option("--max-logprobs", options.max_logprobs,
                 "Most log-probabilities per token that a request may ask for")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_flag("--enable-reasoning,!--no-enable-reasoning", raw.enable_reasoning,
               "Split reasoning from content (default: on)");
  app.add_option("--reasoning-parser", options.reasoning_parser, "qwen3 or deepseek_r1")
      ->check(CLI::IsMember({"qwen3", "deepseek_r1"}))
      ->capture_default_str();
  app.add_flag("--enable-auto-tool-choice,!--no-enable-auto-tool-choice",
               raw.enable_auto_tool_choice, "Let the model call tools (default: on)");
  app.add_option("--tool-call-parser", options.tool_call_parser, "hermes or qwen3_coder")
      ->check(CLI::IsMember({"hermes", "qwen3_coder"}))
      ->capture_default_str();
  app.add_option("--output-whitespace", raw.output_whitespace,
                 "Line breaks around markup: clean removes them, verbatim keeps them")
      ->check(CLI::IsMember({"clean", "verbatim"}))
      ->capture_default_str();
  app.add_option("--max-stored-responses", options.max_stored_responses,
                 "Responses of /v1/responses that are kept in memory, for GET and "
                 "previous_response_id; 0: none")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--stored-responses-mib", options.stored_responses_mib,
                 "Memory for them; those not used for longest go first; 0: none are kept")
      ->check(CLI::Range(0, 1 << 20))
      ->capture_default_str();
  app.add_flag("--strict-params", options.strict_params,
               "Refuse requests with parameters that have no effect here, as the header "
               "x-strict-params: true does for one request");
  app.add_flag("--trust-request-chat-template", options.trust_request_chat_template,
               "Let a request bring its own chat_template, and with it a second or two of work");
  app.add_flag("--force-include-usage", options.force_include_usage,
               "Send the usage chunk on every stream");
}

void Apply(const RawFlags& raw, GatewayOptions& options) {
  options.instance_sources.dns_refresh = absl::Seconds(raw.dns_refresh);
  options.instances.queue.policy.kind = RoutingPolicyOf(raw.routing_policy);
  options.background_tasks = raw.background_tasks == "auto";
  options.instances.queue.queue_timeout = options.generation.moves.queue_timeout =
      absl::Seconds(raw.queue_timeout);
  options.instances.queue.no_instance_timeout = absl::Seconds(raw.no_instance_timeout);
  options.generation.moves.failover_timeout = absl::Seconds(raw.failover_timeout);
  options.generation.stall_timeout = absl::Seconds(raw.stall_timeout);
  options.http.header_timeout = options.management.header_timeout =
      absl::Seconds(raw.header_timeout);
  options.sse_keepalive =
      raw.sse_keepalive == 0 ? absl::InfiniteDuration() : absl::Seconds(raw.sse_keepalive);
  options.http.read_timeout = absl::Seconds(raw.read_timeout);
  options.http.write_timeout = absl::Seconds(raw.stream_write_timeout);
  options.http.keep_alive_timeout = absl::Seconds(raw.keep_alive_timeout);
  // Every generating request holds a connection; the margin is for everything else.
  options.http.max_connections =
      raw.max_connections > 0 ? raw.max_connections : options.max_concurrent_requests + 256;
  options.drain_timeout = absl::Seconds(raw.drain_timeout);
  options.max_tokens_overflow =
      raw.max_tokens_overflow == "clamp" ? MaxTokensOverflow::kClamp : MaxTokensOverflow::kReject;
  options.verbatim_whitespace = raw.output_whitespace == "verbatim";
  if (!raw.enable_reasoning) options.reasoning_parser.clear();
  if (!raw.enable_auto_tool_choice) options.tool_call_parser.clear();
}

}  // namespace

std::optional<int> ParseGatewayFlags(int argc, char** argv, GatewayFlags* flags) {
  FlagParser parser("vallm-gateway", "Serves the OpenAI API in front of engine instances.",
                    kExamples);
  RawFlags raw;
  AddServerFlags(parser.app(), flags->options, raw);
  AddRoutingFlags(parser.app(), flags->options, raw);
  AddPriorityFlag(parser.app(), flags->options.instances.queue.priority_ageing);
  AddModelFlags(parser.app(), flags->options, raw);
  parser.app().add_option("--log-dir", flags->log_dir, "Directory for the log; empty = stderr");
  if (const std::optional<int> exit_code = parser.Parse(argc, argv)) return exit_code;
  Apply(raw, flags->options);
  return std::nullopt;
}

}  // namespace vallm::gateway
