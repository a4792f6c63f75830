#include "engine_service/constraint_cache.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "tokenizer_service/bpe/tokenizer.h"

namespace vallm::engine {

ConstraintCache::ConstraintCache(std::string model_dir, int32_t vocab_size,
                                 std::vector<int32_t> eos_ids)
    : model_dir_(std::move(model_dir)), vocab_size_(vocab_size), eos_ids_(std::move(eos_ids)) {}

absl::StatusOr<std::shared_ptr<const ConstraintVocabulary>> ConstraintCache::Vocabulary() {
  MutexLock lock(vocabulary_mu_);
  if (vocabulary_ != nullptr) return vocabulary_;
  const auto tokenizer = tokenizer::Tokenizer::FromModelDir(model_dir_);
  if (!tokenizer.ok()) {
    return absl::UnimplementedError(absl::StrCat("a constraint needs the model's tokenizer.json: ",
                                                 tokenizer.status().message()));
  }
  vocabulary_ = std::make_shared<const ConstraintVocabulary>(
      ConstraintVocabulary::FromTokenizer(**tokenizer, vocab_size_, eos_ids_));
  return vocabulary_;
}

absl::StatusOr<std::shared_ptr<CompiledGrammar>> ConstraintCache::Compile(
    const ConstraintSpec& spec) {
  {
    MutexLock lock(mu_);
    const auto found = std::find_if(grammars_.begin(), grammars_.end(),
                                    [&](const auto& entry) { return entry.first == spec; });
    if (found != grammars_.end()) {
      grammars_.splice(grammars_.begin(), grammars_, found);
      return found->second;
    }
  }
  VALLM_ASSIGN_OR_RETURN(auto vocabulary, Vocabulary());
  VALLM_ASSIGN_OR_RETURN(auto grammar, CompileConstraint(spec, std::move(vocabulary)));
  MutexLock lock(mu_);
  grammars_.emplace_front(spec, grammar);
  if (grammars_.size() > kMaxGrammars) grammars_.pop_back();
  return grammar;
}

}  // namespace vallm::engine
