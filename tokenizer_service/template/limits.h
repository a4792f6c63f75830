// Bounds on what one template may consume. Exceeding one is INVALID_ARGUMENT: the request, or the
// template it names, is at fault, not the server.
#ifndef VALLM_TOKENIZER_SERVICE_TEMPLATE_LIMITS_H_
#define VALLM_TOKENIZER_SERVICE_TEMPLATE_LIMITS_H_

#include <cstddef>
#include <cstdint>

namespace vallm::tokenizer {

struct Limits {
  // Work units of one render: one per node evaluated, one per container element made and one per 16
  // bytes of string made. Bounds time and, because values are never mutated, memory.
  int64_t max_steps = 10'000'000;
  // Bytes of rendered text.
  size_t max_output_bytes = size_t{64} << 20;
  // Bytes of any one string value ('a' * 10**9).
  size_t max_string_bytes = size_t{64} << 20;
  // Elements of range() (Jinja2's sandbox has the same limit) and of any list or dict that is made.
  int64_t max_range = 100'000;
  int64_t max_elements = 2'000'000;
  // Nested calls of macros and recursive loops, and nested syntax nodes at work across all of them.
  int max_call_depth = 200;
  int max_eval_depth = 3000;
  // Brackets and statements open at once in the source; an expression tree may be four times as
  // high (a long chain of operators). And levels of nested lists and dicts.
  int max_parse_depth = 150;
  int max_value_depth = 500;
  // Bytes of template source, and distinct names in it: resolving costs names times conditions.
  size_t max_source_bytes = size_t{256} << 10;
  size_t max_names = 2'000;
};

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_TEMPLATE_LIMITS_H_
