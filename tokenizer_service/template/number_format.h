// Numbers and strings laid out by width, precision and flags: the part that '%5.2f' % x and
// '{:>5.2f}'.format(x) share.
#ifndef VALLM_TOKENIZER_SERVICE_TEMPLATE_NUMBER_FORMAT_H_
#define VALLM_TOKENIZER_SERVICE_TEMPLATE_NUMBER_FORMAT_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "tokenizer_service/template/runtime.h"
#include "tokenizer_service/template/value.h"

namespace vallm::tokenizer {

struct FormatSpec {
  std::string fill = " ";
  char align = '\0';  // < > ^ = or unset
  char sign = '-';    // - + or space
  bool alternate = false;
  char grouping = '\0';  // , or _
  int64_t width = 0;
  int64_t precision = -1;
  char type = '\0';
};

// Widths and precisions beyond this are refused.
inline constexpr int64_t kMaxFormatWidth = 1'000'000;

// Digits of an integer in the base of spec.type (d x X o b), signed, grouped and padded.
absl::StatusOr<std::string> FormatInteger(const BigInt& value, const FormatSpec& spec);
// The steps that FormatInteger takes for a big integer in another base than ten.
int64_t FormatIntegerCost(const BigInt& value);
// A float by spec.type (e E f F g G % or unset, which means repr).
absl::StatusOr<std::string> FormatFloat(double value, const FormatSpec& spec);
// The character of a code point. Errors: INVALID_ARGUMENT if `value` is not the number of one (a
// surrogate is none).
absl::StatusOr<std::string> CharacterText(const Value& value);
// Text cut to the precision and padded.
absl::StatusOr<std::string> FormatText(std::string_view text, const FormatSpec& spec);

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_TEMPLATE_NUMBER_FORMAT_H_
