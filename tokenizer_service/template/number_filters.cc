// Filters on numbers.
#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "tokenizer_service/template/filters.h"
#include "tokenizer_service/template/numbers.h"
#include "tokenizer_service/template/operators.h"

namespace vallm::tokenizer {
namespace {

using Kind = Value::Kind;
using Result = absl::StatusOr<Value>;

Result Abs(Runtime& runtime, CallArgs& args) {
  const Value& value = args.positional[0];
  if (value.is_undefined()) {
    return TemplateError("bad operand type for abs(): 'Undefined'");
  }
  if (!value.is_number()) {
    return TemplateError("bad operand type for abs(): '", ToAbsl(value.TypeName()), "'");
  }
  if (value.kind() == Kind::kFloat) return Value::Float(std::fabs(value.float_value()));
  const BigInt integer = AsBigInt(value);
  return Value::Int(integer.negative() ? integer.Negated() : integer);
}

// What reading a number of these digits costs.
absl::Status ChargeDigits(Runtime& runtime, std::string_view text) {
  const auto digits = static_cast<int64_t>(std::min(text.size(), BigInt::kMaxDigits));
  return runtime.Charge(static_cast<int64_t>(text.size() / 8) + digits * digits / 4096);
}

Result Int(Runtime& runtime, CallArgs& args) {
  const Value& value = args.positional[0];
  const Value fallback = args.positional[1].is_missing() ? Value::Int(0) : args.positional[1];
  if (value.is_undefined()) return UndefinedError(value);
  if (value.is_number()) {
    auto truncated = Truncate(value);
    if (truncated.ok()) return truncated;
    // Python turns NaN into the default but lets the overflow of infinity through int(), then
    // catches it from int(float()).
    return std::isinf(AsDouble(value)) ? Result(TemplateError(truncated.status().message()))
                                       : Result(fallback);
  }
  if (!value.is_str()) return fallback;
  VALLM_RETURN_IF_ERROR(ChargeDigits(runtime, value.text()));
  VALLM_ASSIGN_OR_RETURN(const int64_t base, IntArg(args, 2, 10));
  if (const auto parsed = ParseInt(value.text(), static_cast<int>(base))) return *parsed;
  const auto real = ParseFloat(value.text());
  if (!real) return fallback;
  auto truncated = Truncate(Value::Float(*real));
  return truncated.ok() ? truncated : Result(fallback);
}

Result Float(Runtime& runtime, CallArgs& args) {
  const Value& value = args.positional[0];
  if (value.is_undefined()) return UndefinedError(value);
  if (value.is_number()) {
    const double real = AsDouble(value);
    if (std::isinf(real) && value.is_integral()) {
      return TemplateError("int too large to convert to float");
    }
    return Value::Float(real);
  }
  if (value.is_str()) {
    VALLM_RETURN_IF_ERROR(ChargeDigits(runtime, value.text()));
    if (const auto parsed = ParseFloat(value.text())) return Value::Float(*parsed);
  }
  return args.positional[1].is_missing() ? Value::Float(0) : args.positional[1];
}

Result RoundTo(Runtime& runtime, CallArgs& args) {
  const Value& value = args.positional[0];
  VALLM_ASSIGN_OR_RETURN(const int64_t precision, IntArg(args, 1, 0));
  VALLM_ASSIGN_OR_RETURN(const std::string_view method, StrArg(args, 2, "common"));
  if (method != "common" && method != "ceil" && method != "floor") {
    return TemplateError("method must be common, ceil or floor");
  }
  if (value.is_undefined()) return UndefinedError(value);
  if (!value.is_number()) {
    return TemplateError("type ", ToAbsl(value.TypeName()), " doesn't define __round__ method");
  }
  VALLM_RETURN_IF_ERROR(runtime.Charge(100));
  if (method == "common") return Round(value, precision);
  VALLM_ASSIGN_OR_RETURN(const Value unit,
                         NumberBinary(BinaryOp::kPow, Value::Int(10), Value::Int(precision)));
  VALLM_ASSIGN_OR_RETURN(const Value scaled, NumberBinary(BinaryOp::kMul, value, unit));
  Value whole = scaled;
  if (scaled.kind() == Kind::kFloat) {
    const double real = scaled.float_value();
    VALLM_ASSIGN_OR_RETURN(
        whole, Truncate(Value::Float(method == "ceil" ? std::ceil(real) : std::floor(real))));
  }
  return NumberBinary(BinaryOp::kDiv, whole, unit);
}

Result FileSize(Runtime& runtime, CallArgs& args) {
  VALLM_ASSIGN_OR_RETURN(const Value as_float, [&]() -> Result {
    const Value& value = args.positional[0];
    if (value.is_undefined()) return UndefinedError(value);
    if (value.is_number()) return Value::Float(AsDouble(value));
    const auto parsed = value.is_str() ? ParseFloat(value.text()) : std::nullopt;
    if (!parsed) return TemplateError("could not convert value to float");
    return Value::Float(*parsed);
  }());
  const double bytes = as_float.float_value();
  const bool binary = BoolArg(args, 1, false);
  const double base = binary ? 1024 : 1000;
  static constexpr const char* kDecimal[] = {"kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"};
  static constexpr const char* kBinary[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"};
  if (bytes == 1) return runtime.MakeStr("1 Byte");
  if (bytes < base) return runtime.MakeStr(absl::StrFormat("%.0f Bytes", std::trunc(bytes) + 0.0));
  double unit = base;
  int step = -1;
  do {
    ++step;
    unit *= base;
  } while (bytes >= unit && step < 7);
  return runtime.MakeStr(
      absl::StrFormat("%.1f %s", base * bytes / unit, (binary ? kBinary : kDecimal)[step]));
}

}  // namespace

std::vector<Builtin> NumberFilters() {
  return {
      {"abs", &Abs, 1, {"x"}},
      {"int", &Int, 1, {"value", "default", "base"}},
      {"float", &Float, 1, {"value", "default"}},
      {"round", &RoundTo, 1, {"value", "precision", "method"}},
      {"filesizeformat", &FileSize, 1, {"value", "binary"}},
  };
}

}  // namespace vallm::tokenizer
