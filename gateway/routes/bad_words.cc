#include "gateway/routes/bad_words.h"

#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/bad_words.h"
#include "common/status_macros.h"

namespace vallm::gateway {

absl::Status AddBadWords(PromptTokenizer& tokenizer, const std::vector<std::string>& words,
                         const RequestId& request_id, v1::SamplingParams* sampling) {
  if (words.empty()) return absl::OkStatus();
  v1::EncodeRequest request;
  for (const std::string& word : words) {
    const std::string bare(TrimmedBadWord(word));
    request.add_texts(bare);
    request.add_texts(absl::StrCat(" ", bare));
  }
  VALLM_ASSIGN_OR_RETURN(const v1::EncodeResponse encoded, tokenizer.Encode(request, request_id));
  if (encoded.sequences_size() != request.texts_size()) {
    return absl::InternalError("the tokenizer service did not encode every word");
  }
  std::vector<std::vector<int32_t>> sequences;
  for (int i = 0; i < encoded.sequences_size(); i += 2) {
    const auto& bare = encoded.sequences(i).token_ids();
    const auto& spaced = encoded.sequences(i + 1).token_ids();
    if (bare.empty() || spaced.empty()) continue;  // nothing that could come
    AppendBadWord({bare.begin(), bare.end()}, {spaced.begin(), spaced.end()}, sequences);
  }
  for (const std::vector<int32_t>& sequence : sequences) {
    sampling->add_bad_words()->mutable_ids()->Add(sequence.begin(), sequence.end());
  }
  return absl::OkStatus();
}

}  // namespace vallm::gateway
