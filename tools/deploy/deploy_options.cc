#include "tools/deploy/deploy_options.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/flags.h"
#include "common/status_macros.h"
#include "engine_service/device/create_device.h"
#include "engine_service/device/vacc/vacc_plugin.h"

namespace vallm::tools {
namespace {

namespace fs = std::filesystem;

// About one call, or kept elsewhere in the record.
const std::set<std::string>& CallFlags() {
  static const auto& flags = *new std::set<std::string>{
      "help",    "version",          "config",          "name",          "state-dir",
      "dry-run", "enable-benchmark", "benchmark-count", "start-timeout", "runtime"};
  return flags;
}

bool IsPath(const std::string& flag) {
  static const auto& flags = *new std::set<std::string>{
      "model",         "chat-template", "api-key-file", "admin-api-key-file", "tls-cert", "tls-key",
      "tls-client-ca", "worker-binary", "log-dir",      "output-dir"};
  return flags.count(flag) > 0;
}

std::string Absolute(const std::string& path) {
  if (path.empty()) return path;
  std::error_code error;
  std::string absolute = fs::absolute(path, error).lexically_normal().string();
  while (absolute.size() > 1 && absolute.back() == '/') absolute.pop_back();
  return absolute;
}

// By the plug-in: a machine with dies is there to use them.
std::string DefaultDevice(const DeployOptions& options) {
  if (!options.devices.empty()) return engine::kVaccDevice;
  const auto plugin = engine::VaccPlugin::Find();
  if (!plugin.ok()) return engine::kCpuDevice;
  const auto dies = (*plugin)->DieCount();
  return dies.ok() && *dies > 0 ? engine::kVaccDevice : engine::kCpuDevice;
}

// "Qwen/Qwen3 8B" as "Qwen-Qwen3-8B".
std::string AsName(std::string name) {
  for (char& c : name) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.';
    if (!plain) c = '-';
  }
  while (!name.empty() && (name[0] == '.' || name[0] == '-')) name.erase(0, 1);
  return name;
}

void AddVendorFlags(CLI::App& app, DeployOptions& o) {
  app.add_option("--image", o.image,
                 "Container image to run; without one, processes of this machine are started");
  app.add_option("--devices", o.devices,
                 "VACC dies to use, as 0-3,5,7; instance i takes the next "
                 "--tensor-parallel-size of them (default: VACC_VISIBLE_DEVICES, or all)");
  app.get_option("--device")
      ->description("cpu, vacc or mock (default: vacc where there are dies, else cpu)");
  app.add_flag("--enable-benchmark", o.enable_benchmark,
               "When everything serves, send some requests and print their speed");
  app.add_option("--benchmark-count,--benckmark-count", o.benchmark_count,
                 "Requests of --enable-benchmark")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_flag("--dry-run", o.dry_run,
               "Check everything, print what would be done, change nothing");
}

void AddRuntimeFlags(CLI::App& app, DeployOptions& o) {
  app.add_option("--runtime", o.runtime,
                 "host: processes of this machine, no root; docker: containers by a compose file; "
                 "k8s: a kustomize overlay (default: docker with --image, else host)")
      ->check(CLI::IsMember({"host", "docker", "k8s"}));
  app.add_option("--name", o.name,
                 "Name of the deployment, for the other commands (default: the served model's)");
  app.add_option("--state-dir", o.state_dir,
                 "Where deployments are kept (default: vallm/deploy in $XDG_STATE_HOME, "
                 "~/.local/state or $TMPDIR)");
  app.get_option("--log-dir")
      ->description(
          "Directory for llm_serve_<n>.log, gateway.log and tokenizer.log (default: with the "
          "deployment)");
  app.add_option("--log-max-mib", o.log_max_mib, "Size at which a log file is put aside")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  app.add_option("--log-keep", o.log_keep, "Files put aside that are kept, of each log")
      ->check(CLI::Range(0, 1000))
      ->capture_default_str();
  app.add_option("--start-timeout", o.start_timeout_s,
                 "Seconds after which an instance that does not serve yet is an error")
      ->check(Timeout())
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--output-dir", o.output_dir,
                 "Where runtimes docker and k8s write their files (default: with the deployment)");
  app.add_option("--k8s-namespace", o.k8s_namespace, "Namespace of runtime k8s")
      ->capture_default_str();
  app.add_option("--k8s-resource", o.k8s_resource,
                 "Resource that pods ask for a die with: vastaitech.com/va, vastai.com/va, …")
      ->capture_default_str();
  app.add_option("--k8s-model-claim", o.k8s_model_claim,
                 "PersistentVolumeClaim that has the model directory at its root (default: --model "
                 "is a path on every node)");
}

// The variables of FlagParser for the flags of `app`.
void ForgetEnvironment(const CLI::App& app) {
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) {
      std::string variable = "VALLM_";
      for (char c : name) {
        variable += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
      }
      unsetenv(variable.c_str());
    }
  }
}

}  // namespace

void AddDeployFlags(CLI::App& app, DeployOptions& options) {
  AddServeFlags(app, options.serve);
  AddVendorFlags(app, options);
  AddRuntimeFlags(app, options);
}

absl::Status FinishDeployOptions(const CLI::App& app, DeployOptions& options) {
  engine::EngineOptions& engine = options.serve.engine;
  if (options.runtime.empty()) options.runtime = options.image.empty() ? "host" : "docker";
  if (options.runtime == "host" && !options.image.empty()) {
    return absl::InvalidArgumentError(
        "--image has no meaning with --runtime host; leave one of them out");
  }
  if (options.runtime == "docker" && options.image.empty()) {
    return absl::InvalidArgumentError(
        "--runtime docker needs --image, an image of k8s/images/Containerfile's target `vallm`");
  }
  if (app.get_option("--device")->count() == 0) engine.device = DefaultDevice(options);
  if (!options.devices.empty() && engine.device != engine::kVaccDevice) {
    return absl::InvalidArgumentError(absl::StrCat("--devices names VACC dies; --device ",
                                                   engine.device, " has none: leave it out"));
  }
  for (std::string* path : {&engine.model_dir, &options.serve.chat_template, &engine.worker_binary,
                            &engine.log_dir, &options.output_dir}) {
    *path = Absolute(*path);
  }
  for (auto& [flag, value] : options.serve.gateway_flags) {
    if (IsPath(flag.substr(2))) value = Absolute(value);
  }
  options.log_dir = std::exchange(engine.log_dir, "");
  VALLM_RETURN_IF_ERROR(FinishServeOptions(options.serve));
  if (options.name.empty()) options.name = AsName(options.serve.served_model_names.front());
  return absl::OkStatus();
}

FlagValues GivenFlags(const CLI::App& app, const DeployOptions& options) {
  FlagValues flags;
  for (const CLI::Option* option : app.get_options()) {
    if (option->count() == 0 || option->get_lnames().empty()) continue;
    const std::string& name = option->get_lnames().front();
    if (CallFlags().count(name) > 0) continue;
    std::vector<std::string> values = option->results();
    if (IsPath(name)) {
      for (std::string& value : values) value = Absolute(value);
    }
    flags[name] = std::move(values);
  }
  flags["device"] = {options.serve.engine.device};
  return flags;
}

absl::StatusOr<DeployOptions> OptionsOf(const DeploymentRecord& record) {
  DeployOptions options;
  FlagParser flags("vallm deploy", "");
  AddDeployFlags(flags.app(), options);
  ForgetEnvironment(flags.app());
  std::vector<std::string> arguments = {"--runtime=" + record.runtime};
  for (const auto& [flag, values] : record.flags) {
    for (const std::string& value : values) {
      arguments.push_back(absl::StrCat("--", flag, "=", value));
    }
  }
  std::reverse(arguments.begin(), arguments.end());  // as CLI11 wants them
  try {
    flags.app().parse(arguments);
  } catch (const CLI::ParseError& error) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the deployment was made by another version of vallm (", error.what(), "); deploy again"));
  }
  VALLM_RETURN_IF_ERROR(FinishDeployOptions(flags.app(), options));
  if (record.kv_cache_bytes > 0) options.serve.engine.kv_cache_bytes = record.kv_cache_bytes;
  return options;
}

}  // namespace vallm::tools
