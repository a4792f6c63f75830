// What a request's calls to the services carry beside their message.
#ifndef VALLM_GATEWAY_CALL_METADATA_H_
#define VALLM_GATEWAY_CALL_METADATA_H_

#include <grpcpp/client_context.h>

#include "gateway/request_id.h"

namespace vallm::gateway {

// x-request-id, traceparent and tracestate, as far as there are any.
inline void AddMetadata(const RequestId& request, grpc::ClientContext& context) {
  if (!request.empty()) context.AddMetadata("x-request-id", request.id);
  if (!request.trace.traceparent.empty()) {
    context.AddMetadata("traceparent", request.trace.traceparent);
  }
  if (!request.trace.tracestate.empty())
    context.AddMetadata("tracestate", request.trace.tracestate);
}

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_CALL_METADATA_H_
