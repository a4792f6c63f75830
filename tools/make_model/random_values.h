// Random numbers of tensors, by counting: the value at an index is a function of the tensor's key
// and the index alone, so that any part of a tensor can be made by any thread, in any order.
//
// A value is drawn by looking up 16 random bits in a table of 65536 values at equal distances in
// probability, encoded in the tensor's type. Thread-safe.
#ifndef VALLM_TOOLS_MAKE_MODEL_RANDOM_VALUES_H_
#define VALLM_TOOLS_MAKE_MODEL_RANDOM_VALUES_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

namespace vallm::tools {

enum class TensorType { kBf16, kF16, kF8E4m3, kI32 };

// Bytes of one value.
int64_t ByteWidth(TensorType type);
// As safetensors spells it.
std::string_view TypeName(TensorType type);

// How values are distributed. Floats: normal (as far as the table reaches, 4.2 standard deviations)
// or uniform. Words of I32: `base` plus those random bits that `mask` has, or the word's index
// divided by `base`.
struct Distribution {
  enum class Shape { kNormal, kUniform, kBits, kGroupIndex };
  Shape shape = Shape::kNormal;
  double center = 0;  // mean
  double spread = 1;  // standard deviation, or half the width
  uint32_t base = 0;
  uint32_t mask = 0;

  auto operator<=>(const Distribution&) const = default;
};

// The largest value of a normal distribution with standard deviation 1 in the table.
double LargestNormal();

// The table of one distribution in one type; about 128 KiB. Words need none.
class ValueTable {
 public:
  ValueTable(TensorType type, const Distribution& distribution);

  // Writes the values [first, first + n) of the tensor with key `key`, n = out.size() / width.
  // REQUIRES: first % 4 == 0, out holds whole values.
  void Fill(uint64_t key, int64_t first, std::span<std::byte> out) const;

 private:
  Distribution distribution_;
  // [65536]; empty for words.
  std::variant<std::vector<uint8_t>, std::vector<uint16_t>> codes_;
};

// The key of a tensor: of a seed and a name.
uint64_t TensorKey(uint64_t seed, std::string_view name);

// The code of `value` in `type`, a float, rounded to nearest, ties to even; saturating
// at the largest finite number.
uint32_t EncodeValue(TensorType type, double value);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_MAKE_MODEL_RANDOM_VALUES_H_
