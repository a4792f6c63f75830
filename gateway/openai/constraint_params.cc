#include "gateway/openai/constraint_params.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "gateway/openai/errors.h"
#include "nlohmann/json.hpp"

namespace vallm::gateway {
namespace {

using Json = nlohmann::ordered_json;
using Kind = AnswerConstraint::Kind;

class Reader {
 public:
  // Takes the constraint of kind `kind` that the field `name` says, if it is there.
  absl::Status ReadText(JsonObject& fields, std::string_view name, Kind kind) {
    VALLM_ASSIGN_OR_RETURN(auto text, fields.String(name));
    if (!text) return absl::OkStatus();
    return Take(fields.PathOf(name), {.kind = kind, .text = *std::move(text)});
  }

  absl::Status ReadChoice(JsonObject& fields, std::string_view name) {
    if (fields.Find(name) == nullptr) return absl::OkStatus();
    VALLM_ASSIGN_OR_RETURN(auto choices, fields.Strings(name));
    return Take(fields.PathOf(name), {.kind = Kind::kChoice, .choices = std::move(choices)});
  }

  // A schema as JSON, or as a string that holds JSON.
  absl::Status ReadSchema(JsonObject& fields, std::string_view name) {
    const Json* schema = fields.Find(name);
    if (schema == nullptr) return absl::OkStatus();
    const bool is_schema = schema->is_object() || schema->is_boolean() || schema->is_string();
    if (!is_schema) {
      return InvalidParam(fields.PathOf(name),
                          absl::StrCat("'", fields.PathOf(name), "' must be a JSON schema, not ",
                                       ToAbsl(KindOf(*schema))));
    }
    return Take(fields.PathOf(name),
                {.kind = Kind::kJsonSchema,
                 .text = schema->is_string() ? schema->get<std::string>() : schema->dump()});
  }

  absl::Status ReadResponseFormat(JsonObject& body) {
    const Json* format = body.Find("response_format");
    if (format == nullptr) return absl::OkStatus();
    if (!format->is_object()) return NotAnObject("response_format", *format);
    JsonObject fields(*format, "response_format.");
    VALLM_ASSIGN_OR_RETURN(const auto type, fields.String("type"));
    if (type == "text") return absl::OkStatus();
    if (type == "json_object") return Take("response_format", {.kind = Kind::kJsonObject});
    if (type != "json_schema") {
      return UnsupportedParam(
          "response_format.type",
          "'response_format.type' must be \"text\", \"json_object\" or \"json_schema\"");
    }
    const Json* wrapper = fields.Find("json_schema");
    if (wrapper == nullptr || !wrapper->is_object()) {
      return InvalidParam("response_format.json_schema",
                          "'response_format.json_schema' must be an object with a 'schema'");
    }
    JsonObject inner(*wrapper, "response_format.json_schema.");
    if (inner.Find("schema") == nullptr) {
      return InvalidParam("response_format.json_schema.schema",
                          "'response_format.json_schema.schema' is missing");
    }
    return ReadSchema(inner, "schema");
  }

  absl::Status ReadStructuredOutputs(JsonObject& body) {
    const Json* outputs = body.Find("structured_outputs");
    if (outputs == nullptr) return absl::OkStatus();
    if (!outputs->is_object()) return NotAnObject("structured_outputs", *outputs);
    JsonObject fields(*outputs, "structured_outputs.");
    VALLM_RETURN_IF_ERROR(ReadSchema(fields, "json"));
    VALLM_RETURN_IF_ERROR(ReadText(fields, "regex", Kind::kRegex));
    VALLM_RETURN_IF_ERROR(ReadChoice(fields, "choice"));
    VALLM_RETURN_IF_ERROR(ReadText(fields, "grammar", Kind::kGrammar));
    VALLM_ASSIGN_OR_RETURN(const auto json_object, fields.Bool("json_object"));
    if (json_object.value_or(false)) {
      VALLM_RETURN_IF_ERROR(Take("structured_outputs.json_object", {.kind = Kind::kJsonObject}));
    }
    for (const std::string& name : fields.Unread()) {
      const Json* value = fields.Find(name);
      if (value == nullptr || *value == Json(false)) continue;
      return UnsupportedParam(fields.PathOf(name),
                              absl::StrCat("'", fields.PathOf(name), "' is not supported"));
    }
    return absl::OkStatus();
  }

  std::optional<AnswerConstraint> TakeResult() { return std::move(result_); }

 private:
  static absl::Status NotAnObject(const char* name, const Json& value) {
    return InvalidParam(
        name, absl::StrCat("'", name, "' must be an object, not ", ToAbsl(KindOf(value))));
  }

  absl::Status Take(const std::string& name, AnswerConstraint constraint) {
    if (result_.has_value()) {
      return InvalidParam(name, absl::StrCat("'", name, "' and '", result_->param,
                                             "' exclude each other: both say what the answer "
                                             "must look like"));
    }
    result_ = std::move(constraint);
    result_->param = name;
    return absl::OkStatus();
  }

  std::optional<AnswerConstraint> result_;
};

}  // namespace

absl::StatusOr<std::optional<AnswerConstraint>> ReadConstraint(JsonObject& body) {
  Reader reader;
  VALLM_RETURN_IF_ERROR(reader.ReadResponseFormat(body));
  VALLM_RETURN_IF_ERROR(reader.ReadStructuredOutputs(body));
  VALLM_RETURN_IF_ERROR(reader.ReadSchema(body, "guided_json"));
  VALLM_RETURN_IF_ERROR(reader.ReadText(body, "guided_regex", Kind::kRegex));
  VALLM_RETURN_IF_ERROR(reader.ReadChoice(body, "guided_choice"));
  VALLM_RETURN_IF_ERROR(reader.ReadText(body, "guided_grammar", Kind::kGrammar));
  return reader.TakeResult();
}

}  // namespace vallm::gateway
