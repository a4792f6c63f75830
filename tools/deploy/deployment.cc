#include "tools/deploy/deployment.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>
#include <system_error>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/status_macros.h"
#include "tools/state_dir.h"

namespace vallm::tools {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

constexpr int kRecordVersion = 1;
constexpr char kRecordFile[] = "deployment.json";

absl::Status Failed(const std::string& what, int error) {
  return absl::FailedPreconditionError(absl::StrCat(what, ": ", strerror(error)));
}

// So that a reader, or a machine that loses power, sees the old file or the new one.
absl::Status ReplaceFile(const std::string& path, const std::string& text, mode_t mode) {
  const std::string fresh = path + ".new";
  const int fd = open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
  if (fd < 0) return Failed(absl::StrCat("cannot write ", fresh), errno);
  const bool written = write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const bool synced = written && fsync(fd) == 0;
  const int error = errno;
  close(fd);
  if (!synced) return Failed(absl::StrCat("cannot write ", fresh), error);
  if (std::rename(fresh.c_str(), path.c_str()) == 0) return absl::OkStatus();
  return Failed(absl::StrCat("cannot replace ", path), errno);
}

std::string ReadText(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string Shown(const std::string& flag, const FlagValues& flags) {
  const auto found = flags.find(flag);
  if (found == flags.end()) return "(default)";
  if (flag == "api-key" || flag == "admin-api-key") return "(a secret)";
  return absl::StrJoin(found->second, ",");
}

}  // namespace

absl::StatusOr<std::string> Deployment::Root(const std::string& state_dir) {
  if (state_dir.empty()) {
    std::string root = MakeStateDir("deploy");
    if (!root.empty()) return root;
    return absl::FailedPreconditionError(
        "no directory for deployments can be written: give one with --state-dir");
  }
  std::error_code error;
  fs::create_directories(state_dir, error);
  const fs::path root = fs::absolute(state_dir, error).lexically_normal();
  if (access(root.c_str(), W_OK | X_OK) == 0) return root.string();
  return absl::FailedPreconditionError(
      absl::StrCat("--state-dir ", state_dir, " cannot be created or written"));
}

absl::StatusOr<Deployment> Deployment::At(const std::string& root, const std::string& name) {
  const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' || c == '.';
  });
  if (name.empty() || name.size() > 100 || name[0] == '.' || !plain) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", name,
                     "' cannot be the name of a deployment: use --name with letters, "
                     "digits, '-', '_' and '.'"));
  }
  return Deployment(name, absl::StrCat(root, "/", name));
}

std::vector<std::string> Deployment::List(const std::string& root) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(root, error)) {
    if (fs::exists(entry.path() / kRecordFile, error)) names.push_back(entry.path().filename());
  }
  std::sort(names.begin(), names.end());
  return names;
}

absl::StatusOr<Deployment> Deployment::Choose(const std::string& root, const std::string& name) {
  const std::vector<std::string> names = List(root);
  if (!name.empty()) {
    if (std::find(names.begin(), names.end(), name) != names.end()) return At(root, name);
    return absl::NotFoundError(
        absl::StrCat("there is no deployment '", name, "' in ", root,
                     names.empty() ? "" : absl::StrCat("; there is ", absl::StrJoin(names, ", "))));
  }
  if (names.empty()) {
    return absl::NotFoundError(
        absl::StrCat("there is no deployment in ", root, "; `vallm deploy` makes one"));
  }
  if (names.size() > 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("which deployment? Give one of ", absl::StrJoin(names, ", ")));
  }
  return At(root, names.front());
}

absl::Status Deployment::Make() const {
  std::error_code error;
  fs::create_directories(File("logs"), error);
  if (error) return Failed(absl::StrCat("cannot make ", directory_), error.value());
  if (chmod(directory_.c_str(), 0700) != 0) return Failed(directory_, errno);
  return absl::OkStatus();
}

absl::StatusOr<DeploymentRecord> Deployment::Read() const {
  const std::string path = File(kRecordFile);
  if (!fs::exists(path)) return absl::NotFoundError(absl::StrCat("there is no ", path));
  const auto json = ordered_json::parse(ReadText(path), nullptr, /*allow_exceptions=*/false);
  const auto invalid = [&path] {
    return absl::InvalidArgumentError(absl::StrCat(
        path, " is not a deployment of this version of vallm; stop what runs and deploy again"));
  };
  try {
    if (!json.is_object() || json.at("version") != kRecordVersion) return invalid();
    return DeploymentRecord{.runtime = json.at("runtime"),
                            .flags = json.at("flags"),
                            .tokenizer_port = json.at("tokenizer_port"),
                            .engine_ports = json.at("engine_ports"),
                            .kv_cache_bytes = json.at("kv_cache_bytes")};
  } catch (const ordered_json::exception&) {
    return invalid();
  }
}

absl::Status Deployment::Write(const DeploymentRecord& record) const {
  const ordered_json json = {{"version", kRecordVersion},
                             {"runtime", record.runtime},
                             {"flags", record.flags},
                             {"tokenizer_port", record.tokenizer_port},
                             {"engine_ports", record.engine_ports},
                             {"kv_cache_bytes", record.kv_cache_bytes}};
  return ReplaceFile(File(kRecordFile),
                     json.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n", 0600);
}

absl::StatusOr<std::string> Deployment::AdminKey() const {
  const std::string path = File("admin-key");
  std::string key(absl::StripAsciiWhitespace(ReadText(path)));
  if (!key.empty()) return key;
  std::random_device random;
  key = "vallm-admin-";
  for (int i = 0; i < 8; ++i) absl::StrAppend(&key, absl::StrFormat("%08x", random()));
  VALLM_RETURN_IF_ERROR(ReplaceFile(path, key + "\n", 0600));
  return key;
}

absl::Status Deployment::WriteInstances(const std::vector<std::string>& addresses) const {
  return ReplaceFile(File("instances.yaml"), ordered_json(addresses).dump() + "\n", 0600);
}

bool Deployment::HasSupervisor() const {
  const std::string path = File("supervisor.lock");
  if (access(path.c_str(), F_OK) != 0) return false;
  return absl::IsAlreadyExists(FileLock::Take(path).status());
}

absl::StatusOr<std::unique_ptr<FileLock>> FileLock::Take(const std::string& path) {
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return Failed(absl::StrCat("cannot open ", path), errno);
  if (flock(fd, LOCK_EX | LOCK_NB) == 0) return std::unique_ptr<FileLock>(new FileLock(fd));
  const int error = errno;
  close(fd);
  if (error != EWOULDBLOCK) return Failed(absl::StrCat("cannot lock ", path), error);
  return absl::AlreadyExistsError(absl::StrCat(path, " is held by another process"));
}

FileLock::~FileLock() { close(fd_); }

std::vector<std::string> DescribeChanges(const FlagValues& before, const FlagValues& after) {
  std::vector<std::string> lines;
  FlagValues all = before;
  all.insert(after.begin(), after.end());
  for (const auto& [flag, values] : all) {
    const auto old = before.find(flag);
    const auto now = after.find(flag);
    if (old != before.end() && now != after.end() && old->second == now->second) continue;
    lines.push_back(absl::StrCat(flag, ": ", Shown(flag, before), " -> ", Shown(flag, after)));
  }
  return lines;
}

}  // namespace vallm::tools
