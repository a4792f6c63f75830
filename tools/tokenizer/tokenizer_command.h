// `vallm tokenizer encode|decode|render|parse`: the tokenizer service's logic on JSON Lines,
// without a server. Rows of tests/data/conformance can be piped in as they are.
#ifndef VALLM_TOOLS_TOKENIZER_TOKENIZER_COMMAND_H_
#define VALLM_TOOLS_TOKENIZER_TOKENIZER_COMMAND_H_

namespace vallm::tools {

// Runs the subcommand argv[1]. Returns the exit code (tools/command.h); rows that fail are answered
// by an error row and do not change it.
int RunTokenizer(int argc, char** argv);

// The subcommands; argv[0] is the subcommand's name.
int RunTokenizerEncode(int argc, char** argv);
int RunTokenizerDecode(int argc, char** argv);
int RunTokenizerRender(int argc, char** argv);
int RunTokenizerParse(int argc, char** argv);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_TOKENIZER_TOKENIZER_COMMAND_H_
