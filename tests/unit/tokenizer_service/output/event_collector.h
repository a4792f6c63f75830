// The events that a tool parser amounts to, and the law that it accounts for every byte.
#ifndef VALLM_TESTS_UNIT_TOKENIZER_SERVICE_OUTPUT_EVENT_COLLECTOR_H_
#define VALLM_TESTS_UNIT_TOKENIZER_SERVICE_OUTPUT_EVENT_COLLECTOR_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"
#include "tokenizer_service/output/event.h"
#include "tokenizer_service/output/tool_parser.h"

namespace vallm::testing {

class EventCollector final : public tokenizer::ToolSink {
 public:
  std::vector<tokenizer::Event> events;
  size_t bytes = 0;  // of the text, content and calls

  void OnContent(std::string_view text) override {
    EXPECT_FALSE(text.empty());
    AppendText(tokenizer::Event::Kind::kContent, text, /*index=*/0, &events);
    bytes += text.size();
  }
  void OnCall(int index, std::string_view name) override {
    events.push_back({tokenizer::Event::Kind::kToolCallStart, std::string(name), index});
  }
  void OnArguments(int index, std::string_view json) override {
    EXPECT_FALSE(json.empty());
    AppendText(tokenizer::Event::Kind::kToolArguments, json, index, &events);
  }
  void OnCallText(int, size_t count) override { bytes += count; }
};

// All events of one text.
inline std::vector<tokenizer::Event> ParseCalls(tokenizer::ToolParser* parser,
                                                std::string_view text) {
  EventCollector collector;
  parser->Append(text, &collector);
  parser->Flush(&collector);
  EXPECT_EQ(collector.bytes, text.size()) << text;
  return collector.events;
}

}  // namespace vallm::testing

#endif  // VALLM_TESTS_UNIT_TOKENIZER_SERVICE_OUTPUT_EVENT_COLLECTOR_H_
