// Python's operators on template values.
#ifndef VALLM_TOKENIZER_SERVICE_TEMPLATE_OPERATORS_H_
#define VALLM_TOKENIZER_SERVICE_TEMPLATE_OPERATORS_H_

#include <vector>

#include "absl/status/statusor.h"
#include "tokenizer_service/template/numbers.h"
#include "tokenizer_service/template/runtime.h"
#include "tokenizer_service/template/value.h"

namespace vallm::tokenizer {

enum class CompareOp { kEq, kNe, kLt, kLe, kGt, kGe, kIn, kNotIn };

// All: INVALID_ARGUMENT for operands of the wrong type or undefined, and for exceeded limits.
absl::StatusOr<Value> ApplyBinary(Runtime& runtime, BinaryOp op, const Value& a, const Value& b);
absl::StatusOr<Value> ApplySign(Runtime& runtime, bool negative, const Value& a);
absl::StatusOr<bool> ApplyCompare(Runtime& runtime, CompareOp op, const Value& a, const Value& b);
// `item in container`. A one-shot iterator is used up to the match.
absl::StatusOr<bool> Contains(Runtime& runtime, const Value& item, const Value& container);
// The order that sorted(key=...) gives: stable; `order` receives indexes into `keys`.
absl::Status SortByKeys(Runtime& runtime, const std::vector<Value>& keys, bool reverse,
                        std::vector<size_t>* order);

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_TEMPLATE_OPERATORS_H_
