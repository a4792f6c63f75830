#include "engine_service/worker/model_runner.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/status_macros.h"
#include "engine_service/device/create_device.h"
#include "engine_service/model/checkpoint.h"

namespace vallm::engine {

absl::StatusOr<std::unique_ptr<ModelRunner>> ModelRunner::Load(const ModelRunnerOptions& options,
                                                               const LoadProgress& progress) {
  const absl::Time start = absl::Now();
  VALLM_ASSIGN_OR_RETURN(ModelConfig config, LoadModelConfig(options.model_dir));
  if (!options.rope_scaling_json.empty()) {
    VALLM_RETURN_IF_ERROR(OverrideRopeScaling(options.rope_scaling_json, config));
  }
  VALLM_ASSIGN_OR_RETURN(auto checkpoint, Checkpoint::Open(options.model_dir));
  VALLM_ASSIGN_OR_RETURN(const KvType kv_type, KvTypeByName(options.kv_cache_dtype));
  auto runner = std::unique_ptr<ModelRunner>(new ModelRunner);
  VALLM_ASSIGN_OR_RETURN(runner->device_, CreateDevice({.name = options.device,
                                                        .cpu_isa = options.cpu_isa,
                                                        .threads = options.threads,
                                                        .dies = options.dies,
                                                        .rank = options.shard.rank}));
  const absl::Time opened = absl::Now();
  VALLM_ASSIGN_OR_RETURN(runner->model_,
                         Qwen3Model::Load(config, *checkpoint, options.shard, options.limits,
                                          *runner->device_, progress));
  const absl::Time packed = absl::Now();
  VALLM_ASSIGN_OR_RETURN(runner->cache_,
                         KvCache::Create(*runner->device_, config, options.shard,
                                         options.num_kv_blocks, kKvBlockSize, kv_type));
  if (options.shard.size > 1) {
    const int64_t columns = runner->model_->vocab_end() - runner->model_->vocab_begin();
    runner->slice_.resize(static_cast<size_t>(options.limits.max_logit_rows * columns));
  }
  runner->load_times_ = {
      .open = opened - start, .weights = packed - opened, .kv_cache = absl::Now() - packed};
  return runner;
}

absl::Status ModelRunner::Run(const Step& step, Collective& collective, std::span<float> logits) {
  const auto rows = static_cast<size_t>(LogitRows(step));
  const auto vocab = static_cast<size_t>(vocab_size());
  if (slice_.empty()) return model_->Forward(step, *cache_, collective, logits.first(rows * vocab));

  const auto begin = static_cast<size_t>(model_->vocab_begin());
  const size_t columns = static_cast<size_t>(model_->vocab_end()) - begin;
  const std::span<float> own = std::span(slice_).first(rows * columns);
  VALLM_RETURN_IF_ERROR(model_->Forward(step, *cache_, collective, own));
  for (size_t row = 0; row < rows; ++row) {
    std::copy_n(own.begin() + static_cast<ptrdiff_t>(row * columns), columns,
                logits.begin() + static_cast<ptrdiff_t>(row * vocab + begin));
  }
  return absl::OkStatus();
}

}  // namespace vallm::engine
