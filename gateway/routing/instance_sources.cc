#include "gateway/routing/instance_sources.h"

#include <glog/logging.h>

#include <utility>
#include <vector>

#include "common/status_macros.h"
#include "gateway/routing/dns_lookup.h"
#include "gateway/routing/instance_address.h"
#include "gateway/routing/instances_file.h"

namespace vallm::gateway {
namespace {

constexpr absl::Duration kFileInterval = absl::Seconds(1);

absl::Status FollowFile(InstancePool& pool, const std::string& path) {
  VALLM_ASSIGN_OR_RETURN(const std::vector<std::string> addresses, ReadInstancesFile(path));
  pool.SetAddresses(InstanceSource::kFile, addresses);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<InstanceSources>> InstanceSources::Start(
    InstancePool& pool, const InstanceSourceOptions& options) {
  auto sources = std::make_unique<InstanceSources>();
  if (!options.file.empty()) {
    // Watched before it is read, so that no change is missed.
    sources->file_ = std::make_unique<FileWatcher>(
        std::vector<std::string>{options.file}, kFileInterval, [&pool, path = options.file] {
          if (const absl::Status status = FollowFile(pool, path); !status.ok()) {
            LOG(WARNING) << status.message() << "; the instances stay as they are";
          }
        });
    VALLM_RETURN_IF_ERROR(FollowFile(pool, options.file));
  }
  if (!options.dns_name.empty()) {
    VALLM_ASSIGN_OR_RETURN(const HostAndPort name, ParseHostAndPort(options.dns_name));
    sources->dns_ = std::make_unique<AddressPoller>(
        options.dns_refresh, [name] { return LookUp(name); },
        [&pool, name](const std::vector<std::string>& addresses) {
          // Certificates have the name that was looked up, not the addresses of pods.
          pool.SetAddresses(InstanceSource::kDns, addresses, name.host);
        });
  }
  return sources;
}

}  // namespace vallm::gateway
