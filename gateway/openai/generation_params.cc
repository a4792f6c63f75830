#include "gateway/openai/generation_params.h"

#include <array>
#include <limits>
#include <string_view>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/bad_words.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "gateway/openai/errors.h"
#include "nlohmann/json.hpp"

namespace vallm::gateway {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kMaxStopStrings = 32;
constexpr size_t kMaxBadWords = 512;
constexpr size_t kMaxCacheSaltBytes = 256;     // the engine's limit
constexpr int64_t kMaxSpeculativeTokens = 16;  // the engine's limit
constexpr int64_t kInt32Max = std::numeric_limits<int32_t>::max();

// Parameters that are not implemented. Each is accepted with a value that asks for nothing (null
// always does) and refused with any other.
struct Unsupported {
  std::string_view name;
  std::string_view neutral;  // JSON values separated by '|'; empty: null only
  std::string_view hint = {};
};
constexpr std::array kUnsupported = {
    Unsupported{"length_penalty", "1"},
    Unsupported{"top_logprobs", "0", "a completion says 'logprobs': N"},
    Unsupported{"logprob_token_ids", "[]"},
    Unsupported{"repetition_detection", ""},
    Unsupported{"stream_interval", "1"},
    Unsupported{"best_of", "1", "use 'n'"},
    Unsupported{"use_beam_search", "false"},
    Unsupported{"echo", "false"},
    Unsupported{"suffix", "\"\""},
    Unsupported{"structural_tag", ""},
    Unsupported{"guided_whitespace_pattern", ""},
    Unsupported{"thinking_token_budget", "", "a completion has no thoughts of its own"},
    Unsupported{"thinking_budget", "", "a completion has no thoughts of its own"},
    // Byte-level tokens bring their own spaces, so that both values mean the same.
    Unsupported{"spaces_between_special_tokens", "true|false"},
    Unsupported{"add_special_tokens", "false|true"},  // Qwen's tokenizer adds none
    Unsupported{"chat_template", "", "a completion has no template"},
    Unsupported{"documents", "[]", "a template gets them from 'chat_template_kwargs'"},
    Unsupported{"functions", "[]", "use 'tools'"},
    Unsupported{"function_call", "\"none\"|\"auto\"", "use 'tool_choice'"},
    Unsupported{"modalities", "[\"text\"]"},
    Unsupported{"audio", ""},
    Unsupported{"prediction", "", "see 'prompt_lookup_num_tokens'"},
    Unsupported{"web_search_options", ""},
    Unsupported{"return_tokens_as_token_ids", "false", "see 'return_token_ids'"},
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

// {"1234": -100, …}: token ids as JSON's keys must be, and what is added to their logits.
absl::Status ReadLogitBias(JsonObject& body, GenerationParams* params) {
  const Json* biases = body.Find("logit_bias");
  if (biases == nullptr) return absl::OkStatus();
  if (!biases->is_object()) {
    return InvalidParam("logit_bias", absl::StrCat("'logit_bias' must be an object, not ",
                                                   ToAbsl(KindOf(*biases))));
  }
  JsonObject fields(*biases, "logit_bias.");
  for (const std::string& key : fields.Unread()) {
    int32_t id = 0;
    if (!absl::SimpleAtoi(key, &id) || id < 0) {
      return InvalidParam("logit_bias",
                          "'logit_bias' has a key that is not a token id (an integer >= 0)");
    }
    VALLM_ASSIGN_OR_RETURN(const auto bias, fields.Number(key, -100, 100));
    if (!bias) {
      return InvalidParam(fields.PathOf(key),
                          absl::StrCat("'", fields.PathOf(key), "' must be a number, not null"));
    }
    params->logit_bias.emplace_back(id, static_cast<float>(*bias));
  }
  return absl::OkStatus();
}

absl::Status ReadBannedTokens(JsonObject& body, GenerationParams* params) {
  VALLM_ASSIGN_OR_RETURN(params->bad_words, body.Strings("bad_words"));
  if (params->bad_words.size() > kMaxBadWords) {
    return InvalidParam(
        "bad_words", absl::StrCat("'bad_words' has ", params->bad_words.size(), " words; at most ",
                                  kMaxBadWords, " are allowed"));
  }
  for (const std::string& word : params->bad_words) {
    if (TrimmedBadWord(word).empty()) {
      return InvalidParam("bad_words", "'bad_words' contains a blank string");
    }
  }
  if (body.Find("allowed_token_ids") == nullptr) return absl::OkStatus();
  VALLM_ASSIGN_OR_RETURN(params->allowed_token_ids, body.TokenIds("allowed_token_ids"));
  if (params->allowed_token_ids->empty()) {
    return InvalidParam("allowed_token_ids", "'allowed_token_ids' is empty: no token could come");
  }
  return absl::OkStatus();
}

absl::Status ReadPenalties(JsonObject& body, GenerationParams* params) {
  const auto read = [&](const char* name, double min, double max, std::optional<float>& to) {
    const auto value = body.Number(name, min, max);
    if (value.ok() && value->has_value()) to = static_cast<float>(**value);
    return value.status();
  };
  constexpr double kMost = 1e6;  // far beyond any use, and finite as a float
  VALLM_RETURN_IF_ERROR(read("presence_penalty", -2, 2, params->presence_penalty));
  VALLM_RETURN_IF_ERROR(read("frequency_penalty", -2, 2, params->frequency_penalty));
  VALLM_RETURN_IF_ERROR(read("repetition_penalty", 0, kMost, params->repetition_penalty));
  if (params->repetition_penalty && *params->repetition_penalty <= 0) {
    return InvalidParam("repetition_penalty",
                        "'repetition_penalty' is 0; it must be greater than 0");
  }
  return read("min_p", 0, 1, params->min_p);
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
  params->n = params->best_of = static_cast<int>(n.value_or(1));
  VALLM_RETURN_IF_ERROR(ReadPenalties(body, params));
  VALLM_RETURN_IF_ERROR(ReadLogitBias(body, params));
  return ReadBannedTokens(body, params);
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
  VALLM_ASSIGN_OR_RETURN(const auto max_completion,
                         body.Integer("max_completion_tokens", 1, kInt32Max));
  if (max_tokens) params->max_tokens = static_cast<int32_t>(*max_tokens);
  // The newer name of max_tokens wins.
  if (max_completion) params->max_tokens = static_cast<int32_t>(*max_completion);
  VALLM_ASSIGN_OR_RETURN(const auto min_tokens, body.Integer("min_tokens", 0, kInt32Max));
  params->min_tokens = static_cast<int32_t>(min_tokens.value_or(0));
  return absl::OkStatus();
}

absl::Status ReadCacheSalt(JsonObject& body, GenerationParams* params) {
  VALLM_ASSIGN_OR_RETURN(const auto salt, body.String("cache_salt"));
  if (!salt) return absl::OkStatus();
  if (salt->empty() || salt->size() > kMaxCacheSaltBytes) {
    return InvalidParam(
        "cache_salt", absl::StrCat("'cache_salt' has ", salt->size(), " bytes; it must have 1 to ",
                                   kMaxCacheSaltBytes));
  }
  params->cache_salt = *salt;
  return absl::OkStatus();
}

absl::Status ReadPriority(JsonObject& body, GenerationParams* params) {
  VALLM_ASSIGN_OR_RETURN(const auto priority,
                         body.Integer("priority", std::numeric_limits<int32_t>::min(), kInt32Max));
  params->priority = static_cast<int32_t>(priority.value_or(0));
  return absl::OkStatus();
}

absl::Status ReadPromptCacheKey(JsonObject& body, GenerationParams* params) {
  VALLM_ASSIGN_OR_RETURN(const auto key, body.String("prompt_cache_key"));
  VALLM_ASSIGN_OR_RETURN(const auto session, body.String("session_id"));  // another name for it
  params->prompt_cache_key = key.value_or(session.value_or(""));
  return absl::OkStatus();
}

absl::Status ReadSpeculation(JsonObject& body, GenerationParams* params) {
  VALLM_ASSIGN_OR_RETURN(const auto count,
                         body.Integer("prompt_lookup_num_tokens", 0, kMaxSpeculativeTokens));
  if (count) params->prompt_lookup_num_tokens = static_cast<int32_t>(*count);
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
  if (continuous.value_or(false) && !params->include_usage) {
    params->ignored.push_back(fields.PathOf("continuous_usage_stats"));
  }
  for (const std::string& name : fields.Unread()) params->ignored.push_back(fields.PathOf(name));
  return absl::OkStatus();
}

absl::Status ReadTruncation(JsonObject& body, GenerationParams* params) {
  VALLM_ASSIGN_OR_RETURN(const auto tokens, body.Integer("truncate_prompt_tokens", -1, kInt32Max));
  VALLM_ASSIGN_OR_RETURN(const auto side, body.String("truncation_side"));
  if (side.has_value() && side != "left" && side != "right") {
    return InvalidParam("truncation_side", absl::StrCat("'truncation_side' is \"", *side,
                                                        "\"; it must be left or right"));
  }
  params->truncate_right = side == "right";
  if (!tokens.has_value()) return absl::OkStatus();
  if (*tokens == 0) {
    return InvalidParam("truncate_prompt_tokens",
                        "'truncate_prompt_tokens' is 0, which would leave nothing of the prompt");
  }
  params->truncate_prompt_tokens = static_cast<int32_t>(*tokens);
  return absl::OkStatus();
}

absl::Status ReadExtras(JsonObject& body, GenerationParams* params) {
  VALLM_ASSIGN_OR_RETURN(const auto token_ids, body.Bool("return_token_ids"));
  VALLM_ASSIGN_OR_RETURN(const auto prompt_text, body.Bool("return_prompt_text"));
  VALLM_ASSIGN_OR_RETURN(const auto metrics, body.Bool("include_metrics"));
  params->return_token_ids = token_ids.value_or(false);
  params->return_prompt_text = prompt_text.value_or(false);
  params->include_metrics = metrics.value_or(false);
  return absl::OkStatus();
}

absl::Status ReadPromptLogprobs(JsonObject& body, int max_logprobs, GenerationParams* params) {
  VALLM_ASSIGN_OR_RETURN(const auto top, body.Integer("prompt_logprobs", 0, max_logprobs));
  if (!top) return absl::OkStatus();
  if (params->stream) {
    return InvalidParam("prompt_logprobs", "'prompt_logprobs' cannot be streamed");
  }
  params->prompt_logprobs = static_cast<int32_t>(*top);
  return absl::OkStatus();
}

}  // namespace

absl::Status ReadGenerationParams(JsonObject& body, GenerationParams* params) {
  VALLM_ASSIGN_OR_RETURN(const auto model, body.String("model"));
  params->model = model.value_or("");
  VALLM_RETURN_IF_ERROR(ReadSampling(body, params));
  VALLM_RETURN_IF_ERROR(ReadStops(body, params));
  VALLM_ASSIGN_OR_RETURN(params->constraint, ReadConstraint(body));
  VALLM_RETURN_IF_ERROR(ReadCacheSalt(body, params));
  VALLM_RETURN_IF_ERROR(ReadPriority(body, params));
  VALLM_RETURN_IF_ERROR(ReadPromptCacheKey(body, params));
  VALLM_RETURN_IF_ERROR(ReadSpeculation(body, params));
  VALLM_RETURN_IF_ERROR(ReadTruncation(body, params));
  VALLM_RETURN_IF_ERROR(ReadExtras(body, params));
  return ReadStreaming(body, params);
}

absl::Status ReadChatLogprobs(JsonObject& body, int max_logprobs, GenerationParams* params) {
  VALLM_RETURN_IF_ERROR(ReadPromptLogprobs(body, max_logprobs, params));
  VALLM_ASSIGN_OR_RETURN(const auto wanted, body.Bool("logprobs"));
  VALLM_ASSIGN_OR_RETURN(const auto top, body.Integer("top_logprobs", 0, max_logprobs));
  if (wanted.value_or(false)) {
    params->top_logprobs = static_cast<int32_t>(top.value_or(0));
  } else if (top.value_or(0) > 0) {
    return InvalidParam("top_logprobs", "'top_logprobs' needs 'logprobs' to be true");
  }
  return absl::OkStatus();
}

absl::Status ReadCompletionLogprobs(JsonObject& body, int max_logprobs, GenerationParams* params) {
  VALLM_RETURN_IF_ERROR(ReadPromptLogprobs(body, max_logprobs, params));
  const Json* value = body.Find("logprobs");
  // false is how some clients spell "none".
  if (value == nullptr || (value->is_boolean() && !value->get<bool>())) return absl::OkStatus();
  VALLM_ASSIGN_OR_RETURN(const auto top, body.Integer("logprobs", 0, max_logprobs));
  params->top_logprobs = static_cast<int32_t>(*top);
  return absl::OkStatus();
}

absl::Status RefuseOrIgnoreTheRest(JsonObject& body, GenerationParams* params) {
  for (const Unsupported& unsupported : kUnsupported) {
    if (body.IsRead(unsupported.name)) continue;  // the endpoint knows it
    const Json* value = body.Find(unsupported.name);
    if (value == nullptr || IsNeutral(*value, unsupported.neutral)) continue;
    return UnsupportedParam(
        unsupported.name,
        absl::StrCat("'", ToAbsl(unsupported.name), "' is not supported with the value given",
                     unsupported.hint.empty() ? "" : "; ", ToAbsl(unsupported.hint)));
  }
  for (std::string& name : body.Unread()) params->ignored.push_back(std::move(name));
  return absl::OkStatus();
}

}  // namespace vallm::gateway
