// Functions every template can call: range, dict, namespace, raise_exception, strftime_now, ...
#ifndef VALLM_TOKENIZER_SERVICE_TEMPLATE_GLOBALS_H_
#define VALLM_TOKENIZER_SERVICE_TEMPLATE_GLOBALS_H_

#include <string_view>

#include "tokenizer_service/template/value.h"

namespace vallm::tokenizer {

// The global called `name`, or Missing.
Value GlobalValue(std::string_view name);

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_TEMPLATE_GLOBALS_H_
