// A deployment on this machine: a directory with what was asked for, the logs, and the supervisor's
// lock and socket.
//
//   <root>/<name>/deployment.json   the flags and the ports (may hold keys: readable by the owner)
//                 admin-key         of the gateway's management port, for the commands
//                 instances.yaml    addresses that the gateway routes to
//                 supervisor.lock   held while a supervisor runs
//                 operation.lock    held while a command changes the deployment
//                 control.sock      control_socket.h
//                 logs/             llm_serve_<n>.log, gateway.log, tokenizer.log, supervisor.log
#ifndef VALLM_TOOLS_DEPLOY_DEPLOYMENT_H_
#define VALLM_TOOLS_DEPLOY_DEPLOYMENT_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace vallm::tools {

// Flags by long name without dashes, with their values in the order given.
using FlagValues = std::map<std::string, std::vector<std::string>>;

struct DeploymentRecord {
  std::string runtime;  // "host", "docker" or "k8s"
  FlagValues flags;
  // gRPC ports on 127.0.0.1 that the deployment has claimed; of runtime host.
  int tokenizer_port = 0;
  std::vector<int> engine_ports;
  // Of each instance's KV pool, where several share the machine's memory and no flag says how
  // much; 0: the engine decides. Kept, for what is free changes from minute to minute.
  int64_t kv_cache_bytes = 0;
};

class Deployment {
 public:
  // Where deployments are kept: `state_dir`, or vallm/deploy in the directory of state_dir.h.
  // Errors: FAILED_PRECONDITION when it cannot be made.
  static absl::StatusOr<std::string> Root(const std::string& state_dir);

  // The deployment of that name; nothing is made. Errors: INVALID_ARGUMENT for a name that cannot
  // be a directory's.
  static absl::StatusOr<Deployment> At(const std::string& root, const std::string& name);

  // Names of the deployments that have a record, in order.
  static std::vector<std::string> List(const std::string& root);

  // The one that a command is about: `name`, or the only one there is. Errors: NOT_FOUND (none),
  // INVALID_ARGUMENT (several, and no name).
  static absl::StatusOr<Deployment> Choose(const std::string& root, const std::string& name);

  const std::string& name() const { return name_; }
  const std::string& directory() const { return directory_; }
  std::string File(const std::string& leaf) const { return directory_ + "/" + leaf; }

  // Makes the directory (0700). Errors: FAILED_PRECONDITION.
  absl::Status Make() const;
  // Errors: NOT_FOUND, INVALID_ARGUMENT (not a record of this version).
  absl::StatusOr<DeploymentRecord> Read() const;
  // Replaces the record in one step. Errors: FAILED_PRECONDITION.
  absl::Status Write(const DeploymentRecord& record) const;
  // The key of the management port; made when there is none yet. Errors: FAILED_PRECONDITION.
  absl::StatusOr<std::string> AdminKey() const;
  // What the gateway reads with --instances-file, replaced in one step. Errors:
  // FAILED_PRECONDITION.
  absl::Status WriteInstances(const std::vector<std::string>& addresses) const;

  bool HasSupervisor() const;

 private:
  Deployment(std::string name, std::string directory)
      : name_(std::move(name)), directory_(std::move(directory)) {}

  std::string name_;
  std::string directory_;
};

// A file lock that ends with the object, or with the process.
class FileLock {
 public:
  // Errors: ALREADY_EXISTS when another process holds it, FAILED_PRECONDITION.
  static absl::StatusOr<std::unique_ptr<FileLock>> Take(const std::string& path);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  explicit FileLock(int fd) : fd_(fd) {}
  const int fd_;
};

// What has changed from one set of flags to another, a line each: "max-model-len: 32768 -> 65536".
// Keys are not shown.
std::vector<std::string> DescribeChanges(const FlagValues& before, const FlagValues& after);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_DEPLOY_DEPLOYMENT_H_
