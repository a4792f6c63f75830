#include "gateway/routing/instances_file.h"

#include <yaml-cpp/yaml.h>

#include "absl/strings/str_cat.h"
#include "common/file_watcher.h"
#include "common/status_macros.h"
#include "gateway/routing/instance_address.h"

namespace vallm::gateway {
namespace {

absl::StatusOr<std::string> AddressOf(const YAML::Node& entry) {
  if (entry.IsScalar()) return entry.as<std::string>();
  if (!entry.IsMap()) return absl::InvalidArgumentError("must be an address or a map");
  const YAML::Node address = entry["address"];
  if (!address || !address.IsScalar()) return absl::InvalidArgumentError("has no address");
  if (entry.size() > 1) return absl::InvalidArgumentError("has more than an address");
  return address.as<std::string>();
}

// May throw YAML::Exception.
absl::StatusOr<std::vector<std::string>> ReadList(const std::string& text) {
  const YAML::Node root = YAML::Load(text);
  if (!root.IsSequence()) {
    return absl::InvalidArgumentError("not a list of instances ([] is one without any)");
  }
  std::vector<std::string> addresses;
  for (size_t i = 0; i < root.size(); ++i) {
    absl::StatusOr<std::string> address = AddressOf(root[i]);
    absl::Status status = address.status();
    if (status.ok()) status = CheckInstanceAddress(*address);
    if (!status.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("entry ", i + 1, ": ", status.message()));
    }
    addresses.push_back(*std::move(address));
  }
  return addresses;
}

}  // namespace

absl::StatusOr<std::vector<std::string>> ParseInstances(const std::string& text) {
  try {
    return ReadList(text);
  } catch (const YAML::Exception& e) {
    return absl::InvalidArgumentError(absl::StrCat("not valid YAML: ", e.what()));
  }
}

absl::StatusOr<std::vector<std::string>> ReadInstancesFile(const std::string& path) {
  VALLM_ASSIGN_OR_RETURN(const std::string text, ReadFile("--instances-file", path));
  absl::StatusOr<std::vector<std::string>> addresses = ParseInstances(text);
  if (!addresses.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--instances-file: ", path, ": ", addresses.status().message()));
  }
  return addresses;
}

}  // namespace vallm::gateway
