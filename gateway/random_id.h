// Random names and numbers: ids of responses and tool calls, seeds. Thread-safe.
#ifndef VALLM_GATEWAY_RANDOM_ID_H_
#define VALLM_GATEWAY_RANDOM_ID_H_

#include <cstdint>
#include <string>
#include <string_view>

namespace vallm::gateway {

// `prefix` and 32 hex digits, e.g. "chatcmpl-0f…".
std::string NewId(std::string_view prefix);

// In [0, 2^63).
int64_t NewSeed();

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_RANDOM_ID_H_
