#include "tools/deploy/log_router.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"
#include "tools/deploy/log_follower.h"
#include "tools/deploy/rotating_file.h"

namespace vallm::tools {
namespace {

class LogTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "log_XXXXXX";
    dir_ = mkdtemp(pattern.data());
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  std::string Path(const std::string& leaf) const { return dir_ + "/" + leaf; }
  std::string Read(const std::string& leaf) const {
    std::ifstream file(Path(leaf));
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
  }
  bool Exists(const std::string& leaf) const { return std::filesystem::exists(Path(leaf)); }

  static std::vector<std::string> Lines(LogFollower& follower) {
    std::vector<std::string> lines;
    follower.Read([&](std::string_view line) { lines.emplace_back(line); });
    return lines;
  }

  std::string dir_;
};

using Strings = std::vector<std::string>;

TEST_F(LogTest, AFullFileIsPutAsideAtTheEndOfALine) {
  RotatingFile file(Path("a"), /*max_bytes=*/10, /*keep=*/2);
  for (const char* line : {"one\n", "two\n", "three\n", "four\n"}) ASSERT_OK(file.Write(line));
  EXPECT_EQ(Read("a.1"), "one\ntwo\nthree\n");
  EXPECT_EQ(Read("a"), "four\n");
}

TEST_F(LogTest, OneWriteMayFillManyFilesOfWhichTheLastAreKept) {
  RotatingFile file(Path("a"), /*max_bytes=*/4, /*keep=*/2);
  ASSERT_OK(file.Write("1111\n2222\n3333\n4444\n5"));
  EXPECT_EQ(Read("a"), "5");
  EXPECT_EQ(Read("a.1"), "4444\n");
  EXPECT_EQ(Read("a.2"), "3333\n");
  EXPECT_FALSE(Exists("a.3"));
}

TEST_F(LogTest, ALineWithoutAnEndDoesNotGrowForEver) {
  RotatingFile file(Path("a"), /*max_bytes=*/4, /*keep=*/1);
  for (int i = 0; i < 10; ++i) ASSERT_OK(file.Write("xxx"));
  EXPECT_LE(Read("a").size(), 8U);
  EXPECT_LE(Read("a.1").size(), 12U);
}

TEST_F(LogTest, GoesOnWithAFileThatIsThere) {
  std::ofstream(Path("a")) << "12345678\n";
  RotatingFile file(Path("a"), /*max_bytes=*/10, /*keep=*/1);
  ASSERT_OK(file.Write("b\nc\n"));
  EXPECT_EQ(Read("a.1"), "12345678\nb\n");
  EXPECT_EQ(Read("a"), "c\n");
}

TEST_F(LogTest, SaysWhatItCannotWrite) {
  RotatingFile file(Path("missing/a"), /*max_bytes=*/10, /*keep=*/1);
  EXPECT_THAT(file.Write("x"),
              ::vallm::testing::StatusIs(absl::StatusCode::kInternal, "missing/a"));
}

TEST_F(LogTest, TheRouterCarriesEverythingBeforeItEnds) {
  std::string expected;
  {
    auto router = LogRouter::Create(/*max_bytes=*/1 << 20, /*keep=*/1);
    ASSERT_OK(router);
    const auto a = (*router)->Output(Path("a"));
    const auto b = (*router)->Output(Path("b"));
    ASSERT_OK(a);
    ASSERT_OK(b);
    EXPECT_NE(*a, *b);
    EXPECT_EQ(*(*router)->Output(Path("a")), *a);
    for (int i = 0; i < 20000; ++i) {  // more than a pipe holds
      const std::string line = std::to_string(i) + "\n";
      ASSERT_EQ(write(*a, line.data(), line.size()), static_cast<ssize_t>(line.size()));
      expected += line;
    }
    ASSERT_EQ(write(*b, "b\n", 2), 2);
  }
  EXPECT_EQ(Read("a"), expected);
  EXPECT_EQ(Read("b"), "b\n");
}

TEST_F(LogTest, TheFollowerBeginsSomeLinesBeforeTheEnd) {
  std::ofstream(Path("a")) << "one\ntwo\nthree\n";
  LogFollower two(Path("a"), 2);
  EXPECT_EQ(Lines(two), (Strings{"two", "three"}));
  LogFollower all(Path("a"), -1);
  EXPECT_EQ(Lines(all), (Strings{"one", "two", "three"}));
  LogFollower many(Path("a"), 50);
  EXPECT_EQ(Lines(many), (Strings{"one", "two", "three"}));
  LogFollower none(Path("a"), 0);
  EXPECT_EQ(Lines(none), Strings{});
}

TEST_F(LogTest, TheFollowerWaitsForWholeLinesAndForTheFile) {
  LogFollower follower(Path("a"), 10);
  EXPECT_EQ(Lines(follower), Strings{});
  std::ofstream file(Path("a"));
  file << "ha" << std::flush;
  EXPECT_EQ(Lines(follower), Strings{});
  file << "lf\nnext" << std::flush;
  EXPECT_EQ(Lines(follower), Strings{"half"});
}

TEST_F(LogTest, TheFollowerGoesOnBehindARotation) {
  RotatingFile file(Path("a"), /*max_bytes=*/6, /*keep=*/1);
  ASSERT_OK(file.Write("one\n"));
  LogFollower follower(Path("a"), -1);
  EXPECT_EQ(Lines(follower), Strings{"one"});
  ASSERT_OK(file.Write("two\nthree\n"));  // "two" is the last of the file that is put aside
  EXPECT_EQ(Lines(follower), (Strings{"two", "three"}));
}

}  // namespace
}  // namespace vallm::tools
