// The arguments of past tool calls, which APIs send as JSON text and templates want as text or as
// an object, depending on the template.
#ifndef VALLM_TOKENIZER_SERVICE_TEMPLATE_TOOL_ARGUMENTS_H_
#define VALLM_TOKENIZER_SERVICE_TEMPLATE_TOOL_ARGUMENTS_H_

#include "tokenizer_service/template/value.h"

namespace vallm::tokenizer {

// What becomes of arguments that are text but not a JSON object.
enum class MalformedArguments {
  kText,    // they stay text
  kObject,  // {"arguments": the text}, for templates that can only list members
};

// `messages` (as NormalizeMessageValues leaves them) with arguments that are the text of a JSON
// object replaced by the object; empty text becomes an empty object.
Value WithArgumentObjects(const Value& messages, MalformedArguments malformed);

// Whether any call of `messages` has text for arguments.
bool HasArgumentText(const Value& messages);

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_TEMPLATE_TOOL_ARGUMENTS_H_
