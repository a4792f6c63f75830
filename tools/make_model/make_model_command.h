// `vallm make-model`: a checkpoint with random weights in the layout of a public release, to test
// and measure real shapes without real weights.
#ifndef VALLM_TOOLS_MAKE_MODEL_MAKE_MODEL_COMMAND_H_
#define VALLM_TOOLS_MAKE_MODEL_MAKE_MODEL_COMMAND_H_

namespace vallm::tools {

// As Command::run.
int RunMakeModel(int argc, char** argv);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_MAKE_MODEL_MAKE_MODEL_COMMAND_H_
