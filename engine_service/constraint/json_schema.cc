#include "engine_service/constraint/json_schema.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "engine_service/constraint/schema_fields.h"
#include "engine_service/constraint/schema_merge.h"
#include "nlohmann/json.hpp"

namespace vallm::engine {
namespace {

using Json = nlohmann::ordered_json;

// Say nothing about which values are valid.
constexpr std::array<std::string_view, 17> kAnnotations = {
    "title",    "description", "default", "examples",      "example",     "$comment",
    "$schema",  "$id",         "id",      "$defs",         "definitions", "deprecated",
    "readOnly", "writeOnly",   "$anchor", "discriminator", "nullable"};

constexpr std::array<std::string_view, 4> kStringKeywords = {"minLength", "maxLength", "pattern",
                                                             "format"};
constexpr std::array<std::string_view, 5> kNumberKeywords = {
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"};
constexpr std::array<std::string_view, 6> kArrayKeywords = {
    "items", "prefixItems", "additionalItems", "minItems", "maxItems", "uniqueItems"};
constexpr std::array<std::string_view, 6> kObjectKeywords = {
    "properties",        "required",      "additionalProperties",
    "patternProperties", "minProperties", "unevaluatedProperties"};
constexpr std::array<std::string_view, 7> kGeneralKeywords = {"type",  "enum",  "const", "anyOf",
                                                              "oneOf", "allOf", "$ref"};

template <typename List>
bool Has(const List& list, std::string_view key) {
  return std::find(list.begin(), list.end(), key) != list.end();
}

bool IsAnnotation(const std::string& key) {
  return (Has(kAnnotations, key) && key != "nullable") || key.rfind("x-", 0) == 0;
}

absl::Status CheckKeywords(const Json& schema, const std::string& path) {
  for (const auto& [key, value] : schema.items()) {
    if (IsAnnotation(key) || Has(kStringKeywords, key) || Has(kNumberKeywords, key) ||
        Has(kArrayKeywords, key) || Has(kObjectKeywords, key) || Has(kGeneralKeywords, key)) {
      continue;
    }
    // A keyword may be there and say nothing.
    if ((key == "nullable" && value == Json(false)) ||
        (key == "unevaluatedItems" && value == Json(true))) {
      continue;
    }
    return absl::UnimplementedError(absl::StrCat(path, ": keyword '", key, "' is not supported"));
  }
  if (schema.contains("uniqueItems") && schema["uniqueItems"] != Json(false)) {
    return absl::UnimplementedError(absl::StrCat(path, ": keyword 'uniqueItems' is not supported"));
  }
  return absl::OkStatus();
}

bool HasAnyOf(const Json& schema, const auto& keywords) {
  return std::any_of(schema.items().begin(), schema.items().end(),
                     [&](const auto& item) { return Has(keywords, item.key()); });
}

bool IsOfType(const Json& value, const std::string& type) {
  if (type == "string") return value.is_string();
  if (type == "integer") return value.is_number_integer();
  if (type == "number") return value.is_number();
  if (type == "boolean") return value.is_boolean();
  if (type == "null") return value.is_null();
  if (type == "array") return value.is_array();
  return type == "object" && value.is_object();
}

// The types a schema asks for: those it lists, or those its keywords are about.
absl::StatusOr<std::vector<std::string>> TypesOf(const Json& schema, const std::string& path) {
  std::vector<std::string> types;
  const auto at = schema.find("type");
  if (at == schema.end()) {
    if (HasAnyOf(schema, kObjectKeywords)) types.emplace_back("object");
    if (HasAnyOf(schema, kArrayKeywords)) types.emplace_back("array");
    if (HasAnyOf(schema, kStringKeywords)) types.emplace_back("string");
    if (HasAnyOf(schema, kNumberKeywords)) types.emplace_back("number");
    return types;
  }
  for (const Json& type : at->is_array() ? *at : Json::array({*at})) {
    if (!type.is_string()) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": keyword 'type' must be a string or a list of strings"));
    }
    types.push_back(type.get<std::string>());
  }
  if (types.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": keyword 'type' lists no type"));
  }
  return types;
}

// `schema` without annotations and `without`.
Json Remainder(const Json& schema, std::string_view without) {
  Json rest = Json::object();
  for (const auto& [key, value] : schema.items()) {
    if (key != without && !IsAnnotation(key)) rest[key] = value;
  }
  return rest;
}

}  // namespace

absl::StatusOr<ExprPtr> SchemaCompiler::Compile(const Json& schema, const std::string& path) {
  if (schema.is_boolean()) return schema.get<bool>() ? json_.Value() : ChoiceExpr({});
  if (!schema.is_object()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": a schema is an object or a boolean"));
  }
  VALLM_RETURN_IF_ERROR(Charge(1, path));
  if (depth_ >= kMaxSchemaDepth) {
    return absl::ResourceExhaustedError(
        absl::StrCat(path, ": the schema nests deeper than ", kMaxSchemaDepth));
  }
  ++depth_;
  Result result = CompileObjectSchema(schema, path);
  --depth_;
  return result;
}

absl::Status SchemaCompiler::Charge(int parts, const std::string& path) {
  count_ += parts;
  if (count_ <= kMaxSubschemas) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat(path, ": the schema has more than ", kMaxSubschemas, " parts"));
}

absl::StatusOr<ExprPtr> SchemaCompiler::CompileObjectSchema(const Json& schema,
                                                            const std::string& path) {
  VALLM_RETURN_IF_ERROR(CheckKeywords(schema, path));
  if (schema.contains("$ref")) return CompileReference(schema, path);
  if (schema.contains("allOf")) return CompileAllOf(schema, path);
  if (schema.contains("anyOf")) return CompileAnyOf(schema, "anyOf", path);
  if (schema.contains("oneOf")) return CompileAnyOf(schema, "oneOf", path);
  if (schema.contains("enum") || schema.contains("const")) return CompileEnum(schema, path);
  return CompileTypes(schema, path);
}

absl::StatusOr<const Json*> SchemaCompiler::Resolve(const std::string& reference,
                                                    const std::string& path) const {
  if (reference.empty() || reference[0] != '#' || (reference.size() > 1 && reference[1] != '/')) {
    return absl::UnimplementedError(
        absl::StrCat(path, ": keyword '$ref': '", reference,
                     "' is not supported; references begin with '#/' or are '#'"));
  }
  const Json* at = document_;
  size_t begin = 2;
  while (begin <= reference.size() && reference.size() > 1) {
    const size_t end = std::min(reference.find('/', begin), reference.size());
    const std::string name = UnescapePointer(reference.substr(begin, end - begin));
    const Json* next = ChildOf(*at, name);
    if (next == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": keyword '$ref': '", reference, "' points at nothing"));
    }
    at = next;
    begin = end + 1;
  }
  return at;
}

absl::StatusOr<Json> SchemaCompiler::WithoutReference(const Json& schema, const std::string& path) {
  VALLM_RETURN_IF_ERROR(Charge(kPartsPerMerge, path));
  Json result = schema;
  // A chain of references that ends nowhere is cut by the limit.
  for (int i = 0; i < kMaxSchemaDepth; ++i) {
    if (!result.is_object() || !result.contains("$ref")) return result;
    if (!result["$ref"].is_string()) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": keyword '$ref' must be a string"));
    }
    VALLM_ASSIGN_OR_RETURN(const Json* target, Resolve(result["$ref"].get<std::string>(), path));
    VALLM_ASSIGN_OR_RETURN(result, MergeSchemas(Remainder(result, "$ref"), *target, path));
  }
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": keyword '$ref': the reference leads back to itself"));
}

absl::StatusOr<ExprPtr> SchemaCompiler::CompileReference(const Json& schema,
                                                         const std::string& path) {
  if (!Remainder(schema, "$ref").empty()) {
    VALLM_ASSIGN_OR_RETURN(const Json merged, WithoutReference(schema, path));
    return Compile(merged, path);
  }
  VALLM_ASSIGN_OR_RETURN(const std::string reference, StringField(schema, "$ref", path));
  VALLM_ASSIGN_OR_RETURN(const Json* target, Resolve(reference, path));
  const auto [at, is_new] = reference_rules_.try_emplace(reference, 0);
  if (is_new) {
    const int rule = grammar_->AddRule(reference);
    at->second = rule;
    VALLM_ASSIGN_OR_RETURN(grammar_->rules[rule].body, Compile(*target, reference));
    return RuleExpr(rule);
  }
  return RuleExpr(at->second);
}

absl::StatusOr<ExprPtr> SchemaCompiler::CompileAllOf(const Json& schema, const std::string& path) {
  const Json& parts = schema["allOf"];
  if (!parts.is_array() || parts.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": keyword 'allOf' must be a list of schemas"));
  }
  Json merged = Remainder(schema, "allOf");
  for (size_t i = 0; i < parts.size(); ++i) {
    const std::string part_path = absl::StrCat(path, "/allOf/", i);
    VALLM_ASSIGN_OR_RETURN(Json part, WithoutReference(parts[i], part_path));
    if (part.is_object()) VALLM_RETURN_IF_ERROR(CheckKeywords(part, part_path));
    VALLM_ASSIGN_OR_RETURN(merged, MergeSchemas(merged, part, part_path));
  }
  return Compile(merged, path);
}

absl::StatusOr<ExprPtr> SchemaCompiler::CompileAnyOf(const Json& schema, const std::string& key,
                                                     const std::string& path) {
  const Json& parts = schema[key];
  if (!parts.is_array() || parts.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": keyword '", key, "' must be a list of schemas"));
  }
  const Json base = Remainder(schema, key);
  std::vector<ExprPtr> ways;
  for (size_t i = 0; i < parts.size(); ++i) {
    const std::string part_path = absl::StrCat(path, "/", key, "/", i);
    Json part = parts[i];
    if (!base.empty()) {
      VALLM_ASSIGN_OR_RETURN(const Json resolved, WithoutReference(part, part_path));
      VALLM_ASSIGN_OR_RETURN(part, MergeSchemas(base, resolved, part_path));
    }
    VALLM_ASSIGN_OR_RETURN(ExprPtr way, Compile(part, part_path));
    ways.push_back(std::move(way));
  }
  return ChoiceExpr(std::move(ways));
}

absl::StatusOr<ExprPtr> SchemaCompiler::CompileEnum(const Json& schema, const std::string& path) {
  Json values = schema.contains("enum") ? schema["enum"] : Json::array({schema["const"]});
  if (!values.is_array() || values.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": keyword 'enum' must be a list of values"));
  }
  for (const auto& item : schema.items()) {
    const std::string& key = item.key();
    if (!IsAnnotation(key) && key != "enum" && key != "const" && key != "type") {
      return absl::UnimplementedError(
          absl::StrCat(path, ": keyword '", key, "' beside 'enum' or 'const' is not supported"));
    }
  }
  VALLM_ASSIGN_OR_RETURN(const std::vector<std::string> types, TypesOf(schema, path));
  std::vector<ExprPtr> ways;
  for (const Json& value : values) {
    if (schema.contains("const") && value != schema["const"]) continue;
    const bool fits = types.empty() ||
                      std::any_of(types.begin(), types.end(),
                                  [&](const std::string& type) { return IsOfType(value, type); });
    if (fits) ways.push_back(ValueExpr(value));
  }
  return ChoiceExpr(std::move(ways));
}

ExprPtr SchemaCompiler::ValueExpr(const Json& value) {
  if (value.is_string()) return QuotedJson(value.get<std::string>());
  if (!value.is_structured()) return BytesExpr(value.dump());
  std::vector<ExprPtr> parts = {BytesExpr(value.is_array() ? "[" : "{"), json_.Space()};
  bool first = true;
  for (const auto& [key, item] : value.items()) {
    if (!first) parts.push_back(json_.Comma());
    first = false;
    parts.push_back(value.is_array() ? ValueExpr(item)
                                     : json_.Member(QuotedJson(key), ValueExpr(item)));
  }
  if (!first) parts.push_back(json_.Space());
  parts.push_back(BytesExpr(value.is_array() ? "]" : "}"));
  return SequenceExpr(std::move(parts));
}

absl::StatusOr<ExprPtr> SchemaCompiler::CompileTypes(const Json& schema, const std::string& path) {
  VALLM_ASSIGN_OR_RETURN(const std::vector<std::string> types, TypesOf(schema, path));
  if (types.empty()) return json_.Value();
  std::vector<ExprPtr> ways;
  for (const std::string& type : types) {
    VALLM_ASSIGN_OR_RETURN(ExprPtr way, CompileType(schema, type, path));
    ways.push_back(std::move(way));
  }
  return ChoiceExpr(std::move(ways));
}

absl::StatusOr<ExprPtr> SchemaCompiler::CompileType(const Json& schema, const std::string& type,
                                                    const std::string& path) {
  if (type == "object") return CompileObject(schema, path);
  if (type == "array") return CompileArray(schema, path);
  if (type == "string") return CompileString(schema, path);
  if (type == "integer") return CompileInteger(schema, path);
  if (type == "number") return CompileNumber(schema, path);
  if (type == "boolean") return ChoiceExpr({BytesExpr("true"), BytesExpr("false")});
  if (type == "null") return BytesExpr("null");
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": keyword 'type': '", type, "' is no JSON type"));
}

absl::StatusOr<Grammar> GrammarOfSchema(std::string_view schema) {
  if (schema.size() > kMaxSchemaBytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the schema has ", schema.size(), " bytes; the limit is ", kMaxSchemaBytes));
  }
  const Json document = Json::parse(schema, nullptr, /*allow_exceptions=*/false);
  if (document.is_discarded()) return absl::InvalidArgumentError("the schema is not JSON");
  Grammar grammar;
  SchemaCompiler compiler(&document, &grammar);
  const int root = grammar.AddRule("#");
  VALLM_ASSIGN_OR_RETURN(grammar.rules[root].body, compiler.Compile(document, "#"));
  grammar.root = root;
  return grammar;
}

Grammar GrammarOfAnyObject() {
  Grammar grammar;
  const int root = grammar.AddRule("(JSON object)");
  grammar.rules[root].body = JsonRules(&grammar).Object();
  grammar.root = root;
  return grammar;
}

}  // namespace vallm::engine
