// JSON numbers within bounds, digit by digit and exactly: no floating-point comparison is involved.
#ifndef VALLM_ENGINE_SERVICE_CONSTRAINT_NUMBER_RANGE_H_
#define VALLM_ENGINE_SERVICE_CONSTRAINT_NUMBER_RANGE_H_

#include <cstdint>
#include <optional>
#include <string>

#include "engine_service/constraint/expr.h"

namespace vallm::engine {

using Int128 = __int128;

// Integers from `low` to `high` (both included; absent: unbounded) without leading zeros, "-0"
// or fraction. Matches nothing if low > high. REQUIRES: magnitudes below 10^37.
ExprPtr IntegerRange(std::optional<Int128> low, std::optional<Int128> high);

// A decimal bound.
struct DecimalBound {
  bool negative = false;
  std::string whole;     // digits without leading zeros, "0" at least
  std::string fraction;  // digits without trailing zeros
  bool exclusive = false;
};

// Numbers without exponent between the bounds. At most as many digits follow the point as keep
// the number apart from an exclusive bound when it is read into a double; at most
// `max_fraction_digits` if given, which makes them multiples of 10^-max_fraction_digits.
ExprPtr DecimalRange(const std::optional<DecimalBound>& low,
                     const std::optional<DecimalBound>& high,
                     std::optional<int> max_fraction_digits);

// Integers divisible by `divisor` of any size, by an automaton over remainders whose rules are
// added to `grammar`. REQUIRES: 1 <= divisor <= kMaxDivisor.
inline constexpr int kMaxDivisor = 1000;
ExprPtr IntegerMultiple(int divisor, Grammar* grammar);

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_CONSTRAINT_NUMBER_RANGE_H_
