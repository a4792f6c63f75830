// The types of JSON schema: what string, number, array and object keywords allow.
#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "engine_service/constraint/json_schema.h"
#include "engine_service/constraint/number_range.h"
#include "engine_service/constraint/regex_parser.h"
#include "engine_service/constraint/schema_fields.h"
#include "engine_service/constraint/string_format.h"
#include "nlohmann/json.hpp"

namespace vallm::engine {
namespace {

using Json = nlohmann::ordered_json;

// The most multiples of "multipleOf" between two bounds that are listed one by one.
constexpr int kMaxListedMultiples = 10'000;

absl::Status Unsupported(const std::string& path, std::string_view what) {
  return absl::UnimplementedError(absl::StrCat(path, ": ", ToAbsl(what), " is not supported"));
}

absl::Status CheckOrder(const std::string& path, const char* low_key, int low, const char* high_key,
                        int high) {
  if (high == kUnbounded || low <= high) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(path, ": keyword '", low_key, "' is ", low,
                                                 ", above '", high_key, "', which is ", high));
}

std::string ToText(Int128 value) {
  // Bounds have few digits here: there are at most kMaxListedMultiples values between them.
  std::string text;
  Int128 rest = value < 0 ? -value : value;
  do {
    text.insert(text.begin(), static_cast<char>('0' + static_cast<int>(rest % 10)));
    rest /= 10;
  } while (rest != 0);
  return value < 0 ? "-" + text : text;
}

ExprPtr Quoted(const ExprPtr& contents) {
  return SequenceExpr({BytesExpr("\""), EscapeForJson(contents), BytesExpr("\"")});
}

// The pattern of `text`, with the place in front of what is wrong with it.
absl::StatusOr<ExprPtr> PatternAt(const std::string& text, RegexMatch match, const char* keyword,
                                  const std::string& path) {
  absl::StatusOr<ExprPtr> parsed = ParseRegex(text, match);
  if (parsed.ok()) return parsed;
  return absl::Status(parsed.status().code(),
                      absl::StrCat(path, ": keyword '", keyword, "': ", parsed.status().message()));
}

absl::StatusOr<ExprPtr> ListedMultiples(Int128 divisor, Int128 low, Int128 high,
                                        const std::string& path) {
  // Rounded towards the inside of the range.
  Int128 first = low / divisor * divisor;
  if (first < low) first += divisor;
  if (high >= first && (high - first) / divisor >= kMaxListedMultiples) {
    return Unsupported(path, absl::StrCat("keyword 'multipleOf' with more than ",
                                          kMaxListedMultiples, " multiples between the bounds"));
  }
  std::vector<ExprPtr> ways;
  for (Int128 value = first; value <= high; value += divisor) {
    ways.push_back(BytesExpr(ToText(value)));
  }
  return ChoiceExpr(std::move(ways));
}

}  // namespace

absl::StatusOr<ExprPtr> SchemaCompiler::CompileString(const Json& schema, const std::string& path) {
  VALLM_ASSIGN_OR_RETURN(const int min, CountField(schema, "minLength", 0, path));
  VALLM_ASSIGN_OR_RETURN(const int max, CountField(schema, "maxLength", kUnbounded, path));
  VALLM_RETURN_IF_ERROR(CheckOrder(path, "minLength", min, "maxLength", max));
  const bool has_length = min > 0 || max != kUnbounded;
  const bool has_pattern = schema.contains("pattern");
  const bool has_format = schema.contains("format");
  if (has_length + has_pattern + has_format > 1) {
    return Unsupported(path,
                       "more than one of the keywords 'pattern', 'format' and "
                       "'minLength'/'maxLength' at once");
  }
  if (has_pattern) {
    VALLM_ASSIGN_OR_RETURN(const std::string pattern, StringField(schema, "pattern", path));
    VALLM_ASSIGN_OR_RETURN(const ExprPtr parsed,
                           PatternAt(pattern, RegexMatch::kSearch, "pattern", path));
    return Quoted(parsed);
  }
  if (has_format) {
    VALLM_ASSIGN_OR_RETURN(const std::string format, StringField(schema, "format", path));
    const std::optional<std::string> regex = RegexOfFormat(format);
    if (!regex) {
      return Unsupported(
          path, absl::StrCat("keyword 'format': '", format, "' (known are ", KnownFormats(), ")"));
    }
    VALLM_ASSIGN_OR_RETURN(const ExprPtr parsed,
                           PatternAt(*regex, RegexMatch::kFull, "format", path));
    return Quoted(parsed);
  }
  return json_.String(min, max);
}

absl::StatusOr<ExprPtr> SchemaCompiler::CompileInteger(const Json& schema,
                                                       const std::string& path) {
  VALLM_ASSIGN_OR_RETURN(const NumberBounds bounds, BoundsOf(schema, path));
  std::optional<Int128> low;
  std::optional<Int128> high;
  if (bounds.low) low = IntegerBound(*bounds.low, /*is_low=*/true);
  if (bounds.high) high = IntegerBound(*bounds.high, /*is_low=*/false);
  Int128 divisor = 1;
  if (schema.contains("multipleOf")) {
    VALLM_ASSIGN_OR_RETURN(const DecimalBound factor,
                           DecimalOf(schema["multipleOf"], "multipleOf", path));
    if (factor.negative || (factor.whole == "0" && factor.fraction.empty())) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": keyword 'multipleOf' must be above 0"));
    }
    if (!factor.fraction.empty()) {
      return Unsupported(path, "keyword 'multipleOf' with a fraction on integers");
    }
    divisor = IntegerBound(factor, /*is_low=*/true);
  }
  if (divisor == 1) return low || high ? IntegerRange(low, high) : json_.Integer();
  if (low && high) return ListedMultiples(divisor, *low, *high, path);
  if (low || high) return Unsupported(path, "keyword 'multipleOf' with only one bound");
  if (divisor > kMaxDivisor) {
    return Unsupported(path,
                       absl::StrCat("keyword 'multipleOf' above ", kMaxDivisor, " without bounds"));
  }
  return IntegerMultiple(static_cast<int>(divisor), grammar_);
}

absl::StatusOr<ExprPtr> SchemaCompiler::CompileNumber(const Json& schema, const std::string& path) {
  VALLM_ASSIGN_OR_RETURN(const NumberBounds bounds, BoundsOf(schema, path));
  std::optional<int> fraction_digits;
  if (schema.contains("multipleOf")) {
    VALLM_ASSIGN_OR_RETURN(const DecimalBound factor,
                           DecimalOf(schema["multipleOf"], "multipleOf", path));
    const size_t digits = factor.fraction.size();
    const bool is_power =
        !factor.negative && ((factor.whole == "1" && digits == 0) ||
                             (factor.whole == "0" && digits > 0 &&
                              factor.fraction == std::string(digits - 1, '0') + "1"));
    if (!is_power) {
      return Unsupported(path, "keyword 'multipleOf' on numbers other than 1, 0.1, 0.01, ...");
    }
    fraction_digits = static_cast<int>(digits);
  }
  if (!bounds.low && !bounds.high && !fraction_digits) return json_.Number();
  return DecimalRange(bounds.low, bounds.high, fraction_digits);
}

absl::StatusOr<ExprPtr> SchemaCompiler::CompileArray(const Json& schema, const std::string& path) {
  VALLM_ASSIGN_OR_RETURN(const int min, CountField(schema, "minItems", 0, path));
  VALLM_ASSIGN_OR_RETURN(const int max, CountField(schema, "maxItems", kUnbounded, path));
  VALLM_RETURN_IF_ERROR(CheckOrder(path, "minItems", min, "maxItems", max));
  // Older drafts say "items" and "additionalItems" for "prefixItems" and "items".
  const bool old_draft = schema.contains("items") && schema["items"].is_array();
  const char* prefix_key = old_draft ? "items" : "prefixItems";
  const char* rest_key = old_draft ? "additionalItems" : "items";
  std::vector<int> prefix;
  if (schema.contains(prefix_key)) {
    const Json& schemas = schema[prefix_key];
    if (!schemas.is_array()) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": keyword '", prefix_key, "' must be a list of schemas"));
    }
    for (size_t i = 0; i < schemas.size(); ++i) {
      VALLM_ASSIGN_OR_RETURN(ExprPtr item,
                             Compile(schemas[i], absl::StrCat(path, "/", prefix_key, "/", i)));
      prefix.push_back(grammar_->AddRule("(item)", std::move(item)));
    }
  }
  const int prefix_size = static_cast<int>(prefix.size());
  ExprPtr rest;
  if (schema.contains(rest_key)) {
    VALLM_ASSIGN_OR_RETURN(rest, Compile(schema[rest_key], absl::StrCat(path, "/", rest_key)));
  } else {
    // Items that are not described: any, unless the list is described one by one.
    rest = prefix.empty() || min > prefix_size ? json_.Value() : ChoiceExpr({});
  }
  const ExprPtr item = RuleExpr(grammar_->AddRule("(item)", std::move(rest)));
  const ExprPtr comma = json_.Comma();
  const int rest_max = max == kUnbounded ? kUnbounded : std::max(max - prefix_size, 0);
  ExprPtr tail;
  if (prefix.empty()) {
    // The first item has no comma in front.
    tail = max == 0
               ? ChoiceExpr({})
               : SequenceExpr({item, RepeatExpr(SequenceExpr({comma, item}), std::max(min - 1, 0),
                                                max == kUnbounded ? max : max - 1)});
  } else {
    tail = RepeatExpr(SequenceExpr({comma, item}), std::max(min - prefix_size, 0), rest_max);
    for (int i = prefix_size - 1; i >= 0; --i) {
      const ExprPtr here = max != kUnbounded && i >= max ? ChoiceExpr({}) : RuleExpr(prefix[i]);
      tail = i == 0 ? SequenceExpr({here, tail}) : SequenceExpr({comma, here, tail});
      if (i > 0 && i >= min) tail = OptionalExpr(tail);
    }
  }
  ExprPtr items = SequenceExpr({tail, json_.Space()});
  if (min == 0) items = OptionalExpr(std::move(items));
  return SequenceExpr({BytesExpr("["), json_.Space(), items, BytesExpr("]")});
}

absl::StatusOr<ExprPtr> SchemaCompiler::CompilePatternObject(const Json& schema, bool may_be_empty,
                                                             const std::string& path) {
  const Json& patterns = schema["patternProperties"];
  if (!patterns.is_object() || patterns.size() != 1) {
    return Unsupported(path, "keyword 'patternProperties' with other than one pattern");
  }
  const Json open = schema.value("additionalProperties", Json(false));
  if (schema.contains("properties") || schema.contains("required") || open != Json(false)) {
    return Unsupported(path,
                       "keyword 'patternProperties' beside 'properties', 'required' or "
                       "'additionalProperties'");
  }
  const std::string& pattern = patterns.begin().key();
  VALLM_ASSIGN_OR_RETURN(const ExprPtr key,
                         PatternAt(pattern, RegexMatch::kSearch, "patternProperties", path));
  VALLM_ASSIGN_OR_RETURN(
      ExprPtr value, Compile(patterns.begin().value(),
                             absl::StrCat(path, "/patternProperties/", EscapePointer(pattern))));
  const int member = grammar_->AddRule("(member)", json_.Member(Quoted(key), std::move(value)));
  return json_.ObjectOf(RuleExpr(member), may_be_empty);
}

absl::StatusOr<ExprPtr> SchemaCompiler::CompileObject(const Json& schema, const std::string& path) {
  VALLM_ASSIGN_OR_RETURN(const int min, CountField(schema, "minProperties", 0, path));
  // A key may be written twice and count once, so that more cannot be promised.
  if (min > 1) return Unsupported(path, "keyword 'minProperties' above 1");
  const Json open = schema.value("unevaluatedProperties", Json(true));
  if (!open.is_boolean()) return Unsupported(path, "keyword 'unevaluatedProperties' with a schema");
  if (schema.contains("patternProperties")) {
    return CompilePatternObject(schema, /*may_be_empty=*/min == 0, path);
  }
  const bool has_properties = schema.contains("properties");
  const Json properties = has_properties ? schema["properties"] : Json::object();
  const Json required = schema.value("required", Json::array());
  const bool are_names =
      required.is_array() && std::all_of(required.begin(), required.end(),
                                         [](const Json& name) { return name.is_string(); });
  if (!properties.is_object() || !are_names) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": keyword '", are_names ? "properties" : "required", "' must be ",
                     are_names ? "an object of schemas" : "a list of names"));
  }
  const Json default_extra = Json(!has_properties && open.get<bool>());
  const Json extra_schema = schema.value("additionalProperties", default_extra);
  std::vector<std::string> names;
  std::vector<int> members;
  std::vector<bool> is_required;
  const auto add = [&](const std::string& name, const Json& value,
                       const std::string& at) -> absl::Status {
    VALLM_ASSIGN_OR_RETURN(ExprPtr compiled, Compile(value, at));
    members.push_back(
        grammar_->AddRule("(member)", json_.Member(QuotedJson(name), std::move(compiled))));
    names.push_back(name);
    is_required.push_back(std::find(required.begin(), required.end(), name) != required.end());
    return absl::OkStatus();
  };
  for (const auto& [name, value] : properties.items()) {
    VALLM_RETURN_IF_ERROR(
        add(name, value, absl::StrCat(path, "/properties/", EscapePointer(name))));
  }
  for (const Json& name : required) {
    if (std::find(names.begin(), names.end(), name.get<std::string>()) != names.end()) continue;
    if (extra_schema == Json(false)) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": keyword 'required': '", name.get<std::string>(),
                       "' is not among 'properties', and no others are allowed"));
    }
    VALLM_RETURN_IF_ERROR(
        add(name.get<std::string>(), extra_schema, path + "/additionalProperties"));
  }
  ExprPtr extra;
  if (extra_schema != Json(false)) {
    VALLM_ASSIGN_OR_RETURN(ExprPtr value, Compile(extra_schema, path + "/additionalProperties"));
    const std::vector<std::string_view> taken(names.begin(), names.end());
    const ExprPtr key = taken.empty() ? json_.String(0, kUnbounded) : json_.KeyExcept(taken);
    extra = RuleExpr(grammar_->AddRule("(member)", json_.Member(key, std::move(value))));
  }
  return ObjectOfProperties(members, is_required, extra, /*may_be_empty=*/min == 0);
}

// `{`, the members in order, those that are not required optional, then any number of `extra`
// (nullptr: none), `}`; something in between unless it `may_be_empty`. Two chains of rules, for
// "something was written already" and "nothing was": linear in the number of members, where an
// expression without rules would be exponential.
ExprPtr SchemaCompiler::ObjectOfProperties(const std::vector<int>& members,
                                           const std::vector<bool>& required, const ExprPtr& extra,
                                           bool may_be_empty) {
  const ExprPtr comma = json_.Comma();
  ExprPtr later = extra ? RepeatExpr(SequenceExpr({comma, extra}), 0, kUnbounded) : BytesExpr("");
  ExprPtr first = extra ? SequenceExpr({extra, later}) : ChoiceExpr({});
  for (size_t i = members.size(); i-- > 0;) {
    const ExprPtr member = RuleExpr(members[i]);
    std::vector<ExprPtr> first_ways = {SequenceExpr({member, later})};
    std::vector<ExprPtr> later_ways = {SequenceExpr({comma, member, later})};
    if (!required[i]) {
      first_ways.push_back(first);
      later_ways.push_back(later);
    }
    first = RuleExpr(grammar_->AddRule("(members)", ChoiceExpr(std::move(first_ways))));
    later = RuleExpr(grammar_->AddRule("(members)", ChoiceExpr(std::move(later_ways))));
  }
  ExprPtr body = SequenceExpr({first, json_.Space()});
  const bool none_required =
      std::none_of(required.begin(), required.end(), [](bool r) { return r; });
  if (may_be_empty && none_required) body = OptionalExpr(std::move(body));
  return SequenceExpr({BytesExpr("{"), json_.Space(), body, BytesExpr("}")});
}

}  // namespace vallm::engine
