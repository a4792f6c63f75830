#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/status_macros.h"
#include "engine_service/device/create_device.h"
#include "engine_service/device/vacc/visible_dies.h"
#include "tools/deploy/container_files.h"
#include "tools/deploy/container_names.h"
#include "tools/serve/child_commands.h"

namespace vallm::tools {
namespace {

constexpr int kTokenizerPort = 50060;
constexpr int kFirstEnginePort = 50100;
constexpr int kApiPort = 8000;
constexpr int kManagementPort = 9000;

// Files that services read, which are mounted under their own paths.
std::vector<std::string> MountedPaths(const DeployOptions& options) {
  std::set<std::string> paths = {options.serve.engine.model_dir};
  if (!options.serve.chat_template.empty()) paths.insert(options.serve.chat_template);
  for (const char* flag :
       {"--api-key-file", "--admin-api-key-file", "--tls-cert", "--tls-key", "--tls-client-ca"}) {
    const auto value = options.serve.gateway_flags.find(flag);
    if (value != options.serve.gateway_flags.end() && !value->second.empty()) {
      paths.insert(value->second);
    }
  }
  return {paths.begin(), paths.end()};
}

// On one network each service has a name; on a machine they share its loopback.
std::string InNetwork(std::string argument, const std::string& self, int instances) {
  std::vector<std::pair<std::string, std::string>> replacements;
  const auto name = [&](const std::string& service, int port) {
    const std::string local = absl::StrCat("127.0.0.1:", port);
    replacements.emplace_back(
        local, service == self ? absl::StrCat("0.0.0.0:", port) : absl::StrCat(service, ":", port));
  };
  name("tokenizer", kTokenizerPort);
  for (int i = 0; i < instances; ++i) name(absl::StrCat("engine-", i), kFirstEnginePort + i);
  return absl::StrReplaceAll(argument, replacements);
}

// A dollar begins a variable in compose files.
std::string Escaped(const std::string& text) { return absl::StrReplaceAll(text, {{"$", "$$"}}); }

class ComposeFile {
 public:
  ComposeFile(const DeployOptions& options, std::vector<int32_t> dies, std::string user)
      : options_(options), dies_(std::move(dies)), user_(std::move(user)) {}

  std::string Write(const std::vector<SupervisedChild>& children) {
    out_ << YAML::BeginMap;
    // Names of projects have no dots.
    Pair("name", absl::StrReplaceAll(absl::AsciiStrToLower(absl::StrCat("vallm-", options_.name)),
                                     {{".", "_"}}));
    out_ << YAML::Key << "services" << YAML::Value << YAML::BeginMap;
    for (const SupervisedChild& child : children) Service(child);
    out_ << YAML::EndMap << YAML::EndMap;
    return absl::StrCat(
        "# Written by `vallm deploy --runtime docker`; deploy again to change it.\n", out_.c_str(),
        "\n");
  }

 private:
  void Pair(const char* key, const std::string& value) {
    out_ << YAML::Key << key << YAML::Value << YAML::DoubleQuoted << Escaped(value);
  }

  void List(const char* key, const std::vector<std::string>& values) {
    out_ << YAML::Key << key << YAML::Value << YAML::BeginSeq;
    for (const std::string& value : values) out_ << YAML::DoubleQuoted << Escaped(value);
    out_ << YAML::EndSeq;
  }

  // The dies of an engine, by its number; none for other services.
  std::vector<int32_t> DiesOfService(const std::string& name) const {
    if (dies_.empty() || !absl::StartsWith(name, "engine-")) return {};
    const size_t ranks = static_cast<size_t>(options_.serve.engine.tensor_parallel_size);
    const auto first = dies_.begin() + static_cast<ptrdiff_t>(ranks * std::stoul(name.substr(7)));
    return {first, first + static_cast<ptrdiff_t>(ranks)};
  }

  void Service(const SupervisedChild& child) {
    const std::string& name = child.spec.name;
    const bool gateway = name == "gateway";
    std::vector<std::string> arguments;
    for (size_t i = 1; i < child.spec.argv.size(); ++i) {
      arguments.push_back(InNetwork(child.spec.argv[i], name, options_.serve.instances));
    }
    out_ << YAML::Key << name << YAML::Value << YAML::BeginMap;
    Pair("image", options_.image);
    List("entrypoint", {child.spec.argv[0]});
    List("command", arguments);
    Pair("user", user_);
    Pair("restart", "unless-stopped");
    Pair("stop_grace_period",
         absl::StrCat(absl::ToInt64Seconds(absl::Ceil(child.stop_grace, absl::Seconds(1))), "s"));
    out_ << YAML::Key << "read_only" << YAML::Value << true;
    List("cap_drop", {"ALL"});
    List("security_opt", {"no-new-privileges:true"});
    List("tmpfs", {"/tmp"});
    List("volumes", Mounts());
    if (gateway) {
      // The address of IPv6 has colons of its own.
      const std::string host = options_.serve.host.find(':') == std::string::npos
                                   ? options_.serve.host
                                   : absl::StrCat("[", options_.serve.host, "]");
      List("ports",
           {absl::StrCat(host, ":", options_.serve.port, ":", kApiPort),
            absl::StrCat(host, ":", options_.serve.management_port, ":", kManagementPort)});
      List("environment", child.spec.environment);
    }
    const std::vector<int32_t> dies = DiesOfService(name);
    if (!dies.empty()) {
      std::vector<std::string> nodes;
      for (int32_t die : dies) nodes.push_back(absl::StrCat("/dev/vacc", die, ":/dev/vacc", die));
      List("devices", nodes);
      List("environment",
           {absl::StrCat(engine::kVisibleDiesVariable, "=", engine::FormatDies(dies))});
      Pair("shm_size", "64gb");
    }
    out_ << YAML::Key << "logging" << YAML::Value << YAML::BeginMap;
    Pair("driver", "json-file");
    out_ << YAML::Key << "options" << YAML::Value << YAML::BeginMap;
    Pair("max-size", absl::StrCat(options_.log_max_mib, "m"));
    out_ << YAML::Key << "max-file" << YAML::Value << YAML::DoubleQuoted
         << absl::StrCat(options_.log_keep + 1);
    out_ << YAML::EndMap << YAML::EndMap << YAML::EndMap;
  }

  std::vector<std::string> Mounts() const {
    std::vector<std::string> mounts;
    for (const std::string& path : MountedPaths(options_)) {
      mounts.push_back(absl::StrCat(path, ":", path, ":ro"));
    }
    return mounts;
  }

  const DeployOptions& options_;
  const std::vector<int32_t> dies_;
  const std::string user_;
  YAML::Emitter out_;
};

}  // namespace

absl::StatusOr<std::vector<int32_t>> DiesOf(const DeployOptions& options) {
  std::vector<int32_t> dies;
  if (options.serve.engine.device != engine::kVaccDevice) return dies;
  const int needed = options.serve.instances * options.serve.engine.tensor_parallel_size;
  if (options.devices.empty()) {
    for (int32_t die = 0; die < needed; ++die) dies.push_back(die);
    return dies;
  }
  auto given = engine::ParseDies(options.devices);
  if (!given.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("--devices: ", given.status().message()));
  }
  if (static_cast<int>(given->size()) < needed) {
    return absl::InvalidArgumentError(
        absl::StrCat("--devices names ", given->size(), " dies; ", options.serve.instances,
                     " instances x ", options.serve.engine.tensor_parallel_size, " need ", needed));
  }
  return *std::move(given);
}

absl::StatusOr<ContainerFiles> ComposeFiles(const DeployOptions& options,
                                            const std::string& admin_key, const std::string& user) {
  VALLM_RETURN_IF_ERROR(CheckContainerNames(options));
  for (const std::string& path : MountedPaths(options)) VALLM_RETURN_IF_ERROR(CheckMount(path));
  VALLM_ASSIGN_OR_RETURN(std::vector<int32_t> dies, DiesOf(options));
  ServeOptions serve = options.serve;
  if (!admin_key.empty()) serve.admin_api_keys.push_back(admin_key);
  serve.host = "0.0.0.0";
  serve.port = kApiPort;
  serve.management_port = kManagementPort;
  // Containers have no CPUs of their own that could be shared out here.
  if (serve.engine.worker_cpus == "auto") serve.engine.worker_cpus = "nobind";
  InternalPorts ports{.tokenizer = kTokenizerPort, .engines = {}};
  for (int i = 0; i < serve.instances; ++i) ports.engines.push_back(kFirstEnginePort + i);
  const auto children = ServiceChildren(
      serve, {"/usr/bin/vallm-tokenizer", "/usr/bin/vallm-engine", "/usr/bin/vallm-gateway"}, ports,
      {});
  ContainerFiles files;
  files.files["compose.yaml"] = ComposeFile(options, std::move(dies), user).Write(children);
  files.secret = {"compose.yaml"};  // keys are in it
  return files;
}

}  // namespace vallm::tools
