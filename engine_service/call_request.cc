#include "engine_service/call_request.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "engine_service/convert.h"
#include "engine_service/engine.h"

namespace vallm::engine {

std::string RequestIdOf(const v1::GenerateRequest& request) {
  if (!request.request_id().empty()) return request.request_id();
  return absl::StrCat("engine-", absl::Hex(static_cast<uint64_t>(Engine::DrawSeed())));
}

std::string LogName(const std::string& request_id, absl::string_view client_request_id) {
  constexpr size_t kMaxShown = 128;
  if (client_request_id.empty() || client_request_id == request_id) return request_id;
  return absl::StrCat(request_id, " (", absl::CHexEscape(client_request_id.substr(0, kMaxShown)),
                      ")");
}

absl::StatusOr<GenerationRequest> ReadRequest(const v1::GenerateRequest& proto,
                                              const tokenizer::Tokenizer* tokenizer,
                                              const std::string& request_id, absl::Time deadline) {
  auto request = FromProto(proto, tokenizer);
  if (!request.ok()) return request;
  request->request_id = request_id;
  request->deadline = deadline;
  // Drawn here, as the first chunk says it and may leave before Submit returns.
  if (!request->sampling.seed.has_value()) request->sampling.seed = Engine::DrawSeed();
  return request;
}

}  // namespace vallm::engine
