#include "tools/eval/config/yaml_json.h"

#include <yaml-cpp/yaml.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace vallm::eval {
namespace {

using nlohmann::ordered_json;

constexpr int kMaxDepth = 32;

ordered_json Scalar(const YAML::Node& node) {
  const std::string& text = node.Scalar();
  if (node.Tag() == "!") return text;  // quoted
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") {
    return nullptr;
  }
  if (text == "true" || text == "True" || text == "TRUE") return true;
  if (text == "false" || text == "False" || text == "FALSE") return false;
  int64_t integer = 0;
  if (absl::SimpleAtoi(text, &integer)) return integer;
  double number = 0;
  if (text.find_first_not_of("0123456789.eE+-") == std::string::npos &&
      absl::SimpleAtod(text, &number)) {
    return number;
  }
  return text;
}

absl::StatusOr<ordered_json> Convert(const YAML::Node& node, int depth) {
  if (depth > kMaxDepth) return absl::InvalidArgumentError("nested too deep");
  if (node.IsScalar()) return Scalar(node);
  if (node.IsSequence()) {
    ordered_json array = ordered_json::array();
    for (const YAML::Node& element : node) {
      VALLM_ASSIGN_OR_RETURN(ordered_json value, Convert(element, depth + 1));
      array.push_back(std::move(value));
    }
    return array;
  }
  if (node.IsMap()) {
    ordered_json object = ordered_json::object();
    for (const auto& member : node) {
      const std::string key = member.first.IsScalar() ? member.first.Scalar() : "";
      if (key.empty()) {
        return absl::InvalidArgumentError(
            absl::StrCat("line ", member.first.Mark().line + 1, ": a key is no plain name"));
      }
      if (object.contains(key)) {
        return absl::InvalidArgumentError(
            absl::StrCat("line ", member.first.Mark().line + 1, ": '", key, "' is given twice"));
      }
      VALLM_ASSIGN_OR_RETURN(object[key], Convert(member.second, depth + 1));
    }
    return object;
  }
  return ordered_json(nullptr);
}

}  // namespace

absl::StatusOr<ordered_json> YamlToJson(const std::string& yaml) {
  try {
    return Convert(YAML::Load(yaml), /*depth=*/0);
  } catch (const YAML::Exception& error) {  // yaml-cpp reports by exceptions only
    return absl::InvalidArgumentError(absl::StrCat("line ", error.mark.line + 1, ", column ",
                                                   error.mark.column + 1, ": ", error.msg));
  }
}

}  // namespace vallm::eval
