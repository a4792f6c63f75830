#include "gateway/routes/parse.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status_macros.h"
#include "gateway/openai/chat_messages.h"
#include "gateway/openai/errors.h"
#include "gateway/openai/json_object.h"
#include "gateway/routes/ignored_params.h"
#include "nlohmann/json.hpp"
#include "tokenizer_service/output/output_parser.h"

namespace vallm::gateway {
namespace {

using Json = nlohmann::ordered_json;

using tokenizer::OutputOptions;
using tokenizer::OutputParser;
using tokenizer::ParsedOutput;
using tokenizer::PromptThinkState;

constexpr std::array<std::pair<const char*, PromptThinkState>, 4> kThinkStates = {{
    {"none", PromptThinkState::kNone},
    {"open", PromptThinkState::kOpen},
    {"closed", PromptThinkState::kClosed},
    {"unaware", PromptThinkState::kUnaware},
}};

absl::StatusOr<PromptThinkState> ReadThinkState(JsonObject& body) {
  VALLM_ASSIGN_OR_RETURN(const auto given, body.String("think_state"));
  for (const auto& [name, state] : kThinkStates) {
    if (given.value_or("unaware") == name) return state;
  }
  return InvalidParam("think_state", "'think_state' must be none, open, closed or unaware");
}

// The name of a parser, or the server's own.
absl::StatusOr<std::string> ReadParser(JsonObject& body, const char* name,
                                       const std::vector<std::string>& known,
                                       const std::string& by_default) {
  VALLM_ASSIGN_OR_RETURN(const auto given, body.String(name));
  const std::string parser = given.value_or(by_default);
  if (parser.empty() || std::find(known.begin(), known.end(), parser) != known.end()) return parser;
  return InvalidParam(
      name, absl::StrCat("'", name, "' must be empty or one of ", absl::StrJoin(known, ", ")));
}

absl::StatusOr<OutputOptions> ReadOptions(const GatewayOptions& server, JsonObject& body) {
  OutputOptions options;
  VALLM_ASSIGN_OR_RETURN(options.reasoning_parser,
                         ReadParser(body, "reasoning_parser", tokenizer::ReasoningParserNames(),
                                    server.reasoning_parser));
  VALLM_ASSIGN_OR_RETURN(
      options.tool_parser,
      ReadParser(body, "tool_call_parser", tokenizer::ToolParserNames(), server.tool_call_parser));
  if (const Json* tools = body.Find("tools")) {
    VALLM_RETURN_IF_ERROR(CheckTools(*tools));
    options.tools_enabled = !tools->empty();
    options.tools_json = tools->dump();
  }
  VALLM_ASSIGN_OR_RETURN(options.prompt_think_state, ReadThinkState(body));
  VALLM_ASSIGN_OR_RETURN(options.stop, body.Strings("stop"));
  if (std::find(options.stop.begin(), options.stop.end(), "") != options.stop.end()) {
    return InvalidParam("stop", "'stop' contains an empty string");
  }
  VALLM_ASSIGN_OR_RETURN(const auto include_stop, body.Bool("include_stop_str_in_output"));
  options.include_stop_str_in_output = include_stop.value_or(false);
  VALLM_ASSIGN_OR_RETURN(const auto skip_special, body.Bool("skip_special_tokens"));
  options.skip_special_tokens = skip_special.value_or(true);
  VALLM_ASSIGN_OR_RETURN(const auto parallel, body.Bool("parallel_tool_calls"));
  options.parallel_tool_calls = parallel.value_or(true);
  if (server.verbatim_whitespace) options.whitespace = tokenizer::Whitespace::kVerbatim;
  return options;
}

// What is to be parsed.
struct Output {
  std::optional<std::string> text;
  std::vector<int32_t> tokens;  // without text
  std::string finish_reason;
};

absl::StatusOr<Output> ReadOutput(JsonObject& body) {
  Output output;
  VALLM_ASSIGN_OR_RETURN(output.text, body.String("text"));
  VALLM_ASSIGN_OR_RETURN(output.tokens, body.TokenIds("tokens"));
  if (output.text.has_value() == (body.Find("tokens") != nullptr)) {
    return InvalidParam("text", "either 'text' or 'tokens' is required, not both");
  }
  VALLM_ASSIGN_OR_RETURN(const auto reason, body.String("finish_reason"));
  output.finish_reason = reason.value_or("stop");
  if (output.finish_reason != "stop" && output.finish_reason != "length") {
    return InvalidParam("finish_reason", "'finish_reason' must be stop or length");
  }
  return output;
}

Json OrNull(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

Json BodyOf(const ParsedOutput& parsed, int64_t reasoning_tokens) {
  Json message = {
      {"role", "assistant"},
      {"content", parsed.tool_calls.empty() ? Json(parsed.content) : OrNull(parsed.content)},
      {"reasoning_content", OrNull(parsed.reasoning)},
      {"reasoning", OrNull(parsed.reasoning)}};
  for (const ParsedOutput::ToolCall& call : parsed.tool_calls) {
    message["tool_calls"].push_back(
        {{"type", "function"}, {"function", {{"name", call.name}, {"arguments", call.arguments}}}});
  }
  return {{"message", std::move(message)},
          {"finish_reason", parsed.finish_reason},
          {"stop_reason", OrNull(parsed.stop)},
          {"reasoning_tokens", reasoning_tokens}};
}

absl::StatusOr<HttpResponse> Parse(GatewayContext& context, const HttpRequest& request) {
  VALLM_ASSIGN_OR_RETURN(const Json json, ParseJsonObject(request.body));
  JsonObject body(json, "");
  VALLM_ASSIGN_OR_RETURN(const auto model, body.String("model"));
  VALLM_RETURN_IF_ERROR(context.GetServedModel(model.value_or("")).status());
  VALLM_ASSIGN_OR_RETURN(OutputOptions options, ReadOptions(context.options, body));
  VALLM_ASSIGN_OR_RETURN(const Output output, ReadOutput(body));
  const std::vector<std::string> ignored = body.Unread();
  VALLM_RETURN_IF_ERROR(CheckIgnored(context.options, request, ignored));
  VALLM_ASSIGN_OR_RETURN(const auto table, context.tokenizer.GetTokenTable(request.request_id));
  VALLM_ASSIGN_OR_RETURN(const auto parser, OutputParser::Create(table.get(), std::move(options)));
  std::vector<tokenizer::Event> events;
  if (output.text.has_value()) {
    parser->FeedText(*output.text, &events);
  } else {
    parser->FeedTokens(output.tokens, &events);
  }
  parser->Finish(output.finish_reason, &events);
  HttpResponse response;
  response.body = BodyOf(tokenizer::Fold(events), parser->reasoning_token_count()).dump();
  AddIgnoredHeader(ignored, &response.headers);
  return response;
}

}  // namespace

HttpResponse ParseOutput(GatewayContext& context, const HttpRequest& request) {
  auto response = Parse(context, request);
  return response.ok() ? *std::move(response) : ErrorResponse(response.status());
}

}  // namespace vallm::gateway
