#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "common/flags.h"
#include "common/status_macros.h"
#include "tokenizer_service/bpe/tokenizer.h"
#include "tokenizer_service/output/output_parser.h"
#include "tools/tokenizer/row_command.h"
#include "tools/tokenizer/tokenizer_command.h"

namespace vallm::tools {
namespace {

using nlohmann::ordered_json;
using tokenizer::Event;
using tokenizer::OutputOptions;
using tokenizer::OutputParser;
using tokenizer::ParsedOutput;
using tokenizer::Tokenizer;

// What the flags say for rows without a `mode`.
struct ParseDefaults {
  std::string reasoning_parser;
  std::string tool_parser;
  tokenizer::Whitespace whitespace = tokenizer::Whitespace::kClean;
};

// The members of a row that change what a request would have asked for.
absl::Status ReadRequestOptions(const JsonRow& row, OutputOptions* options) {
  if (row.Has("stop")) {
    VALLM_ASSIGN_OR_RETURN(options->stop, row.Strings("stop"));
  }
  options->tools_json = row.Raw("tools");
  VALLM_ASSIGN_OR_RETURN(const auto include, row.OptionalBool("include_stop_str_in_output"));
  VALLM_ASSIGN_OR_RETURN(const auto skip, row.OptionalBool("skip_special_tokens"));
  VALLM_ASSIGN_OR_RETURN(const auto parallel, row.OptionalBool("parallel_tool_calls"));
  VALLM_ASSIGN_OR_RETURN(const auto whitespace, row.OptionalString("output_whitespace"));
  options->include_stop_str_in_output = include.value_or(false);
  options->skip_special_tokens = skip.value_or(true);
  options->parallel_tool_calls = parallel.value_or(true);
  if (!whitespace) return absl::OkStatus();
  if (*whitespace != "clean" && *whitespace != "verbatim") {
    return absl::InvalidArgumentError("'output_whitespace' must be clean or verbatim");
  }
  options->whitespace =
      *whitespace == "clean" ? tokenizer::Whitespace::kClean : tokenizer::Whitespace::kVerbatim;
  return absl::OkStatus();
}

// The parser of one row: its start state is read off the end of the prompt, not off `mode`.
absl::StatusOr<OutputOptions> OptionsOf(const Tokenizer& tokenizer, const ParseDefaults& defaults,
                                        const JsonRow& row) {
  OutputOptions options;
  options.whitespace = defaults.whitespace;
  options.reasoning_parser = defaults.reasoning_parser;
  options.tool_parser = defaults.tool_parser;
  options.tools_enabled = !defaults.tool_parser.empty();
  if (row.Has("mode")) {
    VALLM_ASSIGN_OR_RETURN(const JsonRow mode, row.Object("mode"));
    VALLM_ASSIGN_OR_RETURN(const auto reasoning, mode.OptionalString("reasoning_parser"));
    VALLM_ASSIGN_OR_RETURN(const auto tool_parser, mode.OptionalString("tool_parser"));
    VALLM_ASSIGN_OR_RETURN(const auto tools, mode.OptionalBool("tools"));
    VALLM_ASSIGN_OR_RETURN(const auto tool_choice, mode.OptionalString("tool_choice"));
    options.reasoning_parser = reasoning.value_or("");
    options.tool_parser = tool_parser.value_or("");
    options.tools_enabled = tools.value_or(false) && tool_choice.value_or("auto") != "none";
  }
  VALLM_RETURN_IF_ERROR(ReadRequestOptions(row, &options));
  std::vector<int32_t> prompt_ids;
  if (row.Has("prompt_tail_ids")) {
    VALLM_ASSIGN_OR_RETURN(prompt_ids, row.Ids("prompt_tail_ids"));
  } else if (row.Has("prompt_tail")) {
    VALLM_ASSIGN_OR_RETURN(const std::string prompt, row.String("prompt_tail"));
    VALLM_ASSIGN_OR_RETURN(prompt_ids, tokenizer.Encode(prompt));
  }
  options.prompt_think_state = tokenizer::ThinkStateFromPrompt(prompt_ids, tokenizer);
  return options;
}

ordered_json TextOrNull(const std::string& text) {
  return text.empty() ? ordered_json(nullptr) : ordered_json(text);
}

ordered_json ToJson(const ParsedOutput& output) {
  ordered_json calls = ordered_json::array();
  for (const auto& call : output.tool_calls) {
    calls.push_back({{"name", call.name}, {"arguments", call.arguments}});
  }
  ordered_json json;
  json["reasoning_content"] = TextOrNull(output.reasoning);
  json["content"] = TextOrNull(output.content);
  json["tool_calls"] = std::move(calls);
  json["finish_reason"] = output.finish_reason;
  return json;
}

// Feeds one row in one way after the other.
class RowParser {
 public:
  static absl::StatusOr<RowParser> Create(const Tokenizer& tokenizer, const ParseDefaults& defaults,
                                          const JsonRow& row) {
    RowParser parser(tokenizer);
    VALLM_ASSIGN_OR_RETURN(parser.options_, OptionsOf(tokenizer, defaults, row));
    VALLM_ASSIGN_OR_RETURN(const auto reason, row.OptionalString("engine_finish_reason"));
    parser.finish_reason_ = reason.value_or("stop");
    return parser;
  }

  absl::StatusOr<ordered_json> Text(const std::vector<std::string>& pieces) const {
    return Feed([&](OutputParser& parser, std::vector<Event>* events) {
      for (const std::string& piece : pieces) parser.FeedText(piece, events);
    });
  }

  absl::StatusOr<ordered_json> Ids(const std::vector<int32_t>& ids) const {
    return Feed([&](OutputParser& parser, std::vector<Event>* events) {
      for (const int32_t& id : ids) parser.FeedTokens(std::span(&id, 1), events);
    });
  }

 private:
  explicit RowParser(const Tokenizer& tokenizer) : tokenizer_(&tokenizer) {}

  absl::StatusOr<ordered_json> Feed(
      const std::function<void(OutputParser&, std::vector<Event>*)>& feed) const {
    VALLM_ASSIGN_OR_RETURN(const auto parser, OutputParser::Create(tokenizer_, options_));
    std::vector<Event> events;
    feed(*parser, &events);
    parser->Finish(finish_reason_, &events);
    return ToJson(tokenizer::Fold(events));
  }

  const Tokenizer* tokenizer_;
  OutputOptions options_;
  std::string finish_reason_;
};

absl::StatusOr<ordered_json> ParseRow(const Tokenizer& tokenizer, const ParseDefaults& defaults,
                                      const JsonRow& row) {
  VALLM_ASSIGN_OR_RETURN(const RowParser parser, RowParser::Create(tokenizer, defaults, row));
  ordered_json fed = ordered_json::object();
  if (row.Has("chunkings")) {
    VALLM_ASSIGN_OR_RETURN(const JsonRow chunkings, row.Object("chunkings"));
    for (const auto& [name, raw] : chunkings.members()) {
      VALLM_ASSIGN_OR_RETURN(const auto pieces, chunkings.Strings(name));
      VALLM_ASSIGN_OR_RETURN(fed[name], parser.Text(pieces));
    }
  }
  for (const char* name : {"ids", "ids_plain_tags"}) {
    if (!row.Has(name)) continue;
    VALLM_ASSIGN_OR_RETURN(const auto ids, row.Ids(name));
    VALLM_ASSIGN_OR_RETURN(fed[name], parser.Ids(ids));
  }
  ordered_json out;
  if (row.Has("text") || !row.Has("ids")) {
    VALLM_ASSIGN_OR_RETURN(std::string text, row.String("text"));
    VALLM_ASSIGN_OR_RETURN(out, parser.Text({std::move(text)}));
  } else {
    out = fed.at("ids");
  }
  out["fed"] = std::move(fed);
  return out;
}

}  // namespace

int RunTokenizerParse(int argc, char** argv) {
  constexpr char kProgram[] = "vallm tokenizer parse";
  std::string model_dir;
  std::string whitespace = "clean";
  ParseDefaults defaults;
  FlagParser flags(
      kProgram,
      "Parses model output. In: {\"id\", \"text\", \"ids\", \"chunkings\", \"mode\", "
      "\"prompt_tail_ids\", \"engine_finish_reason\"}, and of a request \"tools\", \"stop\", "
      "\"include_stop_str_in_output\", \"skip_special_tokens\", \"parallel_tool_calls\", "
      "\"output_whitespace\"; out: {\"id\", \"reasoning_content\", "
      "\"content\", \"tool_calls\", \"finish_reason\", \"fed\"}. \"fed\" holds the same four for "
      "each chunking and for the ids one by one.",
      "  vallm tokenizer parse --model ./Qwen3-8B < output_parsing_cases.jsonl\n"
      "  echo '{\"text\": \"<think>\\nhm\\n</think>\\n\\nYes.\"}' | \\\n"
      "    vallm tokenizer parse --model ./Qwen3-8B --reasoning-parser qwen3\n");
  CLI::App& app = flags.app();
  app.add_option("--model", model_dir, "Model directory (tokenizer.json)")->required();
  app.add_option("--output-whitespace", whitespace,
                 "clean: line breaks around tags are markup; verbatim: keep every byte")
      ->check(CLI::IsMember({"clean", "verbatim"}))
      ->capture_default_str();
  app.add_option("--reasoning-parser", defaults.reasoning_parser,
                 "Of rows without \"mode\": qwen3 or deepseek_r1")
      ->check(CLI::IsMember(tokenizer::ReasoningParserNames()));
  app.add_option("--tool-call-parser", defaults.tool_parser, "Of rows without \"mode\": hermes")
      ->check(CLI::IsMember(tokenizer::ToolParserNames()));
  if (auto exit_code = flags.Parse(argc, argv)) return *exit_code;
  defaults.whitespace =
      whitespace == "verbatim" ? tokenizer::Whitespace::kVerbatim : tokenizer::Whitespace::kClean;
  const auto loaded = Tokenizer::FromModelDir(model_dir);
  if (!loaded.ok()) return FailCommand(kProgram, loaded.status());
  return AnswerStdin(kProgram,
                     [&](const JsonRow& row) { return ParseRow(**loaded, defaults, row); });
}

}  // namespace vallm::tools
