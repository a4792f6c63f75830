#include "common/logging.h"

#include <glog/logging.h>
#include <unistd.h>

#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace vallm {
namespace {

// glog keeps the pointer it is given; a process has one name.
std::string& ProgramName() {
  static std::string& name = *new std::string;
  return name;
}

absl::Status LogToFile(const std::string& name, const std::string& log_dir) {
  std::error_code error;
  std::filesystem::create_directories(log_dir, error);
  if (error || access(log_dir.c_str(), W_OK) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("--log-dir ", log_dir, " cannot be created or written"));
  }
  // One file per process under a fixed name, all severities in it, no symlinks beside it.
  FLAGS_timestamp_in_logfile_name = false;
  FLAGS_logbufsecs = 0;
  FLAGS_stderrthreshold = google::GLOG_WARNING;
  const std::string path = absl::StrCat(log_dir, "/", name, ".log");
  google::SetLogDestination(google::GLOG_INFO, path.c_str());
  for (auto severity : {google::GLOG_WARNING, google::GLOG_ERROR, google::GLOG_FATAL}) {
    google::SetLogDestination(severity, "");
  }
  for (auto severity :
       {google::GLOG_INFO, google::GLOG_WARNING, google::GLOG_ERROR, google::GLOG_FATAL}) {
    google::SetLogSymlink(severity, "");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status InitLogging(const std::string& name, const std::string& log_dir) {
  ProgramName() = name;
  absl::Status status = absl::OkStatus();
  if (log_dir.empty()) {
    FLAGS_logtostderr = true;
  } else {
    status = LogToFile(name, log_dir);
    if (!status.ok()) FLAGS_logtostderr = true;
  }
  google::InitGoogleLogging(ProgramName().c_str());
  google::InstallFailureSignalHandler();
  return status;
}

}  // namespace vallm
