#include "tools/deploy/container_names.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/status_macros.h"

namespace vallm::tools {
namespace {

constexpr size_t kMaxLabel = 63;
constexpr size_t kMaxName = 253;
constexpr size_t kMaxImage = 512;

bool IsAlnum(char c) { return absl::ascii_isalnum(static_cast<unsigned char>(c)); }
bool IsLower(char c) {
  return absl::ascii_islower(static_cast<unsigned char>(c)) ||
         absl::ascii_isdigit(static_cast<unsigned char>(c));
}

// A label of RFC 1123, as names of namespaces are.
bool IsLabel(const std::string& text) {
  return !text.empty() && text.size() <= kMaxLabel && IsLower(text.front()) &&
         IsLower(text.back()) &&
         std::all_of(text.begin(), text.end(), [](char c) { return IsLower(c) || c == '-'; });
}

// Labels with dots between them, as names of most objects are.
bool IsSubdomain(const std::string& text) {
  const std::vector<std::string> labels = absl::StrSplit(text, '.');
  return text.size() <= kMaxName && std::all_of(labels.begin(), labels.end(), IsLabel);
}

bool IsResource(const std::string& text) {
  const size_t slash = text.find('/');
  if (slash == std::string::npos || !IsSubdomain(text.substr(0, slash))) return false;
  const std::string name = text.substr(slash + 1);
  return !name.empty() && name.size() <= kMaxLabel && IsAlnum(name.front()) &&
         IsAlnum(name.back()) && std::all_of(name.begin(), name.end(), [](char c) {
           return IsAlnum(c) || c == '-' || c == '_' || c == '.';
         });
}

bool IsImage(const std::string& text) {
  return text.size() <= kMaxImage && IsAlnum(text.front()) &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return IsAlnum(c) || std::string_view("._:/@-").find(c) != std::string_view::npos;
         });
}

bool HasControl(const std::string& text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return absl::ascii_iscntrl(static_cast<unsigned char>(c)); });
}

absl::Status Refused(const char* flag, const std::string& value, const char* rule) {
  return absl::InvalidArgumentError(absl::StrCat(flag, ": '", absl::CHexEscape(value), "' ", rule));
}

}  // namespace

absl::Status CheckMount(const std::string& path) {
  if (path.find(':') == std::string::npos) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "'", path,
      "' has a colon, which compose files take for the end of a path; use a link to it"));
}

absl::Status CheckContainerNames(const DeployOptions& options) {
  if (!options.image.empty() && !IsImage(options.image)) {
    return Refused("--image", options.image,
                   "is no image reference: letters, digits and ._:/@- only");
  }
  // Control characters would end a line of the file that they are written to.
  for (const auto* keys : {&options.serve.api_keys, &options.serve.admin_api_keys}) {
    for (const std::string& key : *keys) {
      if (HasControl(key)) {
        return absl::InvalidArgumentError("--api-key: a key has a control character");
      }
    }
  }
  if (HasControl(options.serve.engine.model_dir)) {
    return Refused("--model", options.serve.engine.model_dir, "has a control character");
  }
  if (options.runtime != "k8s") return absl::OkStatus();
  if (!IsLabel(options.k8s_namespace)) {
    return Refused("--k8s-namespace", options.k8s_namespace,
                   "is no name of a namespace: at most 63 lower-case letters, digits and '-'");
  }
  if (!options.k8s_model_claim.empty() && !IsSubdomain(options.k8s_model_claim)) {
    return Refused("--k8s-model-claim", options.k8s_model_claim,
                   "is no name of a claim: lower-case letters, digits, '-' and '.'");
  }
  if (!IsResource(options.k8s_resource)) {
    return Refused("--k8s-resource", options.k8s_resource,
                   "is no resource: domain/name, as vastaitech.com/va");
  }
  return absl::OkStatus();
}

}  // namespace vallm::tools
