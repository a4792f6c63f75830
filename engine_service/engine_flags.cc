#include "engine_service/engine_flags.h"

#include "absl/time/time.h"
#include "common/flags.h"

namespace vallm::engine {

void AddEngineFlags(CLI::App& app, EngineOptions& options) {
  app.add_option("--device", options.device,
                 "cpu, vacc, or mock: no weights, tokens that are a hash of all before them, for "
                 "tests and measurements")
      ->capture_default_str();
  app.add_option("--cpu-isa", options.cpu_isa,
                 "Instruction set of device cpu: auto (the best there is), amx, avx512, avx2 or "
                 "portable. amx adds in an order of its own, the others in one")
      ->capture_default_str();
  app.add_option("--tensor-parallel-size,--tp", options.tensor_parallel_size,
                 "Worker processes that share the model: 1, 2, 4, 8 or 16")
      ->capture_default_str();
  app.add_option("--max-model-len", options.max_model_len,
                 "Most positions of a request, prompt and output (default: by model and TP size)");
  app.add_option("--max-input-len", options.max_input_len,
                 "Most prompt tokens of a request (default: by --max-model-len)");
  app.add_flag("--allow-long-max-model-len", options.allow_long_max_model_len,
               "Let --max-model-len exceed the model's positions without scaling; what comes "
               "behind them may be noise");
  app.add_option("--max-batch-size-for-instance", options.max_batch_size,
                 "Most requests that run together")
      ->capture_default_str();
  app.add_option("--max-num-batched-tokens", options.max_num_batched_tokens,
                 "Most tokens of one step; long prompts are cut to fit")
      ->capture_default_str();
  app.add_option("--max-queue-size", options.max_queue_size,
                 "Most requests that wait; further ones are refused")
      ->capture_default_str();
  app.add_option("--long-prefill-token-threshold", options.long_prefill_token_threshold,
                 "Tokens of a step that every prompt gets before any gets more (default: such that "
                 "these shares take half of --max-num-batched-tokens at most)");
  app.add_flag("--enable-prefix-caching,!--no-enable-prefix-caching", options.enable_prefix_caching,
               "Keep what was computed for a prompt for others that begin alike (default: on)");
  app.add_option_function<double>(
         "--priority-ageing",
         [&options](const double& seconds) {
           options.priority_ageing =
               seconds == 0 ? absl::InfiniteDuration() : absl::Seconds(seconds);
         },
         "Seconds of waiting that are worth one class of priority; 0: priorities are strict")
      ->check(CLI::NonNegativeNumber)
      ->default_str("60");
  app.add_option("--num-kv-blocks", options.num_kv_blocks,
                 "Blocks of 16 positions in the KV cache (default: by --kv-cache-memory)");
  app.add_option("--kv-cache-memory", options.kv_cache_bytes,
                 "Memory of the KV cache, all workers together, e.g. 8GiB (default: enough for a "
                 "full batch of --max-model-len, at most half of what the weights leave)")
      ->transform(CLI::AsSizeValue(/*kb_is_1000=*/false));
  app.add_option("--kv-cache-dtype", options.kv_cache_dtype,
                 "auto, float32, bfloat16 or fp8 (fp8_e4m3); auto is float32, which follows the "
                 "reference to the last digits, at twice the memory of bfloat16, four times that "
                 "of fp8")
      ->capture_default_str();
  app.add_flag("--enable-qwen3-rope-scaling", options.enable_qwen3_rope_scaling,
               "YaRN from 32768 positions by the factor that --max-model-len needs");
  app.add_option("--rope-scaling", options.rope_scaling_json,
                 "JSON that replaces config.json's rope_scaling");
  app.add_option("--threads-per-worker", options.threads_per_worker,
                 "Threads of each CPU worker (default: usable cores / TP size)");
  app.add_option("--worker-cpus", options.worker_cpus,
                 "CPUs that workers are bound to, one for each thread, with '|' between ranks: "
                 "0-7|8-15. auto: all usable ones shared out by NUMA node, unless "
                 "--threads-per-worker leaves some over; nobind: whatever the kernel picks")
      ->capture_default_str();
  app.add_option_function<double>(
         "--step-timeout",
         [&options](const double& seconds) { options.step_timeout = absl::Seconds(seconds); },
         "Seconds after which a step that did not end counts as a hung worker")
      ->check(Timeout())
      ->default_str("60");
  const auto add_mock_time = [&app](const char* flag, absl::Duration& time, const char* help) {
    app.add_option_function<double>(
           flag, [&time](const double& seconds) { time = absl::Seconds(seconds); }, help)
        ->check(Timeout())
        ->default_str("0");
  };
  add_mock_time("--mock-step-time", options.mock_step_time, "Seconds that a step of mock takes");
  add_mock_time("--mock-token-time", options.mock_token_time,
                "Seconds that each token of a step takes on top");
  app.add_option("--worker-binary", options.worker_binary,
                 "The worker (default: vallm-worker beside this program)");
}

}  // namespace vallm::engine
