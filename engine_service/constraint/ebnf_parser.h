// Reads a small EBNF: GBNF (llama.cpp, xgrammar) and the part of Lark's notation that means the
// same. The grammar of the notation is in docs/constrained-decoding.md.
//
//   root   ::= "[" (item ("," ws item)*)? "]"      # also: root: ...
//   item   ::= [0-9]{1,4} | /[a-z]+/ | 'text'
#ifndef VALLM_ENGINE_SERVICE_CONSTRAINT_EBNF_PARSER_H_
#define VALLM_ENGINE_SERVICE_CONSTRAINT_EBNF_PARSER_H_

#include <cstddef>
#include <string_view>

#include "absl/status/statusor.h"
#include "engine_service/constraint/expr.h"

namespace vallm::engine {

inline constexpr size_t kMaxEbnfBytes = 256 * 1024;
inline constexpr int kMaxEbnfDepth = 100;

// Errors: INVALID_ARGUMENT for what is malformed, a rule that is missing or defined twice;
// UNIMPLEMENTED for Lark's directives (named). Messages begin with "grammar: line N: ".
absl::StatusOr<Grammar> ParseEbnf(std::string_view text);

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_CONSTRAINT_EBNF_PARSER_H_
