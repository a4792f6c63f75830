#include "tools/jsonl/row_io.h"

#include <nlohmann/json.hpp>
#include <sstream>

#include "gtest/gtest.h"

namespace vallm::tools {
namespace {

using nlohmann::ordered_json;

std::string Answer(const std::string& input) {
  std::istringstream in(input);
  std::ostringstream out;
  AnswerRows(in, out, /*threads=*/2, [](const JsonRow& row) -> absl::StatusOr<ordered_json> {
    const auto text = row.String("text");
    if (!text.ok()) return text.status();
    return ordered_json{{"echo", *text}};
  });
  return out.str();
}

TEST(RowIo, AnswersLineByLineAndGoesOnAfterAnError) {
  EXPECT_EQ(Answer("{\"id\":1.0,\"text\":\"a\"}\n{\"id\":2}\n\n{\"id\":\"3\",\"text\":\"c\"}"),
            "{\"id\":1.0,\"echo\":\"a\"}\n"
            "{\"id\":2,\"error\":\"'text' is missing\"}\n"
            "{\"id\":\"3\",\"echo\":\"c\"}\n");
}

TEST(RowIo, NamesTheLineThatIsNotAnObject) {
  EXPECT_EQ(Answer("{\"text\":\"a\"}\nnope\n"),
            "{\"id\":null,\"echo\":\"a\"}\n"
            "{\"id\":null,\"error\":\"line 2: not a JSON object: unexpected character at byte "
            "0\"}\n");
}

TEST(RowIo, SplitsAtLineFeedsOnly) {
  EXPECT_EQ(Answer("{\"text\":\"a\u2028b\u0085c\"}\r\n"),
            "{\"id\":null,\"echo\":\"a\\u2028b\\u0085c\"}\n");
}

TEST(RowIo, CountsRows) {
  std::istringstream in("{}\n\n{}\n[\n");
  std::ostringstream out;
  const RowCounts counts = AnswerRows(in, out, /*threads=*/1, [](const JsonRow&) {
    return absl::StatusOr<ordered_json>(ordered_json::object());
  });
  EXPECT_EQ(counts.rows, 3);
  EXPECT_EQ(counts.failed, 1);
  EXPECT_EQ(out.str().substr(0, 12), "{\"id\":null}\n");
}

}  // namespace
}  // namespace vallm::tools
