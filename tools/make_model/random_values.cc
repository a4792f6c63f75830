#include "tools/make_model/random_values.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>

namespace vallm::tools {
namespace {

constexpr size_t kTableSize = 1 << 16;

// The finaliser of SplitMix64.
uint64_t Mix(uint64_t bits) {
  bits = (bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9u;
  bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EBu;
  return bits ^ (bits >> 31);
}

// 64 random bits, enough for four values.
uint64_t Draw(uint64_t key, uint64_t counter) { return Mix(key + counter * 0x9E3779B97F4A7C15u); }

// The quantiles of the standard normal distribution at (i + 1/2) / 65536.
const std::vector<double>& NormalQuantiles() {
  static const auto& quantiles = *new std::vector<double>([] {
    std::vector<double> values(kTableSize);
    // From the middle outwards; each starts Newton's method where the one before it ended.
    double x = 0;
    for (size_t i = kTableSize / 2; i < kTableSize; ++i) {
      const double beyond = (static_cast<double>(kTableSize - i) - 0.5) / kTableSize;
      for (int step = 0; step < 6; ++step) {
        const double density = std::exp(-x * x / 2) / std::sqrt(2 * std::numbers::pi);
        x += (std::erfc(x / std::numbers::sqrt2) / 2 - beyond) / density;
      }
      values[i] = x;
      values[kTableSize - 1 - i] = -x;
    }
    return values;
  }());
  return quantiles;
}

struct FloatFormat {
  int mantissa_bits;
  int min_exponent;  // of normal numbers
  uint32_t largest;  // code of the largest finite number
  int sign_bit;
};

FloatFormat FormatOf(TensorType type) {
  switch (type) {
    case TensorType::kBf16:
      return {.mantissa_bits = 7, .min_exponent = -126, .largest = 0x7F7F, .sign_bit = 15};
    case TensorType::kF16:
      return {.mantissa_bits = 10, .min_exponent = -14, .largest = 0x7BFF, .sign_bit = 15};
    case TensorType::kF8E4m3:
    case TensorType::kI32:
      break;
  }
  return {.mantissa_bits = 3, .min_exponent = -6, .largest = 0x7E, .sign_bit = 7};
}

double ValueAt(const Distribution& distribution, size_t i) {
  const double unit = distribution.shape == Distribution::Shape::kNormal
                          ? NormalQuantiles()[i]
                          : (static_cast<double>(i) + 0.5) / (kTableSize / 2) - 1;
  return distribution.center + distribution.spread * unit;
}

template <typename Code>
void FillCodes(const std::vector<Code>& codes, uint64_t key, int64_t first,
               std::span<std::byte> out) {
  constexpr size_t kWordBytes = 4 * sizeof(Code);
  auto counter = static_cast<uint64_t>(first / 4);
  for (; !out.empty(); ++counter) {
    const uint64_t bits = Draw(key, counter);
    const Code word[4] = {codes[bits & 0xFFFF], codes[bits >> 16 & 0xFFFF],
                          codes[bits >> 32 & 0xFFFF], codes[bits >> 48]};
    const size_t size = std::min(out.size(), kWordBytes);
    std::memcpy(out.data(), word, size);
    out = out.subspan(size);
  }
}

// Two words for every draw.
void FillWords(const Distribution& distribution, uint64_t key, int64_t first,
               std::span<std::byte> out) {
  for (auto index = static_cast<uint64_t>(first); !out.empty(); ++index) {
    uint32_t word = distribution.base;
    if (distribution.shape == Distribution::Shape::kGroupIndex) {
      word = static_cast<uint32_t>(index / distribution.base);
    } else if (distribution.mask != 0) {
      word += static_cast<uint32_t>(Draw(key, index / 2) >> (index % 2 * 32)) & distribution.mask;
    }
    std::memcpy(out.data(), &word, sizeof(word));
    out = out.subspan(sizeof(word));
  }
}

}  // namespace

int64_t ByteWidth(TensorType type) {
  switch (type) {
    case TensorType::kF8E4m3:
      return 1;
    case TensorType::kI32:
      return 4;
    default:
      return 2;
  }
}

std::string_view TypeName(TensorType type) {
  switch (type) {
    case TensorType::kBf16:
      return "BF16";
    case TensorType::kF16:
      return "F16";
    case TensorType::kF8E4m3:
      return "F8_E4M3";
    case TensorType::kI32:
      break;
  }
  return "I32";
}

double LargestNormal() { return NormalQuantiles().back(); }

uint32_t EncodeValue(TensorType type, double value) {
  const FloatFormat format = FormatOf(type);
  const uint32_t sign = std::signbit(value) ? 1u << format.sign_bit : 0;
  const double magnitude = std::fabs(value);
  const int exponent =
      magnitude == 0 ? format.min_exponent : std::max(std::ilogb(magnitude), format.min_exponent);
  // In units of the last place; a number below 2^mantissa_bits is subnormal, and one rounded up to
  // twice that carries into the exponent. Both come out right by adding.
  const double units = std::nearbyint(std::ldexp(magnitude, format.mantissa_bits - exponent));
  const double code = std::ldexp(exponent - format.min_exponent, format.mantissa_bits) + units;
  return sign | static_cast<uint32_t>(std::min(code, static_cast<double>(format.largest)));
}

ValueTable::ValueTable(TensorType type, const Distribution& distribution)
    : distribution_(distribution) {
  if (type == TensorType::kI32) return;
  const auto fill = [&](auto& codes) {
    codes.resize(kTableSize);
    for (size_t i = 0; i < kTableSize; ++i) {
      codes[i] = static_cast<typename std::decay_t<decltype(codes)>::value_type>(
          EncodeValue(type, ValueAt(distribution, i)));
    }
  };
  if (ByteWidth(type) == 1) {
    fill(codes_.emplace<std::vector<uint8_t>>());
  } else {
    fill(codes_.emplace<std::vector<uint16_t>>());
  }
}

void ValueTable::Fill(uint64_t key, int64_t first, std::span<std::byte> out) const {
  std::visit(
      [&](const auto& codes) {
        if (codes.empty()) return FillWords(distribution_, key, first, out);
        FillCodes(codes, key, first, out);
      },
      codes_);
}

uint64_t TensorKey(uint64_t seed, std::string_view name) {
  uint64_t key = Mix(seed + 0x9E3779B97F4A7C15u);
  for (const char c : name) key = Mix(key + static_cast<unsigned char>(c) + 1);
  return key;
}

}  // namespace vallm::tools
