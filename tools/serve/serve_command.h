// `vallm serve MODEL_DIR`: tokenizer, engines and gateway as supervised children of one process.
#ifndef VALLM_TOOLS_SERVE_SERVE_COMMAND_H_
#define VALLM_TOOLS_SERVE_SERVE_COMMAND_H_

namespace vallm::tools {

// Serves until SIGINT or SIGTERM. Returns the exit code (tools/command.h); when it returns, no
// child is left. Call from the main thread: a child dies with the thread that started it.
int RunServe(int argc, char** argv);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_SERVE_SERVE_COMMAND_H_
