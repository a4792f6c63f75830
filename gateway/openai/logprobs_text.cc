#include "gateway/openai/logprobs_text.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/valid_utf8.h"
#include "gateway/openai/json_text.h"

namespace vallm::gateway {
namespace {

constexpr float kLowestLogprob = -9999;

// Shortest digits that give the same float again.
void AppendLogprob(float logprob, std::string* out) {
  if (std::isnan(logprob)) {
    out->append("null");
    return;
  }
  char digits[32];
  const auto end =
      std::to_chars(digits, digits + sizeof(digits), std::max(logprob, kLowestLogprob));
  out->append(digits, end.ptr);
}

void AppendTokenAndBytes(std::string_view bytes, float logprob, std::string* out) {
  out->append("{\"token\":");
  AppendJsonString(ReplaceInvalidUtf8(bytes), out);
  out->append(",\"logprob\":");
  AppendLogprob(logprob, out);
  out->append(",\"bytes\":[");
  for (size_t i = 0; i < bytes.size(); ++i) {
    absl::StrAppend(out, i > 0 ? "," : "", static_cast<int>(static_cast<unsigned char>(bytes[i])));
  }
  out->push_back(']');
}

// The name of a token in a completion's lists.
std::string NameOf(std::string_view bytes) {
  if (IsValidUtf8(bytes)) return std::string(bytes);
  std::string name = "bytes:";
  for (const char c : bytes) absl::StrAppendFormat(&name, "\\x%02x", static_cast<unsigned char>(c));
  return name;
}

void AppendTopByName(const TokenLogprobs& position, const tokenizer::TokenTable& texts,
                     std::string* out) {
  const auto append = [&](int32_t token_id, float logprob, bool first) {
    if (!first) out->push_back(',');
    AppendJsonString(NameOf(texts.TokenBytes(token_id)), out);
    out->push_back(':');
    AppendLogprob(logprob, out);
  };
  if (std::isnan(position.logprob)) {
    out->append("null");
    return;
  }
  out->push_back('{');
  bool listed = false;
  for (const auto& [token_id, logprob] : position.top) {
    append(token_id, logprob, token_id == position.top.front().first);
    listed |= token_id == position.token_id;
  }
  if (!listed) append(position.token_id, position.logprob, position.top.empty());
  out->push_back('}');
}

// A list of what `append` writes for each position.
template <typename Append>
void AppendArray(const std::vector<TokenLogprobs>& logprobs, std::string* out, Append append) {
  out->push_back('[');
  for (const TokenLogprobs& position : logprobs) {
    if (&position != &logprobs.front()) out->push_back(',');
    append(position);
  }
  out->push_back(']');
}

template <typename Append>
void AppendList(const char* name, const std::vector<TokenLogprobs>& logprobs, std::string* out,
                Append append) {
  absl::StrAppend(out, "\"", name, "\":");
  AppendArray(logprobs, out, append);
}

void AppendRanked(int32_t token_id, float logprob, int rank, const tokenizer::TokenTable& texts,
                  std::string* out) {
  absl::StrAppend(out, "\"", token_id, "\":{\"logprob\":");
  AppendLogprob(logprob, out);
  absl::StrAppend(out, ",\"rank\":", rank, ",\"decoded_token\":");
  AppendJsonString(ReplaceInvalidUtf8(texts.TokenBytes(token_id)), out);
  out->push_back('}');
}

}  // namespace

void AppendPromptLogprobs(std::span<const TokenLogprobs> logprobs,
                          const tokenizer::TokenTable& texts, std::string* out) {
  out->append("[null");
  for (const TokenLogprobs& position : logprobs) {
    out->append(",{");
    AppendRanked(position.token_id, position.logprob, position.rank, texts, out);
    int rank = 0;
    for (const auto& [token_id, logprob] : position.top) {
      ++rank;
      if (token_id == position.token_id) continue;
      out->push_back(',');
      AppendRanked(token_id, logprob, rank, texts, out);
    }
    out->push_back('}');
  }
  out->push_back(']');
}

void AppendTokenList(const std::vector<TokenLogprobs>& logprobs, const tokenizer::TokenTable& texts,
                     std::string* out) {
  AppendArray(logprobs, out, [&](const TokenLogprobs& position) {
    AppendTokenAndBytes(texts.TokenBytes(position.token_id), position.logprob, out);
    out->append(",\"top_logprobs\":[");
    for (const auto& [token_id, logprob] : position.top) {
      if (token_id != position.top.front().first) out->push_back(',');
      AppendTokenAndBytes(texts.TokenBytes(token_id), logprob, out);
      out->push_back('}');
    }
    out->append("]}");
  });
}

void AppendChatLogprobs(const std::vector<TokenLogprobs>& logprobs,
                        const tokenizer::TokenTable& texts, std::string* out) {
  out->append("{\"content\":");
  AppendTokenList(logprobs, texts, out);
  out->append(",\"refusal\":null}");
}

void AppendCompletionLogprobs(const std::vector<TokenLogprobs>& logprobs,
                              const tokenizer::TokenTable& texts, int64_t* offset,
                              std::string* out) {
  out->push_back('{');
  AppendList("text_offset", logprobs, out, [&](const TokenLogprobs& position) {
    absl::StrAppend(out, *offset);
    if (position.shows) *offset += CountCharacters(texts.TokenBytes(position.token_id));
  });
  out->push_back(',');
  AppendList("token_logprobs", logprobs, out,
             [&](const TokenLogprobs& position) { AppendLogprob(position.logprob, out); });
  out->push_back(',');
  AppendList("tokens", logprobs, out, [&](const TokenLogprobs& position) {
    AppendJsonString(NameOf(texts.TokenBytes(position.token_id)), out);
  });
  out->push_back(',');
  AppendList("top_logprobs", logprobs, out,
             [&](const TokenLogprobs& position) { AppendTopByName(position, texts, out); });
  out->push_back('}');
}

}  // namespace vallm::gateway
