#include "engine_service/constraint/schema_merge.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "nlohmann/json.hpp"

namespace vallm::engine {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::array<std::string_view, 5> kLowerBounds = {"minimum", "exclusiveMinimum",
                                                          "minLength", "minItems", "minProperties"};
constexpr std::array<std::string_view, 5> kUpperBounds = {"maximum", "exclusiveMaximum",
                                                          "maxLength", "maxItems", "maxProperties"};
constexpr std::array<std::string_view, 6> kDescriptions = {"title",    "description", "default",
                                                           "examples", "$comment",    "$defs"};

// The most alternatives that two lists of them may combine to.
constexpr size_t kMaxAlternatives = 1024;

template <typename List>
bool Has(const List& list, std::string_view key) {
  return std::find(list.begin(), list.end(), key) != list.end();
}

Json AllOf(const Json& a, const Json& b) {
  if (a == b) return a;
  return Json{{"allOf", Json::array({a, b})}};
}

Json AsList(const Json& value) { return value.is_array() ? value : Json::array({value}); }

bool Contains(const Json& list, const Json& value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

Json JoinTypes(const Json& a, const Json& b) {
  Json result = Json::array();
  for (const Json& type : AsList(a)) {
    const bool in_both =
        Contains(AsList(b), type) || (type == "integer" && Contains(AsList(b), Json("number")));
    if (in_both) result.push_back(type);
  }
  for (const Json& type : AsList(b)) {
    if (type == "integer" && !Contains(result, type) && Contains(AsList(a), Json("number"))) {
      result.push_back(type);
    }
  }
  return result;
}

// What `schema` says about a property that it does not list: nothing if it does not close itself.
void RestrictUnlisted(const Json& schema, Json* property) {
  const auto additional = schema.find("additionalProperties");
  if (additional != schema.end() && *additional != Json(true)) {
    *property = AllOf(*additional, *property);
  }
}

Json JoinProperties(const Json& a, const Json& b) {
  const auto properties_of = [](const Json& schema) {
    const auto at = schema.find("properties");
    return at != schema.end() && at->is_object() ? *at : Json::object();
  };
  const Json in_a = properties_of(a);
  const Json in_b = properties_of(b);
  Json result = Json::object();
  for (const auto& [name, value] : in_a.items()) {
    Json joined = value;
    if (in_b.contains(name)) {
      joined = AllOf(value, in_b[name]);
    } else {
      RestrictUnlisted(b, &joined);
    }
    result[name] = std::move(joined);
  }
  for (const auto& [name, value] : in_b.items()) {
    if (in_a.contains(name)) continue;
    Json joined = value;
    RestrictUnlisted(a, &joined);
    result[name] = std::move(joined);
  }
  return result;
}

Json UnionOf(const Json& a, const Json& b) {
  Json result = a;
  for (const Json& value : b) {
    if (!Contains(result, value)) result.push_back(value);
  }
  return result;
}

class Merger {
 public:
  Merger(const Json& a, const Json& b, const std::string& path) : a_(a), b_(b), path_(path) {}

  absl::StatusOr<Json> Run() {
    Json result = a_;
    for (const auto& [key, value] : b_.items()) {
      const auto at = result.find(key);
      if (at == result.end()) {
        result[key] = value;
      } else if (*at != value) {
        VALLM_ASSIGN_OR_RETURN(Json joined, Join(key, *at, value));
        if (impossible_) return Json(false);
        *at = std::move(joined);
      }
    }
    if (a_.contains("properties") || b_.contains("properties")) {
      result["properties"] = JoinProperties(a_, b_);
    }
    return result;
  }

 private:
  absl::StatusOr<Json> Join(const std::string& key, const Json& a, const Json& b) {
    if (Has(kDescriptions, key)) return a;
    if (key == "type") {
      Json types = JoinTypes(a, b);
      impossible_ = types.empty();
      return types;
    }
    if (key == "properties") return a;  // all at once, in Run()
    if (key == "required" && a.is_array() && b.is_array()) return UnionOf(a, b);
    if (key == "additionalProperties" || key == "items") return AllOf(a, b);
    if (key == "allOf" && a.is_array() && b.is_array()) return UnionOf(a, b);
    if (key == "enum" && a.is_array() && b.is_array()) {
      Json both = Json::array();
      std::copy_if(a.begin(), a.end(), std::back_inserter(both),
                   [&](const Json& value) { return Contains(b, value); });
      impossible_ = both.empty();
      return both;
    }
    if (key == "const") {
      impossible_ = true;
      return a;
    }
    if (a.is_number() && b.is_number()) {
      if (Has(kLowerBounds, key)) return std::max(a, b);
      if (Has(kUpperBounds, key)) return std::min(a, b);
    }
    if (key == "anyOf" && a.is_array() && b.is_array()) {
      if (a.size() * b.size() > kMaxAlternatives) {
        return absl::ResourceExhaustedError(
            absl::StrCat(path_, ": keyword 'anyOf': ", a.size(), " and ", b.size(),
                         " alternatives combine to more than ", kMaxAlternatives));
      }
      Json pairs = Json::array();
      for (const Json& x : a) {
        for (const Json& y : b) pairs.push_back(AllOf(x, y));
      }
      return pairs;
    }
    return absl::UnimplementedError(absl::StrCat(
        path_, ": keyword '", key, "' with two different values (through allOf, anyOf or $ref) is ",
        "not supported"));
  }

  const Json& a_;
  const Json& b_;
  const std::string& path_;
  bool impossible_ = false;
};

}  // namespace

absl::StatusOr<Json> MergeSchemas(const Json& a, const Json& b, const std::string& path) {
  if (a.is_boolean()) return a.get<bool>() ? b : a;
  if (b.is_boolean()) return b.get<bool>() ? a : b;
  if (!a.is_object() || !b.is_object()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": a schema is an object or a boolean"));
  }
  return Merger(a, b, path).Run();
}

}  // namespace vallm::engine
