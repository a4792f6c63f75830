// The input of a request of the Responses API: checked and completed, and as messages of a chat.
// Pure.
#ifndef VALLM_GATEWAY_RESPONSES_INPUT_ITEMS_H_
#define VALLM_GATEWAY_RESPONSES_INPUT_ITEMS_H_

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "gateway/responses/response_store.h"

namespace vallm::gateway {

// Finds what an item of type item_reference stands for.
using ItemLookup = std::function<std::optional<ResponseItem>(const std::string& id)>;

// `input` is a string (a user's message) or an array of messages, function calls, their outputs,
// reasoning and references. Each gets an id and a type if it has none, and content becomes a list
// of parts. Errors: INVALID_ARGUMENT naming the field, e.g. input[2].content[0].type, for items
// and parts that are not supported as well.
absl::StatusOr<std::vector<ResponseItem>> ReadInputItems(const nlohmann::ordered_json& input,
                                                         const ItemLookup& lookup);

// The chat that checked items are, with `instructions` (null: none) as its first message. What the
// model said in a row, thoughts, text and calls, is one message.
nlohmann::ordered_json ChatMessagesOfItems(const std::string* instructions,
                                           const std::vector<ResponseItem>& items);

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_RESPONSES_INPUT_ITEMS_H_
