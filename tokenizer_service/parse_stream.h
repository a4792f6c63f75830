// The server side of Tokenizer.ParseStream: one answer, message by message.
#ifndef VALLM_TOKENIZER_SERVICE_PARSE_STREAM_H_
#define VALLM_TOKENIZER_SERVICE_PARSE_STREAM_H_

#include <grpcpp/support/server_callback.h>

#include "tokenizer_service/bpe/tokenizer.h"
#include "tokenizer_service/service_metrics.h"
#include "vallm/v1/tokenizer.pb.h"

namespace vallm::tokenizer {

// Serves one stream and deletes itself when it ends. `tokenizer` and `metrics` must outlive the
// server. Memory: the tools, the stop strings, and what the parser holds back, each within a limit
// beyond which the stream ends with INVALID_ARGUMENT or RESOURCE_EXHAUSTED.
// At any time one read or one write is in flight, never both: a message is answered before the next
// is read, so a client that does not read its answers stops its own stream and nothing piles up.
grpc::ServerBidiReactor<v1::ParseStreamRequest, v1::ParseEvents>* ServeParseStream(
    const Tokenizer& tokenizer, ServiceMetrics& metrics, grpc::CallbackServerContext* context);

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_PARSE_STREAM_H_
