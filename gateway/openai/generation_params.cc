#include "gateway/openai/generation_params.h"

#include <array>
#include <limits>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "gateway/openai/errors.h"
#include "nlohmann/json.hpp"

namespace vallm::gateway {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kMaxStopStrings = 32;
constexpr int64_t kInt32Max = std::numeric_limits<int32_t>::max();

// Parameters that are not implemented. Each is accepted with a value that asks for nothing (null
// always does) and refused with any other.
struct Unsupported {
  std::string_view name;
  std::string_view neutral;  // JSON values separated by '|'; empty: null only
};
constexpr std::array kUnsupported = {
    Unsupported{"presence_penalty", "0"},
    Unsupported{"frequency_penalty", "0"},
    Unsupported{"repetition_penalty", "1"},
    Unsupported{"length_penalty", "1"},
    Unsupported{"min_p", "0"},
    Unsupported{"min_tokens", "0"},
    Unsupported{"logit_bias", "{}"},
    Unsupported{"bad_words", "[]"},
    Unsupported{"allowed_token_ids", ""},
    Unsupported{"logprobs", "false"},
    Unsupported{"top_logprobs", "0"},
    Unsupported{"prompt_logprobs", "0"},
    Unsupported{"best_of", "1"},
    Unsupported{"use_beam_search", "false"},
    Unsupported{"echo", "false"},
    Unsupported{"suffix", "\"\""},
    Unsupported{"response_format", "{\"type\":\"text\"}"},
    Unsupported{"structured_outputs", "{}"},
    Unsupported{"guided_json", ""},
    Unsupported{"guided_regex", ""},
    Unsupported{"guided_choice", ""},
    Unsupported{"guided_grammar", ""},
    Unsupported{"structural_tag", ""},
    Unsupported{"thinking_token_budget", ""},
    Unsupported{"thinking_budget", ""},
    Unsupported{"truncate_prompt_tokens", ""},
    Unsupported{"spaces_between_special_tokens", "true"},
    Unsupported{"add_special_tokens", "false|true"},  // Qwen's tokenizer adds none
    Unsupported{"chat_template", ""},
    Unsupported{"documents", "[]"},
    Unsupported{"functions", "[]"},
    Unsupported{"function_call", "\"none\"|\"auto\""},
    Unsupported{"modalities", "[\"text\"]"},
    Unsupported{"audio", ""},
    Unsupported{"prediction", ""},
    Unsupported{"web_search_options", ""},
    Unsupported{"cache_salt", ""},
    Unsupported{"priority", "0"},
    Unsupported{"return_token_ids", "false"},
    Unsupported{"return_tokens_as_token_ids", "false"},
};

bool IsNeutral(const Json& value, std::string_view neutral) {
  while (!neutral.empty()) {
    const size_t bar = neutral.find('|');
    // Numbers compare by value: 0 and 0.0 are equal.
    if (value == Json::parse(neutral.substr(0, bar))) return true;
    neutral = bar == std::string_view::npos ? "" : neutral.substr(bar + 1);
  }
  return false;
}

absl::Status ReadSampling(JsonObject& body, GenerationParams* params) {
  VALLM_ASSIGN_OR_RETURN(const auto temperature, body.Number("temperature", 0, 2));
  if (temperature) params->temperature = static_cast<float>(*temperature);
  VALLM_ASSIGN_OR_RETURN(const auto top_p, body.Number("top_p", 0, 1));
  if (top_p && static_cast<float>(*top_p) <= 0) {
    return InvalidParam("top_p", "'top_p' is 0; it must be greater than 0 and at most 1");
  }
  if (top_p) params->top_p = static_cast<float>(*top_p);
  VALLM_ASSIGN_OR_RETURN(const auto top_k, body.Integer("top_k", -1, kInt32Max));
  // -1 is how vLLM's clients spell "off".
  if (top_k) params->top_k = *top_k == -1 ? 0 : static_cast<int32_t>(*top_k);
  VALLM_ASSIGN_OR_RETURN(params->seed, body.Integer("seed", std::numeric_limits<int64_t>::min(),
                                                    std::numeric_limits<int64_t>::max()));
  VALLM_ASSIGN_OR_RETURN(const auto n, body.Integer("n", 1, 128));
  params->n = static_cast<int>(n.value_or(1));
  return absl::OkStatus();
}

absl::Status ReadStops(JsonObject& body, GenerationParams* params) {
  VALLM_ASSIGN_OR_RETURN(params->stop, body.Strings("stop"));
  if (params->stop.size() > kMaxStopStrings) {
    return InvalidParam("stop",
                        absl::StrCat("'stop' has ", params->stop.size(), " strings; at most ",
                                     kMaxStopStrings, " are allowed"));
  }
  for (const std::string& stop : params->stop) {
    if (stop.empty()) return InvalidParam("stop", "'stop' contains an empty string");
  }
  VALLM_ASSIGN_OR_RETURN(params->stop_token_ids, body.TokenIds("stop_token_ids"));
  VALLM_ASSIGN_OR_RETURN(const auto include_stop, body.Bool("include_stop_str_in_output"));
  params->include_stop_str_in_output = include_stop.value_or(false);
  VALLM_ASSIGN_OR_RETURN(const auto ignore_eos, body.Bool("ignore_eos"));
  params->ignore_eos = ignore_eos.value_or(false);
  VALLM_ASSIGN_OR_RETURN(const auto skip_special, body.Bool("skip_special_tokens"));
  params->skip_special_tokens = skip_special.value_or(true);
  VALLM_ASSIGN_OR_RETURN(const auto max_tokens, body.Integer("max_tokens", 1, kInt32Max));
  if (max_tokens) params->max_tokens = static_cast<int32_t>(*max_tokens);
  return absl::OkStatus();
}

absl::Status ReadStreaming(JsonObject& body, GenerationParams* params) {
  VALLM_ASSIGN_OR_RETURN(const auto stream, body.Bool("stream"));
  params->stream = stream.value_or(false);
  const Json* options = body.Find("stream_options");
  if (options == nullptr) return absl::OkStatus();
  if (!options->is_object()) {
    return InvalidParam("stream_options", absl::StrCat("'stream_options' must be an object, not ",
                                                       ToAbsl(KindOf(*options))));
  }
  JsonObject fields(*options, "stream_options.");
  VALLM_ASSIGN_OR_RETURN(const auto include_usage, fields.Bool("include_usage"));
  VALLM_ASSIGN_OR_RETURN(const auto continuous, fields.Bool("continuous_usage_stats"));
  params->include_usage = include_usage.value_or(false);
  params->continuous_usage_stats = params->include_usage && continuous.value_or(false);
  for (const std::string& name : fields.Unread()) params->ignored.push_back(fields.PathOf(name));
  return absl::OkStatus();
}

}  // namespace

absl::Status ReadGenerationParams(JsonObject& body, GenerationParams* params) {
  VALLM_ASSIGN_OR_RETURN(const auto model, body.String("model"));
  params->model = model.value_or("");
  VALLM_RETURN_IF_ERROR(ReadSampling(body, params));
  VALLM_RETURN_IF_ERROR(ReadStops(body, params));
  return ReadStreaming(body, params);
}

absl::Status RefuseOrIgnoreTheRest(JsonObject& body, GenerationParams* params) {
  for (const Unsupported& unsupported : kUnsupported) {
    const Json* value = body.Find(unsupported.name);
    if (value == nullptr || IsNeutral(*value, unsupported.neutral)) continue;
    return UnsupportedParam(
        unsupported.name,
        absl::StrCat("'", ToAbsl(unsupported.name), "' is not supported with the value given"));
  }
  for (std::string& name : body.Unread()) params->ignored.push_back(std::move(name));
  return absl::OkStatus();
}

}  // namespace vallm::gateway
