// vallm.v1 messages ⇄ the engine's own types. The only file that copies fields between the two.
#ifndef VALLM_ENGINE_SERVICE_CONVERT_H_
#define VALLM_ENGINE_SERVICE_CONVERT_H_

#include "absl/status/statusor.h"
#include "engine_service/engine.h"
#include "engine_service/engine_setup.h"
#include "engine_service/request.h"
#include "tokenizer_service/bpe/tokenizer.h"
#include "vallm/v1/engine.pb.h"

namespace vallm::engine {

// Values are not checked here but by the engine, presence is. `tokenizer` encodes `text` prompts
// and may be null: they are refused then. Errors: INVALID_ARGUMENT (no prompt, empty or malformed
// text, an eos_mode that we do not know), UNIMPLEMENTED (text without a tokenizer).
absl::StatusOr<GenerationRequest> FromProto(const v1::GenerateRequest& request,
                                            const tokenizer::Tokenizer* tokenizer);

v1::FinishReason ToProto(FinishReason reason);
v1::Usage ToProto(const Usage& usage);
v1::ModelInfo ToProto(const ModelInfo& info);
v1::Load ToProto(const EngineLoad& load);

// Appends tokens to a chunk or a response.
void AppendTokens(const TokenBatch& tokens, v1::GenerateChunk& to);
void AppendTokens(const TokenBatch& tokens, v1::GenerateResponse& to);
// The end of a request. REQUIRES: completion.status is OK.
void SetCompletion(const Completion& completion, v1::GenerateChunk& to);
void SetCompletion(const Completion& completion, v1::GenerateResponse& to);

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_CONVERT_H_
