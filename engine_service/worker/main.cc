// vallm-worker: one rank of a tensor-parallel group. Started by the engine and never by hand: it
// takes its steps from the shared memory that the engine passes as a descriptor, and dies with it.
#include <glog/logging.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/logging.h"
#include "common/status_macros.h"
#include "engine_service/device/create_device.h"
#include "engine_service/executor/cpu_topology.h"
#include "engine_service/executor/group_memory.h"
#include "engine_service/executor/shm_collective.h"
#include "engine_service/executor/step_ring.h"
#include "engine_service/executor/worker_process.h"
#include "engine_service/worker/mock_runner.h"
#include "engine_service/worker/model_runner.h"

namespace vallm::engine {
namespace {

struct WorkerFlags {
  int group_fd = -1;
  int rank = -1;
  int parent_pid = 0;
  ModelRunnerOptions runner;
  std::string cpus;  // empty: any
  double mock_step_time_s = 0;
  double mock_token_time_s = 0;
  std::string log_dir;
  std::string log_name = "vallm-worker";
};

// Plain CLI11: the environment and the configuration file speak to the engine, which says here
// what it made of them.
void AddFlags(CLI::App& app, WorkerFlags& flags) {
  app.add_option("--group-fd", flags.group_fd, "Descriptor of the group's memory")->required();
  app.add_option("--rank", flags.rank, "Rank of this worker")->required();
  app.add_option("--parent-pid", flags.parent_pid, "Process id of the engine")->required();
  app.add_option("--model", flags.runner.model_dir, "Model directory")->required();
  app.add_option("--rope-scaling", flags.runner.rope_scaling_json, "Overrides config.json's");
  app.add_option("--device", flags.runner.device, "cpu, vacc or mock");
  app.add_option("--cpu-isa", flags.runner.cpu_isa, "Instruction set of a CPU device");
  app.add_option("--dies", flags.runner.dies, "Dies of all ranks, of device vacc")->delimiter(',');
  app.add_option("--mock-step-time", flags.mock_step_time_s, "Seconds of a step");
  app.add_option("--mock-token-time", flags.mock_token_time_s, "Seconds of each of its tokens");
  app.add_option("--threads", flags.runner.threads, "Threads of a CPU device");
  app.add_option("--cpus", flags.cpus, "CPUs to run on, as 0-3,8; empty: any");
  app.add_option("--num-kv-blocks", flags.runner.num_kv_blocks, "Blocks of the KV cache")
      ->required();
  app.add_option("--kv-cache-dtype", flags.runner.kv_cache_dtype, "auto, float32, bfloat16 or fp8");
  app.add_option("--log-dir", flags.log_dir, "Directory of the log; empty: stderr");
  app.add_option("--log-name", flags.log_name, "Name of the log file, without .log");
}

void SetPhase(RankArea& area, WorkerPhase phase) { area.phase.Set(static_cast<uint32_t>(phase)); }

// Keeps this process, whose threads all come later, on its CPUs, and its memory near them. A kernel
// that will not hear of it costs speed only.
void BindToCpus(const std::string& list) {
  if (list.empty()) return;
  absl::Status status;
  if (const auto cpus = ParseCpuList(list); cpus.ok()) {
    status = RunOnCpus(*cpus);
    const CpuTopology machine = ReadCpuTopology("/", *cpus);
    const bool one_node = machine.nodes.size() == 1 && NumaNodes() > 1;
    if (status.ok() && one_node) status = PreferMemoryOf(machine.nodes.front().id);
  } else {
    status = cpus.status();
  }
  if (!status.ok()) LOG(WARNING) << "not bound to CPUs " << list << ": " << status;
}

absl::StatusOr<std::unique_ptr<StepRunner>> LoadRunner(const WorkerFlags& flags, RankArea& area) {
  const ModelRunnerOptions& options = flags.runner;
  if (options.device == kMockDevice) {
    VALLM_ASSIGN_OR_RETURN(const ModelConfig config, LoadModelConfig(options.model_dir));
    return std::make_unique<MockRunner>(
        MockRunnerOptions{.vocab_size = config.vocab_size,
                          .num_kv_blocks = options.num_kv_blocks,
                          .shard = options.shard,
                          .step_time = absl::Seconds(flags.mock_step_time_s),
                          .token_time = absl::Seconds(flags.mock_token_time_s)});
  }
  VALLM_ASSIGN_OR_RETURN(std::unique_ptr<ModelRunner> runner,
                         ModelRunner::Load(options, [&area](int64_t done, int64_t total) {
                           area.load_done_bytes.store(done, std::memory_order_relaxed);
                           area.load_total_bytes.store(total, std::memory_order_relaxed);
                         }));
  const LoadTimes& times = runner->load_times();
  area.open_us.store(absl::ToInt64Microseconds(times.open), std::memory_order_relaxed);
  area.weights_us.store(absl::ToInt64Microseconds(times.weights), std::memory_order_relaxed);
  area.kv_cache_us.store(absl::ToInt64Microseconds(times.kv_cache), std::memory_order_relaxed);
  return runner;
}

// Loads, then runs steps until the group is stopped. OK when it was.
absl::Status Work(const WorkerFlags& flags, GroupMemory& memory) {
  const ModelRunnerOptions& options = flags.runner;
  RankArea& area = memory.rank(options.shard.rank);
  SetPhase(area, WorkerPhase::kLoading);
  VALLM_ASSIGN_OR_RETURN(const std::unique_ptr<StepRunner> runner, LoadRunner(flags, area));
  if (runner->vocab_size() != memory.shape().vocab_size) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the model has ", runner->vocab_size(), " rows of vocabulary, the engine expected ",
        memory.shape().vocab_size, ": did the directory change?"));
  }
  LOG(INFO) << "rank " << options.shard.rank << " of " << options.shard.size << " is ready";
  SetPhase(area, WorkerPhase::kReady);

  ShmCollective collective(memory, options.shard.rank);
  StepReader reader(memory, options.shard.rank);
  while (true) {
    const absl::StatusOr<Step> step = reader.Next();
    if (!step.ok()) return absl::OkStatus();
    const absl::Status status = runner->Run(*step, collective, reader.logits());
    // A peer that died ends the collective; the engine knows already.
    if (!status.ok() && memory.aborted().load() != 0) return absl::OkStatus();
    VALLM_RETURN_IF_ERROR(status);
    reader.Finish();
  }
}

int Run(WorkerFlags& flags) {
  const absl::Status bound = BindToParent(flags.parent_pid);
  if (!bound.ok()) return 1;
  if (const absl::Status status = InitLogging(flags.log_name, flags.log_dir); !status.ok()) {
    LOG(WARNING) << status;
  }
  IgnoreTerminationSignals();
  BindToCpus(flags.cpus);
  auto memory = GroupMemory::Attach(flags.group_fd);
  if (!memory.ok()) {
    LOG(ERROR) << memory.status();
    return 1;
  }
  const GroupShape& shape = (*memory)->shape();
  if (flags.rank < 0 || flags.rank >= shape.ranks) {
    LOG(ERROR) << "--rank is " << flags.rank << "; the group has " << shape.ranks << " ranks";
    return 1;
  }
  flags.runner.shard = {.rank = flags.rank, .size = shape.ranks};
  flags.runner.limits = {.max_tokens = shape.max_tokens, .max_logit_rows = shape.max_logit_rows};
  const absl::Status status = Work(flags, **memory);
  if (status.ok()) {
    LOG(INFO) << "rank " << flags.rank << " leaves";
    return 0;
  }
  LOG(ERROR) << "rank " << flags.rank << ": " << status;
  RankArea& area = (*memory)->rank(flags.rank);
  area.SetError(status);
  SetPhase(area, WorkerPhase::kFailed);
  return 1;
}

}  // namespace
}  // namespace vallm::engine

int main(int argc, char** argv) {
  vallm::engine::WorkerFlags flags;
  CLI::App app("One rank of an engine's model. Started by vallm-engine, not by hand.",
               "vallm-worker");
  vallm::engine::AddFlags(app, flags);
  CLI11_PARSE(app, argc, argv);
  return vallm::engine::Run(flags);
}
