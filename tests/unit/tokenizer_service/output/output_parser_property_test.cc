// The laws of output_parser.h on random answers: texts put together from tags, pieces of calls,
// whitespace, characters of every length and broken bytes, parsed with random options and cut at
// random. Every failure prints the seed of its round.
#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"
#include "tokenizer_service/bpe/tokenizer.h"
#include "tokenizer_service/bpe/utf8.h"
#include "tokenizer_service/output/detokenizer.h"
#include "tokenizer_service/output/output_parser.h"

namespace vallm::tokenizer {
namespace {

using testing::IsOk;

const char kDemoModel[] = VALLM_SOURCE_DIR "/tools/demo_model/Qwen3-Demo-MoE-FP8";
constexpr int kRounds = 4000;
constexpr char kTools[] =
    R"([{"name": "f", "parameters": {"properties": {"n": {"type": "integer"}}}}])";

constexpr std::string_view kFragments[] = {
    "<think>",
    "</think>",
    "<tool_call>",
    "</tool_call>",
    "<",
    "</",
    "<tool_",
    "call>",
    "thi",
    "nk>",
    "\n",
    "\n\n",
    " ",
    "\t",
    "\r\n",
    "{",
    "}",
    "[",
    "]",
    "\"",
    "\\",
    ":",
    ",",
    "\\u00e9",
    "\\n",
    "\"name\": \"f\"",
    "\"arguments\": ",
    "{\"a\": 1}",
    "{\"name\": \"f\", \"arguments\": {",
    "{\"name\": \"f\", \"arguments\": \"{\\\"a\\\": 2}\"}",
    "{\"arguments\": [], \"name\": \"g\"}",
    "<tool_call>\n{\"name\": \"h\", \"arguments\": {\"x\": \"y\"}}\n</tool_call>",
    "<tool_call>\n<function=f>\n<parameter=a>\n",
    "\n</parameter>\n<parameter=n>\n12",
    "<function=f>",
    "<parameter=a>",
    "</parameter>",
    "</function>",
    "true",
    "-1.5e3",
    "word",
    "STOP",
    "ST",
    "OP",
    "é",
    "北京",
    "👩‍💻",
    "\xE5\x8C",
    "\xF0\x9F",
    "\xFF",
    "\x80",
    "\uFFFD"};

class Answers {
 public:
  explicit Answers(uint32_t seed) : random_(seed) {}

  size_t Below(size_t n) { return random_() % n; }

  std::string Text() {
    std::string text;
    for (size_t n = Below(24); n > 0; --n) text += kFragments[Below(std::size(kFragments))];
    return text;
  }

  std::vector<int32_t> Ids(const Tokenizer& tokenizer) {
    std::vector<int32_t> ids = *tokenizer.Encode(ReplaceInvalidUtf8(Text()));
    // Bytes of the middle of characters, special tokens, padding.
    for (size_t n = Below(3); n > 0; --n) {
      ids.insert(ids.begin() + static_cast<std::ptrdiff_t>(Below(ids.size() + 1)),
                 static_cast<int32_t>(Below(tokenizer.vocab_size() + 3)));
    }
    return ids;
  }

  OutputOptions Options() {
    OutputOptions options;
    if (Below(2) == 0) options.reasoning_parser = "qwen3";
    const std::vector<std::string> tool_parsers = ToolParserNames();
    if (Below(4) != 0) options.tool_parser = tool_parsers[Below(tool_parsers.size())];
    options.tools_enabled = Below(4) != 0;
    options.tools_json = kTools;
    options.prompt_think_state = static_cast<PromptThinkState>(Below(3));
    options.whitespace = Below(2) == 0 ? Whitespace::kClean : Whitespace::kVerbatim;
    options.skip_special_tokens = Below(2) == 0;
    if (Below(3) == 0) options.stop = {"STOP", "\n\n\n", "P<", "call>\n{"};
    options.include_stop_str_in_output = Below(2) == 0;
    options.parallel_tool_calls = Below(4) != 0;
    return options;
  }

  // Calls feed(begin, n) for consecutive parts of `size` items.
  template <typename Feed>
  void Cut(size_t size, size_t max, const Feed& feed) {
    for (size_t begin = 0; begin < size;) {
      const size_t n = std::min(1 + Below(max), size - begin);
      feed(begin, n);
      begin += n;
    }
  }

 private:
  std::mt19937 random_;
};

class OutputParserProperty : public ::testing::Test {
 protected:
  void SetUp() override {
    auto loaded = Tokenizer::FromModelDir(kDemoModel);
    ASSERT_OK(loaded);
    tokenizer_ = *std::move(loaded);
  }

  // Parses what `feed(parser, events)` feeds.
  template <typename Feed>
  ParsedOutput Parse(const OutputOptions& options, const Feed& feed) {
    auto parser = OutputParser::Create(tokenizer_.get(), options);
    EXPECT_OK(parser);
    std::vector<Event> events;
    feed(parser->get(), &events);
    (*parser)->Finish("length", &events);
    for (const Event& event : events) {
      EXPECT_FALSE(FirstInvalidUtf8(event.text)) << "an event ends inside a character";
      EXPECT_FALSE(event.text.empty() && event.kind != Event::Kind::kToolCallStart);
    }
    return Fold(events);
  }

  ParsedOutput ParseText(const OutputOptions& options, std::string_view text) {
    return Parse(options, [&](OutputParser* parser, std::vector<Event>* events) {
      parser->FeedText(text, events);
    });
  }

  std::unique_ptr<const Tokenizer> tokenizer_;
};

TEST_F(OutputParserProperty, AnyChunkingOfBytesGivesTheSameAnswer) {
  for (uint32_t seed = 0; seed < kRounds; ++seed) {
    Answers answers(seed);
    const OutputOptions options = answers.Options();
    const std::string text = answers.Text();
    const ParsedOutput whole = ParseText(options, text);
    for (const size_t max : {1, 3, 16}) {
      const ParsedOutput cut =
          Parse(options, [&](OutputParser* parser, std::vector<Event>* events) {
            answers.Cut(text.size(), max, [&](size_t begin, size_t n) {
              parser->FeedText(std::string_view(text).substr(begin, n), events);
            });
          });
      ASSERT_EQ(cut, whole) << "seed " << seed << " max " << max << " text " << text;
    }
  }
}

TEST_F(OutputParserProperty, AnyGroupingOfIdsGivesTheAnswerOfTheirText) {
  for (uint32_t seed = 0; seed < kRounds; ++seed) {
    Answers answers(seed);
    OutputOptions options = answers.Options();
    options.skip_special_tokens = false;
    const std::vector<int32_t> ids = answers.Ids(*tokenizer_);
    const std::string text = Decode(*tokenizer_, ids, /*skip_special_tokens=*/false);
    const ParsedOutput whole = ParseText(options, text);
    for (const size_t max : {size_t{1}, size_t{4}, ids.size() + 1}) {
      const ParsedOutput cut =
          Parse(options, [&](OutputParser* parser, std::vector<Event>* events) {
            answers.Cut(ids.size(), max, [&](size_t begin, size_t n) {
              parser->FeedTokens(std::span(ids).subspan(begin, n), events);
            });
          });
      ASSERT_EQ(cut, whole) << "seed " << seed << " max " << max << " text " << text;
    }
  }
}

// Of an answer in the making: the events so far, and each token's role with the shown text that it
// came behind.
struct Attribution {
  struct Token {
    TokenRole role;
    size_t reasoning;  // bytes shown, this token's included, when it came
    size_t content;
    bool operator==(const Token&) const = default;
  };
  ParsedOutput output;
  std::vector<Token> tokens;
  bool stopped = false;

  void Add(const std::vector<Event>& events) {
    for (const Event& event : events) {
      FoldEvent(event, &output);
      stopped |= event.kind == Event::Kind::kStop;
      for (const TokenRun& run : event.tokens) {
        ASSERT_GT(run.count, 0);
        for (int64_t i = 0; i < run.count; ++i) {
          tokens.push_back({run.role, output.reasoning.size(), output.content.size()});
        }
      }
    }
  }
  size_t Count(TokenRole role) const {
    return static_cast<size_t>(std::count_if(tokens.begin(), tokens.end(),
                                             [&](const Token& t) { return t.role == role; }));
  }
};

TEST_F(OutputParserProperty, EveryTokenHasOneRoleInAnyGrouping) {
  for (uint32_t seed = 0; seed < kRounds; ++seed) {
    Answers answers(seed);
    const OutputOptions options = answers.Options();
    const std::vector<int32_t> ids = answers.Ids(*tokenizer_);
    const auto attribute = [&](size_t max) {
      Attribution result;
      auto parser = *OutputParser::Create(tokenizer_.get(), options);
      std::vector<Event> events;
      answers.Cut(ids.size(), max, [&](size_t begin, size_t n) {
        events.clear();
        parser->FeedTokens(std::span(ids).subspan(begin, n), &events);
        result.Add(events);
      });
      events.clear();
      parser->Finish("length", &events);
      result.Add(events);
      return result;
    };
    const Attribution single = attribute(1);
    // All tokens, or those up to the one that completed the stop string.
    ASSERT_LE(single.tokens.size(), ids.size()) << "seed " << seed;
    if (!single.stopped) {
      ASSERT_EQ(single.tokens.size(), ids.size()) << "seed " << seed;
    }
    // What is shown comes from tokens that say so.
    ASSERT_EQ(single.output.reasoning.empty(), single.Count(TokenRole::kReasoning) == 0)
        << "seed " << seed;
    if (!single.output.content.empty()) {
      ASSERT_GT(single.Count(TokenRole::kContent), 0u) << "seed " << seed;
    }
    ASSERT_EQ(single.output.tool_calls.empty(), single.Count(TokenRole::kToolCall) == 0)
        << "seed " << seed;
    for (const size_t max : {size_t{4}, ids.size() + 1}) {
      const Attribution grouped = attribute(max);
      ASSERT_EQ(grouped.output, single.output) << "seed " << seed;
      ASSERT_EQ(grouped.tokens.size(), single.tokens.size()) << "seed " << seed;
      for (size_t i = 0; i < grouped.tokens.size(); ++i) {
        ASSERT_EQ(grouped.tokens[i].role, single.tokens[i].role)
            << "seed " << seed << " token " << i;
      }
    }
  }
}

// Without parsers the text is the tokens': every token comes with the first of its own bytes.
TEST_F(OutputParserProperty, ATokenComesWithItsText) {
  for (uint32_t seed = 0; seed < kRounds; ++seed) {
    Answers answers(seed);
    OutputOptions options;
    options.skip_special_tokens = answers.Below(2) == 0;
    if (answers.Below(2) == 0) options.stop = {"STOP", "call>\n{", "rd"};
    options.include_stop_str_in_output = answers.Below(2) == 0;
    const std::vector<int32_t> ids = answers.Ids(*tokenizer_);
    auto parser = *OutputParser::Create(tokenizer_.get(), options);
    Attribution result;
    std::vector<Event> events;
    size_t fed = 0;
    answers.Cut(ids.size(), 3, [&](size_t begin, size_t n) {
      events.clear();
      parser->FeedTokens(std::span(ids).subspan(begin, n), &events);
      fed = begin + n;
      result.Add(events);
      // The tokens that came have all the text there is, and are not more than needed for it.
      const auto text_of = [&](size_t count) {
        return Decode(*tokenizer_, std::span(ids).first(count), options.skip_special_tokens);
      };
      const size_t came = result.tokens.size();
      ASSERT_LE(came, fed);
      if (result.stopped) return;
      // (A character that is not complete yet decodes to one replacement character.)
      ASSERT_LE(result.output.content.size(), text_of(came).size()) << "seed " << seed;
      if (came > 0) {
        ASSERT_LT(text_of(came - 1).size(), result.output.content.size() + 3) << "seed " << seed;
      }
    });
    events.clear();
    parser->Finish("stop", &events);
    result.Add(events);
    for (const Attribution::Token& token : result.tokens) {
      ASSERT_TRUE(token.role == TokenRole::kContent || token.role == TokenRole::kSilent ||
                  token.role == TokenRole::kStop);
    }
    ASSERT_EQ(result.Count(TokenRole::kContent) > 0, !result.output.content.empty());
    if (options.include_stop_str_in_output || !result.stopped) {
      ASSERT_EQ(result.Count(TokenRole::kStop), 0u) << "seed " << seed;
    }
  }
}

// The longest end of `text` that begins one of `patterns`.
size_t LongestBeginning(std::string_view text, const std::vector<std::string>& patterns) {
  size_t longest = 0;
  for (const std::string& pattern : patterns) {
    for (size_t n = 1; n < pattern.size() && n <= text.size(); ++n) {
      if (text.ends_with(std::string_view(pattern).substr(0, n))) longest = std::max(longest, n);
    }
  }
  return longest;
}

// What is held back is what may begin a stop string or a tag, to the byte.
TEST_F(OutputParserProperty, NoMoreIsHeldBackThanMayBeMarkup) {
  for (uint32_t seed = 0; seed < kRounds; ++seed) {
    Answers answers(seed);
    OutputOptions options;
    std::vector<std::string> patterns;
    if (answers.Below(2) == 0) {
      options.stop = {"STOP", "call>\n{", "rd", "\n\n\n"};
      patterns = options.stop;
    } else if (answers.Below(2) == 0) {
      options.tool_parser = "hermes";
      options.tools_enabled = true;
      options.whitespace = Whitespace::kVerbatim;
      patterns = {"<tool_call>"};
    } else {
      options.reasoning_parser = "qwen3";
      options.prompt_think_state = PromptThinkState::kOpen;
      options.whitespace = Whitespace::kVerbatim;
      patterns = {"</think>"};
    }
    // It begins with text: whitespace at the very start waits for an opening tag or a call.
    const std::string text = "." + ReplaceInvalidUtf8(answers.Text());
    auto parser = *OutputParser::Create(tokenizer_.get(), options);
    std::vector<Event> events;
    for (size_t end = 1; end <= text.size(); ++end) {
      parser->FeedText(std::string_view(text).substr(end - 1, 1), &events);
      const std::string_view whole =
          std::string_view(text).substr(0, end - IncompleteUtf8Suffix(text.substr(0, end)));
      if (parser->stopped()) break;
      if (text.substr(0, end).find(patterns.front()) != std::string::npos) break;
      const size_t held = LongestBeginning(whole, patterns);
      ASSERT_EQ(parser->held_bytes(), static_cast<int64_t>(held))
          << "seed " << seed << " " << whole;
      const ParsedOutput output = Fold(events);
      ASSERT_EQ(output.reasoning + output.content, whole.substr(0, whole.size() - held));
    }
  }
}

TEST_F(OutputParserProperty, TextOutsideCallsIsNeverLost) {
  int without_calls = 0;
  for (uint32_t seed = 0; seed < kRounds; ++seed) {
    Answers answers(seed);
    OutputOptions options = answers.Options();
    options.reasoning_parser = "";
    options.whitespace = Whitespace::kVerbatim;
    options.stop.clear();
    const std::string text = answers.Text();
    const ParsedOutput output = ParseText(options, text);
    if (!output.tool_calls.empty()) continue;
    ++without_calls;
    ASSERT_EQ(output.content, ReplaceInvalidUtf8(text)) << "seed " << seed;
  }
  EXPECT_GT(without_calls, kRounds / 4);
}

TEST_F(OutputParserProperty, CleanDiffersFromVerbatimInNewlinesAroundTheTextOnly) {
  const auto strip = [](std::string_view text) {
    const size_t begin = std::min(text.find_first_not_of('\n'), text.size());
    return std::string(text.substr(begin, text.find_last_not_of('\n') + 1 - begin));
  };
  for (uint32_t seed = 0; seed < kRounds; ++seed) {
    Answers answers(seed);
    OutputOptions options = answers.Options();
    const std::string text = answers.Text();
    options.whitespace = Whitespace::kClean;
    const ParsedOutput clean = ParseText(options, text);
    options.whitespace = Whitespace::kVerbatim;
    const ParsedOutput verbatim = ParseText(options, text);
    ASSERT_EQ(clean.reasoning, strip(verbatim.reasoning)) << "seed " << seed << " text " << text;
    ASSERT_EQ(strip(clean.content), strip(verbatim.content)) << "seed " << seed << " text " << text;
    ASSERT_EQ(clean.tool_calls, verbatim.tool_calls) << "seed " << seed << " text " << text;
    ASSERT_EQ(clean.finish_reason, verbatim.finish_reason) << "seed " << seed;
  }
}

}  // namespace
}  // namespace vallm::tokenizer
