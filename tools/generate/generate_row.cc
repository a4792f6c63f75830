#include "tools/generate/generate_row.h"

#include <cstdint>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/bad_words.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "tokenizer_service/output/detokenizer.h"
#include "tools/generate/constraint_field.h"

namespace vallm::tools {
namespace {

using nlohmann::ordered_json;

absl::StatusOr<std::optional<int32_t>> OptionalInt32(const JsonRow& row, std::string_view name) {
  VALLM_ASSIGN_OR_RETURN(const auto value, row.OptionalInt(name));
  if (!value.has_value()) return std::nullopt;
  if (*value < std::numeric_limits<int32_t>::min() ||
      *value > std::numeric_limits<int32_t>::max()) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", ToAbsl(name), "' is ", *value, "; it must fit 32 bits"));
  }
  return std::optional<int32_t>(static_cast<int32_t>(*value));
}

absl::StatusOr<std::optional<float>> OptionalFloat(const JsonRow& row, std::string_view name) {
  VALLM_ASSIGN_OR_RETURN(const auto value, row.OptionalNumber(name));
  if (!value.has_value()) return std::nullopt;
  return std::optional<float>(static_cast<float>(*value));
}

absl::StatusOr<std::vector<int32_t>> OptionalIds(const JsonRow& row, std::string_view name) {
  if (!row.Has(name)) return std::vector<int32_t>();
  return row.Ids(name);
}

absl::Status Malformed(std::string_view name, std::string_view expected) {
  return absl::InvalidArgumentError(
      absl::StrCat("'", ToAbsl(name), "' must be ", ToAbsl(expected)));
}

// {"1234": -100, ...}: token ids, which JSON wants as strings, and what is added to their logits.
absl::StatusOr<std::vector<engine::LogitBias>> LogitBiases(const JsonRow& row) {
  std::vector<engine::LogitBias> biases;
  if (!row.Has("logit_bias")) return biases;
  const auto json = ordered_json::parse(row.Raw("logit_bias"), nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return Malformed("logit_bias", "an object of token ids and biases");
  for (const auto& [key, bias] : json.items()) {
    int32_t id = 0;
    if (!absl::SimpleAtoi(key, &id) || !bias.is_number()) {
      return Malformed("logit_bias", "an object of token ids and biases");
    }
    biases.push_back({id, bias.get<float>()});
  }
  return biases;
}

absl::Status ReadSampling(const JsonRow& row, engine::SamplingOverrides& sampling) {
  VALLM_ASSIGN_OR_RETURN(sampling.temperature, OptionalFloat(row, "temperature"));
  VALLM_ASSIGN_OR_RETURN(sampling.top_p, OptionalFloat(row, "top_p"));
  VALLM_ASSIGN_OR_RETURN(sampling.top_k, OptionalInt32(row, "top_k"));
  VALLM_ASSIGN_OR_RETURN(sampling.seed, row.OptionalInt("seed"));
  VALLM_ASSIGN_OR_RETURN(sampling.min_p, OptionalFloat(row, "min_p"));
  VALLM_ASSIGN_OR_RETURN(sampling.repetition_penalty, OptionalFloat(row, "repetition_penalty"));
  VALLM_ASSIGN_OR_RETURN(sampling.presence_penalty, OptionalFloat(row, "presence_penalty"));
  VALLM_ASSIGN_OR_RETURN(sampling.frequency_penalty, OptionalFloat(row, "frequency_penalty"));
  VALLM_ASSIGN_OR_RETURN(sampling.logit_bias, LogitBiases(row));
  if (row.Has("allowed_token_ids")) {
    VALLM_ASSIGN_OR_RETURN(sampling.allowed_ids, row.Ids("allowed_token_ids"));
  }
  return absl::OkStatus();
}

const char* ReasonName(engine::FinishReason reason) {
  switch (reason) {
    case engine::FinishReason::kStop:
      return "stop";
    case engine::FinishReason::kLength:
      return "length";
    case engine::FinishReason::kAbort:
      return "abort";
  }
  return "";
}

ordered_json ToJsonList(const std::vector<engine::PositionLogprobs>& positions) {
  ordered_json steps = ordered_json::array();
  for (const engine::PositionLogprobs& position : positions) {
    ordered_json step = ordered_json::array();
    for (const engine::TokenLogprob& token : position.top) {
      step.push_back(ordered_json::array({token.token_id, token.logprob}));
    }
    steps.push_back(std::move(step));
  }
  return steps;
}

}  // namespace

absl::StatusOr<GenerateRows> GenerateRows::Load(const std::string& model_dir,
                                                const std::string& chat_template_path) {
  GenerateRows rows;
  VALLM_ASSIGN_OR_RETURN(rows.templates_,
                         tokenizer::LoadModelTemplates(model_dir, chat_template_path));
  if (std::filesystem::exists(std::filesystem::path(model_dir) / "tokenizer.json")) {
    VALLM_ASSIGN_OR_RETURN(rows.tokenizer_, tokenizer::Tokenizer::FromModelDir(model_dir));
  }
  return rows;
}

absl::StatusOr<std::string> GenerateRows::RenderMessages(const JsonRow& row) const {
  const bool has_tools = row.Has("tools") && row.Raw("tools") != "[]";
  const tokenizer::ChatTemplate* chat = templates_.ForRequest(has_tools);
  if (chat == nullptr) {
    return absl::FailedPreconditionError("the model has no chat template: give --chat-template");
  }
  tokenizer::ChatTemplate::RenderInput input;
  input.messages_json = row.Raw("messages");
  input.tools_json = row.Raw("tools");
  input.kwargs_json = row.Raw("kwargs");
  input.special_tokens = templates_.special_tokens;
  input.now = absl::Now();
  return chat->Render(input);
}

absl::StatusOr<std::vector<int32_t>> GenerateRows::PromptIds(const JsonRow& row) const {
  if (row.Has("prompt_token_ids")) return row.Ids("prompt_token_ids");
  if (tokenizer_ == nullptr) {
    return absl::FailedPreconditionError(
        "the model has no tokenizer.json: the "
        "row must have 'prompt_token_ids'");
  }
  if (row.Has("prompt")) {
    VALLM_ASSIGN_OR_RETURN(const std::string prompt, row.String("prompt"));
    return tokenizer_->Encode(prompt);
  }
  if (!row.Has("messages")) {
    return absl::InvalidArgumentError("a row needs 'prompt_token_ids', 'prompt' or 'messages'");
  }
  VALLM_ASSIGN_OR_RETURN(const std::string prompt, RenderMessages(row));
  return tokenizer_->Encode(prompt);
}

absl::StatusOr<std::vector<std::vector<int32_t>>> GenerateRows::BadWords(const JsonRow& row) const {
  std::vector<std::vector<int32_t>> sequences;
  if (!row.Has("bad_words")) return sequences;
  VALLM_ASSIGN_OR_RETURN(const auto words, row.Strings("bad_words"));
  if (!words.empty() && tokenizer_ == nullptr) {
    return absl::FailedPreconditionError("'bad_words' needs a model with tokenizer.json");
  }
  for (const std::string& word : words) {
    const std::string bare(TrimmedBadWord(word));
    if (bare.empty()) return Malformed("bad_words", "a list of words, none of them blank");
    VALLM_ASSIGN_OR_RETURN(std::vector<int32_t> bare_ids, tokenizer_->Encode(bare));
    VALLM_ASSIGN_OR_RETURN(std::vector<int32_t> spaced_ids, tokenizer_->Encode(" " + bare));
    AppendBadWord(std::move(bare_ids), std::move(spaced_ids), sequences);
  }
  return sequences;
}

absl::StatusOr<engine::GenerationRequest> GenerateRows::ToRequest(const JsonRow& row) const {
  engine::GenerationRequest request;
  VALLM_ASSIGN_OR_RETURN(request.prompt_ids, PromptIds(row));
  VALLM_RETURN_IF_ERROR(ReadSampling(row, request.sampling));
  VALLM_ASSIGN_OR_RETURN(request.sampling.bad_words, BadWords(row));
  VALLM_ASSIGN_OR_RETURN(request.max_tokens, OptionalInt32(row, "max_tokens"));
  VALLM_ASSIGN_OR_RETURN(const auto min_tokens, OptionalInt32(row, "min_tokens"));
  request.min_tokens = min_tokens.value_or(0);
  VALLM_ASSIGN_OR_RETURN(request.stop_ids, OptionalIds(row, "stop_token_ids"));
  VALLM_ASSIGN_OR_RETURN(const auto ignore_eos, row.OptionalBool("ignore_eos"));
  request.ignore_eos = ignore_eos.value_or(false);
  VALLM_ASSIGN_OR_RETURN(request.resumed_ids, OptionalIds(row, "resume_token_ids"));
  VALLM_ASSIGN_OR_RETURN(request.top_logprobs, OptionalInt32(row, "logprobs"));
  VALLM_ASSIGN_OR_RETURN(request.prompt_top_logprobs, OptionalInt32(row, "prompt_logprobs"));
  VALLM_ASSIGN_OR_RETURN(request.speculation.num_tokens,
                         OptionalInt32(row, "prompt_lookup_num_tokens"));
  VALLM_ASSIGN_OR_RETURN(request.thinking.token_budget,
                         OptionalInt32(row, "thinking_token_budget"));
  if (request.thinking.token_budget.value_or(0) < 0) {
    return Malformed("thinking_token_budget", "at least 0");
  }
  if (row.Has("constraint")) {
    VALLM_ASSIGN_OR_RETURN(request.constraint, ParseConstraintField(row.Raw("constraint")));
  }
  return request;
}

ordered_json GenerateRows::ToJson(const engine::Generation& generation) const {
  const engine::Usage& usage = generation.completion.usage;
  ordered_json json;
  json["token_ids"] = generation.tokens.token_ids;
  if (tokenizer_ != nullptr) {
    json["text"] = tokenizer::Decode(*tokenizer_, generation.tokens.token_ids,
                                     /*skip_special_tokens=*/true);
  }
  if (!generation.tokens.logprobs.empty()) {
    json["logprobs"] = ToJsonList(generation.tokens.logprobs);
  }
  if (!generation.tokens.prompt_logprobs.empty()) {
    json["prompt_logprobs"] = ToJsonList(generation.tokens.prompt_logprobs);
    std::vector<float> own;
    for (const auto& position : generation.tokens.prompt_logprobs) own.push_back(position.logprob);
    json["prompt_token_logprobs"] = own;
  }
  json["finish_reason"] = ReasonName(generation.completion.reason);
  json["usage"] = {{"prompt_tokens", usage.prompt_tokens},
                   {"completion_tokens", usage.completion_tokens},
                   {"total_tokens", usage.prompt_tokens + usage.completion_tokens},
                   {"cached_tokens", usage.cached_tokens},
                   {"draft_tokens", usage.draft_tokens},
                   {"accepted_draft_tokens", usage.accepted_draft_tokens}};
  json["seed"] = generation.seed;
  return json;
}

}  // namespace vallm::tools
