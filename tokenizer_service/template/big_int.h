// Integers beyond 64 bits, as Python has them: JSON ids and counters must come out digit for digit.
// Sign and magnitude in base 10^9; meant for exactness, not for speed.
#ifndef VALLM_TOKENIZER_SERVICE_TEMPLATE_BIG_INT_H_
#define VALLM_TOKENIZER_SERVICE_TEMPLATE_BIG_INT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vallm::tokenizer {

class BigInt {
 public:
  // Python refuses to print longer integers; arithmetic here refuses to make them.
  static constexpr size_t kMaxDigits = 4300;

  BigInt() = default;
  explicit BigInt(int64_t value);
  // `digits` is a non-empty run of digits of `base` (2 to 36), no sign.
  static BigInt FromDigits(std::string_view digits, int base);
  // The integral part of a finite double.
  static BigInt FromDouble(double value);

  bool negative() const { return negative_; }
  bool is_zero() const { return limbs_.empty(); }
  bool odd() const { return !limbs_.empty() && limbs_[0] % 2 == 1; }
  // Set when the value fits 64 bits.
  std::optional<int64_t> ToInt64() const;
  // Correctly rounded; infinite when out of range.
  double ToDouble() const;
  std::string ToString() const;
  size_t DigitCount() const;

  BigInt Negated() const;
  friend BigInt operator+(const BigInt& a, const BigInt& b);
  friend BigInt operator-(const BigInt& a, const BigInt& b);
  friend BigInt operator*(const BigInt& a, const BigInt& b);
  // Python's // and %: the quotient is rounded down, the remainder has the divisor's sign.
  // REQUIRES: !b.is_zero().
  static std::pair<BigInt, BigInt> FloorDivMod(const BigInt& a, const BigInt& b);
  // a / b, correctly rounded; infinite when out of range. REQUIRES: !b.is_zero().
  static double Divide(const BigInt& a, const BigInt& b);
  // Negative, zero or positive as a is less than, equal to or greater than b.
  static int Compare(const BigInt& a, const BigInt& b);

 private:
  static int CompareMagnitude(const BigInt& a, const BigInt& b);
  static BigInt AddMagnitude(const BigInt& a, const BigInt& b);
  static BigInt SubMagnitude(const BigInt& a, const BigInt& b);  // REQUIRES: |a| >= |b|
  void MultiplyAdd(uint32_t factor, uint32_t addend);
  void Trim();

  bool negative_ = false;
  std::vector<uint32_t> limbs_;  // base 10^9, least significant first, no leading zeros
};

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_TEMPLATE_BIG_INT_H_
