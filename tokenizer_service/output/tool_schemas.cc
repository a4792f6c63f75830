#include "tokenizer_service/output/tool_schemas.h"

#include <algorithm>

#include "absl/status/status.h"
#include "nlohmann/json.hpp"

namespace vallm::tokenizer {
namespace {

using nlohmann::json;

// The member, or null.
const json* Find(const json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  const auto it = object.find(key);
  return it == object.end() ? nullptr : &*it;
}

bool IsStringType(const json& type) {
  if (type == "string") return true;
  return type.is_array() && std::find(type.begin(), type.end(), "string") != type.end();
}

// Alternatives within alternatives; a schema with more is a client's attempt on the stack.
constexpr int kMaxSchemaDepth = 32;

// Whether a parameter with this schema is written as JSON. Alternatives without a string count too.
bool WantsJson(const json& schema, int depth = 0) {
  if (depth > kMaxSchemaDepth) return false;
  if (const json* type = Find(schema, "type")) return !IsStringType(*type);
  for (const char* key : {"anyOf", "oneOf"}) {
    const json* alternatives = Find(schema, key);
    if (alternatives == nullptr || !alternatives->is_array()) continue;
    return std::all_of(
        alternatives->begin(), alternatives->end(),
        [depth](const json& alternative) { return WantsJson(alternative, depth + 1); });
  }
  return false;
}

}  // namespace

absl::StatusOr<ToolSchemas> ToolSchemas::FromJson(std::string_view tools_json) {
  ToolSchemas schemas;
  if (tools_json.empty()) return schemas;
  const json tools = json::parse(tools_json, /*cb=*/nullptr, /*allow_exceptions=*/false);
  if (!tools.is_array()) return absl::InvalidArgumentError("tools are not a JSON array");
  for (const json& tool : tools) {
    const json* function = Find(tool, "function");
    if (function == nullptr) function = &tool;
    const json* name = Find(*function, "name");
    const json* parameters = Find(*function, "parameters");
    const json* properties = parameters == nullptr ? nullptr : Find(*parameters, "properties");
    if (name == nullptr || !name->is_string() || properties == nullptr) continue;
    Names& names = schemas.json_parameters_[name->get<std::string>()];
    for (const auto& [parameter, schema] : properties->items()) {
      if (WantsJson(schema)) names.insert(parameter);
    }
  }
  return schemas;
}

bool ToolSchemas::IsText(std::string_view tool, std::string_view parameter) const {
  const auto it = json_parameters_.find(tool);
  return it == json_parameters_.end() || !it->second.contains(parameter);
}

}  // namespace vallm::tokenizer
