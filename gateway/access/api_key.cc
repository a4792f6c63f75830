#include "gateway/access/api_key.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <limits>
#include <set>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace vallm::gateway {
namespace {

// Every one is hashed with its own salt for every request.
constexpr size_t kMaxKeys = 1000;
constexpr size_t kMaxNameLength = 64;

bool IsFitName(const std::string& name) {
  return !name.empty() && name.size() <= kMaxNameLength &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) {
           return absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.' || c == '@';
         });
}

// A day means its beginning.
bool ParseExpiry(const std::string& text, absl::Time* time) {
  std::string error;
  return absl::ParseTime(absl::RFC3339_full, text, time, &error) ||
         absl::ParseTime("%Y-%m-%d", text, absl::UTCTimeZone(), time, &error);
}

class EntryReader {
 public:
  explicit EntryReader(std::string where) : where_(std::move(where)) {}

  absl::StatusOr<ApiKey> Read(const YAML::Node& entry) {
    if (!entry.IsMap()) return Error("must be a map with name and key or key_sha256");
    std::set<std::string> seen;
    for (const auto& field : entry) {
      if (!field.first.IsScalar() || !field.second.IsScalar()) {
        return Error("has a field that is not a plain value");
      }
      const std::string& name = field.first.Scalar();
      if (!seen.insert(name).second) return Error(absl::StrCat("has ", name, " twice"));
      VALLM_RETURN_IF_ERROR(ReadField(name, field.second.Scalar()));
    }
    if (!seen.contains("name")) return Error("has no name");
    if (seen.contains("key") == seen.contains("key_sha256")) {
      return Error("needs either key or key_sha256");
    }
    return std::move(key_);
  }

 private:
  absl::Status Error(const std::string& what) const {
    return absl::InvalidArgumentError(absl::StrCat(where_, " ", what));
  }

  absl::Status ReadField(const std::string& name, const std::string& value) {
    if (name == "name") {
      if (!IsFitName(value)) {
        return Error("has a bad name: 1 to 64 letters, digits and any of -_.@");
      }
      key_.name = value;
      where_ = absl::StrCat("key \"", value, "\"");
      return absl::OkStatus();
    }
    if (name == "key") {
      if (!IsFitKey(value)) return Error("has a bad key: printable ASCII without spaces");
      key_.hash = HashKey(value, NewSalt());
      return absl::OkStatus();
    }
    if (name == "key_sha256") {
      absl::StatusOr<KeyHash> hash = ParseKeyHash(value);
      if (!hash.ok())
        return Error(absl::StrCat("has a bad key_sha256: it ", hash.status().message()));
      key_.hash = *std::move(hash);
      return absl::OkStatus();
    }
    if (name == "expires") {
      if (ParseExpiry(value, &key_.expires)) return absl::OkStatus();
      return Error("has a bad expires: it must be a date or a time like 2027-01-31T12:00:00Z");
    }
    if (name == "priority") {
      int32_t priority = 0;
      if (!absl::SimpleAtoi(value, &priority)) return Error("has a priority that is no integer");
      key_.priority = priority;
      return absl::OkStatus();
    }
    for (const auto& [limit, target] :
         {std::pair("requests_per_minute", &key_.limits.requests_per_minute),
          std::pair("tokens_per_minute", &key_.limits.tokens_per_minute),
          std::pair("max_concurrent_requests", &key_.limits.max_concurrent_requests)}) {
      if (name != limit) continue;
      constexpr int64_t kMost = 1'000'000'000'000;
      if (absl::SimpleAtoi(value, target) && *target >= 1 && *target <= kMost) {
        return absl::OkStatus();
      }
      return Error(absl::StrCat("has a bad ", limit, ": it must be a number of at least 1"));
    }
    return Error(absl::StrCat("has an unknown field \"", name, "\""));
  }

  std::string where_;
  ApiKey key_;
};

absl::StatusOr<std::vector<ApiKey>> ReadKeys(const YAML::Node& root) {
  if (!root.IsMap() || root.size() != 1 || !root["keys"].IsDefined() ||
      !root["keys"].IsSequence()) {
    return absl::InvalidArgumentError("must be a map with one list, keys");
  }
  const YAML::Node& list = root["keys"];
  if (list.size() > kMaxKeys) {
    return absl::InvalidArgumentError(
        absl::StrCat("has ", list.size(), " keys; the limit is ", kMaxKeys));
  }
  std::vector<ApiKey> keys;
  std::set<std::string> names;
  for (const YAML::Node& entry : list) {
    EntryReader reader(absl::StrCat("keys[", keys.size(), "]"));
    VALLM_ASSIGN_OR_RETURN(ApiKey key, reader.Read(entry));
    if (!names.insert(key.name).second) {
      return absl::InvalidArgumentError(absl::StrCat("has two keys named \"", key.name, "\""));
    }
    keys.push_back(std::move(key));
  }
  return keys;
}

}  // namespace

absl::StatusOr<std::vector<ApiKey>> ParseKeyFile(const std::string& yaml) {
  try {
    return ReadKeys(YAML::Load(yaml));
  } catch (const YAML::Exception& e) {
    // Without the library's text: it may quote what stands there.
    return absl::InvalidArgumentError(absl::StrCat("is not valid YAML at line ", e.mark.line + 1,
                                                   ", column ", e.mark.column + 1));
  }
}

}  // namespace vallm::gateway
