#include "tokenizer_service/template/big_int.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "absl/strings/str_format.h"

namespace vallm::tokenizer {
namespace {

constexpr uint64_t kBase = 1'000'000'000;

int DigitValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'z') return c - 'a' + 10;
  return c - 'A' + 10;
}

// At least floor(rest / divisor), which is less than kBase. Both are least significant first.
uint32_t EstimateQuotient(const std::vector<uint32_t>& rest, const std::vector<uint32_t>& divisor) {
  if (rest.size() < divisor.size()) return 0;
  const size_t low = divisor.size() < 2 ? 0 : divisor.size() - 2;
  unsigned __int128 top = 0;
  for (size_t i = rest.size(); i-- > low;) top = top * kBase + rest[i];
  uint64_t unit = 0;
  for (size_t i = divisor.size(); i-- > low;) unit = unit * kBase + divisor[i];
  const unsigned __int128 estimate = top / unit;
  return static_cast<uint32_t>(estimate < kBase ? estimate : kBase - 1);
}

}  // namespace

BigInt::BigInt(int64_t value) : negative_(value < 0) {
  uint64_t magnitude = negative_ ? 0 - static_cast<uint64_t>(value) : static_cast<uint64_t>(value);
  for (; magnitude != 0; magnitude /= kBase) {
    limbs_.push_back(static_cast<uint32_t>(magnitude % kBase));
  }
}

BigInt BigInt::FromDigits(std::string_view digits, int base) {
  // As many digits at a time as fit a limb: reading them one by one is nine times the work.
  BigInt result;
  uint64_t factor = 1;
  uint64_t chunk = 0;
  for (char c : digits) {
    if (factor * static_cast<uint64_t>(base) > kBase) {
      result.MultiplyAdd(static_cast<uint32_t>(factor), static_cast<uint32_t>(chunk));
      factor = 1;
      chunk = 0;
    }
    factor *= static_cast<uint64_t>(base);
    chunk = chunk * static_cast<uint64_t>(base) + static_cast<uint64_t>(DigitValue(c));
  }
  result.MultiplyAdd(static_cast<uint32_t>(factor), static_cast<uint32_t>(chunk));
  result.Trim();
  return result;
}

BigInt BigInt::FromDouble(double value) {
  const std::string text = absl::StrFormat("%.0f", std::trunc(std::fabs(value)));
  BigInt result = FromDigits(text, 10);
  result.negative_ = value < 0 && !result.is_zero();
  return result;
}

std::optional<int64_t> BigInt::ToInt64() const {
  if (limbs_.size() > 3) return std::nullopt;
  unsigned __int128 magnitude = 0;
  for (size_t i = limbs_.size(); i-- > 0;) magnitude = magnitude * kBase + limbs_[i];
  const unsigned __int128 limit = static_cast<unsigned __int128>(1) << 63;
  if (magnitude > limit || (magnitude == limit && !negative_)) return std::nullopt;
  const uint64_t low = static_cast<uint64_t>(magnitude);
  return static_cast<int64_t>(negative_ ? 0 - low : low);
}

double BigInt::Divide(const BigInt& a, const BigInt& b) {
  // Scaled so that the quotient has more bits than a double; one more bit below them stands for the
  // remainder, which decides what is a tie.
  const double digits = static_cast<double>(a.DigitCount()) - static_cast<double>(b.DigitCount());
  const int shift = 66 - static_cast<int>(digits * std::log2(10.0));
  BigInt numerator = a;
  BigInt denominator = b;
  numerator.negative_ = denominator.negative_ = false;
  BigInt& scaled = shift > 0 ? numerator : denominator;
  for (int left = std::abs(shift); left > 0; left -= 29) {
    scaled.MultiplyAdd(uint32_t{1} << std::min(left, 29), 0);
  }
  const auto [quotient, rest] = FloorDivMod(numerator, denominator);
  const BigInt sticky = quotient + quotient + BigInt(rest.is_zero() ? 0 : 1);
  const double magnitude = std::ldexp(sticky.ToDouble(), -shift - 1);
  return a.negative_ != b.negative_ ? -magnitude : magnitude;
}

double BigInt::ToDouble() const { return std::strtod(ToString().c_str(), nullptr); }

std::string BigInt::ToString() const {
  if (limbs_.empty()) return "0";
  std::string text = negative_ ? "-" : "";
  text += std::to_string(limbs_.back());
  for (size_t i = limbs_.size() - 1; i-- > 0;) {
    const std::string group = std::to_string(limbs_[i]);
    text.append(9 - group.size(), '0');
    text += group;
  }
  return text;
}

size_t BigInt::DigitCount() const {
  if (limbs_.empty()) return 1;
  return (limbs_.size() - 1) * 9 + std::to_string(limbs_.back()).size();
}

BigInt BigInt::Negated() const {
  BigInt result = *this;
  if (!result.is_zero()) result.negative_ = !negative_;
  return result;
}

void BigInt::Trim() {
  while (!limbs_.empty() && limbs_.back() == 0) limbs_.pop_back();
  if (limbs_.empty()) negative_ = false;
}

void BigInt::MultiplyAdd(uint32_t factor, uint32_t addend) {
  uint64_t carry = addend;
  for (uint32_t& limb : limbs_) {
    carry += static_cast<uint64_t>(limb) * factor;
    limb = static_cast<uint32_t>(carry % kBase);
    carry /= kBase;
  }
  for (; carry != 0; carry /= kBase) limbs_.push_back(static_cast<uint32_t>(carry % kBase));
}

int BigInt::CompareMagnitude(const BigInt& a, const BigInt& b) {
  if (a.limbs_.size() != b.limbs_.size()) return a.limbs_.size() < b.limbs_.size() ? -1 : 1;
  for (size_t i = a.limbs_.size(); i-- > 0;) {
    if (a.limbs_[i] != b.limbs_[i]) return a.limbs_[i] < b.limbs_[i] ? -1 : 1;
  }
  return 0;
}

BigInt BigInt::AddMagnitude(const BigInt& a, const BigInt& b) {
  BigInt result;
  uint64_t carry = 0;
  for (size_t i = 0; i < a.limbs_.size() || i < b.limbs_.size() || carry != 0; ++i) {
    if (i < a.limbs_.size()) carry += a.limbs_[i];
    if (i < b.limbs_.size()) carry += b.limbs_[i];
    result.limbs_.push_back(static_cast<uint32_t>(carry % kBase));
    carry /= kBase;
  }
  return result;
}

BigInt BigInt::SubMagnitude(const BigInt& a, const BigInt& b) {
  BigInt result;
  int64_t borrow = 0;
  for (size_t i = 0; i < a.limbs_.size(); ++i) {
    int64_t limb = static_cast<int64_t>(a.limbs_[i]) - borrow;
    if (i < b.limbs_.size()) limb -= b.limbs_[i];
    borrow = limb < 0 ? 1 : 0;
    result.limbs_.push_back(static_cast<uint32_t>(limb + borrow * static_cast<int64_t>(kBase)));
  }
  result.Trim();
  return result;
}

BigInt operator+(const BigInt& a, const BigInt& b) {
  if (a.negative_ == b.negative_) {
    BigInt result = BigInt::AddMagnitude(a, b);
    result.negative_ = a.negative_ && !result.is_zero();
    return result;
  }
  const bool a_larger = BigInt::CompareMagnitude(a, b) >= 0;
  BigInt result = a_larger ? BigInt::SubMagnitude(a, b) : BigInt::SubMagnitude(b, a);
  result.negative_ = (a_larger ? a.negative_ : b.negative_) && !result.is_zero();
  return result;
}

BigInt operator-(const BigInt& a, const BigInt& b) { return a + b.Negated(); }

BigInt operator*(const BigInt& a, const BigInt& b) {
  BigInt result;
  result.limbs_.assign(a.limbs_.size() + b.limbs_.size(), 0);
  for (size_t i = 0; i < a.limbs_.size(); ++i) {
    uint64_t carry = 0;
    for (size_t j = 0; j < b.limbs_.size() || carry != 0; ++j) {
      carry += result.limbs_[i + j];
      if (j < b.limbs_.size()) carry += static_cast<uint64_t>(a.limbs_[i]) * b.limbs_[j];
      result.limbs_[i + j] = static_cast<uint32_t>(carry % kBase);
      carry /= kBase;
    }
  }
  result.Trim();
  result.negative_ = a.negative_ != b.negative_ && !result.is_zero();
  return result;
}

std::pair<BigInt, BigInt> BigInt::FloorDivMod(const BigInt& a, const BigInt& b) {
  // Schoolbook division, one quotient limb at a time, each estimated from the leading limbs: the
  // estimate is at most a few too high.
  BigInt divisor = b;
  divisor.negative_ = false;
  BigInt quotient;
  BigInt rest;
  quotient.limbs_.assign(a.limbs_.size(), 0);
  for (size_t i = a.limbs_.size(); i-- > 0;) {
    rest.MultiplyAdd(static_cast<uint32_t>(kBase), a.limbs_[i]);
    uint32_t limb = EstimateQuotient(rest.limbs_, divisor.limbs_);
    if (limb == 0) continue;
    BigInt product = divisor;
    product.MultiplyAdd(limb, 0);
    while (CompareMagnitude(product, rest) > 0) {
      product = SubMagnitude(product, divisor);
      --limb;
    }
    rest = SubMagnitude(rest, product);
    quotient.limbs_[i] = limb;
  }
  quotient.Trim();
  quotient.negative_ = a.negative_ != b.negative_ && !quotient.is_zero();
  rest.negative_ = a.negative_ && !rest.is_zero();
  if (!rest.is_zero() && rest.negative_ != b.negative_) {
    quotient = quotient - BigInt(1);
    rest = rest + b;
  }
  return {quotient, rest};
}

int BigInt::Compare(const BigInt& a, const BigInt& b) {
  if (a.negative_ != b.negative_) return a.negative_ ? -1 : 1;
  const int order = CompareMagnitude(a, b);
  return a.negative_ ? -order : order;
}

}  // namespace vallm::tokenizer
