#include "tools/chat/sse_parser.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vallm::tools {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(SseParser, GivesTheDataOfWholeEvents) {
  SseParser parser;
  EXPECT_THAT(parser.Feed("data: a\n\ndata:b\r\n\r\ndata: [DO"), ElementsAre("a", "b"));
  EXPECT_THAT(parser.Feed("NE]\n"), IsEmpty());
  EXPECT_THAT(parser.Feed("\n"), ElementsAre("[DONE]"));
}

TEST(SseParser, GivesTheSameForEveryPieceSize) {
  const std::string stream = "data: {\"a\": 1}\n\n: comment\nevent: x\ndata: b\ndata: c\n\n\n";
  for (size_t size = 1; size <= stream.size(); ++size) {
    SseParser parser;
    std::vector<std::string> events;
    for (size_t i = 0; i < stream.size(); i += size) {
      for (std::string& event : parser.Feed(std::string_view(stream).substr(i, size))) {
        events.push_back(std::move(event));
      }
    }
    EXPECT_THAT(events, ElementsAre("{\"a\": 1}", "b\nc")) << size;
  }
}

}  // namespace
}  // namespace vallm::tools
