#include "tools/doctor/model_checks.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "engine_service/device/create_device.h"
#include "engine_service/engine_setup.h"
#include "engine_service/limits.h"
#include "engine_service/model/checkpoint.h"
#include "engine_service/model/config.h"
#include "engine_service/model/sharding.h"
#include "tools/doctor/conversation_checks.h"
#include "tools/doctor/limits_table.h"
#include "tools/doctor/size_text.h"
#include "tools/serve/instance_cpus.h"
#include "tools/serve/preflight.h"

namespace vallm::tools {
namespace {

using engine::ModelConfig;

std::string Quantisation(const ModelConfig& config) {
  if (config.fp8.has_value()) return "block FP8";
  if (config.integer.has_value()) {
    return absl::StrCat(config.integer->format == engine::IntegerFormat::kAwq ? "AWQ" : "GPTQ",
                        " of ", config.integer->bits, " bits");
  }
  return config.dtype.empty() ? "unquantised" : config.dtype;
}

// Tensors that every layer of these architectures has, whatever they are stored as.
std::vector<std::string> MissingTensors(const ModelConfig& config,
                                        const engine::Checkpoint& checkpoint) {
  std::vector<std::string> missing;
  const auto need = [&](const std::string& name) {
    for (const char* suffix : {".weight", ".qweight"}) {
      if (checkpoint.Contains(name + suffix)) return;
    }
    missing.push_back(name);
  };
  need("model.embed_tokens");
  need("model.norm");
  if (!config.tie_word_embeddings) need("lm_head");
  for (int32_t layer = 0; layer < config.num_layers; ++layer) {
    const std::string base = absl::StrCat("model.layers.", layer, ".");
    for (const char* part :
         {"input_layernorm", "post_attention_layernorm", "self_attn.q_proj", "self_attn.k_proj",
          "self_attn.v_proj", "self_attn.o_proj", "self_attn.q_norm", "self_attn.k_norm"}) {
      need(base + part);
    }
    std::vector<std::string> blocks = {base + "mlp."};
    if (config.moe.has_value() && config.IsSparseLayer(layer)) {
      need(base + "mlp.gate");
      blocks.clear();
      for (int32_t expert = 0; expert < config.moe->num_experts; ++expert) {
        blocks.push_back(absl::StrCat(base, "mlp.experts.", expert, "."));
      }
    }
    for (const std::string& block : blocks) {
      for (const char* part : {"gate_proj", "up_proj", "down_proj"}) need(block + part);
    }
  }
  return missing;
}

void CheckWeights(const ServeOptions& options, const ModelConfig& config, Findings& findings) {
  const std::string& dir = options.engine.model_dir;
  const auto checkpoint = engine::Checkpoint::Open(dir);
  if (!checkpoint.ok()) {
    findings.push_back(Failure("weights", checkpoint.status(),
                               "download the file again; a download that was cut short is the "
                               "usual cause"));
    return;
  }
  const std::vector<std::string> missing = MissingTensors(config, **checkpoint);
  if (!missing.empty()) {
    findings.push_back({.check = "weights",
                        .verdict = Verdict::kFail,
                        .detail = absl::StrCat(
                            missing.size(), " tensors are missing, the first is ", missing.front()),
                        .remedy = "download the model again: its files do not belong to its "
                                  "config.json, or some are not there"});
    return;
  }
  findings.push_back(
      {.check = "weights",
       .detail = absl::StrCat(SizeText((*checkpoint)->total_bytes()), ", ", Quantisation(config))});
}

void CheckTensorParallel(const ServeOptions& options, const ModelConfig& config,
                         Findings& findings) {
  const int size = options.engine.tensor_parallel_size;
  const auto shard = engine::MakeShard(config, {.rank = 0, .size = size});
  std::vector<int> possible;
  for (int other : {1, 2, 4, 8, 16}) {
    if (engine::MakeShard(config, {.rank = 0, .size = other}).ok()) possible.push_back(other);
  }
  const std::string choices = absl::StrCat("--tensor-parallel-size can be ",
                                           absl::StrJoin(possible, ", "), " for this model");
  if (!shard.ok()) {
    findings.push_back(Failure("tensor parallel", shard.status(), choices));
    return;
  }
  const auto table = DieLimitsOf(config);
  if (options.engine.device == engine::kVaccDevice && table.has_value()) {
    std::vector<int> sizes;
    for (const DieLimit& limit : table->limits) sizes.push_back(limit.tensor_parallel_size);
    if (std::find(sizes.begin(), sizes.end(), size) == sizes.end()) {
      findings.push_back(
          {.check = "tensor parallel",
           .verdict = Verdict::kFail,
           .detail = absl::StrCat("TP ", size, " is not among the sizes that ", table->model,
                                  " has on VACC dies"),
           .remedy = absl::StrCat("--tensor-parallel-size ", absl::StrJoin(sizes, ", "))});
      return;
    }
  }
  findings.push_back({.check = "tensor parallel",
                      .detail = absl::StrCat("TP ", size, " of ", config.num_heads, " heads and ",
                                             config.num_kv_heads, " KV heads")});
}

// The limits of the table bind on dies; elsewhere they are what the model is known to do well.
void CheckTable(const ServeOptions& options, const ModelConfig& config,
                const engine::ModelLimits& limits, Finding& finding) {
  const auto table = DieLimitsOf(config);
  if (!table.has_value() || options.engine.device != engine::kVaccDevice) return;
  for (const DieLimit& limit : table->limits) {
    if (limit.tensor_parallel_size != options.engine.tensor_parallel_size) continue;
    const bool too_long = limits.max_model_len > limit.max_model_len;
    if (!too_long && limits.max_input_len <= limit.max_input_len) continue;
    finding.verdict = options.engine.allow_long_max_model_len ? Verdict::kWarn : Verdict::kFail;
    absl::StrAppend(&finding.detail, "; ", table->model, " at TP ", limit.tensor_parallel_size,
                    " is limited to ", limit.max_model_len, " tokens, prompts to ",
                    limit.max_input_len);
    finding.remedy = too_long ? absl::StrCat("--max-model-len ", limit.max_model_len,
                                             ", a larger --tensor-parallel-size, or "
                                             "--allow-long-max-model-len at your own risk")
                              : absl::StrCat("--max-input-len ", limit.max_input_len);
  }
}

void CheckContext(const ServeOptions& options, const ModelConfig& config, Findings& findings) {
  const auto limits = engine::ResolveLimits(config, options.engine);
  if (!limits.ok()) {
    findings.push_back(Failure("context", limits.status(),
                               absl::StrCat("--max-model-len ", config.max_position_embeddings,
                                            ", or --enable-qwen3-rope-scaling")));
    return;
  }
  Finding finding{.check = "context",
                  .detail = absl::StrCat(limits->max_model_len, " tokens, prompt up to ",
                                         limits->max_input_len)};
  if (options.engine.allow_long_max_model_len &&
      limits->max_model_len > config.max_position_embeddings && limits->rope_scaling_json.empty()) {
    finding.verdict = Verdict::kWarn;
    absl::StrAppend(&finding.detail, ", more than the ", config.max_position_embeddings,
                    " that the model was trained for");
    finding.remedy = "answers may turn into noise behind that; YaRN is --enable-qwen3-rope-scaling";
  }
  CheckTable(options, config, *limits, finding);
  findings.push_back(std::move(finding));

  Finding yarn{.check = "YaRN", .detail = "off"};
  if (options.engine.enable_qwen3_rope_scaling) {
    const bool native = limits->max_model_len <= config.max_position_embeddings;
    yarn.detail = limits->rope_scaling_json == "null" ? "asked for, not needed at this length: off"
                                                      : limits->rope_scaling_json;
    if (native && limits->rope_scaling_json != "null") {
      yarn.verdict = Verdict::kWarn;
      yarn.detail += absl::StrCat(", though the model has ", config.max_position_embeddings,
                                  " positions of its own");
      yarn.remedy = "leave --enable-qwen3-rope-scaling out: it costs accuracy on short texts";
    }
  } else if (config.yarn.has_value()) {
    yarn.detail = absl::StrFormat("from config.json, factor %g", config.yarn->factor);
  } else if (!options.engine.rope_scaling_json.empty()) {
    yarn.detail = options.engine.rope_scaling_json;
  }
  findings.push_back(std::move(yarn));
}

// What is left: whatever the engine itself would refuse, and how much the slots share.
void CheckEngineSetup(const ServeOptions& options, Findings& findings) {
  const absl::Status cpus = CheckWorkerCpus(options);
  if (!cpus.ok()) {
    findings.push_back(Failure("engine", cpus));
    return;
  }
  engine::EngineOptions first = options.engine;
  first.worker_cpus = WorkerCpus(options, /*instance=*/0);
  first.threads_per_worker = ThreadsPerWorker(options);
  const auto setup = engine::PrepareEngine(first);
  if (!setup.ok()) {
    findings.push_back(Failure("engine", setup.status()));
    return;
  }
  const int64_t tokens = setup->info.kv_cache_tokens;
  const int64_t context = setup->info.max_model_len;
  const int slots = setup->info.max_batch_size;
  Finding finding{
      .check = "KV pool",
      .detail = absl::StrCat(tokens, " tokens for ", slots, " slots of up to ", context, ": ",
                             tokens / std::max<int64_t>(context, 1), " full contexts")};
  if (tokens < context) {
    finding.verdict = Verdict::kWarn;
    finding.remedy =
        "requests longer than the pool are refused: raise --kv-cache-memory, lower "
        "--max-model-len, or --kv-cache-dtype bfloat16";
  } else if (tokens / context < slots) {
    finding.verdict = Verdict::kWarn;
    finding.remedy =
        "long requests may have to give way to each other and be computed again: "
        "raise --kv-cache-memory or lower --max-model-len";
  }
  findings.push_back(std::move(finding));
}

}  // namespace

void CheckModelFiles(const ServeOptions& options, Findings& findings) {
  // Device mock needs no weights, but the same configuration.
  const bool mock = options.engine.device == engine::kMockDevice;
  const absl::Status files = CheckFiles(options);
  if (!files.ok() && !(mock && absl::StrContains(files.message(), "no *.safetensors"))) {
    findings.push_back(Failure("model files", files));
    return;
  }
  findings.push_back({.check = "model files", .detail = options.engine.model_dir});
  const auto config = engine::LoadModelConfig(options.engine.model_dir);
  if (!config.ok()) {
    findings.push_back(Failure("config", config.status(), "docs/models.md lists what runs"));
    return;
  }
  findings.push_back(
      {.check = "config",
       .detail = absl::StrCat(
           config->architecture, ", ", config->num_layers, " layers, hidden ", config->hidden_size,
           config->moe.has_value() ? absl::StrCat(", ", config->moe->num_experts, " experts")
                                   : "")});
  if (!mock) CheckWeights(options, *config, findings);
  CheckConversation(options, findings);
  CheckTensorParallel(options, *config, findings);
  CheckContext(options, *config, findings);
}

void CheckModel(const ServeOptions& options, Findings& findings) {
  CheckModelFiles(options, findings);
  if (!AnyFailed(findings)) CheckEngineSetup(options, findings);
}

}  // namespace vallm::tools
