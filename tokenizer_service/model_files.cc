#include "tokenizer_service/model_files.h"

#include <glog/logging.h>
#include <openssl/evp.h>

#include <fstream>
#include <optional>
#include <sstream>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace vallm::tokenizer {

std::string Sha256Hex(std::string_view bytes) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int length = 0;
  CHECK_EQ(EVP_Digest(bytes.data(), bytes.size(), digest, &length, EVP_sha256(), nullptr), 1);
  return absl::BytesToHexString({reinterpret_cast<const char*>(digest), length});
}

absl::StatusOr<std::string> ReadTokenizerJson(const std::string& model_dir) {
  const std::string path = model_dir + "/tokenizer.json";
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (!file || !(text << file.rdbuf())) {
    return absl::NotFoundError(absl::StrCat("cannot read ", path));
  }
  return std::move(text).str();
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
  add(files.model_dir);
  add(Sha256Hex(files.tokenizer_json));
  add_template(files.templates.chat);
  add_template(files.templates.tool_use);
  for (const auto& [name, text] : files.templates.special_tokens) {
    add(name);
    add(text);
  }
  add(files.default_kwargs_json);
  return Sha256Hex(all);
}

}  // namespace vallm::tokenizer
