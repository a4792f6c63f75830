#include "tokenizer_service/template/attributes.h"

#include <algorithm>
#include <string>
#include <utility>

#include "common/status_macros.h"
#include "common/strings.h"
#include "tokenizer_service/template/builtin.h"
#include "tokenizer_service/template/methods.h"
#include "tokenizer_service/template/numbers.h"
#include "tokenizer_service/template/unicode.h"

namespace vallm::tokenizer {
namespace {

using Kind = Value::Kind;

// The members of numbers and ranges that are no methods, or Missing.
absl::StatusOr<Value> FindProperty(const Value& object, std::string_view name) {
  if (object.kind() == Kind::kRange) {
    const RangeCell& range = object.range();
    if (name == "start") return Value::Int(range.start);
    if (name == "stop") return Value::Int(range.stop);
    if (name == "step") return Value::Int(range.step);
  }
  if (!object.is_number()) return Value::Missing();
  const bool whole = object.is_integral();
  if (name == "real" || (whole && name == "numerator")) {
    return object.is_bool() ? Truncate(object) : object;
  }
  if (name == "imag") return whole ? Value::Int(0) : Value::Float(0);
  return whole && name == "denominator" ? Value::Int(1) : Value::Missing();
}

// The attribute (not item) of `object`, or Missing.
absl::StatusOr<Value> FindAttribute(Runtime& runtime, const Value& object, std::string_view name) {
  if (object.is_object()) return object.object().GetAttr(runtime, name);
  if (const Builtin* method = FindMethod(object, name)) {
    return Value::FromObject(new MethodObject(object, *method));
  }
  if (object.is_group()) {
    if (name == "grouper") return object.items()[0];
    if (name == "list") return object.items()[1];
  }
  VALLM_ASSIGN_OR_RETURN(Value property, FindProperty(object, name));
  if (!property.is_missing()) return property;
  const bool internal = name.size() > 4 && name.substr(0, 2) == "__" &&
                        name.substr(name.size() - 2) == "__" && !object.is_dict();
  if (internal || IsUnsafeMethod(object, name)) {
    return Value::UndefinedHint(absl::StrCat("access to attribute '", ToAbsl(name), "' of '",
                                             ToAbsl(object.TypeName()), "' object is unsafe."));
  }
  return Value::Missing();
}

// object[key], or Missing where Python raises a TypeError or LookupError.
absl::StatusOr<Value> FindItem(Runtime& runtime, const Value& object, const Value& key) {
  if (object.is_dict()) {
    const Value* found = object.dict().Find(key);
    return found == nullptr ? Value::Missing() : *found;
  }
  if (!key.is_integral() || key.kind() == Kind::kBigInt) return Value::Missing();
  int64_t index = key.int_value();
  if (object.is_list_or_tuple()) {
    const auto& items = object.items();
    const int64_t size = static_cast<int64_t>(items.size());
    if (index < 0) index += size;
    if (index < 0 || index >= size) return Value::Missing();
    return items[static_cast<size_t>(index)];
  }
  if (object.is_str()) {
    const StrCell& str = object.str();
    if (index < 0) index += str.length();
    if (index < 0 || index >= str.length()) return Value::Missing();
    if (str.ascii()) {
      return Value::Str(str.text().substr(static_cast<size_t>(index), 1), str.markup());
    }
    VALLM_RETURN_IF_ERROR(runtime.Charge(index / 16));
    const size_t begin = ByteOffset(str.text(), index);
    size_t end = begin;
    NextCodePoint(str.text(), &end);
    return Value::Str(str.text().substr(begin, end - begin), str.markup());
  }
  if (object.kind() == Kind::kRange) {
    const RangeCell& range = object.range();
    if (index < 0) index += range.length;
    if (index < 0 || index >= range.length) return Value::Missing();
    return Value::Int(range.start + index * range.step);
  }
  return Value::Missing();
}

struct Bounds {
  int64_t start = 0;
  int64_t end = 0;
  int64_t step = 1;
  int64_t count = 0;
};

absl::StatusOr<int64_t> Bound(const Value& value, int64_t fallback) {
  if (value.is_none() || value.is_missing()) return fallback;
  if (value.kind() == Kind::kBigInt) return value.big_int().negative() ? INT64_MIN : INT64_MAX;
  if (!value.is_integral()) {
    return TemplateError("slice indices must be integers or None or have an __index__ method");
  }
  return value.int_value();
}

int64_t Clamp(int64_t bound, int64_t length, int64_t low, int64_t high) {
  if (bound < 0) bound = bound < -length ? low : bound + length;
  return std::clamp(bound, low, high);
}

absl::StatusOr<Bounds> ResolveBounds(int64_t length, const Value& start, const Value& stop,
                                     const Value& step) {
  Bounds bounds;
  VALLM_ASSIGN_OR_RETURN(bounds.step, Bound(step, 1));
  if (bounds.step == 0) return TemplateError("slice step cannot be zero");
  bounds.step = std::max<int64_t>(bounds.step, -INT64_MAX);
  const bool forward = bounds.step > 0;
  const int64_t low = forward ? 0 : -1;
  const int64_t high = forward ? length : length - 1;
  int64_t end = forward ? high : low;
  bounds.start = forward ? low : high;
  if (!start.is_none() && !start.is_missing()) {
    VALLM_ASSIGN_OR_RETURN(const int64_t bound, Bound(start, 0));
    bounds.start = Clamp(bound, length, low, high);
  }
  if (!stop.is_none() && !stop.is_missing()) {
    VALLM_ASSIGN_OR_RETURN(const int64_t bound, Bound(stop, 0));
    end = Clamp(bound, length, low, high);
  }
  const int64_t span = forward ? end - bounds.start : bounds.start - end;
  const int64_t stride = forward ? bounds.step : -bounds.step;
  if (span > 0) bounds.count = (span - 1) / stride + 1;
  bounds.end = end;
  return bounds;
}

absl::StatusOr<Value> SliceString(Runtime& runtime, const StrCell& str, const Bounds& bounds) {
  const std::string& text = str.text();
  std::string out;
  if (bounds.count == 0) return runtime.MakeStr("", str.markup());
  if (str.ascii() && bounds.step == 1) {
    return runtime.MakeStr(
        text.substr(static_cast<size_t>(bounds.start), static_cast<size_t>(bounds.count)),
        str.markup());
  }
  VALLM_RETURN_IF_ERROR(runtime.Charge(str.length() / 16 + bounds.count / 4));
  if (bounds.step == 1) {
    const size_t begin = ByteOffset(text, bounds.start);
    const size_t size = ByteOffset(std::string_view(text).substr(begin), bounds.count);
    return runtime.MakeStr(text.substr(begin, size), str.markup());
  }
  std::vector<size_t> offsets;
  for (size_t pos = 0; pos < text.size(); NextCodePoint(text, &pos)) offsets.push_back(pos);
  offsets.push_back(text.size());
  for (int64_t i = 0; i < bounds.count; ++i) {
    const size_t at = static_cast<size_t>(bounds.start + i * bounds.step);
    out.append(text, offsets[at], offsets[at + 1] - offsets[at]);
  }
  return runtime.MakeStr(std::move(out), str.markup());
}

}  // namespace

absl::StatusOr<Value> GetAttr(Runtime& runtime, const Value& object, const Value& name) {
  if (object.is_undefined()) return UndefinedError(object);
  VALLM_ASSIGN_OR_RETURN(Value attribute, FindAttribute(runtime, object, name.text()));
  if (!attribute.is_missing()) return attribute;
  if (object.is_dict()) {
    if (const Value* found = object.dict().Find(name.text())) return *found;
  }
  return Value::UndefinedMember(object, name);
}

absl::StatusOr<Value> GetItem(Runtime& runtime, const Value& object, const Value& key) {
  if (object.is_undefined()) return UndefinedError(object);
  VALLM_RETURN_IF_ERROR(runtime.Charge(key.Weight()));
  VALLM_ASSIGN_OR_RETURN(Value item, FindItem(runtime, object, key));
  if (!item.is_missing()) return item;
  if (key.is_str()) {
    VALLM_ASSIGN_OR_RETURN(Value attribute, FindAttribute(runtime, object, key.text()));
    if (!attribute.is_missing()) return attribute;
  }
  return Value::UndefinedMember(object, key);
}

absl::StatusOr<Value> Slice(Runtime& runtime, const Value& object, const Value& start,
                            const Value& stop, const Value& step) {
  if (object.is_undefined()) return UndefinedError(object);
  int64_t length = 0;
  if (object.is_str()) {
    length = object.str().length();
  } else if (object.is_list_or_tuple()) {
    length = static_cast<int64_t>(object.items().size());
  } else if (object.kind() == Kind::kRange) {
    length = object.range().length;
  } else if (object.is_dict()) {
    return TemplateError("unhashable type: 'slice'");
  } else {
    return TemplateError("'", ToAbsl(object.TypeName()), "' object is not subscriptable");
  }
  VALLM_ASSIGN_OR_RETURN(const Bounds bounds, ResolveBounds(length, start, stop, step));
  if (object.is_str()) return SliceString(runtime, object.str(), bounds);
  if (object.kind() == Kind::kRange) {
    const RangeCell& range = object.range();
    const int64_t first = range.start + bounds.start * range.step;
    int64_t stride = 0;
    if (__builtin_mul_overflow(range.step, bounds.step, &stride)) {
      return TemplateError("slice step ", bounds.step, " is too large");
    }
    return Value::Range(first, range.start + bounds.end * range.step, stride);
  }
  std::vector<Value> items;
  items.reserve(static_cast<size_t>(bounds.count));
  for (int64_t i = 0; i < bounds.count; ++i) {
    items.push_back(object.items()[static_cast<size_t>(bounds.start + i * bounds.step)]);
  }
  return object.kind() == Kind::kList ? runtime.MakeList(std::move(items))
                                      : runtime.MakeTuple(std::move(items));
}

absl::StatusOr<Value> GetPath(Runtime& runtime, const Value& object, const Value& path,
                              const Value& fallback) {
  Value item = object;
  if (path.is_none() || path.is_missing()) return item;
  const bool has_fallback = !fallback.is_none() && !fallback.is_missing();
  if (!path.is_str()) {
    VALLM_ASSIGN_OR_RETURN(item, GetItem(runtime, item, path));
    return has_fallback && item.is_undefined() ? fallback : item;
  }
  std::string_view rest = path.text();
  while (true) {
    const size_t dot = rest.find('.');
    const std::string_view part = rest.substr(0, dot);
    const bool digits = !part.empty() && std::all_of(part.begin(), part.end(),
                                                     [](char c) { return c >= '0' && c <= '9'; });
    const Value key = digits ? Value::Int(BigInt::FromDigits(part.substr(0, 40), 10))
                             : Value::Str(std::string(part));
    VALLM_ASSIGN_OR_RETURN(item, GetItem(runtime, item, key));
    if (has_fallback && item.is_undefined()) item = fallback;
    if (dot == std::string_view::npos) return item;
    rest.remove_prefix(dot + 1);
  }
}

}  // namespace vallm::tokenizer
