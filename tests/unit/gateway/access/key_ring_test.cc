#include "gateway/access/key_ring.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/testing/status_matchers.h"

namespace vallm::gateway {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using vallm::testing::StatusIs;

TEST(KeyFile, HasNamesKeysAndLimits) {
  const auto keys = ParseKeyFile(R"(
keys:
  - name: open-webui
    key: plain-text
    requests_per_minute: 60
    tokens_per_minute: 100000
    max_concurrent_requests: 4
    priority: -3
    expires: 2030-01-31
  - {name: ci, key_sha256: ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad,
     expires: "2030-01-31T12:00:00+01:00"}
)");
  ASSERT_OK(keys);
  ASSERT_EQ(keys->size(), 2u);
  const ApiKey& first = keys->front();
  EXPECT_EQ(first.name, "open-webui");
  EXPECT_EQ(first.hash.digest, HashKey("plain-text", first.hash.salt).digest);
  EXPECT_EQ(first.limits.requests_per_minute, 60);
  EXPECT_EQ(first.limits.tokens_per_minute, 100000);
  EXPECT_EQ(first.limits.max_concurrent_requests, 4);
  EXPECT_EQ(first.priority, -3);
  EXPECT_EQ(absl::FormatTime(first.expires, absl::UTCTimeZone()), "2030-01-31T00:00:00+00:00");
  const ApiKey& second = keys->back();
  EXPECT_EQ(second.hash.digest, HashKey("abc", "").digest);
  EXPECT_FALSE(second.priority.has_value());
  EXPECT_EQ(absl::FormatTime(second.expires, absl::UTCTimeZone()), "2030-01-31T11:00:00+00:00");
  EXPECT_OK(ParseKeyFile("keys: []"));
}

TEST(KeyFile, RefusesWhatItDoesNotUnderstandNamingTheEntryButNoKey) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "one list, keys"},
      {"[]", "one list, keys"},
      {"keys: {}", "one list, keys"},
      {"{keys: [], users: []}", "one list, keys"},
      {"keys: [s3cret", "not valid YAML at line 1"},
      {"keys: [s3cret]", "keys[0] must be a map"},
      {"keys: [{key: s3cret}]", "keys[0] has no name"},
      {"keys: [{name: a}]", "key \"a\" needs either key or key_sha256"},
      {"keys: [{name: a, key: s3cret, key_sha256: " + std::string(64, '0') + "}]", "needs either"},
      {"keys: [{name: a b, key: s3cret}]", "bad name"},
      {"keys: [{name: a, key: s3cret key}]", "key \"a\" has a bad key"},
      {"keys: [{name: a, key: ''}]", "key \"a\" has a bad key"},
      {"keys: [{name: a, key: [s3cret]}]", "not a plain value"},
      {"keys: [{name: a, key_sha256: s3cret}]", "key \"a\" has a bad key_sha256"},
      {"keys: [{name: a, key: s3cret, tokens: 1}]", "unknown field \"tokens\""},
      {"keys: [{name: a, key: s3cret, requests_per_minute: 0}]", "bad requests_per_minute"},
      {"keys: [{name: a, key: s3cret, tokens_per_minute: 1.5}]", "bad tokens_per_minute"},
      {"keys: [{name: a, key: s3cret, max_concurrent_requests: x}]", "bad max_concurrent"},
      {"keys: [{name: a, key: s3cret, priority: high}]", "priority"},
      {"keys: [{name: a, key: s3cret, expires: tomorrow}]", "bad expires"},
      {"keys: [{name: a, key: s3cret, key: other}]", "twice"},
      {"keys: [{name: a, key: s3cret}, {name: a, key: other}]", "two keys named \"a\""},
  };
  for (const auto& [yaml, text] : cases) {
    const auto keys = ParseKeyFile(yaml);
    EXPECT_THAT(keys, StatusIs(absl::StatusCode::kInvalidArgument, text)) << yaml;
    EXPECT_THAT(std::string(keys.status().message()), Not(HasSubstr("s3cret")));
  }
}

class KeyRingTest : public ::testing::Test {
 protected:
  KeyRingTest() : file_(absl::StrCat(::testing::TempDir(), "/keys-", ::getpid(), ".yaml")) {}
  ~KeyRingTest() override { std::filesystem::remove(file_); }

  // Replaces the file as Kubernetes does: at once.
  void Write(const std::string& text) {
    std::ofstream(file_ + ".new") << text;
    std::filesystem::rename(file_ + ".new", file_);
  }
  absl::StatusOr<std::unique_ptr<KeyRing>> Ring(std::vector<std::string> keys = {}) {
    return KeyRing::Create({.keys = std::move(keys),
                            .file = file_,
                            .keys_flag = "--api-key",
                            .file_flag = "--api-key-file",
                            .reload_interval = absl::Milliseconds(2),
                            .on_reload = [this](const absl::Status& status) {
                              MutexLock lock(mu_);
                              reloads_.push_back(status);
                              reloaded_.NotifyAll();
                            }});
  }
  absl::Status NextReload() {
    MutexLock lock(mu_);
    while (reloads_.empty()) reloaded_.Wait(mu_);
    const absl::Status status = reloads_.front();
    reloads_.erase(reloads_.begin());
    return status;
  }

  const std::string file_;
  Mutex mu_;
  CondVar reloaded_;
  std::vector<absl::Status> reloads_ ABSL_GUARDED_BY(mu_);
};

TEST_F(KeyRingTest, HasTheKeysOfFlagsAndFile) {
  Write("keys: [{name: a, key: alpha}]");
  const auto ring = Ring({"beta", "gamma"});
  ASSERT_OK(ring);
  EXPECT_TRUE((*ring)->required());
  EXPECT_EQ((*ring)->Find("alpha")->key.name, "a");
  EXPECT_EQ((*ring)->Find("beta")->key.name, "flag#1");
  EXPECT_EQ((*ring)->Find("gamma")->key.name, "flag#2");
  EXPECT_EQ((*ring)->Find("delta"), nullptr);
  EXPECT_EQ((*ring)->Find(""), nullptr);
}

TEST_F(KeyRingTest, AnEmptyFileLetsNobodyIn) {
  Write("keys: []");
  const auto ring = Ring();
  ASSERT_OK(ring);
  EXPECT_TRUE((*ring)->required());
  EXPECT_EQ((*ring)->Find(""), nullptr);
  const auto none = KeyRing::Create({});
  ASSERT_OK(none);
  EXPECT_FALSE((*none)->required());
}

TEST_F(KeyRingTest, SaysWhichFlagIsWrong) {
  EXPECT_THAT(Ring(), StatusIs(absl::StatusCode::kNotFound, "--api-key-file: cannot read"));
  Write("keys: 5");
  EXPECT_THAT(Ring(), StatusIs(absl::StatusCode::kInvalidArgument, "--api-key-file: "));
  EXPECT_THAT(Ring({"a b"}), StatusIs(absl::StatusCode::kInvalidArgument, "--api-key must be"));
}

TEST_F(KeyRingTest, ReadsTheFileAgainAndKeepsTheKeysWhenItIsBad) {
  Write("keys: [{name: a, key: alpha, requests_per_minute: 1}, {name: b, key: beta}]");
  const auto made = Ring();
  ASSERT_OK(made);
  const KeyRing& ring = **made;
  const auto before = ring.Find("alpha");
  EXPECT_EQ(before->meter->Enter(absl::Now()).limit, KeyMeter::Limit::kNone);
  Write("keys: [{name: a, key: alpha-2, requests_per_minute: 1}]");
  EXPECT_OK(NextReload());
  EXPECT_EQ(ring.Find("alpha"), nullptr);
  EXPECT_EQ(ring.Find("beta"), nullptr);
  ASSERT_NE(ring.Find("alpha-2"), nullptr);
  // A new key of the same name goes on with the old account.
  EXPECT_EQ(ring.Find("alpha-2")->meter->Enter(absl::Now()).limit, KeyMeter::Limit::kRequests);
  Write("keys: oops");
  EXPECT_THAT(NextReload(), StatusIs(absl::StatusCode::kInvalidArgument, "one list"));
  EXPECT_NE(ring.Find("alpha-2"), nullptr);
  std::filesystem::remove(file_);
  EXPECT_THAT(NextReload(), StatusIs(absl::StatusCode::kNotFound, "cannot read"));
  EXPECT_NE(ring.Find("alpha-2"), nullptr);
}

TEST_F(KeyRingTest, SeesAFileBehindALinkThatIsTurned) {
  const std::string first = file_ + ".1";
  const std::string second = file_ + ".2";
  std::ofstream(first) << "keys: [{name: a, key: alpha}]";
  std::ofstream(second) << "keys: [{name: a, key: gamma}]";
  std::filesystem::create_symlink(first, file_);
  const auto ring = Ring();
  ASSERT_OK(ring);
  EXPECT_NE((*ring)->Find("alpha"), nullptr);
  std::filesystem::create_symlink(second, file_ + ".new");
  std::filesystem::rename(file_ + ".new", file_);
  EXPECT_OK(NextReload());
  EXPECT_EQ((*ring)->Find("alpha"), nullptr);
  EXPECT_NE((*ring)->Find("gamma"), nullptr);
  std::filesystem::remove(first);
  std::filesystem::remove(second);
}

}  // namespace
}  // namespace vallm::gateway
