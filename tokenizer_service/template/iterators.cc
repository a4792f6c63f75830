#include "tokenizer_service/template/iterators.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "tokenizer_service/template/repr.h"

namespace vallm::tokenizer {

IteratorObject::IteratorObject(std::vector<Value> items, absl::Status error)
    : items_(std::move(items)), error_(std::move(error)) {
  for (const Value& item : items_) depth_ = std::max(depth_, 1 + item.Depth());
}

absl::StatusOr<Value> IteratorObject::Items(Runtime& runtime) {
  VALLM_RETURN_IF_ERROR(error_);
  std::vector<Value> rest(items_.begin() + static_cast<long>(next_), items_.end());
  next_ = items_.size();
  return runtime.MakeList(std::move(rest));
}

absl::StatusOr<Value> IteratorObject::Next() {
  if (next_ < items_.size()) return items_[next_++];
  VALLM_RETURN_IF_ERROR(error_);
  return Value::Missing();
}

Value MakeIterator(std::vector<Value> items, absl::Status error) {
  return Value::FromObject(new IteratorObject(std::move(items), std::move(error)));
}

std::string_view DictViewObject::TypeName() const {
  switch (part_) {
    case DictPart::kKeys:
      return "dict_keys";
    case DictPart::kValues:
      return "dict_values";
    case DictPart::kItems:
      return "dict_items";
  }
  return "dict_view";
}

std::vector<Value> DictViewObject::Parts() const {
  std::vector<Value> parts;
  for (const auto& [key, value] : dict_.dict().entries()) {
    if (part_ == DictPart::kItems) {
      parts.push_back(Value::Tuple({key, value}));
    } else {
      parts.push_back(part_ == DictPart::kKeys ? key : value);
    }
  }
  return parts;
}

absl::StatusOr<Value> DictViewObject::Items(Runtime& runtime) {
  VALLM_RETURN_IF_ERROR(runtime.Charge(static_cast<int64_t>(dict_.dict().size()) * 3));
  return runtime.MakeList(Parts());
}

std::optional<int64_t> DictViewObject::Length() const {
  return static_cast<int64_t>(dict_.dict().size());
}

absl::StatusOr<bool> DictViewObject::Contains(Runtime& runtime, const Value& item) const {
  const DictCell& dict = dict_.dict();
  if (part_ == DictPart::kKeys) {
    VALLM_RETURN_IF_ERROR(runtime.CheckKey(item));
    return dict.Find(item) != nullptr;
  }
  VALLM_RETURN_IF_ERROR(runtime.Charge(1 + item.Weight()));
  if (part_ == DictPart::kItems) {
    if (item.kind() != Value::Kind::kTuple || item.items().size() != 2) return false;
    VALLM_RETURN_IF_ERROR(runtime.CheckKey(item.items()[0]));
    const Value* found = dict.Find(item.items()[0]);
    return found != nullptr && Equals(*found, item.items()[1]);
  }
  VALLM_RETURN_IF_ERROR(runtime.Charge(dict.weight()));
  return std::any_of(dict.entries().begin(), dict.entries().end(),
                     [&item](const auto& entry) { return Equals(entry.second, item); });
}

void DictViewObject::AppendRepr(size_t limit, std::string* out) const {
  absl::StrAppend(out, ToAbsl(TypeName()), "(");
  vallm::tokenizer::AppendRepr(Value::List(Parts()), limit, out);
  out->push_back(')');
}

}  // namespace vallm::tokenizer
