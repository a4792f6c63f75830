#include <glog/logging.h>

#include <utility>

#include "common/logging.h"
#include "common/signals.h"
#include "gateway/gateway.h"
#include "gateway/gateway_flags.h"

int main(int argc, char** argv) {
  vallm::BlockTerminationSignals();
  vallm::gateway::GatewayFlags flags;
  if (const auto exit_code = vallm::gateway::ParseGatewayFlags(argc, argv, &flags)) {
    return *exit_code;
  }
  if (const absl::Status status = vallm::InitLogging("gateway", flags.log_dir); !status.ok()) {
    LOG(ERROR) << status.message();
    return 1;
  }
  auto gateway = vallm::gateway::Gateway::Start(std::move(flags.options));
  if (!gateway.ok()) {
    LOG(ERROR) << gateway.status().message();
    return absl::IsInvalidArgument(gateway.status()) ? 2 : 1;
  }
  LOG(INFO) << "serving on port " << (*gateway)->port() << ", management on port "
            << (*gateway)->management_port();
  const int signal_number = vallm::WaitForTermination();
  LOG(INFO) << "signal " << signal_number << ": draining";
  (*gateway)->Drain();
  gateway->reset();
  LOG(INFO) << "stopped";
  return 0;
}
