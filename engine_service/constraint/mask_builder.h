// Which tokens may follow in a state of the automaton: the vocabulary's tries walked from it, and
// the result kept.
//
// Two kinds of states need no walk, as far as tokens consist of what they do not tell apart.
// Whether a state is so is found by asking the automaton for the next state by every class of
// bytes.
// - Behind every character of plain text the state goes on the same way (inside a string): masks of
//   text tokens by length are joined in.
// - Behind every byte of a set it goes on the same way, and so does that state, and so on (`\w+`,
//   `[a-z]{3,40}`): below a node of a trie, tokens are taken by how many of their bytes stay in the
//   set (token_runs.h). A node's runs are sorted out when they are wanted for the second time.
//
// Not thread-safe, like the automaton it asks.
#ifndef VALLM_ENGINE_SERVICE_CONSTRAINT_MASK_BUILDER_H_
#define VALLM_ENGINE_SERVICE_CONSTRAINT_MASK_BUILDER_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <tuple>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "engine_service/constraint/allowed_tokens.h"
#include "engine_service/constraint/automaton.h"
#include "engine_service/constraint/token_runs.h"
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
  size_t memory_bytes() const {
    return masks_.size() * vocabulary_->mask_size() / 8 + loops_.size() * kLoopBytes +
           runs_memory_bytes_;
  }

 private:
  using State = Automaton::State;
  // Masks kept; the oldest goes first.
  static constexpr size_t kMaxMasks = 512;
  static constexpr State kNotUniform = -1;
  static constexpr State kNotAsked = -2;
  // Smaller parts of a trie are walked.
  static constexpr int32_t kWorthRuns = 256;
  static constexpr size_t kLeastRunBytes = 8;
  static constexpr int kNoSet = -1;

  // How a state goes on behind bytes of a set that it does not tell apart.
  struct Loop {
    int set = kNoSet;  // number of the set in byte_sets_
    // [level] the state behind so many bytes of the set, [0] the state itself; all of them but the
    // last go on the same way behind every byte of it. The last one is at level kLevels, or takes
    // no byte of the set.
    std::vector<State> states;
  };

  static constexpr size_t kLoopBytes = sizeof(Loop) + (TokenRuns::kLevels + 1) * sizeof(State);

  void Build(State state, AllowedTokens* mask);
  void AddTextTokens(State state, AllowedTokens* mask);
  // Of the nodes [begin, end): all those below one node, or all there are.
  void Walk(const TokenTrie& trie, int32_t begin, int32_t end, State state, AllowedTokens* mask);
  void Walk(const TokenTrie& trie, State state, AllowedTokens* mask) {
    Walk(trie, 0, static_cast<int32_t>(trie.nodes().size()), state, mask);
  }
  // Does the same by runs if it can.
  bool TakeRuns(const TokenTrie& trie, int32_t begin, int32_t end, State state,
                AllowedTokens* mask);
  // Nodes with the same byte, in `state` before it.
  void WalkFrom(const TokenTrie& trie, const TokenRuns::NodesByByte& nodes, State state,
                AllowedTokens* mask);
  const Loop& LoopOf(State state);
  Loop FindLoop(State state);
  // Null when they have never been wanted before.
  const TokenRuns* RunsBelow(const TokenTrie& trie, int32_t begin, int32_t end, int set);
  // The one state behind every character of plain text, or kNotUniform.
  State NextBehindText(State state);
  State FindNextBehindText(State state);
  // Whether no character of plain text may follow, nor the first byte of one.
  bool TakesNoText(State state);

  Automaton* automaton_;
  const ConstraintVocabulary* vocabulary_;
  std::vector<std::optional<int32_t>> token_ids_;            // [network token]
  std::vector<size_t> class_sizes_;                          // [class] how many bytes it has
  std::vector<int> plain_classes_;                           // of the unescaped ASCII bytes
  std::vector<int> lead_classes_;                            // of first bytes of longer characters
  std::vector<std::vector<std::vector<int>>> longer_chars_;  // classes, by sequence and position
  absl::flat_hash_map<State, AllowedTokens> masks_;
  std::deque<State> order_;
  AllowedTokens failed_;            // the last one that the automaton could not finish
  std::vector<State> behind_text_;  // [state]
  const Loop no_loop_;
  absl::flat_hash_map<State, Loop> loops_;
  std::vector<std::vector<int>> byte_sets_;  // [set] its classes, sorted
  // By trie, first node and set; null: wanted once.
  using RunsKey = std::tuple<const TokenTrie*, int32_t, int>;
  absl::flat_hash_map<RunsKey, std::unique_ptr<TokenRuns>> runs_;
  size_t runs_memory_bytes_ = 0;
  std::vector<State> path_;  // [depth]
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_CONSTRAINT_MASK_BUILDER_H_
