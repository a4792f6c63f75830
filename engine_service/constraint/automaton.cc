#include "engine_service/constraint/automaton.h"

#include <algorithm>
#include <bitset>
#include <limits>
#include <utility>

#include "absl/hash/hash.h"
#include "absl/strings/str_cat.h"

namespace vallm::engine {
namespace {

using Edge = Network::Edge;
using EdgeKind = Network::EdgeKind;

uint64_t Pack(int32_t high, int32_t low) {
  return static_cast<uint64_t>(static_cast<uint32_t>(high)) << 32 | static_cast<uint32_t>(low);
}
int32_t High(uint64_t pair) { return static_cast<int32_t>(pair >> 32); }
int32_t Low(uint64_t pair) { return static_cast<int32_t>(pair & 0xFFFFFFFFu); }

}  // namespace

Automaton::Automaton(Network network) : network_(std::move(network)) {
  MakeByteClasses();
  Clear();
}

void Automaton::MakeByteClasses() {
  // Refined range by range: bytes stay in one class while every edge takes both or neither.
  std::array<uint32_t, 256> ids{};
  uint32_t count = 1;
  std::bitset<65536> seen;
  for (const Edge& edge : network_.edges) {
    if (edge.kind != EdgeKind::kByte) continue;
    const size_t key = size_t{edge.first} * 256 + edge.last;
    if (seen[key]) continue;
    seen[key] = true;
    std::array<int64_t, 256> inside;
    inside.fill(-1);
    std::array<bool, 256> outside{};
    for (int b = 0; b < 256; ++b) {
      if (b < edge.first || b > edge.last) outside[ids[b]] = true;
    }
    for (int b = edge.first; b <= edge.last; ++b) {
      const uint32_t id = ids[b];
      if (!outside[id]) continue;
      if (inside[id] < 0) inside[id] = count++;
      ids[b] = static_cast<uint32_t>(inside[id]);
    }
  }
  // Numbered by first occurrence, which also closes gaps.
  std::array<int, 256> renumbered;
  renumbered.fill(-1);
  for (int b = 0; b < 256; ++b) {
    int& number = renumbered[ids[b]];
    if (number < 0) {
      number = byte_class_count_++;
      representatives_.push_back(static_cast<uint8_t>(b));
    }
    byte_classes_[b] = static_cast<uint16_t>(number);
  }
  class_count_ = byte_class_count_ + network_.tokens.size();
}

void Automaton::Clear() {
  states_.assign(1, StateData{});
  table_.assign(class_count_, kDead);
  states_by_hash_.clear();
  stacks_.assign(1, StackCell{.node = -1, .parent = 0, .depth = 0});
  stack_ids_.clear();
  start_ = kUnknown;
  memory_bytes_ = 0;
}

void Automaton::StartWork(int64_t steps) {
  steps_left_ = steps;
  status_ = absl::OkStatus();
}

Automaton::State Automaton::Start() {
  if (start_ != kUnknown) return start_;
  ResetPending();
  Add(network_.start, 0);
  const State start = InternPending();
  if (status_.ok()) start_ = start;
  return start;
}

Automaton::State Automaton::Compute(State state, int byte_class) {
  ResetPending();
  const bool is_token = byte_class >= byte_class_count_;
  const int token = byte_class - byte_class_count_;
  const uint8_t byte = is_token ? 0 : representatives_[byte_class];
  // By index: Add() interns stacks only, never states.
  for (size_t i = 0; i < states_[state].members.size(); ++i) {
    const Member member = states_[state].members[i];
    for (const Edge& edge : network_.EdgesOf(High(member))) {
      const bool taken =
          is_token ? edge.kind == EdgeKind::kToken && edge.callee == token
                   : edge.kind == EdgeKind::kByte && edge.first <= byte && byte <= edge.last;
      if (taken) Add(edge.target, Low(member));
    }
  }
  const State next = InternPending();
  // What failed for want of work may succeed with more: it is not remembered.
  if (status_.ok()) table_[static_cast<size_t>(state) * class_count_ + byte_class] = next;
  return next;
}

void Automaton::ResetPending() {
  pending_.clear();
  pending_complete_ = false;
  visited_.clear();
}

void Automaton::Add(int32_t node, int32_t stack) {
  Visit(node, stack);
  while (!work_.empty()) {
    const Member member = work_.back();
    work_.pop_back();
    const int32_t at = High(member);
    const int32_t below = Low(member);
    if (--steps_left_ < 0 && status_.ok()) {
      status_ =
          absl::ResourceExhaustedError("the constraint is too ambiguous: a step takes too long");
    }
    if (!status_.ok()) {
      work_.clear();
      return;
    }
    if (network_.nodes[at].consumes) pending_.push_back(member);
    if (network_.nodes[at].final) {
      if (below == 0) {
        pending_complete_ = true;
      } else {
        const StackCell cell = stacks_[below];
        Visit(cell.node, cell.parent);
      }
    }
    for (const Edge& edge : network_.EdgesOf(at)) {
      if (edge.kind == EdgeKind::kEmpty) {
        Visit(edge.target, below);
      } else if (edge.kind == EdgeKind::kCall) {
        const Network::Node& target = network_.nodes[edge.target];
        if (target.tail) {
          Visit(edge.callee, below);
        } else if (stacks_[below].depth + target.need <= kMaxCallDepth &&
                   stacks_[below].depth + 1 + network_.nodes[edge.callee].need <= kMaxCallDepth) {
          Visit(edge.callee, Push(edge.target, below));
        }
      }
    }
  }
}

void Automaton::Visit(int32_t node, int32_t stack) {
  if (stacks_[stack].depth + network_.nodes[node].need > kMaxCallDepth) return;
  const Member member = Pack(node, stack);
  if (visited_.insert(member).second) work_.push_back(member);
}

int32_t Automaton::Push(int32_t node, int32_t parent) {
  const auto [at, is_new] =
      stack_ids_.try_emplace(Pack(node, parent), static_cast<int32_t>(stacks_.size()));
  if (is_new) {
    stacks_.push_back({.node = node, .parent = parent, .depth = stacks_[parent].depth + 1});
    memory_bytes_ += sizeof(StackCell) + 3 * sizeof(uint64_t);
  }
  return at->second;
}

Automaton::State Automaton::InternPending() {
  if (pending_.size() > kMaxStateMembers && status_.ok()) {
    status_ = absl::ResourceExhaustedError(
        absl::StrCat("the constraint is too ambiguous: more than ", kMaxStateMembers,
                     " ways to read what was generated so far"));
  }
  if (!status_.ok() || (pending_.empty() && !pending_complete_)) return kDead;
  std::sort(pending_.begin(), pending_.end());
  const size_t hash = absl::HashOf(pending_, pending_complete_);
  std::vector<State>& bucket = states_by_hash_[hash];
  for (const State state : bucket) {
    if (states_[state].complete == pending_complete_ && states_[state].members == pending_) {
      return state;
    }
  }
  const auto state = static_cast<State>(states_.size());
  bucket.push_back(state);
  states_.push_back({.members = pending_, .complete = pending_complete_});
  table_.resize(table_.size() + class_count_, kUnknown);
  memory_bytes_ +=
      sizeof(StateData) + pending_.size() * sizeof(Member) + class_count_ * sizeof(State) + 64;
  return state;
}

}  // namespace vallm::engine
