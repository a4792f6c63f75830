#include "tools/progress_bar.h"

#include <cstdio>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tools/serve/progress_display.h"

namespace vallm::tools {
namespace {

TEST(ProgressBarTest, FillsFromLeftToRightAndIsFullAtTheEndOnly) {
  EXPECT_EQ(ProgressBar(0), "[------------------------] 0 %");
  EXPECT_EQ(ProgressBar(50), "[############------------] 50 %");
  EXPECT_EQ(ProgressBar(99), "[#######################-] 99 %");
  EXPECT_EQ(ProgressBar(100), "[########################] 100 %");
  EXPECT_EQ(ProgressBar(-5), ProgressBar(0));
  EXPECT_EQ(ProgressBar(1000), ProgressBar(100));
}

// What a display writes while "engine" loads and then is ready.
std::string Display(bool terminal) {
  std::FILE* file = std::tmpfile();
  const absl::Time start = absl::UnixEpoch();
  ProgressDisplay display(file, terminal, {"engine"}, start);
  display.Update({{.ready = false, .loaded_percent = 50}}, start + absl::Seconds(1));
  display.Update({{.ready = true, .loaded_percent = 100}}, start + absl::Seconds(2));
  std::string text(static_cast<size_t>(std::ftell(file)), '\0');
  std::rewind(file);
  EXPECT_EQ(std::fread(text.data(), 1, text.size(), file), text.size());
  std::fclose(file);
  return text;
}

TEST(ProgressDisplayTest, RedrawsABarOnATerminal) {
  EXPECT_EQ(Display(/*terminal=*/true),
            "  engine       loading [############------------] 50 %, 1.0 s\n"
            "\033[1A\033[J"
            "  engine       ready after 2.0 s\n");
}

TEST(ProgressDisplayTest, WritesPlainLinesElsewhere) {
  EXPECT_EQ(Display(/*terminal=*/false), "  engine       ready after 2.0 s\n");
}

}  // namespace
}  // namespace vallm::tools
