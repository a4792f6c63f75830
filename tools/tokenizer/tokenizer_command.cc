#include "tools/tokenizer/tokenizer_command.h"

#include "tools/command.h"

namespace vallm::tools {

int RunTokenizer(int argc, char** argv) {
  static constexpr Command kCommands[] = {
      {"encode", "text to token ids", RunTokenizerEncode},
      {"decode", "token ids to text, whole and as a stream", RunTokenizerDecode},
      {"render", "conversations to prompts, by a chat template", RunTokenizerRender},
      {"parse", "model output to reasoning, content and tool calls", RunTokenizerParse},
  };
  return Dispatch(
      "vallm tokenizer",
      "Tokenizer, chat templates and output parsers on JSON Lines: a row on stdin, a row "
      "on stdout.",
      kCommands, argc, argv);
}

}  // namespace vallm::tools
