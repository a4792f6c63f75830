// How values print: Python's str() and repr().
#ifndef VALLM_TOKENIZER_SERVICE_TEMPLATE_REPR_H_
#define VALLM_TOKENIZER_SERVICE_TEMPLATE_REPR_H_

#include <string>
#include <string_view>

#include "tokenizer_service/template/value.h"

namespace vallm::tokenizer {

// Both stop early, at any point, once `out` is longer than `limit` bytes: what is shared inside a
// value can print exponentially often.
void AppendStr(const Value& value, size_t limit, std::string* out);
void AppendRepr(const Value& value, size_t limit, std::string* out);
// `text` with everything beyond ASCII as \xhh, \uhhhh or \Uhhhhhhhh: makes repr() into ascii().
std::string EscapeNonAscii(std::string_view text);

// Short forms for messages: at most about 1 KiB.
std::string Repr(const Value& value);
// The shortest digits that read back as the same double: 0.1, 1e+16, 1.0, inf, nan.
std::string FloatRepr(double value);

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_TEMPLATE_REPR_H_
