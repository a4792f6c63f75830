// HTTP as the routes see it: plain values and one sink, independent of the server library.
//
// A request is handled on one thread, which may block. The values belong to that thread.
#ifndef VALLM_GATEWAY_HTTP_MESSAGE_H_
#define VALLM_GATEWAY_HTTP_MESSAGE_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "gateway/hangup_watch.h"
#include "gateway/http_headers.h"
#include "gateway/request_id.h"

namespace vallm::gateway {

class KeyLease;      // access/key_ring.h
class RequestTrace;  // admin/request_log.h

struct HttpRequest {
  std::string method;  // upper case
  std::string path;    // percent-decoded, without the query
  HttpQuery query;     // percent-decoded
  HttpHeaders headers;
  std::string body;
  std::string remote_address;
  // Set by the front door: names the request in logs, in responses and at the services.
  RequestId request_id;
  // Set by the front door: the key that the request came with; null where none is asked for.
  std::shared_ptr<KeyLease> key;
  // The same: what the request log is told about it; null where there is none.
  std::shared_ptr<RequestTrace> trace;
  // Whether the client has closed its side.
  std::function<bool()> client_gone = [] { return false; };
  // Tells by `callback` when it does; hangup_watch.h says how. The place must be given up with the
  // request, or with the body of its response. Null where nobody knows.
  std::function<std::unique_ptr<HangupWatch::Place>(std::function<void()> callback)>
      when_client_goes = [](const std::function<void()>&) { return nullptr; };
};

// Where a streamed body goes.
class BodySink {
 public:
  virtual ~BodySink() = default;
  // Sends `bytes`, blocking while the client reads slowly. False when the client is gone or has
  // read nothing for the write time-out: the stream is over then.
  virtual bool Write(std::string_view bytes) = 0;
  // Takes `bytes` without blocking and sends what can be sent at once. False when some are left, or
  // the client is gone: the next Write sends the rest first, or says so. For any thread while no
  // other one is in here.
  virtual bool TryWrite(std::string_view bytes) = 0;
};

// What the log line of a request says beside the obvious. Filled by the route until its body has
// been sent.
struct RequestRecord {
  int status = 0;  // when it is not the response's: 499, the client went; 5xx, failed mid-stream
  std::string detail;  // " key=value …"
};

struct HttpResponse {
  int status = 200;
  HttpHeaders headers;
  std::string content_type = "application/json";
  std::string body;
  // When set, writes the body after the headers have been sent, in the thread of the request.
  // `body` is ignored then.
  std::function<void(BodySink&)> stream;
  std::shared_ptr<RequestRecord> record;  // may be null
};

// What an HttpServer serves. Called from many threads at once.
class HttpService {
 public:
  virtual ~HttpService() = default;
  // Sees a request whose body has not been read yet. A response refuses it (unknown path, no key);
  // nullopt lets it come. May fill request.request_id.
  virtual std::optional<HttpResponse> Screen(HttpRequest& request) = 0;
  // Answers a request that passed Screen.
  virtual HttpResponse Handle(const HttpRequest& request) = 0;
  // The answer to what is not HTTP or breaks a limit of the server.
  virtual HttpResponse Malformed(int status) = 0;
};

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_HTTP_MESSAGE_H_
