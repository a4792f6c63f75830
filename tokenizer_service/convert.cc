#include "tokenizer_service/convert.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace vallm::tokenizer {
namespace {

constexpr int kMaxStopStrings = 32;
constexpr size_t kMaxStopBytes = 16 << 10;

absl::Status UnknownEnum(const std::string& field, int value) {
  return absl::InvalidArgumentError(
      absl::StrCat(field, ": ", value, " is not a value this server knows"));
}

v1::TokenRole ToProto(TokenRole role) {
  switch (role) {
    case TokenRole::kReasoning:
      return v1::TOKEN_ROLE_REASONING;
    case TokenRole::kContent:
      return v1::TOKEN_ROLE_CONTENT;
    case TokenRole::kToolCall:
      return v1::TOKEN_ROLE_TOOL_CALL;
    case TokenRole::kHidden:
      return v1::TOKEN_ROLE_HIDDEN;
    case TokenRole::kSilent:
      return v1::TOKEN_ROLE_SILENT;
    case TokenRole::kStop:
      return v1::TOKEN_ROLE_STOP;
  }
  return v1::TOKEN_ROLE_UNSPECIFIED;
}

void AddTokenRuns(std::span<const TokenRun> runs,
                  google::protobuf::RepeatedPtrField<v1::TokenRun>* out) {
  for (const TokenRun& run : runs) {
    v1::TokenRun* proto = out->Add();
    proto->set_role(ToProto(run.role));
    proto->set_token_count(run.count);
  }
}

v1::ParseEvent ToProto(const Event& event, int64_t reasoning_token_count) {
  v1::ParseEvent proto;
  switch (event.kind) {
    case Event::Kind::kReasoning:
      proto.set_reasoning(event.text);
      break;
    case Event::Kind::kContent:
      proto.set_content(event.text);
      break;
    case Event::Kind::kToolCallStart:
      proto.mutable_tool_call_start()->set_index(event.index);
      proto.mutable_tool_call_start()->set_name(event.text);
      break;
    case Event::Kind::kToolArguments:
      proto.mutable_tool_call_arguments()->set_index(event.index);
      proto.mutable_tool_call_arguments()->set_text(event.text);
      break;
    case Event::Kind::kStop:
      proto.mutable_stop_hit()->set_stop(event.text);
      break;
    case Event::Kind::kFinish:
      proto.mutable_finish()->set_finish_reason(event.text);
      proto.mutable_finish()->set_reasoning_token_count(reasoning_token_count);
      break;
  }
  AddTokenRuns(event.tokens, proto.mutable_token_runs());
  return proto;
}

template <typename Request>
absl::StatusOr<ServedModel::Conversation> ConversationOf(const Request& request) {
  ServedModel::Conversation conversation;
  if (request.messages_json().empty()) {
    return absl::InvalidArgumentError("messages_json: is required");
  }
  conversation.messages_json = request.messages_json();
  conversation.tools_json = request.tools_json();
  conversation.kwargs_json = request.template_kwargs_json();
  conversation.chat_template = request.chat_template();
  switch (request.prompt_end()) {
    case v1::PROMPT_END_UNSPECIFIED:
    case v1::PROMPT_END_ADD_GENERATION_PROMPT:
      return conversation;
    case v1::PROMPT_END_CONTINUE_FINAL_MESSAGE:
      conversation.add_generation_prompt = false;
      conversation.continue_final_message = true;
      return conversation;
    case v1::PROMPT_END_AS_IS:
      conversation.add_generation_prompt = false;
      return conversation;
    default:
      return UnknownEnum("prompt_end", request.prompt_end());
  }
}

}  // namespace

absl::StatusOr<EncodeOptions> EncodeOptionsFromProto(const v1::EncodeRequest& request) {
  if (request.texts().empty()) return absl::InvalidArgumentError("texts: at least one is needed");
  switch (request.special_tokens()) {
    case v1::SPECIAL_TOKENS_MODE_UNSPECIFIED:
    case v1::SPECIAL_TOKENS_MODE_PARSE:
      return EncodeOptions{.parse_special_tokens = true};
    case v1::SPECIAL_TOKENS_MODE_LITERAL:
      return EncodeOptions{.parse_special_tokens = false};
    default:
      return UnknownEnum("special_tokens", request.special_tokens());
  }
}

absl::StatusOr<ServedModel::Conversation> ConversationFromProto(
    const v1::RenderChatRequest& request) {
  return ConversationOf(request);
}

absl::StatusOr<ServedModel::Conversation> ConversationFromProto(
    const v1::CountTokensRequest& request) {
  return ConversationOf(request);
}

absl::StatusOr<OutputOptions> OutputOptionsFromProto(const v1::ParseOptions& options) {
  OutputOptions out;
  out.reasoning_parser = options.reasoning_parser();
  out.tool_parser = options.tool_parser();
  out.tools_json = options.tools_json();
  out.tools_enabled = options.tools_enabled();
  switch (options.prompt_think_state()) {
    case v1::PROMPT_THINK_STATE_UNSPECIFIED:
    case v1::PROMPT_THINK_STATE_NONE:
      out.prompt_think_state = PromptThinkState::kNone;
      break;
    case v1::PROMPT_THINK_STATE_OPEN:
      out.prompt_think_state = PromptThinkState::kOpen;
      break;
    case v1::PROMPT_THINK_STATE_CLOSED:
      out.prompt_think_state = PromptThinkState::kClosed;
      break;
    case v1::PROMPT_THINK_STATE_UNAWARE:
      out.prompt_think_state = PromptThinkState::kUnaware;
      break;
    default:
      return UnknownEnum("prompt_think_state", options.prompt_think_state());
  }
  switch (options.output_whitespace()) {
    case v1::OUTPUT_WHITESPACE_UNSPECIFIED:
    case v1::OUTPUT_WHITESPACE_CLEAN:
      out.whitespace = Whitespace::kClean;
      break;
    case v1::OUTPUT_WHITESPACE_VERBATIM:
      out.whitespace = Whitespace::kVerbatim;
      break;
    default:
      return UnknownEnum("output_whitespace", options.output_whitespace());
  }
  if (options.stop_size() > kMaxStopStrings) {
    return absl::InvalidArgumentError(
        absl::StrCat("stop: has ", options.stop_size(), " strings; limit is ", kMaxStopStrings));
  }
  size_t stop_bytes = 0;
  for (const std::string& stop : options.stop()) stop_bytes += stop.size();
  if (stop_bytes > kMaxStopBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("stop: has ", stop_bytes, " bytes in all; limit is ", kMaxStopBytes));
  }
  out.stop.assign(options.stop().begin(), options.stop().end());
  out.include_stop_str_in_output = options.include_stop_str_in_output();
  if (options.min_tokens() < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("min_tokens: is ", options.min_tokens(), "; it must be at least 0"));
  }
  out.min_tokens = options.min_tokens();
  if (options.has_skip_special_tokens()) out.skip_special_tokens = options.skip_special_tokens();
  if (options.has_parallel_tool_calls()) out.parallel_tool_calls = options.parallel_tool_calls();
  return out;
}

absl::Status CheckFinishReason(const std::string& reason, const std::string& field) {
  if (reason == "stop" || reason == "length") return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(field, ": \"", reason, "\" is neither \"stop\" nor \"length\""));
}

std::span<const int32_t> TokenIdsOf(const v1::TokenSequence& sequence) {
  return {sequence.token_ids().data(), static_cast<size_t>(sequence.token_ids_size())};
}

ModelFiles ModelFilesFromProto(v1::ModelFiles proto) {
  ModelFiles files;
  files.model_dir = std::move(*proto.mutable_model_path());
  files.tokenizer_json = std::move(*proto.mutable_tokenizer_json());
  files.templates.origin = files.model_dir;
  if (proto.has_chat_template()) files.templates.chat = proto.chat_template();
  if (proto.has_tool_use_template()) files.templates.tool_use = proto.tool_use_template();
  for (const v1::NamedToken& token : proto.special_tokens()) {
    files.templates.special_tokens.emplace_back(token.name(), token.text());
  }
  files.default_kwargs_json = std::move(*proto.mutable_default_template_kwargs_json());
  files.time_zone = std::move(*proto.mutable_time_zone());
  return files;
}

void ModelFilesToProto(ModelFiles files, v1::ModelFiles* proto) {
  proto->set_model_path(std::move(files.model_dir));
  proto->set_tokenizer_json(std::move(files.tokenizer_json));
  if (files.templates.chat) proto->set_chat_template(*std::move(files.templates.chat));
  if (files.templates.tool_use) proto->set_tool_use_template(*std::move(files.templates.tool_use));
  for (auto& [name, text] : files.templates.special_tokens) {
    v1::NamedToken* token = proto->add_special_tokens();
    token->set_name(std::move(name));
    token->set_text(std::move(text));
  }
  proto->set_default_template_kwargs_json(std::move(files.default_kwargs_json));
  proto->set_time_zone(std::move(files.time_zone));
}

void SetTokenIds(std::span<const int32_t> ids, v1::TokenSequence* sequence) {
  sequence->mutable_token_ids()->Assign(ids.begin(), ids.end());
}

v1::PromptThinkState ThinkStateToProto(PromptThinkState state) {
  switch (state) {
    case PromptThinkState::kNone:
      return v1::PROMPT_THINK_STATE_NONE;
    case PromptThinkState::kOpen:
      return v1::PROMPT_THINK_STATE_OPEN;
    case PromptThinkState::kClosed:
      return v1::PROMPT_THINK_STATE_CLOSED;
    case PromptThinkState::kUnaware:
      return v1::PROMPT_THINK_STATE_UNAWARE;
  }
  return v1::PROMPT_THINK_STATE_UNSPECIFIED;
}

void AppendEvents(std::span<const Event> events, int64_t reasoning_token_count,
                  v1::ParseEvents* out) {
  for (const Event& event : events) *out->add_events() = ToProto(event, reasoning_token_count);
}

void SetParsedOutput(std::span<const Event> events, int64_t reasoning_token_count,
                     v1::ParseResponse* response) {
  const ParsedOutput output = Fold(events);
  std::vector<TokenRun> runs;
  for (const Event& event : events) AppendTokenRuns(event.tokens, &runs);
  AddTokenRuns(runs, response->mutable_token_runs());
  response->set_reasoning(output.reasoning);
  response->set_content(output.content);
  for (const ParsedOutput::ToolCall& call : output.tool_calls) {
    v1::ToolCall* proto = response->add_tool_calls();
    proto->set_name(call.name);
    proto->set_arguments(call.arguments);
  }
  response->set_finish_reason(output.finish_reason);
  response->set_reasoning_token_count(reasoning_token_count);
  if (!output.stop.empty()) response->set_stop_hit(output.stop);
}

}  // namespace vallm::tokenizer
