// `vallm eval`: runs an evaluation, compares runs, judges outputs that exist already.
#ifndef VALLM_TOOLS_EVAL_EVAL_COMMAND_H_
#define VALLM_TOOLS_EVAL_EVAL_COMMAND_H_

namespace vallm::eval {

// See tools/command.h.
int RunEval(int argc, char** argv);
// argv[0] is "compare" and "score".
int RunCompare(int argc, char** argv);
int RunScore(int argc, char** argv);

}  // namespace vallm::eval

#endif  // VALLM_TOOLS_EVAL_EVAL_COMMAND_H_
