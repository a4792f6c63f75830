#include "engine_service/model/quantization.h"

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/strings.h"

namespace vallm::engine {
namespace {

using nlohmann::json;

constexpr int64_t kMaxBlock = int64_t{1} << 24;

// The index of the field's text, in any case, in `known`; 0 where there is no such field.
// UNIMPLEMENTED if it is something else.
absl::StatusOr<int> OneOf(const JsonFields& quant, const char* name,
                          std::initializer_list<std::string_view> known) {
  if (quant.Find(name) == nullptr) return 0;
  VALLM_ASSIGN_OR_RETURN(std::string text, quant.String(name));
  absl::AsciiStrToLower(&text);
  std::string names;
  int index = 0;
  for (const std::string_view option : known) {
    if (text == option) return index;
    ++index;
    absl::StrAppend(&names, names.empty() ? "only " : " and ", ToAbsl(option));
  }
  return quant.Unsupported(name, names + (known.size() == 1 ? " is supported" : " are supported"));
}

// UNIMPLEMENTED unless the field is absent or has that value.
absl::Status OnlyBool(const JsonFields& quant, const char* name, bool value) {
  VALLM_ASSIGN_OR_RETURN(const bool given, quant.BoolOr(name, value));
  if (given == value) return absl::OkStatus();
  return quant.Unsupported(name, value ? "only true is supported" : "only false is supported");
}

absl::Status ParseFp8(const JsonFields& quant, ModelConfig& out) {
  VALLM_RETURN_IF_ERROR(OneOf(quant, "fmt", {"e4m3", "float8_e4m3fn"}).status());
  // "dynamic" says how NVIDIA kernels quantise activations; ours stay in f32. A static scale would
  // be a tensor that we do not read.
  VALLM_RETURN_IF_ERROR(OneOf(quant, "activation_scheme", {"dynamic"}).status());
  VALLM_RETURN_IF_ERROR(
      quant.OnlyHas({"quant_method", "fmt", "activation_scheme", "weight_block_size",
                     "modules_to_not_convert", "ignored_layers", "dequantize"}));
  Fp8Config fp8;
  VALLM_ASSIGN_OR_RETURN(const std::vector<int32_t> block,
                         quant.Ints("weight_block_size", 1, kMaxBlock));
  if (block.size() != 2) {  // one scale per tensor or per row is another format
    return quant.Invalid("weight_block_size", "want two block dimensions");
  }
  fp8.block_rows = block[0];
  fp8.block_cols = block[1];
  const char* excluded =
      quant.Find("modules_to_not_convert") != nullptr ? "modules_to_not_convert" : "ignored_layers";
  VALLM_ASSIGN_OR_RETURN(fp8.modules_to_not_convert, quant.Strings(excluded));
  out.fp8 = std::move(fp8);
  return absl::OkStatus();
}

// Groups must begin at whole words of either width.
absl::StatusOr<int32_t> GroupSize(const JsonFields& quant) {
  VALLM_ASSIGN_OR_RETURN(const int64_t size, quant.Int("group_size", -1, kMaxBlock));
  if (size == -1) return 0;
  if (size == 0 || size % 8 != 0) {
    return quant.Unsupported("group_size", "only -1 and multiples of 8 are supported");
  }
  return static_cast<int32_t>(size);
}

// "dynamic" of GPTQModel: regular expressions that leave modules out ("-:…") or give them settings
// of their own. Which modules are left out shows in their tensors.
absl::Status CheckDynamic(const JsonFields& quant) {
  const json* dynamic = quant.Find("dynamic");
  if (dynamic == nullptr) return absl::OkStatus();
  if (!dynamic->is_object()) return quant.Invalid("dynamic", "want an object");
  for (const auto& [pattern, settings] : dynamic->items()) {
    if (absl::StartsWith(pattern, "-:") || settings.empty()) continue;
    return quant.Unsupported("dynamic",
                             "only patterns that leave modules out ('-:…') are supported");
  }
  return absl::OkStatus();
}

absl::Status ParseGptq(const JsonFields& quant, ModelConfig& out) {
  IntegerConfig gptq;
  VALLM_ASSIGN_OR_RETURN(const int64_t bits, quant.Int("bits", 1, 64));
  if (bits != 4 && bits != 8) return quant.Unsupported("bits", "only 4 and 8 are supported");
  gptq.bits = static_cast<int32_t>(bits);
  VALLM_ASSIGN_OR_RETURN(gptq.group_size, GroupSize(quant));
  VALLM_RETURN_IF_ERROR(OnlyBool(quant, "desc_act", false));
  VALLM_RETURN_IF_ERROR(OnlyBool(quant, "is_marlin_format", false));
  VALLM_RETURN_IF_ERROR(quant.BoolOr("sym", true).status());  // zero points are read either way
  // GPTQModel's newer name for the same.
  const char* format_field =
      quant.Find("checkpoint_format") != nullptr ? "checkpoint_format" : "format";
  VALLM_ASSIGN_OR_RETURN(const int format, OneOf(quant, format_field, {"gptq", "gptq_v2"}));
  gptq.format = format == 0 ? IntegerFormat::kGptq : IntegerFormat::kGptqV2;
  VALLM_RETURN_IF_ERROR(OneOf(quant, "method", {"gptq"}).status());
  VALLM_RETURN_IF_ERROR(OneOf(quant, "pack_dtype", {"int32"}).status());
  VALLM_RETURN_IF_ERROR(CheckDynamic(quant));
  // How the weights were found, and which modules have them: the tensors show the outcome.
  VALLM_RETURN_IF_ERROR(quant.OnlyHas({"quant_method",
                                       "bits",
                                       "group_size",
                                       "desc_act",
                                       "sym",
                                       "checkpoint_format",
                                       "format",
                                       "method",
                                       "pack_dtype",
                                       "dynamic",
                                       "lm_head",
                                       "is_marlin_format",
                                       "meta",
                                       "quantizer",
                                       "true_sequential",
                                       "static_groups",
                                       "damp_percent",
                                       "damp_auto_increment",
                                       "mse",
                                       "act_group_aware",
                                       "tokenizer",
                                       "dataset",
                                       "backend",
                                       "model_seqlen",
                                       "batch_size",
                                       "pad_token_id",
                                       "max_input_length",
                                       "cache_block_outputs",
                                       "block_name_to_quantize",
                                       "module_name_preceding_first_block",
                                       "modules_in_block_to_quantize",
                                       "inside_layer_modules",
                                       "use_cuda_fp16",
                                       "use_exllama",
                                       "disable_exllama",
                                       "exllama_config",
                                       "model_name_or_path",
                                       "model_file_base_name",
                                       "offload_to_disk",
                                       "offload_to_disk_path"}));
  out.integer = std::move(gptq);
  return absl::OkStatus();
}

absl::Status ParseAwq(const JsonFields& quant, ModelConfig& out) {
  IntegerConfig awq;
  awq.format = IntegerFormat::kAwq;
  VALLM_ASSIGN_OR_RETURN(const int64_t bits, quant.Int("bits", 1, 64));
  if (bits != 4) return quant.Unsupported("bits", "only 4 is supported");
  VALLM_ASSIGN_OR_RETURN(awq.group_size, GroupSize(quant));
  VALLM_RETURN_IF_ERROR(OneOf(quant, "version", {"gemm"}).status());
  VALLM_ASSIGN_OR_RETURN(awq.zero_point, quant.BoolOr("zero_point", true));
  VALLM_ASSIGN_OR_RETURN(awq.modules_to_not_convert, quant.Strings("modules_to_not_convert"));
  VALLM_RETURN_IF_ERROR(quant.OnlyHas({"quant_method", "bits", "group_size", "version",
                                       "zero_point", "modules_to_not_convert", "backend", "do_fuse",
                                       "fuse_max_seq_len", "modules_to_fuse", "exllama_config"}));
  out.integer = std::move(awq);
  return absl::OkStatus();
}

}  // namespace

absl::Status ParseQuantization(const JsonFields& config, ModelConfig& out) {
  if (config.Find("compression_config") != nullptr) {
    return config.Unsupported("compression_config", "compressed-tensors is not supported");
  }
  const json* object = config.Find("quantization_config");
  if (object == nullptr) return absl::OkStatus();
  if (!object->is_object()) return config.Invalid("quantization_config", "want an object");
  const JsonFields quant(*object, "config.json quantization_config");
  VALLM_ASSIGN_OR_RETURN(const std::string method, quant.String("quant_method"));
  if (method == "fp8") return ParseFp8(quant, out);
  if (method == "gptq") return ParseGptq(quant, out);
  if (method == "awq") return ParseAwq(quant, out);
  return quant.Unsupported("quant_method", "only fp8, gptq and awq are supported");
}

}  // namespace vallm::engine
