// The `vallm` command line: wires the commands, nothing else.
#include "tools/bench/bench_command.h"
#include "tools/chat/chat_command.h"
#include "tools/command.h"
#include "tools/deploy/deploy_command.h"
#include "tools/deploy/operation_commands.h"
#include "tools/deploy/supervise_command.h"
#include "tools/devices/conformance_command.h"
#include "tools/devices/devices_command.h"
#include "tools/doctor/doctor_command.h"
#include "tools/eval/eval_command.h"
#include "tools/generate/generate_command.h"
#include "tools/hash_key/hash_key_command.h"
#include "tools/make_model/make_model_command.h"
#include "tools/report/report_command.h"
#include "tools/serve/serve_command.h"
#include "tools/tokenizer/tokenizer_command.h"

int main(int argc, char** argv) {
  static constexpr vallm::tools::Command kCommands[] = {
      {"serve", "serve a model over the OpenAI API on this machine", vallm::tools::RunServe},
      {"deploy", "put a model into service in the background, or change what is",
       vallm::tools::RunDeploy},
      {"status", "show deployments", vallm::tools::RunStatus},
      {"logs", "show the logs of a deployment", vallm::tools::RunLogs},
      {"restart", "restart a deployment, on wish without a gap", vallm::tools::RunRestart},
      {"stop", "stop a deployment", vallm::tools::RunStop},
      {"doctor", "check a model, this machine, a live server", vallm::tools::RunDoctor},
      {"supervise", "run a deployment in the foreground, for an init system",
       vallm::tools::RunSupervise},
      {"generate", "generate offline, on JSON Lines", vallm::tools::RunGenerate},
      {"eval", "measure the accuracy of a served model, compare runs", vallm::eval::RunEval},
      {"tokenizer", "encode, decode, render templates and parse output on JSON Lines",
       vallm::tools::RunTokenizer},
      {"make-model", "write a checkpoint with random weights in the layout of a public release",
       vallm::tools::RunMakeModel},
      {"hash-key", "make the entry of an API key for --api-key-file", vallm::tools::RunHashKey},
      {"bench", "measure a running server", vallm::tools::RunBenchCommand},
      {"report", "show results of bench and eval as a page", vallm::tools::RunReport},
      {"chat", "talk to a running server in the terminal", vallm::tools::RunChat},
      {"devices", "list processors and VACC dies", vallm::tools::RunDevices},
      {"device-conformance", "check a VACC plug-in", vallm::tools::RunDeviceConformance},
  };
  return vallm::tools::Dispatch("vallm", "vallm serves Qwen3 models on VACC accelerators and CPUs.",
                                kCommands, argc, argv);
}
