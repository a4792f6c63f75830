// Structure-aware mutation of JSON for libFuzzer: changes the tree instead of the bytes, so that
// most inputs still parse and reach the code behind the parser. Not thread-safe.
#ifndef VALLM_TESTS_FUZZ_JSON_MUTATOR_H_
#define VALLM_TESTS_FUZZ_JSON_MUTATOR_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace vallm {

// `json` with one to three changes: a value replaced, copied elsewhere, removed, wrapped, swapped,
// a member added, a string or a number altered. `words` are JSON texts of values that are worth
// trying; the strings among them also serve as keys. Text that is not JSON is changed as bytes.
std::string MutateJson(std::string_view json, std::span<const std::string_view> words,
                       uint32_t seed);

// Any bytes, changed by libFuzzer itself (which knows the dictionary).
std::string MutateBytes(std::string_view bytes, size_t max_size);

// Writes `head` + NUL + `tail` to `data` if that fits, else as much as does. Returns its size.
size_t JoinAtNul(std::string_view head, std::string_view tail, uint8_t* data, size_t max_size);

}  // namespace vallm

#endif  // VALLM_TESTS_FUZZ_JSON_MUTATOR_H_
