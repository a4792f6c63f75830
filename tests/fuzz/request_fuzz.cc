// libFuzzer: bodies of chats, completions and Anthropic's messages, from bytes to the checked
// request. The first byte of the input picks the API; the rest is the body.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "gateway/anthropic/errors.h"
#include "gateway/anthropic/messages_request.h"
#include "gateway/openai/chat_request.h"
#include "gateway/openai/completion_request.h"
#include "gateway/openai/errors.h"
#include "nlohmann/json.hpp"
#include "tests/fuzz/json_mutator.h"
#include "tests/fuzz/require.h"

namespace vallm::gateway {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kMaxLogprobs = 20;
constexpr ChatRequestRules kRules = {.auto_tool_choice = true,
                                     .forced_tool_choice = true,
                                     .max_logprobs = kMaxLogprobs,
                                     .request_chat_template = true};
constexpr char kUnknown[] = "unknown_member";

constexpr std::string_view kWords[] = {
    R"("messages")",
    R"("prompt")",
    R"("role")",
    R"("content")",
    R"("system")",
    R"("user")",
    R"("assistant")",
    R"("tool")",
    R"("developer")",
    R"("text")",
    R"("type")",
    R"("tool_calls")",
    R"("function")",
    R"("name")",
    R"("arguments")",
    R"("tools")",
    R"("tool_choice")",
    R"("allowed_tools")",
    R"("required")",
    R"("auto")",
    R"("none")",
    R"("mode")",
    R"("max_tokens")",
    R"("max_completion_tokens")",
    R"("min_tokens")",
    R"("temperature")",
    R"("top_p")",
    R"("top_k")",
    R"("n")",
    R"("best_of")",
    R"("stop")",
    R"("stop_token_ids")",
    R"("logprobs")",
    R"("top_logprobs")",
    R"("prompt_logprobs")",
    R"("logit_bias")",
    R"("bad_words")",
    R"("allowed_token_ids")",
    R"("response_format")",
    R"("json_schema")",
    R"("schema")",
    R"("structured_outputs")",
    R"("regex")",
    R"("choice")",
    R"("grammar")",
    R"("guided_json")",
    R"("stream")",
    R"("stream_options")",
    R"("include_usage")",
    R"("thinking")",
    R"("budget_tokens")",
    R"("enabled")",
    R"("disabled")",
    R"("reasoning")",
    R"("effort")",
    R"("reasoning_effort")",
    R"("enable_thinking")",
    R"("chat_template_kwargs")",
    R"("thinking_token_budget")",
    R"("thinking_budget")",
    R"("truncate_prompt_tokens")",
    R"("truncation_side")",
    R"("return_token_ids")",
    R"("include_reasoning")",
    R"("separate_reasoning")",
    R"("continue_final_message")",
    R"("add_generation_prompt")",
    R"("input_schema")",
    R"("tool_use")",
    R"("tool_result")",
    R"("tool_use_id")",
    R"("input")",
    R"("stop_sequences")",
    R"("output_format")",
    R"("output_config")",
    R"("cache_salt")",
    R"("priority")",
    R"("seed")",
    R"("echo")",
    R"("unknown_member")",
    R"("hi /no_think")",
    R"("/think")",
    "-1",
    "0",
    "1",
    "1.5",
    "2147483648",
    "9223372036854775807",
    "18446744073709551615",
    "1e308",
    R"({"role":"user","content":"hi"})",
    R"([{"type":"text","text":"a"}])",
    R"({"type":"function","function":{"name":"f","parameters":{"type":"object"}}})",
    R"({"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{"function":{"name":"f"}}]}})",
    R"({"type":"json_schema","json_schema":{"schema":{"type":"null"}}})"};

// What a request says, as one value that can be compared.
std::string Summary(const GenerationParams& p) {
  Json all = {p.model,
              p.logit_bias,
              p.bad_words,
              p.max_tokens.value_or(-1),
              p.stop,
              p.include_stop_str_in_output,
              p.stop_token_ids,
              p.min_tokens,
              p.ignore_eos,
              p.skip_special_tokens,
              p.n,
              p.best_of,
              p.top_logprobs.value_or(-1),
              p.prompt_logprobs.value_or(-1),
              p.cache_salt,
              p.priority,
              p.prompt_lookup_num_tokens.value_or(-1),
              p.truncate_prompt_tokens.value_or(0),
              p.truncate_right,
              p.return_token_ids,
              p.return_prompt_text,
              p.include_metrics,
              p.include_reasoning,
              p.separate_reasoning,
              p.stream_reasoning,
              p.stream,
              p.include_usage,
              p.continuous_usage_stats,
              p.ignored,
              p.thinking.enabled.has_value(),
              p.thinking.enabled.value_or(false),
              p.thinking.token_budget.value_or(-1),
              p.thinking.budget_param};
  const auto add = [&all](const auto& value) { all.push_back(value ? Json(*value) : Json()); };
  add(p.temperature);
  add(p.top_p);
  add(p.top_k);
  add(p.seed);
  add(p.min_p);
  add(p.repetition_penalty);
  add(p.presence_penalty);
  add(p.frequency_penalty);
  add(p.allowed_token_ids);
  if (p.constraint) {
    all.push_back({p.constraint->kind, p.constraint->text, p.constraint->choices,
                   p.constraint->tools, p.constraint->tool_name, p.constraint->single_call,
                   p.constraint->param});
  }
  return all.dump();
}

std::string Summary(const ChatRequest& r) {
  return Json({Summary(r.params), r.messages_json, r.tools_json, r.template_kwargs_json,
               r.chat_template, r.add_generation_prompt, r.continue_final_message,
               r.parallel_tool_calls})
      .dump();
}

std::string Summary(const CompletionRequest& r) {
  Json all = {Summary(r.params), r.echo};
  for (const PromptInput& prompt : r.prompts) {
    std::visit([&all](const auto& value) { all.push_back(value); }, prompt);
  }
  return all.dump();
}

void CheckError(const absl::Status& status) {
  Require(status.code() == absl::StatusCode::kInvalidArgument, "the request is at fault");
  Require(!status.message().empty(), "an error says what is wrong");
  const Json body = Json::parse(ErrorBody(status), nullptr, /*allow_exceptions=*/false);
  Require(body.is_object() && body["error"]["message"].is_string(), "an error is JSON");
  const Json& param = body["error"]["param"];
  Require(param.is_null() || !param.get<std::string>().empty(), "a parameter has a name");
  const Json other = Json::parse(MessagesErrorBody(status), nullptr, /*allow_exceptions=*/false);
  Require(other.is_object() && other["error"]["message"].is_string(), "the same for messages");
}

void CheckParams(const GenerationParams& p, const Json& body) {
  Require(p.n >= 1 && p.best_of >= p.n && p.best_of <= 128, "answers are within their bounds");
  Require(!p.temperature || (*p.temperature >= 0 && *p.temperature <= 2), "temperature");
  Require(!p.top_p || (*p.top_p > 0 && *p.top_p <= 1), "top_p");
  Require(!p.top_k || *p.top_k >= 0, "top_k");
  Require(!p.max_tokens || *p.max_tokens >= 1, "max_tokens");
  Require(p.min_tokens >= 0, "min_tokens");
  Require(p.top_logprobs.value_or(0) <= kMaxLogprobs, "top_logprobs");
  Require(p.prompt_logprobs.value_or(0) <= kMaxLogprobs, "prompt_logprobs");
  Require(!p.truncate_prompt_tokens || *p.truncate_prompt_tokens != 0, "truncate_prompt_tokens");
  Require(std::find(p.stop.begin(), p.stop.end(), "") == p.stop.end(), "no stop string is empty");
  const bool told = std::find(p.ignored.begin(), p.ignored.end(), kUnknown) != p.ignored.end();
  Require(told == body.contains(kUnknown), "what has no effect is named");
}

template <typename Parse>
void CheckApi(std::string_view text, Parse parse) {
  const auto request = parse(text);
  if (!request.ok()) return CheckError(request.status());
  const Json body = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  Require(body.is_object(), "what is accepted is a JSON object");
  CheckParams(request->params, body);
  const auto again = parse(body.dump());
  Require(again.ok() && Summary(*again) == Summary(*request), "written anew it means the same");
}

void CheckChat(std::string_view text) {
  const auto parse = [](std::string_view body) { return ParseChatRequest(body, kRules); };
  CheckApi(text, parse);
  const auto request = parse(text);
  if (!request.ok()) return;
  // The messages that the template gets are as good as those that came.
  Json body = Json::parse(text);
  body["messages"] = Json::parse(request->messages_json, nullptr, /*allow_exceptions=*/false);
  Require(body["messages"].is_array() && !body["messages"].empty(), "there are messages");
  const auto normal = parse(body.dump());
  Require(normal.ok() && Summary(*normal) == Summary(*request), "normal messages stay as they are");
  for (const std::string* json : {&request->tools_json, &request->template_kwargs_json}) {
    Require(json->empty() || Json::accept(*json), "tools and variables are JSON");
  }
}

void CheckMessages(std::string_view text) {
  CheckApi(text, [](std::string_view body) { return ParseMessagesRequest(body, kRules); });
  const auto counted = ParseCountTokensRequest(text, kRules);
  if (!counted.ok()) CheckError(counted.status());
  const auto request = ParseMessagesRequest(text, kRules);
  if (!request.ok()) return;
  Require(counted.ok() && Summary(*counted) == Summary(*request), "what can run can be counted");
}

void Check(uint8_t api, std::string_view text) {
  switch (api % 3) {
    case 0:
      return CheckChat(text);
    case 1:
      return CheckApi(
          text, [](std::string_view body) { return ParseCompletionRequest(body, kMaxLogprobs); });
    default:
      return CheckMessages(text);
  }
}

}  // namespace
}  // namespace vallm::gateway

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  vallm::gateway::Check(data[0], {reinterpret_cast<const char*>(data) + 1, size - 1});
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned int seed) {
  std::minstd_rand random(seed);
  std::string input(reinterpret_cast<const char*>(data), size);
  if (input.empty()) input.push_back(0);
  if (random() % 16 == 0) input[0] = static_cast<char>(random() % 3);
  const std::string_view body = std::string_view(input).substr(1);
  std::string changed = random() % 8 == 0
                            ? vallm::MutateBytes(body, body.size() + 64)
                            : vallm::MutateJson(body, vallm::gateway::kWords, random());
  if (changed.size() + 1 > max_size) changed.resize(max_size - 1);
  input.replace(1, std::string::npos, changed);
  std::copy(input.begin(), input.end(), data);
  return input.size();
}
