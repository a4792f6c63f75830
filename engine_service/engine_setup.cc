#include "engine_service/engine_setup.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <limits>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "common/usable_cores.h"
#include "engine_service/device/create_device.h"
#include "engine_service/device/vacc/visible_dies.h"
#include "engine_service/fingerprint.h"
#include "engine_service/limits.h"
#include "engine_service/model/checkpoint.h"
#include "engine_service/model/config.h"
#include "engine_service/model/kv_cache.h"
#include "engine_service/model/sharding.h"
#include "engine_service/model/summary.h"
#include "engine_service/worker/mock_runner.h"
#include "engine_service/worker_placement.h"

namespace vallm::engine {
namespace {

// Changes when a change of ours changes what models compute on every device.
constexpr char kNumericsVersion[] = "3";

// Rows of logits of a step beyond one per sequence, for the log-probabilities of prompts. Costs
// each worker its share of a row of floats over the vocabulary.
constexpr int32_t kPromptLogitRows = 32;

// Beyond, waking more takes longer than what they save.
constexpr int32_t kMostSamplingThreads = 8;
// More than any host has cores; far below what the kernel lets a process start.
constexpr int32_t kMaxThreadsPerWorker = 1024;

absl::Status CheckAtLeast(const char* flag, int64_t value, int64_t least) {
  if (value >= least) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(flag, " is ", value, "; it must be at least ", least));
}

bool IsMock(const EngineOptions& options) { return options.device == kMockDevice; }

absl::Status CheckOptions(const EngineOptions& options) {
  VALLM_RETURN_IF_ERROR(KvTypeByName(options.kv_cache_dtype).status());
  VALLM_RETURN_IF_ERROR(CheckAtLeast("--max-batch-size-for-instance", options.max_batch_size, 1));
  VALLM_RETURN_IF_ERROR(CheckAtLeast("--max-num-batched-tokens", options.max_num_batched_tokens,
                                     options.max_batch_size));
  VALLM_RETURN_IF_ERROR(CheckAtLeast("--max-queue-size", options.max_queue_size, 0));
  VALLM_RETURN_IF_ERROR(CheckAtLeast("--long-prefill-token-threshold",
                                     options.long_prefill_token_threshold.value_or(1), 1));
  if (options.priority_ageing <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError("--priority-ageing must not be negative");
  }
  VALLM_RETURN_IF_ERROR(CheckAtLeast("--num-kv-blocks", options.num_kv_blocks.value_or(1), 1));
  VALLM_RETURN_IF_ERROR(
      CheckAtLeast("--threads-per-worker", options.threads_per_worker.value_or(1), 1));
  if (options.threads_per_worker.value_or(1) > kMaxThreadsPerWorker) {
    return absl::InvalidArgumentError(absl::StrCat("--threads-per-worker is ",
                                                   *options.threads_per_worker,
                                                   "; it must be at most ", kMaxThreadsPerWorker));
  }
  if (options.step_timeout <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError("--step-timeout must be above 0");
  }
  return absl::OkStatus();
}

// Bytes that new allocations can have without swapping; nothing when the kernel does not say.
std::optional<int64_t> AvailableMemory() {
  std::ifstream file("/proc/meminfo");
  for (std::string line; std::getline(file, line);) {
    long long kib = 0;
    if (std::sscanf(line.c_str(), "MemAvailable: %lld kB", &kib) == 1) return kib * 1024;
  }
  return std::nullopt;
}

absl::StatusOr<DevicePlan> Plan(const EngineOptions& options) {
  if (!IsMock(options)) {
    return PlanDevice(options.device, options.tensor_parallel_size, options.cpu_isa);
  }
  if (options.cpu_isa == kBestIsa) return DevicePlan{};
  return absl::InvalidArgumentError("--cpu-isa is for --device cpu, not for mock");
}

// KV memory of one block over all ranks together.
absl::StatusOr<int64_t> BlockBytesOfGroup(const ModelConfig& config, const EngineOptions& options,
                                          const DevicePlan& plan) {
  if (IsMock(options)) {
    return int64_t{kKvBlockSize} * MockRunner::kBytesPerPosition * options.tensor_parallel_size;
  }
  VALLM_ASSIGN_OR_RETURN(const KvType kv_type, KvTypeByName(options.kv_cache_dtype));
  VALLM_ASSIGN_OR_RETURN(
      const int64_t bytes,
      KvCache::BytesPerBlock(*plan.kind, config, {.rank = 0, .size = options.tensor_parallel_size},
                             kv_type));
  return bytes * options.tensor_parallel_size;
}

// Everything but the weights that decides which bits a request's logits have.
absl::StatusOr<std::string> Numerics(const EngineOptions& options, const DevicePlan& plan,
                                     const std::string& rope_scaling_json) {
  VALLM_ASSIGN_OR_RETURN(const KvType kv_type, KvTypeByName(options.kv_cache_dtype));
  // Beyond the fixed number of reduction groups every number of ranks has a tree of its own.
  const int32_t tree = std::max(options.tensor_parallel_size, kReductionGroups);
  return absl::StrCat(kNumericsVersion, "\n",
                      plan.kind == nullptr ? options.device : plan.kind->Numerics(), "\n",
                      rope_scaling_json, "\n", ToAbsl(KvTypeName(kv_type)), "\n", tree);
}

int64_t BlocksFor(int64_t positions) { return (positions + kKvBlockSize - 1) / kKvBlockSize; }

// What the checkpoint holds, the scaling that the workers will be told applied.
absl::StatusOr<std::vector<std::string>> Describe(ModelConfig config, const Checkpoint& checkpoint,
                                                  const EngineOptions& options,
                                                  const std::string& rope_scaling_json) {
  if (!rope_scaling_json.empty()) {
    VALLM_RETURN_IF_ERROR(OverrideRopeScaling(rope_scaling_json, config));
  }
  return DescribeModel(config, checkpoint, options.tensor_parallel_size);
}

absl::StatusOr<int32_t> NumKvBlocks(const ModelConfig& config, const EngineOptions& options,
                                    const DevicePlan& plan, int32_t max_model_len,
                                    int64_t weight_bytes) {
  if (options.num_kv_blocks.has_value()) return *options.num_kv_blocks;
  VALLM_ASSIGN_OR_RETURN(const int64_t block_bytes, BlockBytesOfGroup(config, options, plan));
  int64_t blocks = std::numeric_limits<int32_t>::max();
  if (options.kv_cache_bytes.has_value()) {
    blocks = std::min(blocks, *options.kv_cache_bytes / block_bytes);
  } else {
    blocks = std::min(blocks, BlocksFor(max_model_len) * options.max_batch_size);
    const bool on_dies = !plan.dies.empty();
    if (const auto available = on_dies ? plan.free_bytes : AvailableMemory()) {
      const int64_t share = std::max<int64_t>(*available - weight_bytes, 0) / 2;
      blocks = std::min(blocks, share / block_bytes);
    }
  }
  if (blocks < 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "there is no memory for a KV cache: one block of ", kKvBlockSize, " positions takes ",
        block_bytes, " bytes; raise --kv-cache-memory or free memory"));
  }
  return static_cast<int32_t>(blocks);
}

absl::StatusOr<SamplingParams> DefaultSampling(const SamplingDefaults& defaults,
                                               int32_t vocab_size) {
  SamplingOverrides overrides;
  if (defaults.temperature) overrides.temperature = static_cast<float>(*defaults.temperature);
  if (defaults.top_p) overrides.top_p = static_cast<float>(*defaults.top_p);
  if (defaults.top_k) overrides.top_k = std::max(*defaults.top_k, 0);  // -1 is off as well
  if (defaults.min_p) overrides.min_p = static_cast<float>(*defaults.min_p);
  if (defaults.repetition_penalty) {
    overrides.repetition_penalty = static_cast<float>(*defaults.repetition_penalty);
  }
  auto params = ResolveSampling(overrides, {}, vocab_size);
  if (!params.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("generation_config.json: ", params.status().message()));
  }
  return params;
}

// What every rank is told; WorkerGroup adds the rank.
std::vector<std::string> WorkerArgs(const EngineOptions& options, const EngineSetup& setup,
                                    const DevicePlan& plan, const std::string& rope_scaling_json,
                                    const WorkerPlacement& placement) {
  std::vector<std::string> args = {
      absl::StrCat("--model=", options.model_dir),
      absl::StrCat("--device=", options.device),
      absl::StrCat("--cpu-isa=", options.cpu_isa),
      absl::StrCat("--mock-step-time=", absl::ToDoubleSeconds(options.mock_step_time)),
      absl::StrCat("--mock-token-time=", absl::ToDoubleSeconds(options.mock_token_time)),
      absl::StrCat("--threads=", placement.threads),
      absl::StrCat("--num-kv-blocks=", setup.scheduler.num_kv_blocks),
      absl::StrCat("--kv-cache-dtype=", options.kv_cache_dtype),
  };
  if (!plan.dies.empty()) args.push_back(absl::StrCat("--dies=", FormatDies(plan.dies)));
  if (!rope_scaling_json.empty()) {
    args.push_back(absl::StrCat("--rope-scaling=", rope_scaling_json));
  }
  if (!options.log_dir.empty()) args.push_back(absl::StrCat("--log-dir=", options.log_dir));
  return args;
}

absl::Status PrepareGroup(const EngineOptions& options, const DevicePlan& plan,
                          const std::string& rope_scaling_json, EngineSetup& setup) {
  WorkerGroupOptions& group = setup.group;
  const SchedulerOptions& scheduler = setup.scheduler;
  group.worker_binary = options.worker_binary;
  if (group.worker_binary.empty()) {
    VALLM_ASSIGN_OR_RETURN(group.worker_binary, FindSiblingBinary("vallm-worker"));
  }
  VALLM_ASSIGN_OR_RETURN(const WorkerPlacement placement,
                         PlaceWorkers(options, ReadCpuTopology(), UsableCores()));
  group.step_timeout = options.step_timeout;
  group.spin_limits = placement.spin_limits;
  const int32_t blocks_per_request = (scheduler.max_model_len + kKvBlockSize - 1) / kKvBlockSize;
  group.shape = {.ranks = options.tensor_parallel_size,
                 .max_tokens = scheduler.max_num_batched_tokens,
                 .max_chunks = scheduler.max_batch_size,
                 .max_block_ids = blocks_per_request * scheduler.max_batch_size,
                 .max_logit_rows = *scheduler.max_logit_rows,
                 .vocab_size = setup.info.vocab_size};
  for (int32_t rank = 0; rank < options.tensor_parallel_size; ++rank) {
    group.worker_args.push_back(WorkerArgs(options, setup, plan, rope_scaling_json, placement));
    std::vector<std::string>& args = group.worker_args.back();
    args.push_back(absl::StrCat("--log-name=", options.name, "-worker-", rank));
    if (!placement.cpus.empty()) {
      const std::vector<int32_t>& cpus = placement.cpus[static_cast<size_t>(rank)];
      args.push_back(absl::StrCat("--cpus=", FormatCpuList(cpus)));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<EngineSetup> PrepareEngine(const EngineOptions& options) {
  VALLM_RETURN_IF_ERROR(CheckOptions(options));
  VALLM_ASSIGN_OR_RETURN(const DevicePlan plan, Plan(options));
  VALLM_ASSIGN_OR_RETURN(const ModelConfig config, LoadModelConfig(options.model_dir));
  VALLM_RETURN_IF_ERROR(
      MakeShard(config, {.rank = 0, .size = options.tensor_parallel_size}).status());
  VALLM_ASSIGN_OR_RETURN(const ModelLimits limits, ResolveLimits(config, options));
  EngineSetup setup;
  int64_t weight_bytes = 0;
  if (!IsMock(options)) {
    const absl::Time start = absl::Now();
    VALLM_ASSIGN_OR_RETURN(const auto checkpoint, Checkpoint::Open(options.model_dir));
    weight_bytes = checkpoint->total_bytes();
    VALLM_ASSIGN_OR_RETURN(setup.description,
                           Describe(config, *checkpoint, options, limits.rope_scaling_json));
    setup.description.push_back(
        absl::StrCat("  opened in ", absl::FormatDuration(absl::Now() - start)));
    if (!plan.cpu_isa.empty()) {
      setup.description.push_back(absl::StrCat("  kernels: ", plan.cpu_isa));
    }
  }
  setup.sampling_threads = std::min({UsableCores(), options.max_batch_size, kMostSamplingThreads});
  setup.scheduler = {.max_batch_size = options.max_batch_size,
                     .max_num_batched_tokens = options.max_num_batched_tokens,
                     .max_queue_size = options.max_queue_size,
                     .max_model_len = limits.max_model_len,
                     .max_input_len = limits.max_input_len,
                     .num_kv_blocks = 0,
                     .block_size = kKvBlockSize,
                     .max_logit_rows = options.max_batch_size + kPromptLogitRows,
                     .long_prefill_token_threshold = options.long_prefill_token_threshold,
                     .enable_prefix_caching = options.enable_prefix_caching,
                     .priority_ageing = options.priority_ageing};
  VALLM_ASSIGN_OR_RETURN(setup.scheduler.num_kv_blocks,
                         NumKvBlocks(config, options, plan, limits.max_model_len, weight_bytes));
  const int64_t kv_tokens = int64_t{setup.scheduler.num_kv_blocks} * kKvBlockSize;
  if (kv_tokens < limits.max_model_len) {
    setup.warnings.push_back(absl::StrCat("the KV pool holds ", kv_tokens,
                                          " tokens, less than one request of the model length ",
                                          limits.max_model_len, ": longer ones are refused"));
  } else if (const int64_t contexts =
                 setup.scheduler.num_kv_blocks / BlocksFor(limits.max_model_len);
             contexts < options.max_batch_size) {
    setup.warnings.push_back(absl::StrCat(
        "the KV pool holds ", kv_tokens, " tokens = ", contexts, " full contexts for ",
        options.max_batch_size,
        " slots: long requests may have to give way to each other and compute again; lower "
        "--max-model-len or raise --kv-cache-memory"));
  }
  if (!IsMock(options)) {
    VALLM_ASSIGN_OR_RETURN(const int64_t block_bytes, BlockBytesOfGroup(config, options, plan));
    setup.description.push_back(
        absl::StrFormat("  KV pool: %d tokens in %d blocks, %.1f MiB over %d ranks", kv_tokens,
                        setup.scheduler.num_kv_blocks,
                        static_cast<double>(block_bytes) * setup.scheduler.num_kv_blocks / 1048576,
                        options.tensor_parallel_size));
  }
  VALLM_ASSIGN_OR_RETURN(const SamplingParams default_sampling,
                         DefaultSampling(config.sampling, config.vocab_size));
  VALLM_ASSIGN_OR_RETURN(const std::string numerics,
                         Numerics(options, plan, limits.rope_scaling_json));
  VALLM_ASSIGN_OR_RETURN(const std::string fingerprint,
                         ModelFingerprint(options.model_dir, numerics));
  setup.info = {.model_path = options.model_dir,
                .architecture = config.architecture,
                .vocab_size = config.vocab_size,
                .max_model_len = limits.max_model_len,
                .max_input_len = limits.max_input_len,
                .max_batch_size = options.max_batch_size,
                .max_queue_size = options.max_queue_size,
                .eos_ids = config.eos_token_ids,
                .default_sampling = default_sampling,
                .tensor_parallel_size = options.tensor_parallel_size,
                .device = options.device,
                .kv_cache_tokens = kv_tokens,
                .fingerprint = fingerprint};
  VALLM_RETURN_IF_ERROR(PrepareGroup(options, plan, limits.rope_scaling_json, setup));
  return setup;
}

}  // namespace vallm::engine
