#include "engine_service/constraint/mask_builder.h"

#include <algorithm>
#include <map>
#include <utility>

#include "engine_service/constraint/char_set.h"

namespace vallm::engine {
namespace {

void AddUnique(int value, std::vector<int>* values) {
  if (std::find(values->begin(), values->end(), value) == values->end()) values->push_back(value);
}

}  // namespace

MaskBuilder::MaskBuilder(Automaton* automaton, const ConstraintVocabulary* vocabulary)
    : automaton_(automaton), vocabulary_(vocabulary) {
  for (const std::string& content : automaton->network().tokens) {
    token_ids_.push_back(vocabulary->AddedToken(content));
  }
  for (int b = 0; b < 256; ++b) {
    const auto c = static_cast<size_t>(automaton->ClassOf(static_cast<uint8_t>(b)));
    if (class_sizes_.size() <= c) class_sizes_.resize(c + 1);
    ++class_sizes_[c];
  }
  for (int b = 0; b < 0x80; ++b) {
    const auto byte = static_cast<uint8_t>(b);
    if (IsPlainStringByte(byte)) AddUnique(automaton->ClassOf(byte), &plain_classes_);
  }
  for (const std::vector<ByteRange>& sequence : Utf8Sequences(CharSet::Of(0x80, 0x10FFFF))) {
    std::vector<std::vector<int>> classes;
    for (const ByteRange& range : sequence) {
      std::vector<int>& here = classes.emplace_back();
      for (int b = range.first; b <= range.last; ++b) {
        AddUnique(automaton->ClassOf(static_cast<uint8_t>(b)), &here);
      }
    }
    for (const int c : classes[0]) AddUnique(c, &lead_classes_);
    longer_chars_.push_back(std::move(classes));
  }
  path_.resize(
      1 + std::max({vocabulary->text_trie().max_depth(), vocabulary->long_text_trie().max_depth(),
                    vocabulary->other_trie().max_depth()}));
}

void MaskBuilder::Clear() {
  masks_.clear();
  order_.clear();
  behind_text_.clear();
  loops_.clear();
  runs_.clear();
  runs_memory_bytes_ = 0;
}

const AllowedTokens& MaskBuilder::MaskOf(State state) {
  const auto at = masks_.find(state);
  if (at != masks_.end()) return at->second;
  AllowedTokens mask(vocabulary_->mask_size());
  Build(state, &mask);
  if (!automaton_->status().ok()) return failed_ = std::move(mask);
  if (masks_.size() >= kMaxMasks) {
    masks_.erase(order_.front());
    order_.pop_front();
  }
  order_.push_back(state);
  return masks_.insert_or_assign(state, std::move(mask)).first->second;
}

void MaskBuilder::Build(State state, AllowedTokens* mask) {
  if (automaton_->IsComplete(state)) {
    for (const int32_t id : vocabulary_->eos_ids()) mask->Set(id);
  }
  if (automaton_->IsFinished(state)) return;
  for (size_t i = 0; i < token_ids_.size(); ++i) {
    if (token_ids_[i] && automaton_->NextToken(state, static_cast<int>(i)) != Automaton::kDead) {
      mask->Set(*token_ids_[i]);
    }
  }
  AddTextTokens(state, mask);
  Walk(vocabulary_->other_trie(), state, mask);
  for (const auto& [id, same] : vocabulary_->duplicates()) {
    if (mask->Test(same)) mask->Set(id);
  }
}

void MaskBuilder::AddTextTokens(State state, AllowedTokens* mask) {
  constexpr int kMost = ConstraintVocabulary::kMaxTextChars;
  int chars = 0;
  State at = state;
  bool endless = false;
  while (chars < kMost && !endless) {
    const State next = NextBehindText(at);
    if (next == kNotUniform) break;
    endless = next == at;
    at = next;
    ++chars;
  }
  if (endless) {
    mask->Or(vocabulary_->AllTextMask());
    return;
  }
  if (chars > 0) mask->Or(vocabulary_->TextMask(chars));
  if (chars == kMost) {
    Walk(vocabulary_->long_text_trie(), state, mask);
  } else if (chars == 0 || !TakesNoText(at)) {
    Walk(vocabulary_->text_trie(), state, mask);
    Walk(vocabulary_->long_text_trie(), state, mask);
  }
}

void MaskBuilder::Walk(const TokenTrie& trie, int32_t begin, int32_t end, State state,
                       AllowedTokens* mask) {
  if (begin == end || TakeRuns(trie, begin, end, state, mask)) return;
  const std::vector<TokenTrie::Node>& nodes = trie.nodes();
  path_[nodes[static_cast<size_t>(begin)].depth - 1] = state;
  for (int32_t i = begin; i < end;) {
    const TokenTrie::Node& node = nodes[static_cast<size_t>(i)];
    const State next = automaton_->Next(path_[node.depth - 1], node.byte);
    if (next == Automaton::kDead) {
      i = node.skip;
      continue;
    }
    if (node.token >= 0) mask->Set(node.token);
    ++i;
    if (TakeRuns(trie, i, node.skip, next, mask)) {
      i = node.skip;
    } else {
      path_[node.depth] = next;
    }
  }
}

bool MaskBuilder::TakeRuns(const TokenTrie& trie, int32_t begin, int32_t end, State state,
                           AllowedTokens* mask) {
  if (end - begin < kWorthRuns) return false;
  const Loop& loop = LoopOf(state);
  if (loop.set == kNoSet) return false;
  const TokenRuns* runs = RunsBelow(trie, begin, end, loop.set);
  if (runs == nullptr) return false;
  // A copy: going on from the exits may move the loops.
  const std::vector<State> states = loop.states;
  const int levels = static_cast<int>(states.size()) - 1;
  runs->AddTokens(levels, mask);
  for (int level = 0; level <= levels; ++level) {
    WalkFrom(trie, runs->Exits(level + 1), states[static_cast<size_t>(level)], mask);
  }
  if (levels == TokenRuns::kLevels) WalkFrom(trie, runs->deep(), states.back(), mask);
  return true;
}

void MaskBuilder::WalkFrom(const TokenTrie& trie, const TokenRuns::NodesByByte& nodes, State state,
                           AllowedTokens* mask) {
  for (const auto& [byte, numbers] : nodes) {
    const State next = automaton_->Next(state, byte);
    if (next == Automaton::kDead) continue;
    for (const int32_t number : numbers) {
      const TokenTrie::Node& node = trie.nodes()[static_cast<size_t>(number)];
      if (node.token >= 0) mask->Set(node.token);
      Walk(trie, number + 1, node.skip, next, mask);
    }
  }
}

const TokenRuns* MaskBuilder::RunsBelow(const TokenTrie& trie, int32_t begin, int32_t end,
                                        int set) {
  const auto [at, is_new] = runs_.try_emplace(RunsKey(&trie, begin, set));
  if (is_new) return nullptr;
  if (at->second == nullptr) {
    const std::vector<int>& classes = byte_sets_[static_cast<size_t>(set)];
    TokenRuns::ByteSet bytes;
    for (size_t b = 0; b < bytes.size(); ++b) {
      bytes[b] = std::binary_search(classes.begin(), classes.end(),
                                    automaton_->ClassOf(static_cast<uint8_t>(b)));
    }
    at->second = std::make_unique<TokenRuns>(trie, begin, end, bytes, vocabulary_->mask_size());
    runs_memory_bytes_ += at->second->memory_bytes();
  }
  return at->second.get();
}

const MaskBuilder::Loop& MaskBuilder::LoopOf(State state) {
  const auto at = loops_.find(state);
  if (at != loops_.end()) return at->second;
  Loop loop = FindLoop(state);
  // What the automaton could not finish is not remembered.
  if (!automaton_->status().ok()) return no_loop_;
  return loops_.insert_or_assign(state, std::move(loop)).first->second;
}

MaskBuilder::Loop MaskBuilder::FindLoop(State state) {
  // The set: the bytes of the classes behind which the state goes on the same way most often.
  std::map<State, size_t> byte_counts;
  const auto class_count = static_cast<int>(class_sizes_.size());
  for (int c = 0; c < class_count; ++c) {
    const State next = automaton_->NextByClass(state, c);
    if (next != Automaton::kDead) byte_counts[next] += class_sizes_[static_cast<size_t>(c)];
  }
  const auto most =
      std::max_element(byte_counts.begin(), byte_counts.end(),
                       [](const auto& a, const auto& b) { return a.second < b.second; });
  if (most == byte_counts.end() || most->second < kLeastRunBytes) return no_loop_;
  std::vector<int> classes;
  for (int c = 0; c < class_count; ++c) {
    if (automaton_->NextByClass(state, c) == most->first) classes.push_back(c);
  }
  Loop loop = {.set = kNoSet, .states = {state, most->first}};
  while (loop.states.size() <= TokenRuns::kLevels) {
    const State from = loop.states.back();
    const State next = automaton_->NextByClass(from, classes[0]);
    const bool uniform = std::all_of(classes.begin(), classes.end(), [&](int c) {
      return automaton_->NextByClass(from, c) == next;
    });
    if (!uniform) return no_loop_;
    if (next == Automaton::kDead) break;
    loop.states.push_back(next);
  }
  const auto known = std::find(byte_sets_.begin(), byte_sets_.end(), classes);
  loop.set = static_cast<int>(known - byte_sets_.begin());
  if (known == byte_sets_.end()) byte_sets_.push_back(std::move(classes));
  return loop;
}

MaskBuilder::State MaskBuilder::NextBehindText(State state) {
  if (behind_text_.size() <= static_cast<size_t>(state)) {
    behind_text_.resize(static_cast<size_t>(state) + 64, kNotAsked);
  }
  if (behind_text_[state] != kNotAsked) return behind_text_[state];
  const State next = FindNextBehindText(state);
  if (automaton_->status().ok()) behind_text_[state] = next;
  return next;
}

MaskBuilder::State MaskBuilder::FindNextBehindText(State state) {
  State next = kNotAsked;
  for (const int c : plain_classes_) {
    const State here = automaton_->NextByClass(state, c);
    if (here == Automaton::kDead || (next != kNotAsked && here != next)) return kNotUniform;
    next = here;
  }
  for (const auto& positions : longer_chars_) {
    std::vector<State> reached = {state};
    for (const std::vector<int>& classes : positions) {
      std::vector<State> further;
      for (const State from : reached) {
        for (const int c : classes) {
          const State here = automaton_->NextByClass(from, c);
          if (here == Automaton::kDead) return kNotUniform;
          AddUnique(here, &further);
        }
      }
      reached = std::move(further);
    }
    if (reached.size() != 1 || reached[0] != next) return kNotUniform;
  }
  return next;
}

bool MaskBuilder::TakesNoText(State state) {
  const auto is_dead = [&](int c) { return automaton_->NextByClass(state, c) == Automaton::kDead; };
  return std::all_of(plain_classes_.begin(), plain_classes_.end(), is_dead) &&
         std::all_of(lead_classes_.begin(), lead_classes_.end(), is_dead);
}

}  // namespace vallm::engine
