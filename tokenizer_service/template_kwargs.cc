#include "tokenizer_service/template_kwargs.h"

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "nlohmann/json.hpp"

namespace vallm::tokenizer {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

// The request's variables are parsed as plain json: inserting a member of ordered_json looks at all
// others, and a request may have any number of them.
template <typename Json>
Json ParseObject(std::string_view text) {
  if (text.empty()) return Json::object();
  return Json::parse(text, nullptr, /*allow_exceptions=*/false);
}

}  // namespace

absl::Status CheckTemplateKwargs(std::string_view json, std::string_view name) {
  if (ParseObject<nlohmann::json>(json).is_object()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(ToAbsl(name), " is not a JSON object"));
}

absl::StatusOr<std::string> MergeTemplateKwargs(std::string_view defaults,
                                                std::string_view request) {
  VALLM_RETURN_IF_ERROR(CheckTemplateKwargs(request, "template_kwargs_json"));
  const json given = ParseObject<json>(request);
  if (given.empty()) return std::string(defaults);
  const ordered_json fallback = ParseObject<ordered_json>(defaults);
  ordered_json missing = ordered_json::object();
  for (const auto& [key, value] : fallback.items()) {
    if (!given.contains(key)) missing[key] = value;
  }
  if (missing.empty()) return std::string(request);
  // The members of the request are spliced in as text: parsing would change numbers that no machine
  // type holds.
  std::string merged = missing.dump();
  merged.back() = ',';
  merged.append(request.substr(request.find('{') + 1));
  return merged;
}

}  // namespace vallm::tokenizer
