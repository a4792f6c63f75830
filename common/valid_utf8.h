// The little of UTF-8 that requests, log-probabilities and messages need: a token may be a part of
// a character. Pure.
#ifndef VALLM_COMMON_VALID_UTF8_H_
#define VALLM_COMMON_VALID_UTF8_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace vallm {

bool IsValidUtf8(std::string_view bytes);
// The bytes in front of the first that is not part of a valid character; all of them if none is.
size_t ValidUtf8Length(std::string_view bytes);
// With U+FFFD for each byte that is not part of a valid character.
std::string ReplaceInvalidUtf8(std::string_view bytes);
// Characters that begin in `bytes`: over the pieces of a valid text they add up to its length.
int64_t CountCharacters(std::string_view bytes);

}  // namespace vallm

#endif  // VALLM_COMMON_VALID_UTF8_H_
