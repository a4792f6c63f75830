#include "gateway/http_message.h"

#include "absl/strings/match.h"
#include "common/strings.h"

namespace vallm::gateway {

const std::string* FindHeader(const HttpHeaders& headers, std::string_view name) {
  for (const auto& [key, value] : headers) {
    if (absl::EqualsIgnoreCase(key, ToAbsl(name))) return &value;
  }
  return nullptr;
}

const std::string* FindQuery(const HttpQuery& query, std::string_view name) {
  for (const auto& [key, value] : query) {
    if (key == name) return &value;
  }
  return nullptr;
}

}  // namespace vallm::gateway
