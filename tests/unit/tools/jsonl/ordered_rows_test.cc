#include "tools/jsonl/ordered_rows.h"

#include <atomic>
#include <sstream>
#include <thread>

#include "gtest/gtest.h"

namespace vallm::tools {
namespace {

TEST(OrderedRows, WritesInTheOrderOfTheInput) {
  std::istringstream in("0\n\n1\n2\n3");
  std::ostringstream out;
  std::atomic<int> arrived = 0;
  // The first row waits until all the others have been worked on.
  ForEachRowInOrder(in, out, {.concurrency = 2, .progress = nullptr},
                    [&](const std::string& line, int64_t line_number) {
                      while (line == "0" && arrived < 3) std::this_thread::yield();
                      if (line != "0") ++arrived;
                      return line + "@" + std::to_string(line_number);
                    });
  EXPECT_EQ(out.str(), "0@1\n1@3\n2@4\n3@5\n");
}

TEST(OrderedRows, WorksOnAsManyRowsAsItMay) {
  std::istringstream in("a\nb\nc\n");
  std::ostringstream out;
  std::atomic<int> arrived = 0;
  int64_t last_progress = 0;
  ForEachRowInOrder(in, out,
                    {.concurrency = 3, .progress = [&](int64_t rows) { last_progress = rows; }},
                    [&](const std::string& line, int64_t) {
                      ++arrived;
                      while (arrived < 3) std::this_thread::yield();  // hangs if one by one
                      return line;
                    });
  EXPECT_EQ(out.str(), "a\nb\nc\n");
  EXPECT_EQ(last_progress, 3);
}

TEST(OrderedRows, TakesRowsInBatches) {
  std::string lines;
  for (int i = 0; i < 1000; ++i) lines += std::to_string(i) + "\n" + (i % 7 == 0 ? "\n" : "");
  std::string expected;
  for (int i = 0; i < 1000; ++i) expected += "<" + std::to_string(i) + ">\n";
  for (const int batch : {1, 3, 64, 5000}) {
    std::istringstream in(lines);
    std::ostringstream out;
    int64_t last_progress = 0;
    ForEachRowInOrder(
        in, out,
        {.concurrency = 4, .batch = batch, .progress = [&](int64_t rows) { last_progress = rows; }},
        [](const std::string& line, int64_t) { return "<" + line + ">"; });
    EXPECT_EQ(out.str(), expected) << batch;
    EXPECT_EQ(last_progress, 1000) << batch;
  }
}

// A stream whose second line is not there yet: asking for it fails the test.
class OneLine : public std::stringbuf {
 public:
  OneLine() : std::stringbuf("only\n") {}
  bool answered = false;

 private:
  int_type underflow() override {
    const int_type next = std::stringbuf::underflow();
    EXPECT_TRUE(answered || next != traits_type::eof()) << "read on before it answered";
    return next;
  }
};

TEST(OrderedRows, ABatchDoesNotWaitForRowsToCome) {
  OneLine line;
  std::istream in(&line);
  std::ostringstream out;
  ForEachRowInOrder(in, out, {.concurrency = 1, .batch = 64, .progress = nullptr},
                    [&](const std::string& row, int64_t) {
                      line.answered = true;
                      return row;
                    });
  EXPECT_EQ(out.str(), "only\n");
}

// Counts how often what it holds is flushed.
class FlushCounter : public std::stringbuf {
 public:
  int flushes = 0;

 private:
  int sync() override {
    ++flushes;
    return std::stringbuf::sync();
  }
};

// std::cin is tied to std::cout: a reading thread would flush it while another one writes.
TEST(OrderedRows, OnlyWritingFlushesTheOutput) {
  FlushCounter written;
  std::ostream out(&written);
  std::istringstream in("a\nb\nc\n");
  in.tie(&out);
  ForEachRowInOrder(in, out, {.concurrency = 2, .progress = nullptr},
                    [](const std::string& line, int64_t) { return line; });
  EXPECT_EQ(written.str(), "a\nb\nc\n");
  EXPECT_EQ(written.flushes, 3);
}

TEST(OrderedRows, StopsWhenNothingCanBeWritten) {
  std::istringstream in("a\nb\nc\n");
  std::ostringstream out;
  out.setstate(std::ios::failbit);
  int calls = 0;
  ForEachRowInOrder(in, out, {.concurrency = 1, .progress = nullptr},
                    [&](const std::string& line, int64_t) {
                      ++calls;
                      return line;
                    });
  EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace vallm::tools
