// Filters on lists, dicts and other iterables.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "tokenizer_service/template/attributes.h"
#include "tokenizer_service/template/filters.h"
#include "tokenizer_service/template/iterators.h"
#include "tokenizer_service/template/operators.h"
#include "tokenizer_service/template/repr.h"
#include "tokenizer_service/template/unicode.h"

namespace vallm::tokenizer {
namespace {

using Kind = Value::Kind;
using Result = absl::StatusOr<Value>;

Result IgnoreCase(Runtime& runtime, Value value, bool case_sensitive) {
  if (case_sensitive || !value.is_str()) return value;
  return runtime.MakeStr(ToLower(value.text()));
}

Result Length(Runtime& runtime, CallArgs& args) {
  const Value& value = args.positional[0];
  switch (value.kind()) {
    case Kind::kUndefined:
      return Value::Int(0);
    case Kind::kStr:
      return Value::Int(value.str().length());
    case Kind::kList:
    case Kind::kTuple:
      return Value::Int(static_cast<int64_t>(value.items().size()));
    case Kind::kDict:
      return Value::Int(static_cast<int64_t>(value.dict().size()));
    case Kind::kRange:
      return Value::Int(value.range().length);
    case Kind::kObject:
      if (const auto length = value.object().Length()) return Value::Int(*length);
      [[fallthrough]];
    default:
      return TemplateError("object of type '", ToAbsl(value.TypeName()), "' has no len()");
  }
}

Result First(Runtime& runtime, CallArgs& args) {
  const Value& value = args.positional[0];
  Value first = Value::Missing();
  if (auto* iterator = value.ObjectAs<IteratorObject>()) {
    VALLM_ASSIGN_OR_RETURN(first, iterator->Next());
  } else {
    VALLM_ASSIGN_OR_RETURN(const Value items, runtime.Iterate(value));
    if (!items.items().empty()) first = items.items().front();
  }
  return first.is_missing() ? Value::UndefinedHint("No first item, sequence was empty.") : first;
}

bool IsReversible(const Value& value) {
  return value.is_str() || value.is_list_or_tuple() || value.is_dict() ||
         value.kind() == Kind::kRange || value.ObjectAs<DictViewObject>() != nullptr;
}

Result Last(Runtime& runtime, CallArgs& args) {
  const Value& value = args.positional[0];
  if (!IsReversible(value) && !value.is_undefined()) {
    return TemplateError("'", ToAbsl(value.TypeName()), "' object is not reversible");
  }
  VALLM_ASSIGN_OR_RETURN(const Value items, runtime.Iterate(value));
  if (items.items().empty()) return Value::UndefinedHint("No last item, sequence was empty.");
  return items.items().back();
}

Result List(Runtime& runtime, CallArgs& args) {
  VALLM_ASSIGN_OR_RETURN(const Value items, runtime.Iterate(args.positional[0]));
  if (items.kind() == Kind::kList) return items;
  return runtime.MakeList(items.items());
}

Result Reverse(Runtime& runtime, CallArgs& args) {
  const Value& value = args.positional[0];
  if (value.is_str()) {
    return Slice(runtime, value, Value(), Value(), Value::Int(-1));
  }
  VALLM_ASSIGN_OR_RETURN(const Value items, runtime.Iterate(value));
  std::vector<Value> reversed(items.items().rbegin(), items.items().rend());
  // An undefined value has a length, 0, and thereby an iterator.
  if (IsReversible(value) || value.is_undefined()) return MakeIterator(std::move(reversed));
  return runtime.MakeList(std::move(reversed));
}

Result Join(Runtime& runtime, CallArgs& args) {
  const Value& separator = args.positional[1];
  VALLM_ASSIGN_OR_RETURN(const std::string glue,
                         separator.is_missing() ? std::string() : runtime.Str(separator));
  VALLM_ASSIGN_OR_RETURN(const Value items, runtime.Iterate(args.positional[0]));
  std::string text;
  bool first = true;
  for (const Value& item : items.items()) {
    Value part = item;
    if (HasArg(args, 2)) {
      VALLM_ASSIGN_OR_RETURN(part, GetPath(runtime, item, args.positional[2], Value::Missing()));
    }
    if (!first) text += glue;
    first = false;
    AppendStr(part, runtime.limits().max_string_bytes, &text);
    VALLM_RETURN_IF_ERROR(runtime.CheckStringSize(static_cast<double>(text.size())));
  }
  return runtime.MakeStr(std::move(text));
}

// The keys by which sort, unique, min, max and groupby compare items.
absl::StatusOr<std::vector<Value>> Keys(Runtime& runtime, const std::vector<Value>& items,
                                        const Value& path, const Value& fallback,
                                        bool case_sensitive) {
  std::vector<Value> keys;
  keys.reserve(items.size());
  for (const Value& item : items) {
    VALLM_ASSIGN_OR_RETURN(Value key, GetPath(runtime, item, path, fallback));
    VALLM_ASSIGN_OR_RETURN(key, IgnoreCase(runtime, std::move(key), case_sensitive));
    keys.push_back(std::move(key));
  }
  return keys;
}

// sort's attribute may name several paths: "a,b.c". Keys are lists even for one path: lists look
// for the first difference, so that equal items need no order.
absl::StatusOr<std::vector<Value>> SortKeys(Runtime& runtime, const std::vector<Value>& items,
                                            const Value& path, bool case_sensitive) {
  std::vector<std::vector<Value>> parts(items.size());
  std::string_view rest = path.is_str() ? path.text() : std::string_view();
  while (true) {
    const size_t comma = rest.find(',');
    const Value part = path.is_str() ? Value::Str(std::string(rest.substr(0, comma))) : path;
    VALLM_ASSIGN_OR_RETURN(std::vector<Value> column,
                           Keys(runtime, items, part, Value::Missing(), case_sensitive));
    for (size_t i = 0; i < items.size(); ++i) parts[i].push_back(std::move(column[i]));
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
  }
  std::vector<Value> keys;
  for (std::vector<Value>& part : parts) {
    VALLM_ASSIGN_OR_RETURN(Value key, runtime.MakeList(std::move(part)));
    keys.push_back(std::move(key));
  }
  return keys;
}

Result Sort(Runtime& runtime, CallArgs& args) {
  VALLM_ASSIGN_OR_RETURN(const Value items, runtime.Iterate(args.positional[0]));
  VALLM_ASSIGN_OR_RETURN(
      const std::vector<Value> keys,
      SortKeys(runtime, items.items(), args.positional[3], BoolArg(args, 2, false)));
  std::vector<size_t> order;
  VALLM_RETURN_IF_ERROR(SortByKeys(runtime, keys, BoolArg(args, 1, false), &order));
  std::vector<Value> sorted;
  for (size_t i : order) sorted.push_back(items.items()[i]);
  return runtime.MakeList(std::move(sorted));
}

Result DictSort(Runtime& runtime, CallArgs& args) {
  const Value& value = args.positional[0];
  VALLM_ASSIGN_OR_RETURN(const std::string_view by, StrArg(args, 2, "key"));
  if (by != "key" && by != "value") {
    return TemplateError("you can only sort by either \"key\" or \"value\"");
  }
  if (value.is_undefined()) return UndefinedError(value);
  if (!value.is_dict()) {
    return TemplateError("'", ToAbsl(value.TypeName()), "' object has no attribute 'items'");
  }
  std::vector<Value> keys;
  for (const auto& [key, item] : value.dict().entries()) {
    VALLM_ASSIGN_OR_RETURN(Value sort_key,
                           IgnoreCase(runtime, by == "key" ? key : item, BoolArg(args, 1, false)));
    keys.push_back(std::move(sort_key));
  }
  std::vector<size_t> order;
  VALLM_RETURN_IF_ERROR(SortByKeys(runtime, keys, BoolArg(args, 3, false), &order));
  std::vector<Value> sorted;
  for (size_t i : order) {
    const auto& [key, item] = value.dict().entries()[i];
    sorted.push_back(Value::Tuple({key, item}));
  }
  return runtime.MakeList(std::move(sorted));
}

Result Unique(Runtime& runtime, CallArgs& args) {
  auto items = runtime.Iterate(args.positional[0]);
  if (!items.ok()) return MakeIterator({}, items.status());
  std::vector<Value> unique;
  DictCell seen;
  for (const Value& item : items->items()) {
    auto key = GetPath(runtime, item, args.positional[2], Value::Missing());
    if (key.ok()) key = IgnoreCase(runtime, *std::move(key), BoolArg(args, 1, false));
    if (!key.ok()) return MakeIterator(std::move(unique), key.status());
    if (absl::Status status = runtime.CheckKey(*key); !status.ok()) {
      return MakeIterator(std::move(unique), std::move(status));
    }
    if (seen.Find(*key) != nullptr) continue;
    seen.Set(*key, Value());
    unique.push_back(item);
  }
  return MakeIterator(std::move(unique));
}

template <CompareOp kBetter>
Result Extreme(Runtime& runtime, CallArgs& args) {
  VALLM_ASSIGN_OR_RETURN(const Value items, runtime.Iterate(args.positional[0]));
  if (items.items().empty()) {
    return Value::UndefinedHint("No aggregated item, sequence was empty.");
  }
  VALLM_ASSIGN_OR_RETURN(
      const std::vector<Value> keys,
      Keys(runtime, items.items(), args.positional[2], Value::Missing(), BoolArg(args, 1, false)));
  VALLM_RETURN_IF_ERROR(runtime.Charge(static_cast<int64_t>(keys.size())));
  size_t best = 0;
  for (size_t i = 1; i < keys.size(); ++i) {
    VALLM_ASSIGN_OR_RETURN(const bool better, ApplyCompare(runtime, kBetter, keys[i], keys[best]));
    if (better) best = i;
  }
  return items.items()[best];
}

Result Sum(Runtime& runtime, CallArgs& args) {
  VALLM_ASSIGN_OR_RETURN(const Value items, runtime.Iterate(args.positional[0]));
  Value total = args.positional[2].is_missing() ? Value::Int(0) : args.positional[2];
  if (total.is_str()) return TemplateError("sum() can't sum strings [use ''.join(seq) instead]");
  for (const Value& item : items.items()) {
    VALLM_ASSIGN_OR_RETURN(const Value part,
                           GetPath(runtime, item, args.positional[1], Value::Missing()));
    VALLM_ASSIGN_OR_RETURN(total, ApplyBinary(runtime, BinaryOp::kAdd, total, part));
  }
  return total;
}

Result Items(Runtime& runtime, CallArgs& args) {
  const Value& value = args.positional[0];
  if (value.is_undefined()) return MakeIterator({});
  if (!value.is_dict()) {
    return MakeIterator({}, TemplateError("Can only get item pairs from a mapping."));
  }
  VALLM_ASSIGN_OR_RETURN(const Value items, DictViewObject(value, DictPart::kItems).Items(runtime));
  return MakeIterator(items.items());
}

Result Batch(Runtime& runtime, CallArgs& args) {
  VALLM_ASSIGN_OR_RETURN(const Value items, runtime.Iterate(args.positional[0]));
  VALLM_ASSIGN_OR_RETURN(const int64_t size, IntArg(args, 1, 0));
  std::vector<Value> rows;
  std::vector<Value> row;
  const auto flush = [&]() -> absl::Status {
    VALLM_ASSIGN_OR_RETURN(Value list, runtime.MakeList(std::exchange(row, {})));
    rows.push_back(std::move(list));
    return absl::OkStatus();
  };
  for (const Value& item : items.items()) {
    if (static_cast<int64_t>(row.size()) == size) VALLM_RETURN_IF_ERROR(flush());
    row.push_back(item);
  }
  if (row.empty()) return MakeIterator(std::move(rows));
  if (HasArg(args, 2) && static_cast<int64_t>(row.size()) < size) {
    VALLM_RETURN_IF_ERROR(runtime.CheckElements(static_cast<double>(size)));
    row.resize(static_cast<size_t>(size), args.positional[2]);
  }
  VALLM_RETURN_IF_ERROR(flush());
  return MakeIterator(std::move(rows));
}

Result SliceInto(Runtime& runtime, CallArgs& args) {
  VALLM_ASSIGN_OR_RETURN(const Value value, runtime.Iterate(args.positional[0]));
  VALLM_ASSIGN_OR_RETURN(const int64_t slices, IntArg(args, 1, 0));
  if (slices == 0) return TemplateError("integer division or modulo by zero");
  VALLM_RETURN_IF_ERROR(runtime.CheckElements(static_cast<double>(slices)));
  const auto& items = value.items();
  std::vector<Value> columns;
  if (slices < 0) return MakeIterator(std::move(columns));
  const size_t count = static_cast<size_t>(slices);
  size_t begin = 0;
  for (size_t i = 0; i < count; ++i) {
    const bool extra = i < items.size() % count;
    const size_t end = begin + items.size() / count + (extra ? 1 : 0);
    std::vector<Value> column(items.begin() + static_cast<long>(begin),
                              items.begin() + static_cast<long>(end));
    if (HasArg(args, 2) && !extra) column.push_back(args.positional[2]);
    VALLM_ASSIGN_OR_RETURN(Value list, runtime.MakeList(std::move(column)));
    columns.push_back(std::move(list));
    begin = end;
  }
  return MakeIterator(std::move(columns));
}

Result GroupBy(Runtime& runtime, CallArgs& args) {
  VALLM_ASSIGN_OR_RETURN(const Value value, runtime.Iterate(args.positional[0]));
  const Value& path = args.positional[1];
  const Value& fallback = args.positional[2];
  VALLM_ASSIGN_OR_RETURN(const std::vector<Value> keys,
                         Keys(runtime, value.items(), path, fallback, BoolArg(args, 3, false)));
  std::vector<size_t> order;
  VALLM_RETURN_IF_ERROR(SortByKeys(runtime, keys, /*reverse=*/false, &order));
  std::vector<Value> groups;
  for (size_t i = 0; i < order.size();) {
    const size_t first = order[i];
    std::vector<Value> members;
    for (; i < order.size() && Equals(keys[order[i]], keys[first]); ++i) {
      members.push_back(value.items()[order[i]]);
    }
    VALLM_ASSIGN_OR_RETURN(Value list, runtime.MakeList(std::move(members)));
    VALLM_ASSIGN_OR_RETURN(Value name, GetPath(runtime, value.items()[first], path, fallback));
    groups.push_back(Value::Group(std::move(name), std::move(list)));
  }
  return runtime.MakeList(std::move(groups));
}

Result Default(Runtime& runtime, CallArgs& args) {
  const Value& value = args.positional[0];
  const bool use = value.is_undefined() || (BoolArg(args, 2, false) && !value.Truthy());
  if (!use) return value;
  return args.positional[1].is_missing() ? Value::Str("") : args.positional[1];
}

Result Attribute(Runtime& runtime, CallArgs& args) {
  const Value& object = args.positional[0];
  VALLM_ASSIGN_OR_RETURN(const Value name, [&]() -> Result {
    VALLM_ASSIGN_OR_RETURN(std::string text, runtime.Str(args.positional[1]));
    return Value::Str(std::move(text));
  }());
  if (object.is_dict() && object.dict().Find(name.text()) != nullptr) {
    // attr() sees attributes only, never items.
    VALLM_ASSIGN_OR_RETURN(const Value found, GetAttr(runtime, object, name));
    return found.is_object() ? found : Value::UndefinedMember(object, name);
  }
  return GetAttr(runtime, object, name);
}

Result Random(Runtime& runtime, CallArgs& args) {
  return TemplateError("filter 'random' is not available: a prompt must be reproducible");
}

}  // namespace

std::vector<Builtin> SequenceFilters() {
  return {
      {"length", &Length, 1, {"obj"}},
      {"count", &Length, 1, {"obj"}},
      {"first", &First, 1, {"seq"}},
      {"last", &Last, 1, {"seq"}},
      {"list", &List, 1, {"value"}},
      {"reverse", &Reverse, 1, {"value"}},
      {"join", &Join, 1, {"value", "d", "attribute"}},
      {"sort", &Sort, 1, {"value", "reverse", "case_sensitive", "attribute"}},
      {"dictsort", &DictSort, 1, {"value", "case_sensitive", "by", "reverse"}},
      {"unique", &Unique, 1, {"value", "case_sensitive", "attribute"}},
      {"min", &Extreme<CompareOp::kLt>, 1, {"value", "case_sensitive", "attribute"}},
      {"max", &Extreme<CompareOp::kGt>, 1, {"value", "case_sensitive", "attribute"}},
      {"sum", &Sum, 1, {"iterable", "attribute", "start"}},
      {"items", &Items, 1, {"value"}},
      {"batch", &Batch, 2, {"value", "linecount", "fill_with"}},
      {"slice", &SliceInto, 2, {"value", "slices", "fill_with"}},
      {"groupby", &GroupBy, 2, {"value", "attribute", "default", "case_sensitive"}},
      {"default", &Default, 1, {"value", "default_value", "boolean"}},
      {"d", &Default, 1, {"value", "default_value", "boolean"}},
      {"attr", &Attribute, 2, {"obj", "name"}},
      {"random", &Random, 1, {"seq"}},
  };
}

}  // namespace vallm::tokenizer
