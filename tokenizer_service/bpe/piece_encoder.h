// From normalised text without added tokens to ids: cuts it into pieces and encodes each, by one
// look-up where the piece is a token, by its merges where it is not.
#ifndef VALLM_TOKENIZER_SERVICE_BPE_PIECE_ENCODER_H_
#define VALLM_TOKENIZER_SERVICE_BPE_PIECE_ENCODER_H_

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>
#include <variant>
#include <vector>

#include "tokenizer_service/bpe/merge_search.h"
#include "tokenizer_service/bpe/merges.h"
#include "tokenizer_service/bpe/piece_table.h"
#include "tokenizer_service/bpe/pretokenizer.h"
#include "tokenizer_service/bpe/vocab.h"

namespace vallm::tokenizer {

// Immutable, thread-safe.
class PieceEncoder {
 public:
  // `byte_ids` and `merges` as Merges takes them; `vocab` holds the model's vocabulary, of which
  // `piece_ids` may stand for whole pieces: all of them do if `ignore_merges`, else those that
  // merges make.
  PieceEncoder(const std::array<int32_t, 256>& byte_ids, const std::vector<Merges::Merge>& merges,
               const Vocab& vocab, const std::vector<int32_t>& piece_ids, bool ignore_merges,
               const SplitRules& split_rules);

  // Appends the ids of `text`. REQUIRES: valid UTF-8.
  void Encode(std::string_view text, std::vector<int32_t>* ids) const;

 private:
  void EncodeByMerges(std::string_view piece, std::vector<int32_t>* ids) const;

  // The second only where the first cannot serve.
  std::variant<std::unique_ptr<const MergeSearch>, std::unique_ptr<const Merges>> merges_;
  PieceTable pieces_;
  SplitRules split_rules_;
};

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_BPE_PIECE_ENCODER_H_
