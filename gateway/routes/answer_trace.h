// Tells the request log how far an answer has got. Used by the thread of the request.
#ifndef VALLM_GATEWAY_ROUTES_ANSWER_TRACE_H_
#define VALLM_GATEWAY_ROUTES_ANSWER_TRACE_H_

#include <memory>
#include <string>

#include "gateway/admin/request_log.h"
#include "gateway/generation/generation.h"
#include "gateway/openai/answer_encoder.h"

namespace vallm::gateway {

class AnswerTrace {
 public:
  // The prompt of `header` has just become tokens. `trace` may be null.
  AnswerTrace(std::shared_ptr<RequestTrace> trace, const AnswerHeader& header, bool streamed);

  // Cheap if nothing is new.
  void Report(const GenerationStats& stats);
  // The generation is over, with these tokens in all.
  void Conclude(const GenerationStats& stats, const TokenUsage& usage,
                const std::string& finish_reason);

 private:
  void Follow(const GenerationStats& stats);

  const std::shared_ptr<RequestTrace> trace_;
  RequestProgress progress_;
};

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_ROUTES_ANSWER_TRACE_H_
