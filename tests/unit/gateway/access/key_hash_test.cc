#include "gateway/access/key_hash.h"

#include "tests/testing/status_matchers.h"

namespace vallm::gateway {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using vallm::testing::StatusIs;

// printf abc | sha256sum; the vector of FIPS 180-2.
constexpr char kDigestOfAbc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

TEST(KeyHash, IsSha256OfSaltAndKey) {
  EXPECT_EQ(FormatKeyHash(HashKey("abc", "")), kDigestOfAbc);
  EXPECT_EQ(HashKey("bc", "a").digest, HashKey("abc", "").digest);
  EXPECT_NE(NewSalt(), NewSalt());
}

TEST(KeyHash, WhatIsWrittenIsReadBack) {
  const KeyHash hash = HashKey("secret", NewSalt());
  const auto read = ParseKeyHash(FormatKeyHash(hash));
  ASSERT_OK(read);
  EXPECT_EQ(read->salt, hash.salt);
  EXPECT_TRUE(DigestsEqual(read->digest, HashKey("secret", read->salt).digest));
  EXPECT_FALSE(DigestsEqual(read->digest, HashKey("Secret", read->salt).digest));
  const auto plain = ParseKeyHash(kDigestOfAbc);
  ASSERT_OK(plain);
  EXPECT_TRUE(DigestsEqual(plain->digest, HashKey("abc", "").digest));
}

TEST(KeyHash, RefusesWhatIsNoHashWithoutQuotingIt) {
  const std::string digest = kDigestOfAbc;
  for (const std::string& text :
       {std::string("my-secret"), digest.substr(1), digest + "00", "sha256:" + digest,
        "sha256::" + digest, "sha256:0g:" + digest, "sha256:00:" + digest.substr(2),
        std::string(64, 'g'), std::string()}) {
    const auto parsed = ParseKeyHash(text);
    EXPECT_THAT(parsed, StatusIs(absl::StatusCode::kInvalidArgument, "64 hexadecimal")) << text;
    if (text.empty()) continue;
    EXPECT_THAT(std::string(parsed.status().message()), Not(HasSubstr(text)));
  }
}

TEST(KeyHash, NewKeysCanBeSentAndDiffer) {
  const std::string key = NewKey();
  EXPECT_EQ(key.size(), 46u);
  EXPECT_TRUE(IsFitKey(key));
  EXPECT_NE(key, NewKey());
  EXPECT_FALSE(IsFitKey("a b"));
  EXPECT_FALSE(IsFitKey("a\n"));
  EXPECT_FALSE(IsFitKey(""));
}

TEST(KeyHash, AWipedKeyIsGone) {
  std::string key = "secret-that-is-longer-than-a-small-string";
  const char* bytes = key.data();
  WipeKey(key);
  EXPECT_EQ(bytes[1], '\0');
  EXPECT_TRUE(key.empty());
}

}  // namespace
}  // namespace vallm::gateway
