// strftime in the C locale, for strftime_now().
#ifndef VALLM_TOKENIZER_SERVICE_TEMPLATE_STRFTIME_H_
#define VALLM_TOKENIZER_SERVICE_TEMPLATE_STRFTIME_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace vallm::tokenizer {

// `time` in `zone` by Python's format codes; as datetime.now() has no zone, %z and %Z are empty.
// Errors: INVALID_ARGUMENT for a format longer than 4096 bytes.
absl::StatusOr<std::string> FormatTime(std::string_view format, absl::Time time,
                                       absl::TimeZone zone);

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_TEMPLATE_STRFTIME_H_
