// Serves one page on this machine, made anew for every request.
#ifndef VALLM_TOOLS_REPORT_PAGE_SERVER_H_
#define VALLM_TOOLS_REPORT_PAGE_SERVER_H_

#include <functional>
#include <string>

#include "absl/status/statusor.h"

namespace vallm::tools {

// Serves GET / on `host`:`port` (0: a free one) until SIGINT or SIGTERM; calls `ready` with the
// port once it listens. Errors: UNAVAILABLE when it cannot.
absl::Status ServePage(const std::string& host, int port,
                       const std::function<absl::StatusOr<std::string>()>& page,
                       const std::function<void(int port)>& ready);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_REPORT_PAGE_SERVER_H_
