#include "engine_service/model/json_fields.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/strings.h"

namespace vallm::engine {

using nlohmann::json;

const json* JsonFields::Find(const char* name) const {
  const auto it = object_.find(name);
  return it == object_.end() || it->is_null() ? nullptr : &*it;
}

std::string JsonFields::Describe(const char* name, std::string_view problem) const {
  const json* value = Find(name);
  if (value == nullptr) return absl::StrCat(where_, ": field '", name, "' is missing");
  std::string text = value->dump(-1, ' ', false, json::error_handler_t::replace);
  if (text.size() > 100) text = text.substr(0, 100) + "…";
  return absl::StrCat(where_, ": field '", name, "' is ", text, ": ", ToAbsl(problem));
}

absl::Status JsonFields::Invalid(const char* name, std::string_view problem) const {
  return absl::InvalidArgumentError(Describe(name, problem));
}

absl::Status JsonFields::Unsupported(const char* name, std::string_view problem) const {
  return absl::UnimplementedError(Describe(name, problem));
}

absl::StatusOr<int64_t> JsonFields::Int(const char* name, int64_t min, int64_t max) const {
  const json* value = Find(name);
  // An unsigned value beyond int64 must not wrap into range.
  const bool fits = value != nullptr && value->is_number_integer() &&
                    !(value->is_number_unsigned() && value->get<uint64_t>() > uint64_t{INT64_MAX});
  if (!fits || value->get<int64_t>() < min || value->get<int64_t>() > max) {
    return Invalid(name, ToStd(absl::StrCat("want an integer from ", min, " to ", max)));
  }
  return value->get<int64_t>();
}

absl::StatusOr<double> JsonFields::Number(const char* name, double min, double max) const {
  const json* value = Find(name);
  if (value == nullptr || !value->is_number() ||
      !(value->get<double>() >= min && value->get<double>() <= max)) {
    return Invalid(name, ToStd(absl::StrCat("want a number from ", min, " to ", max)));
  }
  return value->get<double>();
}

absl::StatusOr<std::string> JsonFields::String(const char* name) const {
  const json* value = Find(name);
  if (value == nullptr || !value->is_string()) return Invalid(name, "want a string");
  return value->get<std::string>();
}

absl::StatusOr<int64_t> JsonFields::IntOr(const char* name, int64_t min, int64_t max,
                                          int64_t fallback) const {
  if (Find(name) == nullptr) return fallback;
  return Int(name, min, max);
}

absl::StatusOr<double> JsonFields::NumberOr(const char* name, double min, double max,
                                            double fallback) const {
  if (Find(name) == nullptr) return fallback;
  return Number(name, min, max);
}

absl::StatusOr<bool> JsonFields::BoolOr(const char* name, bool fallback) const {
  const json* value = Find(name);
  if (value == nullptr) return fallback;
  if (!value->is_boolean()) return Invalid(name, "want true or false");
  return value->get<bool>();
}

absl::StatusOr<std::vector<int32_t>> JsonFields::Ints(const char* name, int64_t min,
                                                      int64_t max) const {
  std::vector<int32_t> result;
  const json* value = Find(name);
  if (value == nullptr) return result;
  const json list = value->is_array() ? *value : json::array({*value});
  for (const json& item : list) {
    if (!item.is_number_integer() || item.get<int64_t>() < min || item.get<int64_t>() > max) {
      return Invalid(name, ToStd(absl::StrCat("want integers from ", min, " to ", max)));
    }
    result.push_back(item.get<int32_t>());
  }
  return result;
}

absl::StatusOr<std::vector<std::string>> JsonFields::Strings(const char* name) const {
  std::vector<std::string> result;
  const json* value = Find(name);
  if (value == nullptr) return result;
  if (!value->is_array()) return Invalid(name, "want a list of strings");
  for (const json& item : *value) {
    if (!item.is_string()) return Invalid(name, "want a list of strings");
    result.push_back(item.get<std::string>());
  }
  return result;
}

absl::Status JsonFields::OnlyHas(std::initializer_list<std::string_view> names) const {
  for (const auto& [key, value] : object_.items()) {
    if (value.is_null() || std::find(names.begin(), names.end(), key) != names.end()) continue;
    return Unsupported(key.c_str(), "this field is not supported");
  }
  return absl::OkStatus();
}

absl::StatusOr<json> ParseJsonObject(std::string_view text, std::string_view where) {
  json parsed = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (parsed.is_discarded()) {
    return absl::InvalidArgumentError(absl::StrCat(ToAbsl(where), ": not valid JSON"));
  }
  if (!parsed.is_object()) {
    return absl::InvalidArgumentError(absl::StrCat(ToAbsl(where), ": not a JSON object"));
  }
  return parsed;
}

}  // namespace vallm::engine
