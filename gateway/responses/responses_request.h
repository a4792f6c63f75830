// The body of POST /v1/responses as a chat request: what the Responses API calls its members,
// checked under these names and then read as if it had come to /v1/chat/completions. Members that
// this API does not have (seed, top_k, chat_template_kwargs, stop, …) mean what they mean there.
//
// Pure but for the store, which is read.
#ifndef VALLM_GATEWAY_RESPONSES_RESPONSES_REQUEST_H_
#define VALLM_GATEWAY_RESPONSES_RESPONSES_REQUEST_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "gateway/openai/chat_request.h"
#include "gateway/responses/response_store.h"

namespace vallm::gateway {

struct ResponsesRequest {
  ChatRequest chat;
  // What the response repeats of the request: members of a JSON object, without its braces.
  std::string settings;
  std::vector<ResponseItem> input;  // after that of the responses before, and what these said
  bool store = true;                // keep the response
  bool thought_as_summary = false;  // thoughts are in `summary` instead of `content`
};

// `previous_response_id` and references are looked up among what `owner` has in `store`.
// Errors: INVALID_ARGUMENT naming the field.
absl::StatusOr<ResponsesRequest> ParseResponsesRequest(std::string_view body,
                                                       const ChatRequestRules& rules,
                                                       ResponseStore& store,
                                                       const std::string& owner);

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_RESPONSES_RESPONSES_REQUEST_H_
