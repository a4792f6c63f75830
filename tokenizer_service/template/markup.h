// Strings that are already escaped for HTML (markupsafe's Markup). Chat templates do not escape,
// but the filters escape and safe exist and mark their results.
#ifndef VALLM_TOKENIZER_SERVICE_TEMPLATE_MARKUP_H_
#define VALLM_TOKENIZER_SERVICE_TEMPLATE_MARKUP_H_

#include <string>
#include <string_view>

#include "tokenizer_service/template/value.h"

namespace vallm::tokenizer {

// `text` with & < > ' " as character references.
std::string EscapeHtml(std::string_view text);
// The text of a string value, escaped unless it is markup. REQUIRES: value.is_str().
std::string EscapeUnlessMarkup(const Value& value);
// `text` without tags and comments, white space collapsed, character references resolved.
std::string StripTags(std::string_view text);

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_TEMPLATE_MARKUP_H_
