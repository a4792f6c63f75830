#include "tokenizer_service/template/operators.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "common/status_macros.h"
#include "common/strings.h"
#include "tokenizer_service/template/iterators.h"
#include "tokenizer_service/template/markup.h"
#include "tokenizer_service/template/printf_format.h"
#include "tokenizer_service/template/unicode.h"

namespace vallm::tokenizer {
namespace {

using Kind = Value::Kind;

constexpr const char* kSymbols[] = {"+", "-", "*", "/", "//", "%", "** or pow()"};
constexpr const char* kCompareSymbols[] = {"==", "!=", "<", "<=", ">", ">=", "in", "not in"};

absl::Status Unsupported(BinaryOp op, const Value& a, const Value& b) {
  return TemplateError("unsupported operand type(s) for ", kSymbols[static_cast<int>(op)], ": '",
                       ToAbsl(a.TypeName()), "' and '", ToAbsl(b.TypeName()), "'");
}

absl::StatusOr<Value> ConcatItems(Runtime& runtime, const Value& a, const Value& b) {
  VALLM_RETURN_IF_ERROR(
      runtime.CheckElements(static_cast<double>(a.items().size() + b.items().size())));
  std::vector<Value> items = a.items();
  items.insert(items.end(), b.items().begin(), b.items().end());
  return a.kind() == Kind::kList ? runtime.MakeList(std::move(items))
                                 : runtime.MakeTuple(std::move(items));
}

absl::StatusOr<Value> Add(Runtime& runtime, const Value& a, const Value& b) {
  if (a.is_str() && b.is_str()) {
    if (a.str().markup() || b.str().markup()) {
      return runtime.MakeStr(EscapeUnlessMarkup(a) + EscapeUnlessMarkup(b), /*markup=*/true);
    }
    VALLM_RETURN_IF_ERROR(
        runtime.CheckStringSize(static_cast<double>(a.text().size() + b.text().size())));
    std::string text;
    text.reserve(a.text().size() + b.text().size());
    text.append(a.text()).append(b.text());
    return runtime.MakeStr(std::move(text));
  }
  if (a.is_list_or_tuple() && a.kind() == b.kind()) return ConcatItems(runtime, a, b);
  if (a.is_str() || a.is_list_or_tuple()) {
    const auto type = ToAbsl(a.TypeName());
    return TemplateError("can only concatenate ", type, " (not \"", ToAbsl(b.TypeName()), "\") to ",
                         type);
  }
  return Unsupported(BinaryOp::kAdd, a, b);
}

absl::StatusOr<Value> Repeat(Runtime& runtime, const Value& sequence, const Value& count) {
  if (count.kind() == Kind::kBigInt && !count.big_int().negative()) {
    return TemplateError("cannot fit 'int' into an index-sized integer");
  }
  const int64_t times = count.kind() == Kind::kBigInt ? 0 : std::max<int64_t>(0, count.int_value());
  if (sequence.is_str()) {
    const std::string_view text = sequence.text();
    VALLM_RETURN_IF_ERROR(
        runtime.CheckStringSize(static_cast<double>(text.size()) * static_cast<double>(times)));
    std::string result;
    result.reserve(text.size() * static_cast<size_t>(times));
    if (!text.empty()) {
      for (int64_t i = 0; i < times; ++i) result.append(text);
    }
    return runtime.MakeStr(std::move(result), sequence.str().markup());
  }
  const std::vector<Value>& unit = sequence.items();
  VALLM_RETURN_IF_ERROR(
      runtime.CheckElements(static_cast<double>(unit.size()) * static_cast<double>(times)));
  std::vector<Value> items;
  items.reserve(unit.size() * static_cast<size_t>(times));
  if (!unit.empty()) {
    for (int64_t i = 0; i < times; ++i) items.insert(items.end(), unit.begin(), unit.end());
  }
  return sequence.kind() == Kind::kList ? runtime.MakeList(std::move(items))
                                        : runtime.MakeTuple(std::move(items));
}

bool IsSequence(const Value& value) { return value.is_str() || value.is_list_or_tuple(); }

absl::StatusOr<bool> OrderNumbers(CompareOp op, NumberOrder order) {
  switch (op) {
    case CompareOp::kLt:
      return order == NumberOrder::kLess;
    case CompareOp::kLe:
      return order == NumberOrder::kLess || order == NumberOrder::kEqual;
    case CompareOp::kGt:
      return order == NumberOrder::kGreater;
    default:
      return order == NumberOrder::kGreater || order == NumberOrder::kEqual;
  }
}

bool OrderBySign(CompareOp op, int sign) {
  switch (op) {
    case CompareOp::kLt:
      return sign < 0;
    case CompareOp::kLe:
      return sign <= 0;
    case CompareOp::kGt:
      return sign > 0;
    default:
      return sign >= 0;
  }
}

absl::Status ChargeEquality(Runtime& runtime, const Value& a, const Value& b) {
  return runtime.Charge(1 + std::min(a.Weight(), b.Weight()) / 4);
}

absl::StatusOr<bool> Less(Runtime& runtime, CompareOp op, const Value& a, const Value& b) {
  if (a.is_undefined()) return UndefinedError(a);
  if (b.is_undefined()) return UndefinedError(b);
  if (a.is_number() && b.is_number()) return OrderNumbers(op, CompareNumbers(a, b));
  // UTF-8 orders bytewise as its code points do.
  if (a.is_str() && b.is_str()) {
    VALLM_RETURN_IF_ERROR(ChargeEquality(runtime, a, b));
    return OrderBySign(op, a.text().compare(b.text()));
  }
  if (a.is_list_or_tuple() && a.kind() == b.kind()) {
    VALLM_RETURN_IF_ERROR(runtime.Charge(std::min(a.Weight(), b.Weight())));
    const auto& x = a.items();
    const auto& y = b.items();
    for (size_t i = 0; i < x.size() && i < y.size(); ++i) {
      if (!Equals(x[i], y[i])) return Less(runtime, op, x[i], y[i]);
    }
    return OrderBySign(op, x.size() < y.size() ? -1 : x.size() > y.size() ? 1 : 0);
  }
  return TemplateError("'", kCompareSymbols[static_cast<int>(op)],
                       "' not supported between instances of '", ToAbsl(a.TypeName()), "' and '",
                       ToAbsl(b.TypeName()), "'");
}

// Steps of arithmetic: one for machine numbers; big ones cost what schoolbook methods cost.
int64_t NumberCost(BinaryOp op, const Value& a, const Value& b) {
  if (op == BinaryOp::kPow && a.is_integral() && b.is_integral()) {
    const double digits = static_cast<double>(AsBigInt(a).DigitCount()) *
                          std::clamp(std::fabs(AsDouble(b)), 1.0, 1.0 * BigInt::kMaxDigits);
    const double made = std::min(digits, 2.0 * BigInt::kMaxDigits);
    return 10 + static_cast<int64_t>(made * made / 256);
  }
  if (a.kind() != Kind::kBigInt && b.kind() != Kind::kBigInt) return 1;
  if (!a.is_integral() || !b.is_integral()) return 100;
  return static_cast<int64_t>(50 + AsBigInt(a).DigitCount() * AsBigInt(b).DigitCount() / 512);
}

}  // namespace

absl::StatusOr<Value> ApplyBinary(Runtime& runtime, BinaryOp op, const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) {
    VALLM_RETURN_IF_ERROR(runtime.Charge(NumberCost(op, a, b)));
    return NumberBinary(op, a, b);
  }
  if (op == BinaryOp::kMod && a.is_str()) return PrintfFormat(runtime, a, b);
  if (a.is_undefined()) return UndefinedError(a);
  if (b.is_undefined()) {
    return UndefinedError(b);
  }
  if (op == BinaryOp::kAdd) return Add(runtime, a, b);
  if (op == BinaryOp::kMul) {
    if (IsSequence(a) && b.is_integral()) return Repeat(runtime, a, b);
    if (IsSequence(b) && a.is_integral()) return Repeat(runtime, b, a);
    if (IsSequence(a) || IsSequence(b)) {
      const Value& other = IsSequence(a) ? b : a;
      return TemplateError("can't multiply sequence by non-int of type '", ToAbsl(other.TypeName()),
                           "'");
    }
  }
  return Unsupported(op, a, b);
}

absl::StatusOr<Value> ApplySign(Runtime& runtime, bool negative, const Value& a) {
  if (a.is_undefined()) return UndefinedError(a);
  if (!a.is_number()) {
    return TemplateError("bad operand type for unary ", negative ? "-" : "+", ": '",
                         ToAbsl(a.TypeName()), "'");
  }
  if (negative) return Negate(a);
  return a.is_bool() ? Value::Int(a.int_value()) : a;
}

absl::StatusOr<bool> Contains(Runtime& runtime, const Value& item, const Value& container) {
  switch (container.kind()) {
    case Kind::kStr: {
      if (!item.is_str()) {
        return TemplateError("'in <string>' requires string as left operand, not ",
                             ToAbsl(item.TypeName()));
      }
      VALLM_RETURN_IF_ERROR(runtime.Charge(static_cast<int64_t>(container.text().size() / 16)));
      return FindText(container.text(), item.text()) != std::string_view::npos;
    }
    case Kind::kDict:
      VALLM_RETURN_IF_ERROR(runtime.CheckKey(item));
      return container.dict().Find(item) != nullptr;
    case Kind::kRange: {
      if (!item.is_number() || item.kind() == Kind::kBigInt) return false;
      if (item.kind() == Kind::kFloat) {
        const double real = item.float_value();
        // Also false for NaN; within, the conversion is exact.
        if (!(std::fabs(real) < 9.2e18) || real != std::trunc(real)) return false;
      }
      const RangeCell& range = container.range();
      const int64_t whole =
          item.kind() == Kind::kFloat ? static_cast<int64_t>(item.float_value()) : item.int_value();
      const __int128 offset = static_cast<__int128>(whole) - range.start;
      return offset % range.step == 0 && offset / range.step >= 0 &&
             offset / range.step < range.length;
    }
    case Kind::kObject:
      if (const auto* view = container.ObjectAs<DictViewObject>()) {
        return view->Contains(runtime, item);
      }
      break;
    default:
      break;
  }
  if (!container.is_undefined() && !container.is_list_or_tuple() &&
      !(container.is_object() && container.object().iterable())) {
    return TemplateError("argument of type '", ToAbsl(container.TypeName()), "' is not iterable");
  }
  VALLM_ASSIGN_OR_RETURN(const Value items, runtime.Iterate(container));
  for (const Value& candidate : items.items()) {
    VALLM_RETURN_IF_ERROR(ChargeEquality(runtime, item, candidate));
    if (Equals(item, candidate)) return true;
  }
  return false;
}

absl::StatusOr<bool> ApplyCompare(Runtime& runtime, CompareOp op, const Value& a, const Value& b) {
  switch (op) {
    case CompareOp::kEq:
      VALLM_RETURN_IF_ERROR(ChargeEquality(runtime, a, b));
      return Equals(a, b);
    case CompareOp::kNe:
      VALLM_RETURN_IF_ERROR(ChargeEquality(runtime, a, b));
      return !Equals(a, b);
    case CompareOp::kIn:
      return Contains(runtime, a, b);
    case CompareOp::kNotIn: {
      VALLM_ASSIGN_OR_RETURN(const bool found, Contains(runtime, a, b));
      return !found;
    }
    default:
      return Less(runtime, op, a, b);
  }
}

absl::Status SortByKeys(Runtime& runtime, const std::vector<Value>& keys, bool reverse,
                        std::vector<size_t>* order) {
  order->resize(keys.size());
  for (size_t i = 0; i < keys.size(); ++i) (*order)[i] = i;
  absl::Status failure;
  // Python reverses twice around a stable sort, so equal keys keep their order either way.
  if (reverse) std::reverse(order->begin(), order->end());
  std::stable_sort(order->begin(), order->end(), [&](size_t a, size_t b) {
    if (!failure.ok()) return false;
    if (absl::Status status = runtime.Charge(1); !status.ok()) {
      failure = std::move(status);
      return false;
    }
    const auto less = Less(runtime, CompareOp::kLt, keys[a], keys[b]);
    if (!less.ok()) failure = less.status();
    return less.ok() && *less;
  });
  if (reverse) std::reverse(order->begin(), order->end());
  return failure;
}

}  // namespace vallm::tokenizer
