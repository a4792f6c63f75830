// Members and items of values as Jinja2's sandboxed environment finds them: `a.b` tries attributes
// (methods) before items, `a['b']` items before attributes; what is absent is undefined.
#ifndef VALLM_TOKENIZER_SERVICE_TEMPLATE_ATTRIBUTES_H_
#define VALLM_TOKENIZER_SERVICE_TEMPLATE_ATTRIBUTES_H_

#include <vector>

#include "absl/status/statusor.h"
#include "tokenizer_service/template/runtime.h"
#include "tokenizer_service/template/value.h"

namespace vallm::tokenizer {

// `name` is a kStr. Methods that change a list or dict are undefined ("... is unsafe").
// Errors: INVALID_ARGUMENT if `object` is undefined.
absl::StatusOr<Value> GetAttr(Runtime& runtime, const Value& object, const Value& name);
absl::StatusOr<Value> GetItem(Runtime& runtime, const Value& object, const Value& key);
// object[start:stop:step]; None or missing bounds are open. Errors: INVALID_ARGUMENT if `object`
// has no slices, a bound is no integer, or step is 0.
absl::StatusOr<Value> Slice(Runtime& runtime, const Value& object, const Value& start,
                            const Value& stop, const Value& step);
// Follows a filter's attribute path: "a.b.0" (digits are indexes), or an integer; None is the item.
absl::StatusOr<Value> GetPath(Runtime& runtime, const Value& object, const Value& path,
                              const Value& fallback);

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_TEMPLATE_ATTRIBUTES_H_
