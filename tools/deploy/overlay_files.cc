#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/status_macros.h"
#include "engine_service/device/create_device.h"
#include "tools/deploy/base_manifests.h"
#include "tools/deploy/container_files.h"
#include "tools/deploy/container_names.h"
#include "tools/serve/child_commands.h"

namespace vallm::tools {
namespace {

constexpr char kModelPath[] = "/models/model";
constexpr char kTemplatePath[] = "/etc/vallm-template/chat_template.jinja";
constexpr char kHeader[] =
    "# Written by `vallm deploy --runtime k8s`; deploy again to change it.\n";

// Flags that the manifests decide.
bool IsOurs(const std::string& flag) {
  for (const char* ours :
       {"--model", "--listen", "--name", "--drain-timeout", "--host", "--port", "--management-host",
        "--management-port", "--tokenizer", "--engine", "--log-dir", "--worker-binary",
        "--api-key-file", "--admin-api-key-file"}) {
    if (flag == ours) return true;
  }
  return false;
}

std::string FlagOf(const std::string& argument) { return argument.substr(0, argument.find('=')); }

// The arguments of a service that are the user's, behind those of the manifests.
std::vector<std::string> Arguments(const SupervisedChild& child, std::vector<std::string> first) {
  for (size_t i = 1; i < child.spec.argv.size(); ++i) {
    if (!IsOurs(FlagOf(child.spec.argv[i]))) first.push_back(child.spec.argv[i]);
  }
  return first;
}

class Overlay {
 public:
  explicit Overlay(const DeployOptions& options) : options_(options) {
    ServeOptions serve = options.serve;
    serve.instances = 1;  // each is a pod of its own
    serve.engine.model_dir = kModelPath;
    if (!serve.chat_template.empty()) serve.chat_template = kTemplatePath;
    children_ = ServiceChildren(serve, {"vallm-tokenizer", "vallm-engine", "vallm-gateway"},
                                {.tokenizer = 1, .engines = {2}}, {});
  }

  std::string Namespace() const {
    // A path on the node is forbidden by every standard but this one.
    const char* const level = options_.k8s_model_claim.empty() ? "privileged" : "restricted";
    return absl::StrCat(kHeader, "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: \"",
                        options_.k8s_namespace,
                        "\"\n  labels: {pod-security.kubernetes.io/enforce: ", level, "}\n");
  }

  // The gateway's flags, as its file has them.
  std::string GatewayConfig() const {
    std::map<std::string, std::vector<std::string>> values;
    for (const std::string& argument : Arguments(children_.back(), {})) {
      const size_t equals = argument.find('=');
      values[FlagOf(argument).substr(2)].push_back(
          equals == std::string::npos ? "true" : argument.substr(equals + 1));
    }
    YAML::Emitter out;
    out << YAML::BeginMap;
    out << YAML::Key << "engine-dns" << YAML::Value << "vallm-engine:50051";
    out << YAML::Key << "tokenizer" << YAML::Value << "vallm-tokenizer:50060";
    out << YAML::Key << "drain-timeout" << YAML::Value << 300;
    for (const auto& [flag, list] : values) {
      out << YAML::Key << flag << YAML::Value;
      if (list.size() == 1) {
        out << YAML::DoubleQuoted << list.front();
      } else {
        out << YAML::BeginSeq;
        for (const std::string& value : list) out << YAML::DoubleQuoted << value;
        out << YAML::EndSeq;
      }
    }
    out << YAML::EndMap;
    return absl::StrCat(kHeader, out.c_str(), "\n");
  }

  std::string Kustomization() {
    out_ << YAML::BeginMap;
    Pair("apiVersion", "kustomize.config.k8s.io/v1beta1");
    Pair("kind", "Kustomization");
    Pair("namespace", options_.k8s_namespace);
    List("resources", {"../base", "namespace.yaml"});
    Images();
    out_ << YAML::Key << "replicas" << YAML::Value << YAML::BeginSeq << YAML::BeginMap;
    Pair("name", "vallm-engine");
    out_ << YAML::Key << "count" << YAML::Value << options_.serve.instances;
    out_ << YAML::EndMap << YAML::EndSeq;
    Generators();
    out_ << YAML::Key << "patches" << YAML::Value << YAML::BeginSeq;
    Patch("StatefulSet", "vallm-engine", EnginePatch());
    Patch("Deployment", "vallm-tokenizer", TokenizerPatch());
    if (!options_.image.empty()) {
      Patch("Deployment", "vallm-gateway", CommandPatch("vallm-gateway"));
    }
    out_ << YAML::EndSeq << YAML::EndMap;
    return absl::StrCat(kHeader, out_.c_str(), "\n");
  }

 private:
  void Pair(const char* key, const std::string& value) {
    out_ << YAML::Key << key << YAML::Value << YAML::DoubleQuoted << value;
  }
  void List(const char* key, const std::vector<std::string>& values) {
    out_ << YAML::Key << key << YAML::Value << values;
  }

  // One image with all programs stands for the three.
  void Images() {
    if (options_.image.empty()) return;
    const size_t slash = options_.image.rfind('/');
    const size_t colon = options_.image.rfind(':');
    const bool tagged = colon != std::string::npos && (slash == std::string::npos || colon > slash);
    out_ << YAML::Key << "images" << YAML::Value << YAML::BeginSeq;
    for (const char* name : {"vallm-engine", "vallm-tokenizer", "vallm-gateway"}) {
      out_ << YAML::BeginMap;
      Pair("name", name);
      Pair("newName", options_.image.substr(0, tagged ? colon : std::string::npos));
      if (tagged) {
        out_ << YAML::Key << "newTag" << YAML::Value << YAML::DoubleQuoted
             << options_.image.substr(colon + 1);
      }
      out_ << YAML::EndMap;
    }
    out_ << YAML::EndSeq;
  }

  void Generators() {
    out_ << YAML::Key << "configMapGenerator" << YAML::Value << YAML::BeginSeq << YAML::BeginMap;
    Pair("name", "vallm-gateway");
    Pair("behavior", "replace");
    List("files", {"gateway.yaml=gateway.config.yaml"});
    out_ << YAML::EndMap;
    if (!options_.serve.chat_template.empty()) {
      out_ << YAML::BeginMap;
      Pair("name", "vallm-chat-template");
      List("files", {"chat_template.jinja"});
      out_ << YAML::EndMap;
    }
    out_ << YAML::EndSeq;
    if (options_.serve.api_keys.empty()) return;
    out_ << YAML::Key << "secretGenerator" << YAML::Value << YAML::BeginSeq << YAML::BeginMap;
    Pair("name", "vallm-api-key");
    List("envs", {"api-key.env"});
    out_ << YAML::EndMap << YAML::EndSeq;
  }

  // JSON patches, as YAML flows.
  void Patch(const char* kind, const char* name, const std::vector<std::string>& operations) {
    std::string text;
    for (const std::string& operation : operations) absl::StrAppend(&text, "- ", operation, "\n");
    out_ << YAML::BeginMap << YAML::Key << "target" << YAML::Value << YAML::Flow << YAML::BeginMap;
    Pair("kind", kind);
    Pair("name", name);
    out_ << YAML::EndMap;
    out_ << YAML::Key << "patch" << YAML::Value << YAML::Literal << text << YAML::EndMap;
  }

  // Arguments of a container. A dollar may begin a variable there.
  static std::string Quoted(const std::vector<std::string>& values) {
    YAML::Emitter out;
    out << YAML::Flow << YAML::BeginSeq;
    for (const std::string& value : values) {
      out << YAML::DoubleQuoted << absl::StrReplaceAll(value, {{"$", "$$"}});
    }
    out << YAML::EndSeq;
    std::string text = out.c_str();
    std::replace(text.begin(), text.end(), '\n', ' ');  // long flows are broken
    return text;
  }

  static std::string Operation(const char* op, const std::string& path, const std::string& value) {
    return absl::StrCat("{op: ", op, ", path: ", path, ", value: ", value, "}");
  }

  std::vector<std::string> CommandPatch(const std::string& program) const {
    if (options_.image.empty()) return {};
    return {Operation("add", "/spec/template/spec/containers/0/command",
                      Quoted({"/usr/bin/" + program}))};
  }

  std::string ModelVolume() const {
    if (!options_.k8s_model_claim.empty()) {
      return absl::StrCat("{name: model, persistentVolumeClaim: {claimName: \"",
                          options_.k8s_model_claim, "\", readOnly: true}}");
    }
    YAML::Emitter path;
    path << YAML::DoubleQuoted << options_.serve.engine.model_dir;
    return absl::StrCat("{name: model, hostPath: {path: ", path.c_str(), ", type: Directory}}");
  }

  std::vector<std::string> EnginePatch() const {
    std::vector<std::string> patch = CommandPatch("vallm-engine");
    const std::string container = "/spec/template/spec/containers/0";
    patch.push_back(
        Operation("replace", container + "/args",
                  Quoted(Arguments(children_[1],
                                   {absl::StrCat("--model=", kModelPath), "--listen=0.0.0.0:50051",
                                    "--metrics-listen=0.0.0.0:9400", "--drain-timeout=300"}))));
    patch.push_back(Operation("replace", "/spec/template/spec/volumes/0", ModelVolume()));
    if (options_.serve.engine.device == engine::kVaccDevice) {
      const std::string pointer =
          absl::StrReplaceAll(options_.k8s_resource, {{"~", "~0"}, {"/", "~1"}});
      const std::string count = absl::StrCat(options_.serve.engine.tensor_parallel_size);
      for (const char* part : {"requests", "limits"}) {
        patch.push_back(Operation("add", absl::StrCat(container, "/resources/", part, "/", pointer),
                                  absl::StrCat("\"", count, "\"")));
      }
    }
    return patch;
  }

  std::vector<std::string> TokenizerPatch() const {
    std::vector<std::string> patch = CommandPatch("vallm-tokenizer");
    const std::string container = "/spec/template/spec/containers/0";
    patch.push_back(
        Operation("replace", container + "/args",
                  Quoted(Arguments(children_[0],
                                   {absl::StrCat("--model=", kModelPath), "--listen=0.0.0.0:50060",
                                    "--metrics-listen=0.0.0.0:9400", "--drain-timeout=300"}))));
    patch.push_back(Operation("replace", "/spec/template/spec/volumes/0", ModelVolume()));
    if (!options_.serve.chat_template.empty()) {
      patch.push_back(Operation("add", "/spec/template/spec/volumes/-",
                                "{name: chat-template, configMap: {name: vallm-chat-template}}"));
      patch.push_back(Operation("add", container + "/volumeMounts/-",
                                "{name: chat-template, mountPath: /etc/vallm-template, "
                                "readOnly: true}"));
    }
    return patch;
  }

  const DeployOptions& options_;
  std::vector<SupervisedChild> children_;
  YAML::Emitter out_;
};

}  // namespace

absl::StatusOr<ContainerFiles> OverlayFiles(const DeployOptions& options) {
  VALLM_RETURN_IF_ERROR(CheckContainerNames(options));
  VALLM_RETURN_IF_ERROR(DiesOf(options).status());
  for (const char* flag : {"--tls-cert", "--tls-key", "--tls-client-ca"}) {
    const auto value = options.serve.gateway_flags.find(flag);
    if (value != options.serve.gateway_flags.end() && !value->second.empty()) {
      return absl::InvalidArgumentError(absl::StrCat(
          flag, " is a Secret's in Kubernetes: add k8s/components/tls to the overlay instead"));
    }
  }
  for (const char* flag : {"--api-key-file", "--admin-api-key-file"}) {
    const auto value = options.serve.gateway_flags.find(flag);
    if (value != options.serve.gateway_flags.end() && !value->second.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat(flag,
                       " is a Secret's in Kubernetes: add k8s/components/api-key-file to the "
                       "overlay instead"));
    }
  }
  if (options.serve.api_keys.size() > 1) {
    return absl::InvalidArgumentError(
        "--api-key: runtime k8s takes one; for several use k8s/components/api-key-file");
  }
  Overlay overlay(options);
  ContainerFiles files;
  for (const auto& [name, text] : BaseManifests()) files.files["base/" + name] = text;
  files.files["overlay/kustomization.yaml"] = overlay.Kustomization();
  files.files["overlay/namespace.yaml"] = overlay.Namespace();
  files.files["overlay/gateway.config.yaml"] = overlay.GatewayConfig();
  if (!options.serve.api_keys.empty()) {
    files.files["overlay/api-key.env"] =
        absl::StrCat("api-key=", options.serve.api_keys.front(), "\n");
    files.secret.push_back("overlay/api-key.env");
  }
  return files;
}

}  // namespace vallm::tools
