#include "tokenizer_service/bpe/piece_encoder.h"

#include <utility>

namespace vallm::tokenizer {
namespace {

std::variant<MergeSearch, Merges> BuildMerges(const std::array<int32_t, 256>& byte_ids,
                                              const std::vector<Merges::Merge>& merges,
                                              const Vocab& vocab) {
  if (auto search = MergeSearch::Build(byte_ids, merges, vocab)) return *std::move(search);
  return Merges(byte_ids, merges);
}

}  // namespace

PieceEncoder::PieceEncoder(const std::array<int32_t, 256>& byte_ids,
                           const std::vector<Merges::Merge>& merges, const Vocab& vocab,
                           const std::vector<int32_t>& piece_ids, bool ignore_merges,
                           const SplitRules& split_rules)
    : merges_(BuildMerges(byte_ids, merges, vocab)),
      pieces_(piece_ids.size()),
      split_rules_(split_rules) {
  std::vector<int32_t> ids;
  for (const int32_t id : piece_ids) {
    const std::string_view bytes = vocab.Bytes(id);
    if (bytes.empty()) continue;
    if (!ignore_merges) {
      if (const auto* search = std::get_if<MergeSearch>(&merges_)) {
        if (!search->IsReachable(id)) continue;
      } else {
        ids.clear();
        std::get<Merges>(merges_).Apply(bytes, &ids);
        if (ids.size() != 1 || ids[0] != id) continue;
      }
    }
    pieces_.Insert(bytes, id);
  }
}

void PieceEncoder::EncodeByMerges(std::string_view piece, std::vector<int32_t>* ids) const {
  if (const auto* search = std::get_if<MergeSearch>(&merges_)) {
    search->Apply(piece, ids);
  } else {
    std::get<Merges>(merges_).Apply(piece, ids);
  }
}

void PieceEncoder::Encode(std::string_view text, std::vector<int32_t>* ids) const {
  // Look-ups are begun for a batch of pieces before the first is waited for.
  constexpr size_t kBatch = 32;
  PieceTable::Probe probes[kBatch];
  const char* const end = text.data() + text.size();
  PieceScanner scanner(text, split_rules_);
  while (true) {
    size_t count = 0;
    for (; count < kBatch; ++count) {
      const std::string_view piece = scanner.Next();
      if (piece.empty()) break;
      probes[count] = pieces_.Start(piece, end);
    }
    for (size_t i = 0; i < count; ++i) {
      const int32_t id = pieces_.Finish(probes[i]);
      if (id != PieceTable::kNoId) {
        ids->push_back(id);
      } else {
        EncodeByMerges(probes[i].piece, ids);
      }
    }
    if (count < kBatch) return;
  }
}

}  // namespace vallm::tokenizer
