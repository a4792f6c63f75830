// Words that must not come to the token sequences that the engine forbids.
#ifndef VALLM_GATEWAY_ROUTES_BAD_WORDS_H_
#define VALLM_GATEWAY_ROUTES_BAD_WORDS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gateway/prompt_tokenizer.h"
#include "vallm/v1/engine.pb.h"

namespace vallm::gateway {

// Adds the sequences of `words`, none of which is blank, as common/bad_words.h decides them; all
// are encoded in one call. Errors: those of the tokenizer service.
absl::Status AddBadWords(PromptTokenizer& tokenizer, const std::vector<std::string>& words,
                         const RequestId& request_id, v1::SamplingParams* sampling);

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_ROUTES_BAD_WORDS_H_
