#include "tokenizer_service/template/runtime.h"

#include <utility>

#include "common/status_macros.h"
#include "common/strings.h"
#include "tokenizer_service/template/repr.h"
#include "tokenizer_service/template/unicode.h"

namespace vallm::tokenizer {
namespace {

std::vector<Value> Characters(std::string_view text) {
  std::vector<Value> items;
  for (size_t pos = 0; pos < text.size();) {
    const size_t begin = pos;
    NextCodePoint(text, &pos);
    items.push_back(Value::Str(std::string(text.substr(begin, pos - begin))));
  }
  return items;
}

}  // namespace

void Object::AppendRepr(size_t limit, std::string* out) const {
  absl::StrAppend(out, "<", ToAbsl(TypeName()), " object>");
}

absl::StatusOr<Value> Object::Call(Runtime& runtime, CallArgs args) {
  return TemplateError("'", ToAbsl(TypeName()), "' object is not callable");
}

absl::StatusOr<Value> Object::GetAttr(Runtime& runtime, std::string_view name) {
  return Value::Missing();
}

absl::StatusOr<Value> Object::Items(Runtime& runtime) {
  return TemplateError("'", ToAbsl(TypeName()), "' object is not iterable");
}

Runtime::~Runtime() {
  for (const Value& object : adopted_) object.object().Clear();
}

absl::Status Runtime::StepsExceeded() const {
  return TemplateError("template needs more than ", limits_.max_steps, " steps");
}

absl::Status Runtime::CheckStringSize(double bytes) const {
  if (bytes <= static_cast<double>(limits_.max_string_bytes)) return absl::OkStatus();
  return TemplateError("string of ", bytes, " bytes is too long; limit is ",
                       limits_.max_string_bytes);
}

absl::Status Runtime::CheckElements(double count) const {
  if (count <= static_cast<double>(limits_.max_elements)) return absl::OkStatus();
  return TemplateError("container of ", count, " elements is too large; limit is ",
                       limits_.max_elements);
}

absl::StatusOr<std::vector<std::string_view>> Runtime::LinesOf(std::string_view text,
                                                               bool keep_ends) {
  VALLM_RETURN_IF_ERROR(Charge(static_cast<int64_t>(text.size() / 8)));
  auto lines = SplitLines(text, keep_ends, static_cast<size_t>(limits_.max_elements));
  VALLM_RETURN_IF_ERROR(CheckElements(static_cast<double>(lines.size())));
  VALLM_RETURN_IF_ERROR(Charge(static_cast<int64_t>(lines.size())));
  return lines;
}

absl::Status Runtime::CheckShape(const Value& container) {
  if (container.Depth() > limits_.max_value_depth) {
    return TemplateError("value is nested ", container.Depth(), " levels deep; limit is ",
                         limits_.max_value_depth);
  }
  const int64_t limit = static_cast<int64_t>(limits_.max_string_bytes / 16);
  if (container.Weight() > limit) {
    return TemplateError("value weighs ", container.Weight(), " units; limit is ", limit);
  }
  return absl::OkStatus();
}

absl::StatusOr<Value> Runtime::MakeStr(std::string text, bool markup) {
  VALLM_RETURN_IF_ERROR(CheckStringSize(static_cast<double>(text.size())));
  VALLM_RETURN_IF_ERROR(Charge(1 + static_cast<int64_t>(text.size() / 16)));
  return Value::Str(std::move(text), markup);
}

absl::StatusOr<Value> Runtime::MakeList(std::vector<Value> items) {
  VALLM_RETURN_IF_ERROR(CheckElements(static_cast<double>(items.size())));
  VALLM_RETURN_IF_ERROR(Charge(2 + static_cast<int64_t>(items.size())));
  Value list = Value::List(std::move(items));
  VALLM_RETURN_IF_ERROR(CheckShape(list));
  return list;
}

absl::StatusOr<Value> Runtime::MakeTuple(std::vector<Value> items) {
  VALLM_RETURN_IF_ERROR(CheckElements(static_cast<double>(items.size())));
  VALLM_RETURN_IF_ERROR(Charge(2 + static_cast<int64_t>(items.size())));
  Value tuple = Value::Tuple(std::move(items));
  VALLM_RETURN_IF_ERROR(CheckShape(tuple));
  return tuple;
}

absl::StatusOr<Value> Runtime::MakeDict(std::unique_ptr<DictCell> dict) {
  VALLM_RETURN_IF_ERROR(CheckElements(static_cast<double>(dict->size())));
  VALLM_RETURN_IF_ERROR(Charge(4 + 4 * static_cast<int64_t>(dict->size())));
  Value value = Value::Dict(dict.release());
  VALLM_RETURN_IF_ERROR(CheckShape(value));
  return value;
}

absl::Status Runtime::CheckKey(const Value& key) {
  if (!IsHashable(key)) {
    return TemplateError("unhashable type: '", ToAbsl(key.TypeName()), "'");
  }
  return Charge(key.Weight());
}

absl::Status Runtime::EnterFilter() {
  constexpr int kMaxFilterDepth = 20;
  if (++filter_depth_ <= kMaxFilterDepth) return absl::OkStatus();
  return TemplateError("filters call filters more than ", kMaxFilterDepth, " levels deep");
}

absl::StatusOr<std::string> Runtime::Str(const Value& value) {
  std::string text;
  AppendStr(value, limits_.max_string_bytes, &text);
  VALLM_RETURN_IF_ERROR(CheckStringSize(static_cast<double>(text.size())));
  VALLM_RETURN_IF_ERROR(Charge(static_cast<int64_t>(text.size() / 16)));
  return text;
}

absl::StatusOr<std::string> Runtime::ReprOf(const Value& value) {
  std::string text;
  AppendRepr(value, limits_.max_string_bytes, &text);
  VALLM_RETURN_IF_ERROR(CheckStringSize(static_cast<double>(text.size())));
  VALLM_RETURN_IF_ERROR(Charge(static_cast<int64_t>(text.size() / 16)));
  return text;
}

absl::StatusOr<Value> Runtime::Call(const Value& callee, CallArgs args) {
  if (callee.is_undefined()) return UndefinedError(callee);
  if (!callee.is_object() || !callee.object().callable()) {
    return TemplateError("'", ToAbsl(callee.TypeName()), "' object is not callable");
  }
  return callee.object().Call(*this, std::move(args));
}

absl::StatusOr<Value> Runtime::Iterate(const Value& value) {
  switch (value.kind()) {
    case Value::Kind::kList:
    case Value::Kind::kTuple:
      return value;
    case Value::Kind::kUndefined:
      return Value::List({});
    case Value::Kind::kStr:
      VALLM_RETURN_IF_ERROR(Charge(value.str().length() * 4));
      return MakeList(Characters(value.text()));
    case Value::Kind::kDict: {
      std::vector<Value> keys;
      for (const auto& entry : value.dict().entries()) keys.push_back(entry.first);
      return MakeList(std::move(keys));
    }
    case Value::Kind::kRange: {
      const RangeCell& range = value.range();
      VALLM_RETURN_IF_ERROR(CheckElements(static_cast<double>(range.length)));
      std::vector<Value> items;
      for (int64_t i = 0; i < range.length; ++i) {
        items.push_back(Value::Int(range.start + i * range.step));
      }
      return MakeList(std::move(items));
    }
    case Value::Kind::kObject:
      if (value.object().iterable()) return value.object().Items(*this);
      [[fallthrough]];
    default:
      return TemplateError("'", ToAbsl(value.TypeName()), "' object is not iterable");
  }
}

absl::Status UndefinedError(const Value& value) {
  return TemplateError(value.undefined().Message());
}

}  // namespace vallm::tokenizer
