#include "engine_service/constraint/schema_fields.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "nlohmann/json.hpp"

namespace vallm::engine {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMaxBoundDigits = 30;
constexpr int64_t kMaxCount = 1'000'000'000;

// Of two lower (upper) bounds the one that says more.
bool IsTighter(const DecimalBound& a, const DecimalBound& b, bool is_low) {
  const auto compare_magnitude = [&] {
    if (a.whole.size() != b.whole.size()) return a.whole.size() < b.whole.size() ? -1 : 1;
    const int whole = a.whole.compare(b.whole);
    return whole != 0 ? whole : a.fraction.compare(b.fraction);
  };
  int order = 0;
  if (a.negative != b.negative) {
    order = a.negative ? -1 : 1;
  } else {
    order = a.negative ? -compare_magnitude() : compare_magnitude();
  }
  if (order == 0) return a.exclusive;
  return is_low ? order > 0 : order < 0;
}

Int128 WholeOf(const DecimalBound& bound) {
  Int128 value = 0;
  for (const char c : bound.whole) value = value * 10 + (c - '0');
  return bound.negative ? -value : value;
}

}  // namespace

std::string UnescapePointer(const std::string& step) {
  std::string plain;
  for (size_t i = 0; i < step.size(); ++i) {
    unsigned value = 0;
    if (step[i] == '%' && i + 2 < step.size() &&
        std::from_chars(&step[i + 1], &step[i + 3], value, 16).ptr == &step[i + 3]) {
      plain += static_cast<char>(value);
      i += 2;
    } else {
      plain += step[i];
    }
  }
  std::string result;
  for (size_t i = 0; i < plain.size(); ++i) {
    const bool escaped = plain[i] == '~' && i + 1 < plain.size();
    if (escaped && (plain[i + 1] == '0' || plain[i + 1] == '1')) {
      result += plain[++i] == '0' ? '~' : '/';
    } else {
      result += plain[i];
    }
  }
  return result;
}

std::string EscapePointer(const std::string& step) {
  std::string result;
  for (const char c : step) {
    if (c == '~') {
      result += "~0";
    } else if (c == '/') {
      result += "~1";
    } else {
      result += c;
    }
  }
  return result;
}

const Json* ChildOf(const Json& value, const std::string& name) {
  if (value.is_object()) {
    const auto at = value.find(name);
    return at == value.end() ? nullptr : &*at;
  }
  size_t index = 0;
  const auto parsed = std::from_chars(name.data(), name.data() + name.size(), index);
  const bool is_index = parsed.ec == std::errc() && parsed.ptr == name.data() + name.size();
  if (!value.is_array() || !is_index || index >= value.size()) return nullptr;
  return &value[index];
}

absl::StatusOr<std::string> StringField(const Json& schema, const char* key,
                                        const std::string& path) {
  if (!schema[key].is_string()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": keyword '", key, "' must be a string"));
  }
  return schema[key].get<std::string>();
}

absl::StatusOr<int> CountField(const Json& schema, const char* key, int absent,
                               const std::string& path) {
  const auto at = schema.find(key);
  if (at == schema.end()) return absent;
  const bool fits = at->is_number() && at->get<double>() >= 0 && at->get<double>() <= kMaxCount &&
                    std::floor(at->get<double>()) == at->get<double>();
  if (!fits) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": keyword '", key, "' is ", at->dump(),
                                                   "; it must be an integer from 0 to ",
                                                   kMaxCount));
  }
  return static_cast<int>(at->get<double>());
}

absl::StatusOr<DecimalBound> DecimalOf(const Json& number, const char* key,
                                       const std::string& path) {
  if (!number.is_number()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": keyword '", key, "' must be a number"));
  }
  std::string text = number.dump();
  if (number.is_number_float()) {
    std::array<char, 1100> buffer;
    const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(),
                                   number.get<double>(), std::chars_format::fixed);
    text.assign(buffer.data(), end.ptr);
  }
  DecimalBound bound;
  bound.negative = text[0] == '-';
  text.erase(0, bound.negative ? 1 : 0);
  const size_t point = std::min(text.find('.'), text.size());
  bound.whole = text.substr(0, point);
  if (point < text.size()) bound.fraction = text.substr(point + 1);
  while (!bound.fraction.empty() && bound.fraction.back() == '0') bound.fraction.pop_back();
  if (bound.whole.size() > kMaxBoundDigits || bound.fraction.size() > kMaxBoundDigits) {
    return absl::UnimplementedError(absl::StrCat(path, ": keyword '", key, "' with more than ",
                                                 kMaxBoundDigits, " digits is not supported"));
  }
  if (bound.whole == "0" && bound.fraction.empty()) bound.negative = false;
  return bound;
}

absl::StatusOr<NumberBounds> BoundsOf(const Json& schema, const std::string& path) {
  struct Keyword {
    const char* key;
    bool is_low;
    bool exclusive;
  };
  constexpr std::array<Keyword, 4> kKeywords = {{{"minimum", true, false},
                                                 {"exclusiveMinimum", true, true},
                                                 {"maximum", false, false},
                                                 {"exclusiveMaximum", false, true}}};
  NumberBounds bounds;
  for (const Keyword& keyword : kKeywords) {
    const auto at = schema.find(keyword.key);
    if (at == schema.end()) continue;
    VALLM_ASSIGN_OR_RETURN(DecimalBound bound, DecimalOf(*at, keyword.key, path));
    bound.exclusive = keyword.exclusive;
    std::optional<DecimalBound>& slot = keyword.is_low ? bounds.low : bounds.high;
    if (!slot || IsTighter(bound, *slot, keyword.is_low)) slot = std::move(bound);
  }
  return bounds;
}

Int128 IntegerBound(const DecimalBound& bound, bool is_low) {
  const Int128 towards_zero = WholeOf(bound);
  if (bound.fraction.empty()) {
    if (!bound.exclusive) return towards_zero;
    return is_low ? towards_zero + 1 : towards_zero - 1;
  }
  if (is_low) return bound.negative ? towards_zero : towards_zero + 1;
  return bound.negative ? towards_zero - 1 : towards_zero;
}

}  // namespace vallm::engine
