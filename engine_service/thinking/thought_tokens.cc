#include "engine_service/thinking/thought_tokens.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace vallm::engine {
namespace {

constexpr std::string_view kWhitespace = " \t\r\n";

absl::Status NoThoughts() {
  return absl::InvalidArgumentError("the model has no tokens <think> and </think>");
}

}  // namespace

absl::StatusOr<ThoughtTokens> ThoughtTokens::FromTokenizer(const tokenizer::Tokenizer& tokenizer,
                                                           int32_t vocab_size) {
  const std::optional<int32_t> open = tokenizer.TokenId("<think>");
  const std::optional<int32_t> close = tokenizer.TokenId("</think>");
  if (!open.has_value() || !close.has_value()) return NoThoughts();
  ThoughtTokens tokens;
  tokens.open = *open;
  tokens.close = *close;
  VALLM_ASSIGN_OR_RETURN(tokens.closing_ids, tokenizer.Encode(kClosingText));
  const std::vector<int32_t>& ids = tokens.closing_ids;
  const auto place = std::find(ids.begin(), ids.end(), tokens.close);
  if (place == ids.end()) return NoThoughts();  // spelled out in pieces
  tokens.close_index = static_cast<size_t>(place - ids.begin());
  if (std::max(tokens.open, *std::max_element(ids.begin(), ids.end())) >= vocab_size) {
    return absl::InvalidArgumentError(
        absl::StrCat("the tokens that close a thought are beyond the ", vocab_size,
                     " ids that the model has logits for"));
  }
  for (int32_t id = 0; id < vocab_size; ++id) {
    const std::string_view text = tokenizer.TokenBytes(id);
    if (!text.empty() && text.find_first_not_of(kWhitespace) == std::string_view::npos) {
      tokens.whitespace_ids.push_back(id);
    }
  }
  for (const std::string_view mark : {"<|im_start|>", "<｜Assistant｜>"}) {
    if (const auto id = tokenizer.TokenId(mark)) tokens.turn_ids.push_back(*id);
  }
  return tokens;
}

ThoughtPhase ThoughtTokens::PhaseBehind(std::span<const int32_t> prompt) const {
  for (size_t i = prompt.size(); i-- > 0;) {
    if (prompt[i] == open) return ThoughtPhase::kThinking;
    if (prompt[i] == close) return ThoughtPhase::kAnswer;
    if (std::find(turn_ids.begin(), turn_ids.end(), prompt[i]) != turn_ids.end()) break;
  }
  return ThoughtPhase::kMaybeThinking;
}

absl::StatusOr<std::shared_ptr<const ThoughtTokens>> ThoughtTokensLoader::Get() {
  MutexLock lock(mu_);
  if (tokens_ != nullptr) return tokens_;
  if (!error_.ok()) return error_;
  const auto tokenizer = tokenizer::Tokenizer::FromModelDir(model_dir_);
  absl::StatusOr<ThoughtTokens> tokens =
      tokenizer.ok()
          ? ThoughtTokens::FromTokenizer(**tokenizer, vocab_size_)
          : absl::InvalidArgumentError(absl::StrCat(
                "the model's tokenizer.json is needed for this: ", tokenizer.status().message()));
  if (!tokens.ok()) return error_ = tokens.status();
  tokens_ = std::make_shared<const ThoughtTokens>(*std::move(tokens));
  return tokens_;
}

}  // namespace vallm::engine
