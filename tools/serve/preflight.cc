#include "tools/serve/preflight.h"

#include <unistd.h>

#include <filesystem>
#include <set>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "engine_service/device/create_device.h"
#include "engine_service/engine_setup.h"
#include "tools/serve/instance_cpus.h"
#include "tools/serve/ports.h"

namespace vallm::tools {
namespace {

namespace fs = std::filesystem;

absl::Status CheckReadable(const fs::path& file) {
  if (access(file.c_str(), R_OK) == 0 && !fs::is_directory(file)) return absl::OkStatus();
  return absl::NotFoundError(absl::StrCat("cannot read ", file.string()));
}

absl::StatusOr<std::string> FindBinary(const fs::path& folder, const char* name) {
  const fs::path path = folder / name;
  if (access(path.c_str(), X_OK) == 0) return path.string();
  return absl::FailedPreconditionError(absl::StrCat(
      path.string(), " is missing: build it, or install vallm's binaries in one directory"));
}

// Puts the flag in front of what is wrong with its value.
absl::Status NameFlag(const char* flag, const absl::Status& status) {
  if (status.ok()) return status;
  return absl::Status(status.code(),
                      absl::StrCat(flag, ": ", status.message(), "; choose another one"));
}

// Collects the ports in use by this command.
class PortPlan {
 public:
  explicit PortPlan(const std::set<int>& held) : held_(held) {}

  // Adds a port that was asked for.
  absl::Status Claim(const char* flag, const std::string& host, int port) {
    if (port > 65535) {
      return absl::InvalidArgumentError(
          absl::StrCat(flag, ": the last instance would need port ", port, "; the limit is 65535"));
    }
    if (!taken_.insert(port).second) {
      return absl::InvalidArgumentError(
          absl::StrCat(flag, ": port ", port, " is given twice; choose another one"));
    }
    if (held_.count(port) > 0) return absl::OkStatus();
    return NameFlag(flag, CheckPortFree(host, port));
  }

  // `wanted` if it is not 0 and can be had, else any.
  absl::StatusOr<int> Pick(int wanted) {
    const bool held = held_.count(wanted) > 0;
    if (wanted != 0 && taken_.count(wanted) == 0 &&
        (held || CheckPortFree("127.0.0.1", wanted).ok())) {
      taken_.insert(wanted);
      return wanted;
    }
    VALLM_ASSIGN_OR_RETURN(const int port, PickFreePort(taken_));
    taken_.insert(port);
    return port;
  }

 private:
  const std::set<int>& held_;
  std::set<int> taken_;
};

}  // namespace

absl::StatusOr<ServiceBinaries> FindServiceBinaries(const ServeOptions& options) {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  if (error) return absl::FailedPreconditionError("cannot read /proc/self/exe: is /proc mounted?");
  ServiceBinaries binaries;
  VALLM_ASSIGN_OR_RETURN(binaries.tokenizer, FindBinary(self.parent_path(), "vallm-tokenizer"));
  VALLM_ASSIGN_OR_RETURN(binaries.engine, FindBinary(self.parent_path(), "vallm-engine"));
  if (options.engine.worker_binary.empty()) {
    VALLM_RETURN_IF_ERROR(FindBinary(self.parent_path(), "vallm-worker").status());
  }
  VALLM_ASSIGN_OR_RETURN(binaries.gateway, FindBinary(self.parent_path(), "vallm-gateway"));
  return binaries;
}

absl::Status CheckFiles(const ServeOptions& options) {
  const fs::path dir = options.engine.model_dir;
  std::error_code error;
  if (!fs::is_directory(dir, error)) {
    return absl::NotFoundError(absl::StrCat(
        "model directory ", dir.string(),
        " does not exist; give a directory with config.json, *.safetensors and tokenizer.json"));
  }
  VALLM_RETURN_IF_ERROR(CheckReadable(dir / "config.json"));
  VALLM_RETURN_IF_ERROR(CheckReadable(dir / "tokenizer.json"));
  bool has_weights = false;
  for (const auto& entry : fs::directory_iterator(dir, error)) {
    if (entry.path().extension() != ".safetensors") continue;
    has_weights = true;
    VALLM_RETURN_IF_ERROR(CheckReadable(entry.path()));
  }
  if (!has_weights) {
    return absl::NotFoundError(
        absl::StrCat("no *.safetensors in ", dir.string(), ": is the download complete?"));
  }
  if (!options.chat_template.empty() && !CheckReadable(options.chat_template).ok()) {
    return absl::NotFoundError(
        absl::StrCat("--chat-template: cannot read ", options.chat_template));
  }
  return absl::OkStatus();
}

absl::Status CheckEngine(const ServeOptions& options) {
  VALLM_RETURN_IF_ERROR(CheckWorkerCpus(options));
  engine::EngineOptions first = options.engine;
  first.worker_cpus = WorkerCpus(options, /*instance=*/0);
  first.threads_per_worker = ThreadsPerWorker(options);
  VALLM_RETURN_IF_ERROR(engine::PrepareEngine(first).status());
  if (options.engine.device != engine::kVaccDevice) return absl::OkStatus();
  // Each instance has dies of its own.
  return engine::PlanDevice(engine::kVaccDevice,
                            options.instances * options.engine.tensor_parallel_size)
      .status();
}

absl::StatusOr<InternalPorts> ReservePorts(const ServeOptions& options,
                                           const EarlierPorts& earlier) {
  PortPlan plan(earlier.held);
  VALLM_RETURN_IF_ERROR(plan.Claim("--port", options.host, options.port));
  VALLM_RETURN_IF_ERROR(plan.Claim("--management-port", options.host, options.management_port));
  InternalPorts ports;
  ports.tokenizer = options.tokenizer_port;
  if (options.tokenizer_port != 0) {
    VALLM_RETURN_IF_ERROR(plan.Claim("--tokenizer-port", "127.0.0.1", options.tokenizer_port));
  }
  for (int i = 0; i < options.instances && options.engine_port != 0; ++i) {
    ports.engines.push_back(options.engine_port + i);
    VALLM_RETURN_IF_ERROR(plan.Claim("--engine-port", "127.0.0.1", ports.engines.back()));
  }
  if (ports.tokenizer == 0) {
    VALLM_ASSIGN_OR_RETURN(ports.tokenizer, plan.Pick(earlier.internal.tokenizer));
  }
  while (static_cast<int>(ports.engines.size()) < options.instances) {
    const size_t next = ports.engines.size();
    const bool known = next < earlier.internal.engines.size();
    VALLM_ASSIGN_OR_RETURN(const int port, plan.Pick(known ? earlier.internal.engines[next] : 0));
    ports.engines.push_back(port);
  }
  return ports;
}

absl::Status PrepareLogDir(const std::string& log_dir) {
  if (log_dir.empty()) {
    return absl::FailedPreconditionError(
        "no directory for logs can be written: give one with --log-dir");
  }
  std::error_code error;
  fs::create_directories(log_dir, error);
  if (!error && access(log_dir.c_str(), W_OK) == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("--log-dir ", log_dir, " cannot be created or written; choose another one"));
}

}  // namespace vallm::tools
