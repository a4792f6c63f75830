#include "tools/serve/probe_targets.h"

#include "absl/strings/str_cat.h"

namespace vallm::tools {

std::vector<ProbeTarget> ProbeTargets(const ServeOptions& options, const InternalPorts& ports) {
  std::vector<ProbeTarget> targets;
  targets.push_back({.kind = ProbeTarget::Kind::kTokenizer,
                     .address = absl::StrCat("127.0.0.1:", ports.tokenizer)});
  for (int port : ports.engines) {
    targets.push_back(
        {.kind = ProbeTarget::Kind::kEngine, .address = absl::StrCat("127.0.0.1:", port)});
  }
  // The management port speaks plain HTTP, whatever the API's does.
  const int port = SpeaksTls(options) ? options.management_port : options.port;
  targets.push_back({.kind = ProbeTarget::Kind::kGateway,
                     .address = absl::StrCat(ReachableHost(options.host), ":", port)});
  return targets;
}

std::string ReachableHost(const std::string& host) {
  if (host == "0.0.0.0" || host == "::") return "127.0.0.1";
  return host.find(':') == std::string::npos ? host : absl::StrCat("[", host, "]");
}

bool SpeaksTls(const ServeOptions& options) {
  const auto certificate = options.gateway_flags.find("--tls-cert");
  return certificate != options.gateway_flags.end() && !certificate->second.empty();
}

}  // namespace vallm::tools
