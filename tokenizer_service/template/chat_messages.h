// What a service does to the messages of an OpenAI-style request before a template sees them.
#ifndef VALLM_TOKENIZER_SERVICE_TEMPLATE_CHAT_MESSAGES_H_
#define VALLM_TOKENIZER_SERVICE_TEMPLATE_CHAT_MESSAGES_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "tokenizer_service/template/value.h"

namespace vallm::tokenizer {

// Returns `messages_json` (a JSON array of message objects) in the form templates expect:
// - content: text stays; null or absent becomes "", as clients leave it out beside tool calls; a
//   list of {"type": "text", "text": ...} parts is joined by newlines.
// - role: any text; which roles there are is the template's business (models add their own).
// - `reasoning` is copied to `reasoning_content` when that is absent.
// - tool_calls: null or [] is dropped; entries are objects with `function.name` (or `name`);
//   `arguments` stays what it is: an object, or a string verbatim, well-formed or not.
// Other members pass untouched, in order. Numbers keep their spelling's kind (1 and 1.0 differ).
// Errors: INVALID_ARGUMENT naming messages[i].field and, for content parts, the refused type.
absl::StatusOr<std::string> NormalizeMessages(std::string_view messages_json);
// The same on parsed messages.
absl::StatusOr<Value> NormalizeMessageValues(const Value& messages);

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_TEMPLATE_CHAT_MESSAGES_H_
