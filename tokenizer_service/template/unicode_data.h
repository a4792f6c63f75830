// Tables of unicode.cc: what Python 3.11 (Unicode 14) knows and utf8proc does not say.
#ifndef VALLM_TOKENIZER_SERVICE_TEMPLATE_UNICODE_DATA_H_
#define VALLM_TOKENIZER_SERVICE_TEMPLATE_UNICODE_DATA_H_

#include <cstdint>
#include <span>

namespace vallm::tokenizer {

struct CodePointRange {
  uint32_t first;
  uint32_t last;  // inclusive
};
// A case mapping to more than one code point.
struct LongMapping {
  uint32_t from;
  const char8_t* to;
};

// Sorted.
extern const std::span<const CodePointRange> kDigitNotDecimal;
extern const std::span<const CodePointRange> kNumericNotDecimal;
extern const std::span<const CodePointRange> kLowerNotLl;
extern const std::span<const CodePointRange> kUpperNotLu;
extern const std::span<const LongMapping> kLongUpper;
extern const std::span<const LongMapping> kLongTitle;

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_TEMPLATE_UNICODE_DATA_H_
