#include "tokenizer_service/model_files.h"

#include <glog/logging.h>
#include <openssl/evp.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <system_error>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/status_macros.h"
#include "common/version.h"

namespace vallm::tokenizer {
namespace {

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (!file || !(text << file.rdbuf())) {
    return absl::NotFoundError(absl::StrCat("cannot read ", path));
  }
  return std::move(text).str();
}

// Under a name that means the same on another machine, where it has one.
std::string LocalTimeZoneName() {
  std::string name = absl::LocalTimeZone().name();
  if (name == "localtime") {
    std::error_code error;
    const std::string path = std::filesystem::read_symlink("/etc/localtime", error).string();
    constexpr std::string_view kFolder = "/zoneinfo/";
    const size_t at = path.rfind(kFolder);
    if (at != std::string::npos) name = path.substr(at + kFolder.size());
  }
  return name == "Etc/UTC" ? "UTC" : name;  // known without a data base of time zones
}

}  // namespace

absl::StatusOr<ModelFiles> ReadModelFiles(const std::string& model_dir,
                                          const std::string& chat_template_path) {
  ModelFiles files;
  files.model_dir = model_dir;
  files.template_is_replaced = !chat_template_path.empty();
  VALLM_ASSIGN_OR_RETURN(files.tokenizer_json, ReadFile(model_dir + "/tokenizer.json"));
  VALLM_ASSIGN_OR_RETURN(files.templates, ReadTemplateTexts(model_dir, chat_template_path));
  files.time_zone = LocalTimeZoneName();
  return files;
}

std::string Sha256Hex(std::string_view bytes) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int length = 0;
  CHECK_EQ(EVP_Digest(bytes.data(), bytes.size(), digest, &length, EVP_sha256(), nullptr), 1);
  return absl::BytesToHexString({reinterpret_cast<const char*>(digest), length});
}

std::string FingerprintOf(const ModelFiles& files) {
  std::string all;
  const auto add = [&all](std::string_view text) {
    absl::StrAppend(&all, text.size(), ":");
    all.append(text);
  };
  const auto add_template = [&](const std::optional<std::string>& text) {
    add(text.has_value() ? "given" : "none");
    add(text.value_or(""));
  };
  add(kVersion);
  add(files.model_dir);
  add(Sha256Hex(files.tokenizer_json));
  add_template(files.templates.chat);
  add_template(files.templates.tool_use);
  for (const auto& [name, text] : files.templates.special_tokens) {
    add(name);
    add(text);
  }
  add(files.default_kwargs_json);
  add(files.time_zone);
  return Sha256Hex(all);
}

}  // namespace vallm::tokenizer
