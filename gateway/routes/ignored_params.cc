#include "gateway/routes/ignored_params.h"

#include <algorithm>

#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status_macros.h"
#include "gateway/openai/errors.h"

namespace vallm::gateway {
namespace {

constexpr size_t kMaxHeaderBytes = 1024;
constexpr size_t kMaxNamesInMessage = 10;

absl::StatusOr<bool> IsStrict(const GatewayOptions& options, const HttpRequest& request) {
  const std::string* header = FindHeader(request.headers, "X-Strict-Params");
  if (header == nullptr) return options.strict_params;
  const std::string value = absl::AsciiStrToLower(*header);
  if (value == "true" || value == "1") return true;
  if (value == "false" || value == "0") return false;
  return InvalidParam("x-strict-params", "the header x-strict-params must be true or false");
}

bool IsHarmless(const std::string& name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return absl::ascii_isalnum(c) || c == '_' || c == '-' || c == '.' || c == '[' || c == ']';
  });
}

}  // namespace

absl::Status CheckIgnored(const GatewayOptions& options, const HttpRequest& request,
                          const std::vector<std::string>& ignored) {
  VALLM_ASSIGN_OR_RETURN(const bool strict, IsStrict(options, request));
  if (!strict || ignored.empty()) return absl::OkStatus();
  const auto named = ignored.begin() + std::min(ignored.size(), kMaxNamesInMessage);
  std::string names = absl::StrCat("'", absl::StrJoin(ignored.begin(), named, "', '"), "'");
  if (named != ignored.end()) absl::StrAppend(&names, " and ", ignored.end() - named, " more");
  return UnsupportedParam(ignored.front(),
                          absl::StrCat(names, ignored.size() == 1 ? " has" : " have",
                                       " no effect here, which strict mode refuses"));
}

void AddIgnoredHeader(const std::vector<std::string>& ignored, HttpHeaders* headers) {
  if (ignored.empty()) return;
  std::string value;
  int unnamed = 0;
  for (const std::string& name : ignored) {
    if (!IsHarmless(name) || value.size() + name.size() > kMaxHeaderBytes) {
      ++unnamed;
    } else {
      absl::StrAppend(&value, value.empty() ? "" : ",", name);
    }
  }
  if (unnamed > 0) absl::StrAppend(&value, value.empty() ? "+" : ",+", unnamed, " more");
  headers->emplace_back("X-Ignored-Params", value);
}

}  // namespace vallm::gateway
