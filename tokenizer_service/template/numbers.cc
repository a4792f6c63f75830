#include "tokenizer_service/template/numbers.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/status_macros.h"
#include "tokenizer_service/template/unicode.h"

namespace vallm::tokenizer {
namespace {

absl::Status Fail(absl::string_view message) { return absl::InvalidArgumentError(message); }

NumberOrder Order(int sign) {
  return sign < 0 ? NumberOrder::kLess : sign > 0 ? NumberOrder::kGreater : NumberOrder::kEqual;
}

NumberOrder Reverse(NumberOrder order) {
  if (order == NumberOrder::kLess) return NumberOrder::kGreater;
  return order == NumberOrder::kGreater ? NumberOrder::kLess : order;
}

NumberOrder CompareIntegerToFloat(const Value& a, double b) {
  if (std::isnan(b)) return NumberOrder::kUnordered;
  if (std::isinf(b)) return b > 0 ? NumberOrder::kLess : NumberOrder::kGreater;
  const int whole = BigInt::Compare(AsBigInt(a), BigInt::FromDouble(b));
  if (whole != 0) return Order(whole);
  const double fraction = b - std::trunc(b);
  return fraction > 0   ? NumberOrder::kLess
         : fraction < 0 ? NumberOrder::kGreater
                        : NumberOrder::kEqual;
}

absl::StatusOr<Value> CheckedInt(const BigInt& value) {
  if (value.DigitCount() > BigInt::kMaxDigits) {
    return Fail(
        absl::StrCat("integer has ", value.DigitCount(), " digits; limit is ", BigInt::kMaxDigits));
  }
  return Value::Int(value);
}

absl::StatusOr<Value> IntegerPower(const Value& a, const Value& b) {
  const BigInt exponent = AsBigInt(b);
  if (exponent.negative()) {
    const double base = AsDouble(a);
    if (base == 0) return Fail("0.0 cannot be raised to a negative power");
    return Value::Float(std::pow(base, AsDouble(b)));
  }
  BigInt base = AsBigInt(a);
  const auto count = exponent.ToInt64();
  const bool trivial =
      BigInt::Compare(base, BigInt(1)) <= 0 && BigInt::Compare(base, BigInt(-1)) >= 0;
  if (trivial) {
    if (exponent.is_zero()) return Value::Int(1);
    return base.negative() && !exponent.odd() ? Value::Int(1) : Value::Int(base);
  }
  // |base| >= 2, so the result has at least 0.3 * exponent digits.
  if (!count || static_cast<double>(*count) * 0.3 > BigInt::kMaxDigits) {
    return Fail(absl::StrCat("result of ** has more than ", BigInt::kMaxDigits, " digits"));
  }
  BigInt result(1);
  for (int64_t left = *count; left > 0; left >>= 1) {
    if (left & 1) result = result * base;
    if (result.DigitCount() > BigInt::kMaxDigits) return CheckedInt(result);
    if (left > 1) base = base * base;
    if (base.DigitCount() > BigInt::kMaxDigits && left > 1) return CheckedInt(base);
  }
  return CheckedInt(result);
}

bool IsExactDouble(int64_t value) {
  constexpr int64_t kLimit = int64_t{1} << 53;
  return -kLimit <= value && value <= kLimit;
}

absl::StatusOr<Value> IntegerBinary(BinaryOp op, const Value& a, const Value& b) {
  if (a.kind() != Value::Kind::kBigInt && b.kind() != Value::Kind::kBigInt) {
    const int64_t x = a.int_value();
    const int64_t y = b.int_value();
    int64_t result = 0;
    if (op == BinaryOp::kAdd && !__builtin_add_overflow(x, y, &result)) return Value::Int(result);
    if (op == BinaryOp::kSub && !__builtin_sub_overflow(x, y, &result)) return Value::Int(result);
    if (op == BinaryOp::kMul && !__builtin_mul_overflow(x, y, &result)) return Value::Int(result);
    if (op == BinaryOp::kDiv && y != 0 && IsExactDouble(x) && IsExactDouble(y)) {
      return Value::Float(static_cast<double>(x) / static_cast<double>(y));
    }
  }
  const BigInt x = AsBigInt(a);
  const BigInt y = AsBigInt(b);
  switch (op) {
    case BinaryOp::kAdd:
      return CheckedInt(x + y);
    case BinaryOp::kSub:
      return CheckedInt(x - y);
    case BinaryOp::kMul:
      return CheckedInt(x * y);
    case BinaryOp::kDiv: {
      if (y.is_zero()) return Fail("division by zero");
      const double quotient = BigInt::Divide(x, y);
      if (!std::isfinite(quotient)) return Fail("integer division result too large for a float");
      return Value::Float(quotient);
    }
    case BinaryOp::kFloorDiv:
    case BinaryOp::kMod: {
      if (y.is_zero()) return Fail("integer division or modulo by zero");
      const auto [quotient, rest] = BigInt::FloorDivMod(x, y);
      return Value::Int(op == BinaryOp::kMod ? rest : quotient);
    }
    case BinaryOp::kPow:
      return IntegerPower(a, b);
  }
  return Fail("unknown operator");
}

double FloorMod(double x, double y) {
  double rest = std::fmod(x, y);
  if (rest == 0) return std::copysign(0.0, y);
  return (rest < 0) != (y < 0) ? rest + y : rest;
}

double FloorDivide(double x, double y) {
  double rest = std::fmod(x, y);
  double quotient = (x - rest) / y;
  if (rest != 0 && (y < 0) != (rest < 0)) quotient -= 1;
  if (quotient == 0) return std::copysign(0.0, x / y);
  const double floored = std::floor(quotient);
  return quotient - floored > 0.5 ? floored + 1 : floored;
}

absl::StatusOr<Value> FloatPower(double x, double y) {
  if (x == 0 && y < 0) return Fail("0.0 cannot be raised to a negative power");
  if (x < 0 && std::isfinite(x) && std::isfinite(y) && y != std::trunc(y)) {
    return Fail("a negative number cannot be raised to a fractional power");
  }
  const double result = std::pow(x, y);
  if (std::isinf(result) && std::isfinite(x) && std::isfinite(y)) {
    return Fail("float result of ** is too large");
  }
  return Value::Float(result);
}

}  // namespace

double AsDouble(const Value& a) {
  if (a.kind() == Value::Kind::kFloat) return a.float_value();
  if (a.kind() == Value::Kind::kBigInt) return a.big_int().ToDouble();
  return static_cast<double>(a.int_value());
}

BigInt AsBigInt(const Value& a) {
  return a.kind() == Value::Kind::kBigInt ? a.big_int() : BigInt(a.int_value());
}

NumberOrder CompareNumbers(const Value& a, const Value& b) {
  const bool a_float = a.kind() == Value::Kind::kFloat;
  const bool b_float = b.kind() == Value::Kind::kFloat;
  if (a_float && b_float) {
    const double x = a.float_value();
    const double y = b.float_value();
    if (std::isnan(x) || std::isnan(y)) return NumberOrder::kUnordered;
    return Order(x < y ? -1 : x > y ? 1 : 0);
  }
  if (b_float) return CompareIntegerToFloat(a, b.float_value());
  if (a_float) return Reverse(CompareIntegerToFloat(b, a.float_value()));
  if (a.kind() != Value::Kind::kBigInt && b.kind() != Value::Kind::kBigInt) {
    const int64_t x = a.int_value();
    const int64_t y = b.int_value();
    return Order(x < y ? -1 : x > y ? 1 : 0);
  }
  return Order(BigInt::Compare(AsBigInt(a), AsBigInt(b)));
}

absl::StatusOr<Value> NumberBinary(BinaryOp op, const Value& a, const Value& b) {
  if (a.is_integral() && b.is_integral()) return IntegerBinary(op, a, b);
  const double x = AsDouble(a);
  const double y = AsDouble(b);
  if ((std::isinf(x) && a.is_integral()) || (std::isinf(y) && b.is_integral())) {
    return Fail("int too large to convert to float");
  }
  switch (op) {
    case BinaryOp::kAdd:
      return Value::Float(x + y);
    case BinaryOp::kSub:
      return Value::Float(x - y);
    case BinaryOp::kMul:
      return Value::Float(x * y);
    case BinaryOp::kDiv:
      if (y == 0) return Fail("float division by zero");
      return Value::Float(x / y);
    case BinaryOp::kFloorDiv:
      if (y == 0) return Fail("float floor division by zero");
      return Value::Float(FloorDivide(x, y));
    case BinaryOp::kMod:
      if (y == 0) return Fail("float modulo by zero");
      return Value::Float(FloorMod(x, y));
    case BinaryOp::kPow:
      return FloatPower(x, y);
  }
  return Fail("unknown operator");
}

absl::StatusOr<Value> Negate(const Value& a) {
  if (a.kind() == Value::Kind::kFloat) return Value::Float(-a.float_value());
  return Value::Int(AsBigInt(a).Negated());
}

namespace {

// The value of a letter or of a decimal digit of any script; -1 for anything else.
int DigitOf(char32_t c) {
  if (c >= 'a' && c <= 'z') return static_cast<int>(c - 'a') + 10;
  if (c >= 'A' && c <= 'Z') return static_cast<int>(c - 'A') + 10;
  return IsDecimal(c) ? DecimalValue(c) : -1;
}

}  // namespace

std::optional<Value> ParseInt(std::string_view text, int base) {
  text = StripSpace(text, /*left=*/true, /*right=*/true);
  bool negative = false;
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
    negative = text[0] == '-';
    text.remove_prefix(1);
  }
  const char marker = base == 16 ? 'x' : base == 8 ? 'o' : base == 2 ? 'b' : '\0';
  if (marker != '\0' && text.size() > 2 && text[0] == '0' &&
      absl::ascii_tolower(static_cast<unsigned char>(text[1])) == marker) {
    text.remove_prefix(2);
    if (text[0] == '_') text.remove_prefix(1);
  }
  if (base < 2 || base > 36) return std::nullopt;
  std::string digits;
  for (size_t pos = 0; pos < text.size();) {
    if (text[pos] == '_') {
      if (digits.empty() || pos + 1 == text.size() || text[pos - 1] == '_') return std::nullopt;
      ++pos;
      continue;
    }
    const char32_t c = NextCodePoint(text, &pos);
    const int digit = DigitOf(c);
    if (digit < 0 || digit >= base) return std::nullopt;
    digits.push_back("0123456789abcdefghijklmnopqrstuvwxyz"[digit]);
  }
  if (digits.empty() || digits.size() > BigInt::kMaxDigits) return std::nullopt;
  BigInt value = BigInt::FromDigits(digits, base);
  return Value::Int(negative ? value.Negated() : value);
}

namespace {

// `text` with the decimal digits of all scripts written as 0 to 9.
std::string AsciiDigits(std::string_view text) {
  std::string out;
  for (size_t pos = 0; pos < text.size();) {
    const size_t begin = pos;
    const char32_t c = NextCodePoint(text, &pos);
    if (c >= 0x80 && IsDecimal(c)) {
      out.push_back(static_cast<char>('0' + DecimalValue(c)));
    } else {
      out.append(text.substr(begin, pos - begin));
    }
  }
  return out;
}

}  // namespace

std::optional<double> ParseFloat(std::string_view text) {
  text = StripSpace(text, /*left=*/true, /*right=*/true);
  const std::string ascii = AsciiDigits(text);
  text = ascii;
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto is_digit = [&text](size_t j) {
      return j < text.size() && absl::ascii_isdigit(static_cast<unsigned char>(text[j]));
    };
    if (text[i] == '_') {
      if (i == 0 || !is_digit(i - 1) || !is_digit(i + 1)) return std::nullopt;
      continue;
    }
    // strtod also reads hexadecimal and nan(...), Python does not.
    if (text[i] == 'x' || text[i] == 'X' || text[i] == '(') return std::nullopt;
    plain.push_back(text[i]);
  }
  if (plain.empty() || absl::ascii_isspace(static_cast<unsigned char>(plain[0]))) {
    return std::nullopt;
  }
  char* end = nullptr;
  const double value = std::strtod(plain.c_str(), &end);
  if (end != plain.c_str() + plain.size()) return std::nullopt;
  return value;
}

absl::StatusOr<Value> Truncate(const Value& a) {
  if (a.is_bool()) return Value::Int(a.int_value());
  if (a.is_integral()) return a;
  const double real = a.float_value();
  if (std::isnan(real)) return Fail("cannot convert float NaN to integer");
  if (std::isinf(real)) return Fail("cannot convert float infinity to integer");
  return Value::Int(BigInt::FromDouble(real));
}

namespace {

// The multiple of `step` nearest to `value`, or to a little `more` than it; half to even.
BigInt RoundTo(const BigInt& value, const BigInt& step, bool more) {
  auto [quotient, rest] = BigInt::FloorDivMod(value, step);
  const int half = BigInt::Compare(rest + rest, step);
  if (half > 0 || (half == 0 && (more || quotient.odd()))) quotient = quotient + BigInt(1);
  return quotient * step;
}

}  // namespace

absl::StatusOr<Value> Round(const Value& a, int64_t digits) {
  if (a.is_integral()) {
    if (digits >= 0) return Truncate(a);
    if (digits < -static_cast<int64_t>(BigInt::kMaxDigits)) return Value::Int(0);
    VALLM_ASSIGN_OR_RETURN(const Value unit, IntegerPower(Value::Int(10), Value::Int(-digits)));
    return Value::Int(RoundTo(AsBigInt(a), AsBigInt(unit), /*more=*/false));
  }
  const double real = a.float_value();
  if (!std::isfinite(real) || digits > 330) return a;
  if (digits < -330) return Value::Float(std::copysign(0.0, real));
  if (digits >= 0) {
    // Decimal rounding of the exact binary value, half to even, as printf does it.
    const std::string text = absl::StrFormat("%.*f", static_cast<int>(digits), real);
    return Value::Float(std::strtod(text.c_str(), nullptr));
  }
  VALLM_ASSIGN_OR_RETURN(const Value unit, IntegerPower(Value::Int(10), Value::Int(-digits)));
  const bool fraction = real != std::trunc(real);
  const BigInt whole = RoundTo(BigInt::FromDouble(std::fabs(real)), AsBigInt(unit), fraction);
  return Value::Float(std::copysign(whole.ToDouble(), real));
}

}  // namespace vallm::tokenizer
