#include "gateway/access/key_hash.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/strings.h"

namespace vallm::gateway {
namespace {

constexpr size_t kDigestBytes = 32;
constexpr size_t kSaltBytes = 16;
constexpr char kPrefix[] = "sha256:";

bool IsHex(std::string_view text) {
  return text.size() % 2 == 0 && std::all_of(text.begin(), text.end(), [](unsigned char c) {
           return absl::ascii_isxdigit(c);
         });
}

// A machine without randomness must not hand out keys.
std::string RandomBytes(size_t count) {
  std::string bytes(count, '\0');
  if (RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(count)) != 1) {
    std::abort();
  }
  return bytes;
}

}  // namespace

KeyHash HashKey(std::string_view key, std::string salt) {
  std::string salted = absl::StrCat(salt, ToAbsl(key));
  KeyHash hash{.salt = std::move(salt), .digest = std::string(kDigestBytes, '\0')};
  EVP_Digest(salted.data(), salted.size(), reinterpret_cast<unsigned char*>(hash.digest.data()),
             nullptr, EVP_sha256(), nullptr);
  WipeKey(salted);
  return hash;
}

std::string NewSalt() { return RandomBytes(kSaltBytes); }

std::string NewKey() { return absl::StrCat("vk-", absl::WebSafeBase64Escape(RandomBytes(32))); }

absl::StatusOr<KeyHash> ParseKeyHash(std::string_view text) {
  KeyHash hash;
  std::string_view digest = text;
  if (absl::StartsWith(ToAbsl(text), kPrefix)) {
    const std::string_view rest = text.substr(sizeof(kPrefix) - 1);
    const size_t colon = std::min(rest.find(':'), rest.size());
    const std::string_view salt = rest.substr(0, colon);
    digest = rest.substr(std::min(colon + 1, rest.size()));
    if (!IsHex(salt) || salt.empty()) digest = "";
    hash.salt = IsHex(salt) ? absl::HexStringToBytes(ToAbsl(salt)) : "";
  }
  if (digest.size() != 2 * kDigestBytes || !IsHex(digest)) {
    return absl::InvalidArgumentError(
        "must be sha256:SALT:DIGEST as vallm hash-key prints it, or 64 hexadecimal digits");
  }
  hash.digest = absl::HexStringToBytes(ToAbsl(digest));
  return hash;
}

std::string FormatKeyHash(const KeyHash& hash) {
  const std::string digest = absl::BytesToHexString(hash.digest);
  return hash.salt.empty() ? digest
                           : absl::StrCat(kPrefix, absl::BytesToHexString(hash.salt), ":", digest);
}

bool DigestsEqual(const std::string& a, const std::string& b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

bool IsFitKey(std::string_view key) {
  return !key.empty() && std::all_of(key.begin(), key.end(),
                                     [](unsigned char c) { return absl::ascii_isgraph(c); });
}

void WipeKey(std::string& key) {
  OPENSSL_cleanse(key.data(), key.size());
  key.clear();
}

}  // namespace vallm::gateway
