// Events to the JSON of the Responses API: response.created … response.completed, each with its
// sequence number, or one whole response.
#ifndef VALLM_GATEWAY_RESPONSES_RESPONSES_ENCODER_H_
#define VALLM_GATEWAY_RESPONSES_RESPONSES_ENCODER_H_

#include <functional>
#include <memory>
#include <string>

#include "gateway/openai/answer_encoder.h"
#include "gateway/responses/response_store.h"

namespace vallm::gateway {

// What a response is beside its answer.
struct ResponseFrame {
  std::string settings;             // ResponsesRequest's
  bool thought_as_summary = false;  // ResponsesRequest's
  // Called with the response once it is complete, before the client has seen its end; without its
  // input. Null: nobody wants it.
  std::function<void(StoredResponse)> keep = nullptr;
};

// REQUIRES for both: one choice.
std::unique_ptr<StreamEncoder> NewResponsesStreamEncoder(AnswerHeader header, ResponseFrame frame);
std::unique_ptr<WholeEncoder> NewResponsesWholeEncoder(AnswerHeader header, ResponseFrame frame);

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_RESPONSES_RESPONSES_ENCODER_H_
