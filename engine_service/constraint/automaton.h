// A network, determinised lazily: a state is a set of (node, stack of return nodes), found and
// remembered when a byte first leads to it, so that the next byte that does costs one look-up.
//
// - Stacks are shared lists. Sets and stacks are interned: equal ones have equal numbers, which is
//   what makes transitions, and masks, cacheable.
// - Calls nest at most kMaxCallDepth deep, and a member from which the end could not be reached
//   within that is left out of its set (Node::need). A state therefore never is a dead end: from
//   every state but kDead some bytes lead to completion.
// - Bytes that no edge tells apart share one column of the transition table.
//
// Not thread-safe: it grows when it is asked. Pure otherwise: the same bytes always lead to the
// same set, whatever was asked before (only its number may differ).
#ifndef VALLM_ENGINE_SERVICE_CONSTRAINT_AUTOMATON_H_
#define VALLM_ENGINE_SERVICE_CONSTRAINT_AUTOMATON_H_

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "engine_service/constraint/network.h"

namespace vallm::engine {

class Automaton {
 public:
  using State = int32_t;
  static constexpr State kDead = 0;
  // The most members of one state.
  static constexpr size_t kMaxStateMembers = 4096;
  static constexpr int kMaxCallDepth = 512;

  explicit Automaton(Network network);

  // The state before anything was taken. Errors: see status().
  State Start();

  // The state behind `byte`, or kDead.
  State Next(State state, uint8_t byte) { return NextByClass(state, byte_classes_[byte]); }
  // The state behind network().tokens[token].
  State NextToken(State state, int token) { return NextByClass(state, byte_class_count_ + token); }
  // Whether what was taken so far may be all.
  bool IsComplete(State state) const { return states_[state].complete; }
  // Whether nothing may follow.
  bool IsFinished(State state) const { return states_[state].members.empty(); }

  // Bytes of one class lead to equal states from every state.
  int ClassOf(uint8_t byte) const { return byte_classes_[byte]; }
  State NextByClass(State state, int byte_class) {
    const State next = table_[static_cast<size_t>(state) * class_count_ + byte_class];
    return next >= 0 ? next : Compute(state, byte_class);
  }

  // RESOURCE_EXHAUSTED once a state had too many members or the work allowed since StartWork() ran
  // out; states asked for since then may wrongly be kDead, until the next StartWork().
  absl::Status status() const { return status_; }
  // Allows `steps` more steps of building states.
  void StartWork(int64_t steps);

  // Forgets all states: their numbers mean nothing afterwards.
  void Clear();
  // About what the states take.
  size_t memory_bytes() const { return memory_bytes_; }
  size_t state_count() const { return states_.size(); }
  const Network& network() const { return network_; }

 private:
  static constexpr State kUnknown = -1;
  // A member is a node (high half) and a stack (low half).
  using Member = uint64_t;
  struct StackCell {
    int32_t node;    // to go on from when the call returns
    int32_t parent;  // the rest of the stack
    int32_t depth;
  };
  struct StateData {
    std::vector<Member> members;  // sorted; only those that take something
    bool complete = false;
  };

  void MakeByteClasses();
  State Compute(State state, int byte_class);
  // Adds what is reachable from `node` without taking anything to pending_.
  void Add(int32_t node, int32_t stack);
  void Visit(int32_t node, int32_t stack);
  int32_t Push(int32_t node, int32_t parent);
  State InternPending();
  void ResetPending();

  Network network_;
  std::array<uint16_t, 256> byte_classes_{};
  std::vector<uint8_t> representatives_;  // [class] one of its bytes
  int byte_class_count_ = 0;
  size_t class_count_ = 0;  // the classes of bytes, then one per token

  std::vector<StateData> states_;
  std::vector<State> table_;  // [state][class]
  absl::flat_hash_map<size_t, std::vector<State>> states_by_hash_;
  std::vector<StackCell> stacks_;  // [0] is the empty one
  absl::flat_hash_map<uint64_t, int32_t> stack_ids_;
  State start_ = kUnknown;

  std::vector<Member> pending_;
  bool pending_complete_ = false;
  std::vector<Member> work_;
  absl::flat_hash_set<Member> visited_;

  int64_t steps_left_ = 0;
  size_t memory_bytes_ = 0;
  absl::Status status_;
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_CONSTRAINT_AUTOMATON_H_
