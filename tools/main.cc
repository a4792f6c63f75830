// The `vallm` command line: wires the commands, nothing else.
#include "common/signals.h"
#include "tools/command.h"
#include "tools/serve/serve_command.h"

int main(int argc, char** argv) {
  static constexpr vallm::tools::Command kCommands[] = {
      {"serve", "serve a model over the OpenAI API on this machine", vallm::tools::RunServe},
  };
  return vallm::tools::Dispatch("vallm", "vallm serves Qwen3 models on VACC accelerators and CPUs.",
                                kCommands, argc, argv);
}
