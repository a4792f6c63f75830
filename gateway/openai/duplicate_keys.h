// Members of one name in one object. Parsers disagree about which of them counts, so that a proxy
// may have checked another one than is used here.
#ifndef VALLM_GATEWAY_OPENAI_DUPLICATE_KEYS_H_
#define VALLM_GATEWAY_OPENAI_DUPLICATE_KEYS_H_

#include <optional>
#include <string>
#include <string_view>

namespace vallm::gateway {

// The path ("messages[2].role") of the first member whose name has occurred in its object before,
// if there is one. REQUIRES: `json` is valid JSON.
std::optional<std::string> FirstDuplicateKey(std::string_view json);

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_OPENAI_DUPLICATE_KEYS_H_
