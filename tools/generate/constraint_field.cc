#include "tools/generate/constraint_field.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/strings.h"

namespace vallm::tools {
namespace {

using Json = nlohmann::ordered_json;
using Kind = engine::ConstraintSpec::Kind;
using Phase = engine::ConstraintStart::Phase;

absl::Status Malformed(std::string_view member, std::string_view expected) {
  return absl::InvalidArgumentError(
      absl::StrCat("'constraint.", ToAbsl(member), "' must be ", ToAbsl(expected)));
}

absl::Status ReadText(const Json& value, const std::string& member, Kind kind,
                      engine::ConstraintSpec* spec) {
  if (!value.is_string()) return Malformed(member, "a string");
  spec->kind = kind;
  spec->text = value.get<std::string>();
  return absl::OkStatus();
}

absl::Status ReadStart(const Json& value, Phase* start) {
  if (value == "answer") {
    *start = Phase::kAnswer;
  } else if (value == "maybe_thinking") {
    *start = Phase::kMaybeThinking;
  } else if (value == "thinking") {
    *start = Phase::kThinking;
  } else {
    return Malformed("start", "\"answer\", \"maybe_thinking\" or \"thinking\"");
  }
  return absl::OkStatus();
}

// Sets the kind for a member that says one; `is_kind` is false for the others.
absl::Status ReadMember(const std::string& member, const Json& value,
                        engine::RequestConstraint* constraint, bool* is_kind) {
  engine::ConstraintSpec& spec = constraint->spec;
  *is_kind = true;
  if (member == "json_object") {
    spec.kind = Kind::kJsonObject;
    return value == Json(true) ? absl::OkStatus() : Malformed(member, "true");
  }
  if (member == "json_schema") {
    spec.kind = Kind::kJsonSchema;
    spec.text = value.dump();
    return absl::OkStatus();
  }
  if (member == "regex") return ReadText(value, member, Kind::kRegex, &spec);
  if (member == "grammar") return ReadText(value, member, Kind::kGrammar, &spec);
  if (member == "choice") {
    const bool are_texts =
        value.is_array() &&
        std::all_of(value.begin(), value.end(), [](const Json& text) { return text.is_string(); });
    if (!are_texts) return Malformed(member, "a list of strings");
    spec.kind = Kind::kChoice;
    spec.choices = value.get<std::vector<std::string>>();
    return absl::OkStatus();
  }
  *is_kind = false;
  if (member == "tools") {
    spec.tools = value.dump();
    return absl::OkStatus();
  }
  if (member == "start") return ReadStart(value, &constraint->start);
  if (member == "tool_name") {
    if (!value.is_string()) return Malformed(member, "a string");
    spec.tool_name = value.get<std::string>();
    return absl::OkStatus();
  }
  if (member == "parallel_tool_calls") {
    if (!value.is_boolean()) return Malformed(member, "true or false");
    spec.parallel_tool_calls = value.get<bool>();
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat("'constraint.", member, "' is not known"));
}

}  // namespace

absl::StatusOr<engine::RequestConstraint> ParseConstraintField(std::string_view json) {
  const Json object = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return absl::InvalidArgumentError("'constraint' must be an object");
  engine::RequestConstraint constraint;
  int kinds = 0;
  for (const auto& [member, value] : object.items()) {
    bool is_kind = false;
    VALLM_RETURN_IF_ERROR(ReadMember(member, value, &constraint, &is_kind));
    kinds += is_kind ? 1 : 0;
  }
  const bool has_tools = object.contains("tools");
  if (kinds == 0 && has_tools) {
    constraint.spec.kind = Kind::kTools;
  } else if (kinds != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("'constraint' has ", kinds,
                     " of json_object, json_schema, regex, choice and grammar; it must have one, "
                     "or tools, or both"));
  }
  const bool for_tools = object.contains("tool_name") || object.contains("parallel_tool_calls");
  if (for_tools && !has_tools) {
    return absl::InvalidArgumentError(
        "'constraint.tool_name' and 'constraint.parallel_tool_calls' need 'constraint.tools'");
  }
  return constraint;
}

}  // namespace vallm::tools
