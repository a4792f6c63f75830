// Runs a schedule of HTTP requests from one thread: epoll, connections kept, and a time stamp on
// everything that comes. The schedule is made before; nothing that the server does moves a time at
// which a request is due.
#ifndef VALLM_TOOLS_LOAD_CLIENT_LOAD_RUN_H_
#define VALLM_TOOLS_LOAD_CLIENT_LOAD_RUN_H_

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "tools/load_client/server_address.h"

namespace vallm::tools {

struct HttpCall {
  std::string method = "POST";
  std::string path;  // of the request line, with what ServerAddress.path has
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;  // JSON; Content-Type and Content-Length are added
};

struct LoadSchedule {
  // When each request is due, in seconds from the start, in order.
  std::vector<double> due_s;
  // Requests at a time; one that is due when all places are taken waits for one. 0: no limit.
  int concurrency = 0;
};

struct TlsCheck {
  bool verify = true;
  std::string ca_file;
};

// Is told what happens. Times are seconds from the start. Requests are numbered as in the schedule.
class LoadHandler {
 public:
  virtual ~LoadHandler() = default;

  // The request to send now.
  virtual HttpCall MakeCall(int index) = 0;
  // It goes out at `now`: later than it was due when all places were taken.
  virtual void OnSent(int index, double now) {}
  virtual void OnHead(int index, int status, const std::string& content_type) {}
  // A piece of the body that was received at `now`.
  virtual void OnBody(int index, std::string_view bytes, double now) = 0;
  // Once for each request, also without OnSent. Errors: UNAVAILABLE when there is no connection or
  // it breaks, DATA_LOSS when the answer is no HTTP, CANCELLED when the run was broken off.
  virtual void OnEnd(int index, const absl::Status& status, double now) = 0;
  // At least ten times a second. False breaks the run off.
  virtual bool OnTick(double now) { return true; }
};

// Runs all requests to their end; `handler` is called from within. A connection takes a new request
// when it is free, and another one is opened when none is. Errors: INVALID_ARGUMENT for a ca_file
// that cannot be used; what happens to requests is the handler's.
absl::Status RunLoad(const ServerAddress& server, const TlsCheck& tls, const LoadSchedule& schedule,
                     LoadHandler& handler);

// One request to its end, the body of its answer whole.
struct HttpAnswer {
  int status = 0;
  std::string body;
};
absl::StatusOr<HttpAnswer> CallOnce(const ServerAddress& server, const TlsCheck& tls,
                                    HttpCall call);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_LOAD_CLIENT_LOAD_RUN_H_
