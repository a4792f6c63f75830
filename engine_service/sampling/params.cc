#include "engine_service/sampling/params.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace vallm::engine {
namespace {

constexpr size_t kMaxBiases = 1024;
constexpr size_t kMaxBadWords = 1024;
constexpr float kMaxBias = 100;
constexpr float kMaxPenalty = 2;

absl::Status OutOfRange(const char* field, double value, const char* range) {
  return absl::InvalidArgumentError(absl::StrCat(field, " is ", value, "; it must be ", range));
}

absl::Status CheckId(absl::string_view field, int32_t id, int32_t vocab_size) {
  if (id >= 0 && id < vocab_size) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(field, " has id ", id, "; the vocabulary has ids 0 to ", vocab_size - 1));
}

absl::Status CheckCount(const char* field, size_t count, size_t limit) {
  if (count <= limit) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(field, " has ", count, " entries; the limit is ", limit));
}

// Negated comparisons, so that NaN is refused as well.
absl::Status CheckScalars(const SamplingParams& params) {
  if (!(params.temperature >= 0) || !std::isfinite(params.temperature)) {
    return OutOfRange("temperature", params.temperature, "finite and at least 0");
  }
  if (!(params.top_p > 0 && params.top_p <= 1)) {
    return OutOfRange("top_p", params.top_p, "above 0 and at most 1");
  }
  if (params.top_k < 0) return OutOfRange("top_k", params.top_k, "at least 0 (0 is off)");
  if (!(params.min_p >= 0 && params.min_p <= 1)) {
    return OutOfRange("min_p", params.min_p, "in 0 to 1");
  }
  if (!(params.repetition_penalty > 0) || !std::isfinite(params.repetition_penalty)) {
    return OutOfRange("repetition_penalty", params.repetition_penalty, "finite and above 0");
  }
  if (!(std::abs(params.presence_penalty) <= kMaxPenalty)) {
    return OutOfRange("presence_penalty", params.presence_penalty, "in -2 to 2");
  }
  if (!(std::abs(params.frequency_penalty) <= kMaxPenalty)) {
    return OutOfRange("frequency_penalty", params.frequency_penalty, "in -2 to 2");
  }
  return absl::OkStatus();
}

absl::Status CheckLists(const SamplingParams& params, int32_t vocab_size) {
  VALLM_RETURN_IF_ERROR(CheckCount("logit_bias", params.logit_bias.size(), kMaxBiases));
  for (const LogitBias& entry : params.logit_bias) {
    VALLM_RETURN_IF_ERROR(CheckId("logit_bias", entry.token_id, vocab_size));
    if (!(std::abs(entry.bias) <= kMaxBias)) {
      return absl::InvalidArgumentError(absl::StrCat("logit_bias of id ", entry.token_id, " is ",
                                                     entry.bias, "; it must be in -100 to 100"));
    }
  }
  VALLM_RETURN_IF_ERROR(CheckCount("bad_words", params.bad_words.size(), kMaxBadWords));
  for (size_t i = 0; i < params.bad_words.size(); ++i) {
    const std::string field = absl::StrCat("bad_words[", i, "]");
    if (params.bad_words[i].empty()) {
      return absl::InvalidArgumentError(absl::StrCat(field, " is empty"));
    }
    for (const int32_t id : params.bad_words[i]) {
      VALLM_RETURN_IF_ERROR(CheckId(field, id, vocab_size));
    }
  }
  for (const int32_t id : params.allowed_ids) {
    VALLM_RETURN_IF_ERROR(CheckId("allowed_token_ids", id, vocab_size));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<SamplingParams> ResolveSampling(const SamplingOverrides& overrides,
                                               const SamplingParams& defaults, int32_t vocab_size) {
  SamplingParams params = defaults;
  params.temperature = overrides.temperature.value_or(defaults.temperature);
  params.top_p = overrides.top_p.value_or(defaults.top_p);
  params.top_k = overrides.top_k.value_or(defaults.top_k);
  params.seed = overrides.seed.value_or(defaults.seed);
  params.min_p = overrides.min_p.value_or(defaults.min_p);
  params.repetition_penalty = overrides.repetition_penalty.value_or(defaults.repetition_penalty);
  params.presence_penalty = overrides.presence_penalty.value_or(defaults.presence_penalty);
  params.frequency_penalty = overrides.frequency_penalty.value_or(defaults.frequency_penalty);
  params.logit_bias = overrides.logit_bias;
  params.bad_words = overrides.bad_words;
  if (overrides.allowed_ids.has_value()) {
    if (overrides.allowed_ids->empty()) {
      return absl::InvalidArgumentError("allowed_token_ids is empty: no token could come");
    }
    params.allowed_ids = *overrides.allowed_ids;
    std::sort(params.allowed_ids.begin(), params.allowed_ids.end());
  }
  VALLM_RETURN_IF_ERROR(CheckScalars(params));
  VALLM_RETURN_IF_ERROR(CheckLists(params, vocab_size));
  return params;
}

}  // namespace vallm::engine
