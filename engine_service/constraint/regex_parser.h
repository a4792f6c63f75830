// Reads regular expressions in the syntax that Python's re, Rust's regex and ECMAScript share:
// literals, escapes, classes, groups, alternation, greedy and lazy quantifiers (equal, as only the
// language matters), `^` and `$` at the ends of top-level alternatives, and the flags i, s and a.
// `\d`, `\w`, `\s` and case folding are ASCII; `.` is any character but a line feed.
//
// Refused by name: look-around, back references, word boundaries, \p{...}, possessive quantifiers,
// anchors elsewhere, inline flags other than the above. Not here: matching.
#ifndef VALLM_ENGINE_SERVICE_CONSTRAINT_REGEX_PARSER_H_
#define VALLM_ENGINE_SERVICE_CONSTRAINT_REGEX_PARSER_H_

#include <cstddef>
#include <string_view>

#include "absl/status/statusor.h"
#include "engine_service/constraint/expr.h"

namespace vallm::engine {

// What a pattern without anchors means.
enum class RegexMatch {
  kFull,    // the whole text must match: `^` and `$` change nothing
  kSearch,  // some part of the text must match, as in JSON schema's "pattern"
};

inline constexpr size_t kMaxRegexBytes = 16 * 1024;
inline constexpr int kMaxRegexDepth = 100;
inline constexpr int kMaxRegexRepeat = 100'000;

// The language of `pattern`.
// Errors: INVALID_ARGUMENT for malformed patterns and beyond the limits; UNIMPLEMENTED for what is
// refused by name. Messages say the byte offset.
absl::StatusOr<ExprPtr> ParseRegex(std::string_view pattern, RegexMatch match);

// The character class (without its brackets, as in "[...]") that begins behind the `[` at
// `*offset`; moves `*offset` behind the closing bracket. For the EBNF reader, which shares it.
absl::StatusOr<CharSet> ParseBracketClass(std::string_view text, size_t* offset);

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_CONSTRAINT_REGEX_PARSER_H_
