#include "gateway/openai/json_object.h"

#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "common/valid_utf8.h"
#include "gateway/openai/duplicate_keys.h"
#include "gateway/openai/errors.h"
#include "nlohmann/json.hpp"

namespace vallm::gateway {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMaxDepth = 128;
constexpr int kMaxMembers = 1024;

// Bounds nesting and the size of each object before anything is built: the parser's object looks
// for every new key among all earlier ones. Exact for valid JSON, which is all that matters: there
// each colon outside strings is a member.
// `member_count` becomes the number of members of all objects.
absl::Status CheckShape(std::string_view text, size_t* member_count) {
  std::vector<int> members;  // of each open bracket
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') {
        ++i;
      } else if (c == '"') {
        in_string = false;
      }
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (members.size() == kMaxDepth) {
        return absl::InvalidArgumentError(
            absl::StrCat("the request body is nested deeper than ", kMaxDepth, " levels"));
      }
      members.push_back(0);
    } else if ((c == ']' || c == '}') && !members.empty()) {
      members.pop_back();
    } else if (c == ':' && !members.empty()) {
      ++*member_count;
      if (++members.back() > kMaxMembers) {
        return absl::InvalidArgumentError(
            absl::StrCat("the request body has an object of more than ", kMaxMembers, " members"));
      }
    }
  }
  return absl::OkStatus();
}

// In their order.
const Json::object_t::Container& FieldsOf(const Json& object) {
  return object.get_ref<const Json::object_t&>();
}

size_t CountMembers(const Json& value) {
  if (!value.is_structured()) return 0;
  size_t count = value.is_object() ? value.size() : 0;
  for (const Json& element : value) count += CountMembers(element);
  return count;
}

}  // namespace

absl::Status WrongType(std::string_view path, std::string_view expected, const Json& value) {
  return InvalidParam(path, absl::StrCat("'", ToAbsl(path), "' must be ", ToAbsl(expected),
                                         ", not ", ToAbsl(KindOf(value))));
}

absl::Status MissingField(std::string_view path) {
  return InvalidParam(path, absl::StrCat("'", ToAbsl(path), "' is missing"));
}

std::string_view KindOf(const Json& value) {
  switch (value.type()) {
    case Json::value_t::null:
      return "null";
    case Json::value_t::boolean:
      return "a boolean";
    case Json::value_t::string:
      return "a string";
    case Json::value_t::array:
      return "an array";
    case Json::value_t::object:
      return "an object";
    case Json::value_t::number_float:
      return "a fractional number";
    default:
      return "an integer";
  }
}

namespace {

// Says what clients can act on: which byte is no UTF-8, or that an escape is half a character.
absl::Status NotJson(std::string_view body, const Json::parse_error& error) {
  if (const size_t valid = ValidUtf8Length(body); valid < body.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the request body is not valid UTF-8 at byte offset ", valid));
  }
  const bool surrogate = absl::StrContains(error.what(), "surrogate");
  return absl::InvalidArgumentError(
      absl::StrCat("the request body is not valid JSON: ", surrogate ? "lone surrogate" : "error",
                   " at byte ", error.byte));
}

}  // namespace

absl::StatusOr<Json> ParseJsonObject(std::string_view body) {
  // The parser takes one for the end of its input.
  if (const size_t nul = body.find('\0'); nul != std::string_view::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("the request body is not valid JSON: NUL at byte ", nul));
  }
  size_t member_count = 0;
  VALLM_RETURN_IF_ERROR(CheckShape(body, &member_count));
  Json value;
  try {
    value = Json::parse(body);
  } catch (const Json::parse_error& e) {
    return NotJson(body, e);
  } catch (const Json::exception&) {
    return absl::InvalidArgumentError(
        "the request body is not valid JSON: a number is out of range");
  }
  if (!value.is_object()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the request body must be a JSON object, not ", ToAbsl(KindOf(value))));
  }
  if (CountMembers(value) != member_count) {
    const std::string name = FirstDuplicateKey(body).value_or("");
    return InvalidParam(name, absl::StrCat("the request body has '", name, "' twice"));
  }
  return value;
}

JsonObject::JsonObject(const Json& object, std::string prefix)
    : object_(object), prefix_(std::move(prefix)), read_(object.size()) {}

std::string JsonObject::PathOf(std::string_view name) const {
  return absl::StrCat(prefix_, ToAbsl(name));
}

const Json* JsonObject::Find(std::string_view name) {
  const size_t index = IndexOf(name);
  if (index == read_.size()) return nullptr;
  read_[index] = true;
  const Json& value = FieldsOf(object_)[index].second;
  return value.is_null() ? nullptr : &value;
}

size_t JsonObject::IndexOf(std::string_view name) const {
  const auto& fields = FieldsOf(object_);
  size_t index = 0;
  while (index < fields.size() && fields[index].first != name) ++index;
  return index;
}

bool JsonObject::IsRead(std::string_view name) const {
  const size_t index = IndexOf(name);
  return index < read_.size() && read_[index];
}

absl::StatusOr<std::optional<bool>> JsonObject::Bool(std::string_view name) {
  const Json* value = Find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_boolean()) return WrongType(PathOf(name), "a boolean", *value);
  return value->get<bool>();
}

absl::StatusOr<std::optional<int64_t>> JsonObject::Integer(std::string_view name, int64_t min,
                                                           int64_t max) {
  const Json* value = Find(name);
  if (value == nullptr) return std::nullopt;
  const std::string path = PathOf(name);
  // 5.0 is an integer too: languages with one kind of number write it so. And an integer beyond 64
  // bits arrives as a float.
  constexpr double kTwoTo63 = 9223372036854775808.0;
  const bool is_float = value->is_number_float();
  const bool integral = value->is_number_integer() ||
                        (is_float && std::trunc(value->get<double>()) == value->get<double>());
  if (!integral) return WrongType(path, "an integer", *value);
  const bool fits = is_float ? std::abs(value->get<double>()) < kTwoTo63
                             : !value->is_number_unsigned() ||
                                   value->get<uint64_t>() <=
                                       static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  const int64_t number = fits ? value->get<int64_t>() : 0;
  if (!fits || number < min || number > max) {
    // A float's own digits may be those of the limit.
    return InvalidParam(path,
                        absl::StrCat("'", path, "' is ", fits ? value->dump() : "out of range",
                                     "; it must be between ", min, " and ", max));
  }
  return number;
}

absl::StatusOr<std::optional<double>> JsonObject::Number(std::string_view name, double min,
                                                         double max) {
  const Json* value = Find(name);
  if (value == nullptr) return std::nullopt;
  const std::string path = PathOf(name);
  if (!value->is_number()) return WrongType(path, "a number", *value);
  const double number = value->get<double>();
  if (!(number >= min && number <= max)) {
    return InvalidParam(path, absl::StrCat("'", path, "' is ", value->dump(),
                                           "; it must be between ", min, " and ", max));
  }
  return number;
}

absl::StatusOr<std::optional<std::string>> JsonObject::String(std::string_view name) {
  const Json* value = Find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) return WrongType(PathOf(name), "a string", *value);
  return value->get<std::string>();
}

absl::StatusOr<std::vector<std::string>> JsonObject::Strings(std::string_view name) {
  std::vector<std::string> strings;
  const Json* value = Find(name);
  if (value == nullptr) return strings;
  if (value->is_string()) {
    strings.push_back(value->get<std::string>());
    return strings;
  }
  if (!value->is_array()) return WrongType(PathOf(name), "a string or an array of strings", *value);
  for (size_t i = 0; i < value->size(); ++i) {
    const Json& element = (*value)[i];
    if (!element.is_string()) {
      return WrongType(absl::StrCat(PathOf(name), "[", i, "]"), "a string", element);
    }
    strings.push_back(element.get<std::string>());
  }
  return strings;
}

absl::StatusOr<std::vector<int32_t>> JsonObject::TokenIds(std::string_view name) {
  std::vector<int32_t> ids;
  const Json* value = Find(name);
  if (value == nullptr) return ids;
  if (!value->is_array()) return WrongType(PathOf(name), "an array of token ids", *value);
  ids.reserve(value->size());
  for (size_t i = 0; i < value->size(); ++i) {
    const Json& element = (*value)[i];
    const bool fits = element.is_number_unsigned() &&
                      element.get<uint64_t>() <= std::numeric_limits<int32_t>::max();
    if (!fits) {
      const std::string path = absl::StrCat(PathOf(name), "[", i, "]");
      return InvalidParam(path, absl::StrCat("'", path, "' must be a token id (an integer >= 0)"));
    }
    ids.push_back(element.get<int32_t>());
  }
  return ids;
}

std::vector<std::string> JsonObject::Unread() const {
  std::vector<std::string> names;
  for (size_t i = 0; i < read_.size(); ++i) {
    if (!read_[i]) names.push_back(FieldsOf(object_)[i].first);
  }
  return names;
}

}  // namespace vallm::gateway
