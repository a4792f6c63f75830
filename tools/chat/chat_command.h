// `vallm chat`: a conversation in the terminal with a running server, or one question for scripts.
#ifndef VALLM_TOOLS_CHAT_CHAT_COMMAND_H_
#define VALLM_TOOLS_CHAT_CHAT_COMMAND_H_

namespace vallm::tools {

// Returns the exit code (tools/command.h). Thoughts are shown, dimmed, on a terminal only.
int RunChat(int argc, char** argv);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_CHAT_CHAT_COMMAND_H_
