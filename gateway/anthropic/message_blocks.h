// Messages made of Anthropic's content blocks as messages of a chat. Pure.
#ifndef VALLM_GATEWAY_ANTHROPIC_MESSAGE_BLOCKS_H_
#define VALLM_GATEWAY_ANTHROPIC_MESSAGE_BLOCKS_H_

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace vallm::gateway {

// The chat messages for `system` (a string or text blocks; null: none) followed by `messages`. One
// message may become several: results of tools are messages of their own. Fields without effect are
// added to `ignored` by name.
// Errors: INVALID_ARGUMENT naming the field.
absl::StatusOr<nlohmann::ordered_json> ChatMessagesOf(const nlohmann::ordered_json* system,
                                                      const nlohmann::ordered_json& messages,
                                                      std::vector<std::string>* ignored);

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_ANTHROPIC_MESSAGE_BLOCKS_H_
