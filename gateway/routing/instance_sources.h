// Keeps a pool's instances what a file and DNS say, while it runs.
#ifndef VALLM_GATEWAY_ROUTING_INSTANCE_SOURCES_H_
#define VALLM_GATEWAY_ROUTING_INSTANCE_SOURCES_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/file_watcher.h"
#include "gateway/routing/address_poller.h"
#include "gateway/routing/instance_pool.h"

namespace vallm::gateway {

struct InstanceSourceOptions {
  std::string file;      // instances_file.h says what is in it; empty: none
  std::string dns_name;  // "name:port"; empty: none
  absl::Duration dns_refresh = absl::Seconds(5);
};

class InstanceSources {
 public:
  // The pool knows what the file says when it returns, and follows what changes later. `pool` must
  // outlive it. Errors: those of a file that cannot be read now, INVALID_ARGUMENT for no name.
  static absl::StatusOr<std::unique_ptr<InstanceSources>> Start(
      InstancePool& pool, const InstanceSourceOptions& options);

 private:
  std::unique_ptr<FileWatcher> file_;
  std::unique_ptr<AddressPoller> dns_;
};

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_ROUTING_INSTANCE_SOURCES_H_
