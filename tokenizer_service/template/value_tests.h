// Jinja2's tests (`x is defined`) by name.
#ifndef VALLM_TOKENIZER_SERVICE_TEMPLATE_VALUE_TESTS_H_
#define VALLM_TOKENIZER_SERVICE_TEMPLATE_VALUE_TESTS_H_

#include <string_view>

#include "tokenizer_service/template/builtin.h"

namespace vallm::tokenizer {

// Null: there is no such test. Its results are truth values. The result lives forever.
const Builtin* FindTest(std::string_view name);

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_TEMPLATE_VALUE_TESTS_H_
