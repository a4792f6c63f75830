// Arithmetic and order of Python's numbers: exact integers of any size, IEEE doubles, bool as 0
// and 1.
#ifndef VALLM_TOKENIZER_SERVICE_TEMPLATE_NUMBERS_H_
#define VALLM_TOKENIZER_SERVICE_TEMPLATE_NUMBERS_H_

#include <optional>
#include <string_view>

#include "absl/status/statusor.h"
#include "tokenizer_service/template/value.h"

namespace vallm::tokenizer {

enum class BinaryOp { kAdd, kSub, kMul, kDiv, kFloorDiv, kMod, kPow };
enum class NumberOrder { kLess, kEqual, kGreater, kUnordered };

// All REQUIRE numbers (Value::is_number).

// Integers and floats compare by exact value; NaN is unordered.
NumberOrder CompareNumbers(const Value& a, const Value& b);
// Errors: INVALID_ARGUMENT for division by zero, a complex result, overflow, or an integer longer
// than BigInt::kMaxDigits.
absl::StatusOr<Value> NumberBinary(BinaryOp op, const Value& a, const Value& b);
absl::StatusOr<Value> Negate(const Value& a);
double AsDouble(const Value& a);
BigInt AsBigInt(const Value& a);  // REQUIRES: is_integral

// int(text, base): optional white space, sign, digits with single underscores between them. Base 0
// is not supported. nullopt if `text` is no such integer.
std::optional<Value> ParseInt(std::string_view text, int base);
// float(text): also inf, infinity and nan.
std::optional<double> ParseFloat(std::string_view text);
// int(number): towards zero. Errors: INVALID_ARGUMENT for infinity and NaN.
absl::StatusOr<Value> Truncate(const Value& a);
// round(number, digits), half to even. Without digits a float becomes an int.
absl::StatusOr<Value> Round(const Value& a, int64_t digits);

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_TEMPLATE_NUMBERS_H_
