// What names a request in logs, in answers and at the services: its id, and its place in a
// distributed trace (W3C Trace Context).
#ifndef VALLM_GATEWAY_REQUEST_ID_H_
#define VALLM_GATEWAY_REQUEST_ID_H_

#include <ostream>
#include <string>
#include <string_view>
#include <utility>

#include "gateway/http_headers.h"

namespace vallm::gateway {

// The headers "traceparent" and "tracestate"; empty: none.
struct TraceContext {
  std::string traceparent;
  std::string tracestate;

  // The 32 digits that all parts of the trace share.
  std::string_view trace_id() const {
    return traceparent.empty() ? std::string_view() : std::string_view(traceparent).substr(3, 32);
  }
};

// Our own part of the trace that `headers` name, with a new span; of a new trace if they name none
// or none that is valid.
TraceContext ContinueTrace(const HttpHeaders& headers);

// Used wherever only the id is wanted as well as what it was made from; where there is just an id,
// it has no trace.
struct RequestId {
  RequestId() = default;
  // NOLINTNEXTLINE(google-explicit-constructor): see above.
  RequestId(std::string request_id) : id(std::move(request_id)) {}
  // NOLINTNEXTLINE(google-explicit-constructor): see above.
  RequestId(const char* request_id) : id(request_id) {}
  // NOLINTNEXTLINE(google-explicit-constructor): see above.
  operator const std::string&() const { return id; }

  bool empty() const { return id.empty(); }

  std::string id;
  TraceContext trace;
};

inline std::ostream& operator<<(std::ostream& out, const RequestId& request) {
  return out << request.id;
}

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_REQUEST_ID_H_
