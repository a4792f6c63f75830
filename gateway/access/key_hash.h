// How API keys are kept: as salted SHA-256, never as text. Keys are long random strings
// (`vallm hash-key` makes them), so a slow hash would protect nothing more; the salt keeps equal
// keys of two files from looking equal.
//
// Written as "sha256:SALT:DIGEST", both in hexadecimal, or as the 64 digits that sha256sum prints:
// no salt then. Thread-safe.
#ifndef VALLM_GATEWAY_ACCESS_KEY_HASH_H_
#define VALLM_GATEWAY_ACCESS_KEY_HASH_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace vallm::gateway {

struct KeyHash {
  std::string salt;    // bytes; may be empty
  std::string digest;  // 32 bytes
};

// The hash of `salt` followed by `key`.
KeyHash HashKey(std::string_view key, std::string salt);
// 16 random bytes.
std::string NewSalt();
// A key of 256 random bits, "vk-" and 43 letters, digits, '-' and '_'.
std::string NewKey();

// Errors: INVALID_ARGUMENT, without the text: it might be a key by mistake.
absl::StatusOr<KeyHash> ParseKeyHash(std::string_view text);
std::string FormatKeyHash(const KeyHash& hash);

// Takes the same time wherever the two differ.
bool DigestsEqual(const std::string& a, const std::string& b);

// Whether `key` can be sent in a header: printable ASCII without spaces.
bool IsFitKey(std::string_view key);

// Overwrites the text of a key that is not needed any more.
void WipeKey(std::string& key);

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_ACCESS_KEY_HASH_H_
