// The messages of tokenizer.proto to and from the types of the libraries. Every field is copied
// here and nowhere else; values out of range are refused here.
#ifndef VALLM_TOKENIZER_SERVICE_CONVERT_H_
#define VALLM_TOKENIZER_SERVICE_CONVERT_H_

#include <cstdint>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tokenizer_service/bpe/tokenizer.h"
#include "tokenizer_service/model_files.h"
#include "tokenizer_service/output/event.h"
#include "tokenizer_service/output/output_parser.h"
#include "tokenizer_service/output/prompt_think_state.h"
#include "tokenizer_service/served_model.h"
#include "vallm/v1/tokenizer.pb.h"

namespace vallm::tokenizer {

// From the wire. Errors: INVALID_ARGUMENT naming the field.
absl::StatusOr<EncodeOptions> EncodeOptionsFromProto(const v1::EncodeRequest& request);
absl::StatusOr<ServedModel::Conversation> ConversationFromProto(
    const v1::RenderChatRequest& request);
absl::StatusOr<ServedModel::Conversation> ConversationFromProto(
    const v1::CountTokensRequest& request);
absl::StatusOr<OutputOptions> OutputOptionsFromProto(const v1::ParseOptions& options);
// `field` names the field in the error; the reason must be "stop" or "length".
absl::Status CheckFinishReason(const std::string& reason, const std::string& field);
ModelFiles ModelFilesFromProto(v1::ModelFiles proto);
// Views the ids of `sequence`.
std::span<const int32_t> TokenIdsOf(const v1::TokenSequence& sequence);

// To the wire.
void SetTokenIds(std::span<const int32_t> ids, v1::TokenSequence* sequence);
v1::PromptThinkState ThinkStateToProto(PromptThinkState state);
void ModelFilesToProto(ModelFiles files, v1::ModelFiles* proto);
// `reasoning_token_count` goes with the finish event.
void AppendEvents(std::span<const Event> events, int64_t reasoning_token_count,
                  v1::ParseEvents* out);
// The fold of `events`, which are all of an answer.
void SetParsedOutput(std::span<const Event> events, int64_t reasoning_token_count,
                     v1::ParseResponse* response);

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_CONVERT_H_
