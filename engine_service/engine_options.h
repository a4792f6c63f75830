// What an engine is started with. Flags fill it; nothing else reads flags.
#ifndef VALLM_ENGINE_SERVICE_ENGINE_OPTIONS_H_
#define VALLM_ENGINE_SERVICE_ENGINE_OPTIONS_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/time/time.h"

namespace vallm::engine {

struct EngineOptions {
  std::string model_dir;
  std::string device = "cpu";        // "cpu", "vacc" or "mock"
  std::string cpu_isa = "auto";      // of device cpu: the best, or the name of an Isa
  int32_t tensor_parallel_size = 1;  // 1, 2, 4, 8 or 16

  // Limits of one request; absent: limits.h.
  std::optional<int32_t> max_model_len;
  std::optional<int32_t> max_input_len;
  bool allow_long_max_model_len = false;  // more positions than the model has, without scaling
  // Limits of the instance.
  int32_t max_batch_size = 4;            // >= 1
  int32_t max_num_batched_tokens = 512;  // per step; >= max_batch_size
  int32_t max_queue_size = 64;           // >= 0
  // SchedulerOptions says more about these three.
  std::optional<int32_t> long_prefill_token_threshold;  // >= 1
  bool enable_prefix_caching = true;
  absl::Duration priority_ageing = absl::Minutes(1);  // > 0; infinite: priorities are strict

  // Size of the KV pool; absent: enough for max_batch_size requests of max_model_len, at most half
  // of the memory that the weights leave. num_kv_blocks wins over kv_cache_bytes, which is for all
  // ranks together.
  std::optional<int32_t> num_kv_blocks;
  std::optional<int64_t> kv_cache_bytes;
  std::string kv_cache_dtype = "auto";  // or "float32", what auto means, "bfloat16", "fp8"

  // Rotary scaling: at most one of the two.
  bool enable_qwen3_rope_scaling = false;  // YaRN from 32768 positions
  std::string rope_scaling_json;           // replaces config.json's; empty: keep it

  // Of device mock: what a step takes, and each of its tokens on top; >= 0.
  absl::Duration mock_step_time = absl::ZeroDuration();
  absl::Duration mock_token_time = absl::ZeroDuration();

  std::optional<int32_t> threads_per_worker;  // absent: UsableCores() / tensor_parallel_size
  std::string worker_cpus = "auto";           // or "nobind", or CPUs per rank (worker_placement.h)
  absl::Duration step_timeout = absl::Seconds(60);
  std::string worker_binary;          // empty: vallm-worker beside the running executable
  std::string log_dir;                // of the workers' logs; empty: stderr
  std::string name = "vallm-engine";  // of the instance; worker logs are <name>-worker-<rank>.log
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_ENGINE_OPTIONS_H_
