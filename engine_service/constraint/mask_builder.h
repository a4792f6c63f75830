// Which tokens may follow in a state of the automaton: the vocabulary's tries walked from it, and
// the result kept.
//
// In a state that goes on the same way behind every character of plain text (inside a string),
// text tokens are not walked: their masks by length are joined in. Whether a state is so is found
// by asking the automaton for the next state by every class of bytes.
//
// Not thread-safe, like the automaton it asks.
#ifndef VALLM_ENGINE_SERVICE_CONSTRAINT_MASK_BUILDER_H_
#define VALLM_ENGINE_SERVICE_CONSTRAINT_MASK_BUILDER_H_

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "engine_service/constraint/allowed_tokens.h"
#include "engine_service/constraint/automaton.h"
#include "engine_service/constraint/token_trie.h"

namespace vallm::engine {

class MaskBuilder {
 public:
  // Both must outlive this.
  MaskBuilder(Automaton* automaton, const ConstraintVocabulary* vocabulary);

  // The tokens that may follow in `state`; end-of-sequence ids exactly when it is complete. Valid
  // until the next call. What is missing from it after a failure is in automaton->status().
  const AllowedTokens& MaskOf(Automaton::State state);

  // To be called when the automaton was cleared.
  void Clear();
  size_t memory_bytes() const { return masks_.size() * vocabulary_->mask_size() / 8; }

 private:
  using State = Automaton::State;
  // Masks kept; the oldest goes first.
  static constexpr size_t kMaxMasks = 512;
  static constexpr State kNotUniform = -1;
  static constexpr State kNotAsked = -2;

  void Build(State state, AllowedTokens* mask);
  void AddTextTokens(State state, AllowedTokens* mask);
  void Walk(const TokenTrie& trie, State state, AllowedTokens* mask);
  // The one state behind every character of plain text, or kNotUniform.
  State NextBehindText(State state);
  State FindNextBehindText(State state);
  // Whether no character of plain text may follow, nor the first byte of one.
  bool TakesNoText(State state);

  Automaton* automaton_;
  const ConstraintVocabulary* vocabulary_;
  std::vector<std::optional<int32_t>> token_ids_;            // [network token]
  std::vector<int> plain_classes_;                           // of the unescaped ASCII bytes
  std::vector<int> lead_classes_;                            // of first bytes of longer characters
  std::vector<std::vector<std::vector<int>>> longer_chars_;  // classes, by sequence and position
  absl::flat_hash_map<State, AllowedTokens> masks_;
  std::deque<State> order_;
  AllowedTokens failed_;            // the last one that the automaton could not finish
  std::vector<State> behind_text_;  // [state]
  std::vector<State> path_;         // [depth]
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_CONSTRAINT_MASK_BUILDER_H_
