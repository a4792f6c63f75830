#include "engine_service/constraint/mask_builder.h"

#include <algorithm>
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

void MaskBuilder::Walk(const TokenTrie& trie, State state, AllowedTokens* mask) {
  path_[0] = state;
  const std::vector<TokenTrie::Node>& nodes = trie.nodes();
  const size_t count = nodes.size();
  for (size_t i = 0; i < count;) {
    const TokenTrie::Node& node = nodes[i];
    const State next = automaton_->Next(path_[node.depth - 1], node.byte);
    if (next == Automaton::kDead) {
      i = static_cast<size_t>(node.skip);
      continue;
    }
    if (node.token >= 0) mask->Set(node.token);
    path_[node.depth] = next;
    ++i;
  }
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
