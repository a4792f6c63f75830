#include "tokenizer_service/bpe/piece_encoder.h"

#include <optional>
#include <utility>

#include "common/parallel.h"

namespace vallm::tokenizer {

PieceEncoder::PieceEncoder(const std::array<int32_t, 256>& byte_ids,
                           const std::vector<Merges::Merge>& merges, const Vocab& vocab,
                           const std::vector<int32_t>& piece_ids, bool ignore_merges,
                           const SplitRules& split_rules)
    : pieces_(piece_ids.size()), split_rules_(split_rules) {
  const auto insert_if = [&](const auto& is_piece) {
    for (const int32_t id : piece_ids) {
      const std::string_view bytes = vocab.Bytes(id);
      if (!bytes.empty() && (ignore_merges || is_piece(id, bytes))) pieces_.Insert(bytes, id);
    }
  };
  if (auto plan = MergeSearch::MakePlan(byte_ids, merges, vocab)) {
    const auto is_reachable = [&plan](int32_t id, std::string_view) {
      return plan->reachable[static_cast<size_t>(id)] != 0;
    };
    // The two large tables, each in a thread.
    ParallelFor(2, 2, [&](size_t table) {
      if (table == 0) {
        merges_ = std::make_unique<const MergeSearch>(&*plan);
      } else {
        insert_if(is_reachable);
      }
    });
    return;
  }
  merges_ = std::make_unique<const Merges>(byte_ids, merges);
  std::vector<int32_t> ids;
  insert_if([&](int32_t id, std::string_view bytes) {
    ids.clear();
    std::get<1>(merges_)->Apply(bytes, &ids);
    return ids.size() == 1 && ids[0] == id;
  });
}

void PieceEncoder::EncodeByMerges(std::string_view piece, std::vector<int32_t>* ids) const {
  if (const auto* search = std::get_if<0>(&merges_)) {
    (*search)->Apply(piece, ids);
  } else {
    std::get<1>(merges_)->Apply(piece, ids);
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
