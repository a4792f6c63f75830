// The part that all generating endpoints share: runs a checked request and answers with a stream or
// a whole body.
#ifndef VALLM_GATEWAY_ROUTES_GENERATE_H_
#define VALLM_GATEWAY_ROUTES_GENERATE_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gateway/generation/generation.h"
#include "gateway/http_message.h"
#include "gateway/openai/answer_encoder.h"
#include "gateway/openai/errors.h"
#include "gateway/openai/generation_params.h"
#include "gateway/routes/context.h"

namespace vallm::gateway {

struct GenerationJob {
  GenerationParams params;
  ServedModel model;
  GenerationSpec spec;    // with prompts and their think states; the rest is filled here
  std::string id_prefix;  // "chatcmpl-" or "cmpl-"
  std::vector<std::string> echo_texts;    // AnswerHeader's
  std::vector<std::string> prompt_texts;  // likewise
  std::string prompt_param;               // what length errors name: "messages" or "prompt"
  std::function<std::unique_ptr<StreamEncoder>(AnswerHeader)> stream_encoder;
  std::function<std::unique_ptr<WholeEncoder>(AnswerHeader)> whole_encoder;
  HttpResponse (*error_response)(const absl::Status&) = ErrorResponse;
};

// `context` must outlive the response. `place` is held until the answer has ended.
HttpResponse RunGeneration(GatewayContext& context, const HttpRequest& request, GenerationJob job,
                           RequestGate::Place place);

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_ROUTES_GENERATE_H_
