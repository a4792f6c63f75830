// From a GenerateRequest on the wire to one that the engine can be given.
#ifndef VALLM_ENGINE_SERVICE_CALL_REQUEST_H_
#define VALLM_ENGINE_SERVICE_CALL_REQUEST_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "engine_service/request.h"
#include "tokenizer_service/bpe/tokenizer.h"
#include "vallm/v1/engine.pb.h"

namespace vallm::engine {

// The request's own id, or one made up.
std::string RequestIdOf(const v1::GenerateRequest& request);

// What the log calls the request: its id, and the one under which its client knows it (its
// x-request-id; may be empty), if that is another.
std::string LogName(const std::string& request_id, absl::string_view client_request_id);

// The engine's own types, with id, deadline and a seed in place. `tokenizer` may be null.
// Errors: those of FromProto.
absl::StatusOr<GenerationRequest> ReadRequest(const v1::GenerateRequest& proto,
                                              const tokenizer::Tokenizer* tokenizer,
                                              const std::string& request_id, absl::Time deadline);

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_CALL_REQUEST_H_
