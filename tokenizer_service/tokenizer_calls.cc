#include "tokenizer_service/tokenizer_calls.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/parallel.h"
#include "common/status_macros.h"
#include "tokenizer_service/convert.h"
#include "tokenizer_service/output/detokenizer.h"
#include "tokenizer_service/output/output_parser.h"

namespace vallm::tokenizer {

absl::Status TokenizerCalls::Encode(const v1::EncodeRequest& request, const Wanted& wanted,
                                    v1::EncodeResponse* response) const {
  VALLM_ASSIGN_OR_RETURN(const EncodeOptions options, EncodeOptionsFromProto(request));
  using Ids = absl::StatusOr<std::vector<int32_t>>;
  const auto count = static_cast<size_t>(request.texts_size());
  std::vector<Ids> sequences(count, Ids(std::vector<int32_t>()));
  const auto encode = [&](size_t i) {
    const absl::Status still_wanted = wanted();
    sequences[i] = still_wanted.ok()
                       ? model_.tokenizer().Encode(request.texts(static_cast<int>(i)), options)
                       : still_wanted;
  };
  const bool large = request.ByteSizeLong() > kSmallRequestBytes;
  ParallelFor(count, large ? encode_threads_ : 1, encode);
  for (size_t i = 0; i < count; ++i) {
    const Ids& ids = sequences[i];
    VALLM_RETURN_IF_ERROR(wanted());
    if (!ids.ok()) {
      return absl::Status(ids.status().code(),
                          absl::StrCat("texts[", i, "]: ", ids.status().message()));
    }
    SetTokenIds(*ids, response->add_sequences());
  }
  return absl::OkStatus();
}

absl::Status TokenizerCalls::Decode(const v1::DecodeRequest& request,
                                    v1::DecodeResponse* response) const {
  const std::vector<int32_t> ids(request.token_ids().begin(), request.token_ids().end());
  response->set_text(tokenizer::Decode(model_.tokenizer(), ids, request.skip_special_tokens()));
  return absl::OkStatus();
}

absl::Status TokenizerCalls::GetTokenBytes(const v1::GetTokenBytesRequest& request,
                                           v1::GetTokenBytesResponse* response) const {
  for (const int32_t id : request.token_ids()) {
    const std::string_view bytes = model_.tokenizer().TokenBytes(id);
    response->add_token_bytes(bytes.data(), bytes.size());
  }
  return absl::OkStatus();
}

absl::Status TokenizerCalls::RenderChat(const v1::RenderChatRequest& request, const Wanted& wanted,
                                        v1::RenderChatResponse* response) const {
  VALLM_ASSIGN_OR_RETURN(const auto conversation, ConversationFromProto(request));
  VALLM_ASSIGN_OR_RETURN(ServedModel::Prompt prompt,
                         model_.RenderChat(conversation, absl::Now(), wanted));
  response->mutable_token_ids()->Assign(prompt.token_ids.begin(), prompt.token_ids.end());
  response->set_prompt_think_state(ThinkStateToProto(prompt.think_state));
  if (request.return_text()) response->set_text(std::move(prompt.text));
  return absl::OkStatus();
}

absl::Status TokenizerCalls::CountTokens(const v1::CountTokensRequest& request,
                                         const Wanted& wanted,
                                         v1::CountTokensResponse* response) const {
  VALLM_ASSIGN_OR_RETURN(const auto conversation, ConversationFromProto(request));
  VALLM_ASSIGN_OR_RETURN(const ServedModel::Prompt prompt,
                         model_.RenderChat(conversation, absl::Now(), wanted));
  response->set_token_count(static_cast<int64_t>(prompt.token_ids.size()));
  return absl::OkStatus();
}

absl::Status TokenizerCalls::Parse(const v1::ParseRequest& request,
                                   v1::ParseResponse* response) const {
  VALLM_ASSIGN_OR_RETURN(OutputOptions options, OutputOptionsFromProto(request.options()));
  VALLM_RETURN_IF_ERROR(CheckFinishReason(request.engine_finish_reason(), "engine_finish_reason"));
  VALLM_ASSIGN_OR_RETURN(const auto parser,
                         OutputParser::Create(&model_.tokenizer(), std::move(options)));
  std::vector<Event> events;
  switch (request.output_case()) {
    case v1::ParseRequest::kTokens:
      parser->FeedTokens(TokenIdsOf(request.tokens()), &events);
      break;
    case v1::ParseRequest::kText:
      if (request.options().min_tokens() > 0) {
        return absl::InvalidArgumentError("options.min_tokens: text has no tokens to count");
      }
      parser->FeedText(request.text(), &events);
      break;
    case v1::ParseRequest::OUTPUT_NOT_SET:
      return absl::InvalidArgumentError("output: one of tokens and text is needed");
  }
  parser->Finish(request.engine_finish_reason(), &events);
  SetParsedOutput(events, parser->reasoning_token_count(), response);
  return absl::OkStatus();
}

v1::TokenizerInfo TokenizerCalls::GetInfo() const {
  v1::TokenizerInfo info;
  info.set_model_path(model_.model_dir());
  info.set_vocab_size(model_.tokenizer().vocab_size());
  info.set_has_chat_template(model_.has_chat_template());
  for (std::string& name : ReasoningParserNames()) info.add_reasoning_parsers(name);
  for (std::string& name : ToolParserNames()) info.add_tool_parsers(name);
  info.set_fingerprint(model_.fingerprint());
  info.set_files_fingerprint(model_.files_fingerprint());
  for (int32_t id = 0; id < model_.tokenizer().vocab_size(); ++id) {
    if (model_.tokenizer().IsSpecial(id)) info.add_special_token_ids(id);
  }
  return info;
}

}  // namespace vallm::tokenizer
