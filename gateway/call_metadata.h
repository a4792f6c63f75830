// What a request's calls to the services carry beside their message.
#ifndef VALLM_GATEWAY_CALL_METADATA_H_
#define VALLM_GATEWAY_CALL_METADATA_H_

#include <grpcpp/client_context.h>

#include <string>

#include "gateway/request_id.h"

namespace vallm::gateway {

// Calls `add(name, value)` with x-request-id, traceparent and tracestate, as far as there are any.
template <typename Add>
void ForEachMetadata(const RequestId& request, const Add& add) {
  if (!request.empty()) add("x-request-id", request.id);
  if (!request.trace.traceparent.empty()) add("traceparent", request.trace.traceparent);
  if (!request.trace.tracestate.empty()) add("tracestate", request.trace.tracestate);
}

inline void AddMetadata(const RequestId& request, grpc::ClientContext& context) {
  ForEachMetadata(request, [&context](const char* name, const std::string& value) {
    context.AddMetadata(name, value);
  });
}

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_CALL_METADATA_H_
