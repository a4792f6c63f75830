#include "tokenizer_service/output/json_scanner.h"

#include <string>
#include <string_view>

#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace vallm::tokenizer {
namespace {

// How many bytes of `text` the value at its beginning has; 0 if there is none, or no end.
size_t ValueLength(std::string_view text) {
  JsonScanner scanner;
  for (size_t i = 0; i < text.size(); ++i) {
    switch (scanner.Push(text[i])) {
      case JsonScanner::Status::kMore:
        break;
      case JsonScanner::Status::kDone:
        return i + 1;
      case JsonScanner::Status::kDoneBefore:
        return i;
      case JsonScanner::Status::kError:
        return 0;
    }
  }
  return 0;
}

TEST(JsonScanner, FindsTheEndOfAValue) {
  for (const std::string_view value :
       {R"({})", R"([])", R"("")", R"({"a": [1, {"b": "]}\"\u00e9\\"}], "c": null})", "0", "-0",
        "12.50", "1E+2", "-3e5", "true", "false", "null", "NaN", "-Infinity", R"([ ])", R"({ })",
        R"([[[[]]], [{}]])"}) {
    EXPECT_EQ(ValueLength(std::string(value) + " ,}]"), value.size()) << value;
  }
}

TEST(JsonScanner, RefusesWhatIsNotJson) {
  for (const std::string_view text :
       {"{'a': 1} ", "{a: 1} ", "{\"a\" 1} ", "{\"a\": 1,} ", "[1,] ",   "[1 2] ", "[1} ",
        "{]",        "\"\n\" ", "\"\\x\" ",   "\"\\u00g0\" ", "01 ",     "1. ",    ".5 ",
        "1e ",       "- ",      "tru ",       "nulll ",       "+1 ",     "] ",     "} ",
        ", ",        ": ",      "{,} ",       "[,] ",         "{1: 2} ", "-Inf "}) {
    EXPECT_EQ(ValueLength(text), 0u) << text;
  }
}

TEST(JsonScanner, DeepNestingNeedsNoStack) {
  const size_t depth = 1 << 20;
  EXPECT_EQ(ValueLength(std::string(depth, '[') + std::string(depth, ']')), 2 * depth);
}

TEST(JsonScanner, KnowsWhenItIsInAString) {
  JsonScanner scanner;
  const std::string_view text = R"({"k\"": "v", )";
  const std::string_view inside = "0011110001100";
  for (size_t i = 0; i < text.size(); ++i) {
    EXPECT_EQ(scanner.in_string(), inside[i] == '1') << i;
    scanner.Push(text[i]);
  }
}

TEST(IsJsonObject, TakesAnObjectWithWhitespaceAround) {
  EXPECT_TRUE(IsJsonObject(" {\"a\": 1}\n"));
  for (const std::string_view text : {"", " ", "[]", "1", "{", "{} x", "{}{}", "\"{}\""}) {
    EXPECT_FALSE(IsJsonObject(text)) << text;
  }
}

TEST(IsJson, TakesAnyValueWithWhitespaceAround) {
  for (const std::string_view text : {" 1.5", "-0", "true ", "\"x\"", "[1, {}]\n", "{}"}) {
    EXPECT_TRUE(IsJson(text)) << text;
  }
  for (const std::string_view text : {"", " ", "1 2", "tru", "[1", "\"x", "1.", "x", "[] ]"}) {
    EXPECT_FALSE(IsJson(text)) << text;
  }
}

TEST(JsonStringLiteral, IsReadBackAsItWas) {
  std::string text = "\"\\/ 北京\x7F";
  for (char c = 0; c < 0x20; ++c) text += c;
  EXPECT_EQ(nlohmann::json::parse(JsonStringLiteral(text)).get<std::string>(), text);
  EXPECT_EQ(JsonStringValue(JsonStringLiteral(text)), text);
}

TEST(JsonStringValue, AgreesWithAJsonLibrary) {
  for (const std::string_view literal :
       {R"("")", R"("plain")", R"("\"\\\/\b\f\n\r\t")", R"("\u0041\u00e9\u4e2d")",
        R"("\ud83d\ude00!")", "\"北京\""}) {
    EXPECT_EQ(JsonStringValue(literal), nlohmann::json::parse(literal).get<std::string>());
  }
}

TEST(JsonStringValue, ReplacesLoneSurrogates) {
  EXPECT_EQ(JsonStringValue(R"("\ud83dx")"), "\uFFFDx");
  EXPECT_EQ(JsonStringValue(R"("\ude00\ud83d\ud83d\ude00")"), "\uFFFD\uFFFD😀");
}

}  // namespace
}  // namespace vallm::tokenizer
