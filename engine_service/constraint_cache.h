// Compiles the constraints of requests, and keeps the last ones: clients repeat their schemas.
//
// Thread-safe. Compiling runs on the caller's thread, never on the engine's; the vocabulary is
// prepared by the first request that has a constraint (about 0.4 s at 152k tokens). What comes out
// must be used by the engine's thread alone, see constraint/matcher.h.
#ifndef VALLM_ENGINE_SERVICE_CONSTRAINT_CACHE_H_
#define VALLM_ENGINE_SERVICE_CONSTRAINT_CACHE_H_

#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "common/mutex.h"
#include "engine_service/constraint/constraint_spec.h"
#include "engine_service/constraint/matcher.h"

namespace vallm::engine {

class ConstraintCache {
 public:
  static constexpr size_t kMaxGrammars = 16;

  // `vocab_size` is the number of rows of logits.
  ConstraintCache(std::string model_dir, int32_t vocab_size, std::vector<int32_t> eos_ids);

  // Errors: those of CompileConstraint; UNIMPLEMENTED if the model has no usable tokenizer.json.
  absl::StatusOr<std::shared_ptr<CompiledGrammar>> Compile(const ConstraintSpec& spec);

 private:
  absl::StatusOr<std::shared_ptr<const ConstraintVocabulary>> Vocabulary();

  const std::string model_dir_;
  const int32_t vocab_size_;
  const std::vector<int32_t> eos_ids_;

  Mutex vocabulary_mu_;  // held while it is prepared; never taken with mu_ held
  std::shared_ptr<const ConstraintVocabulary> vocabulary_ ABSL_GUARDED_BY(vocabulary_mu_);
  Mutex mu_;
  // The last one used first.
  std::list<std::pair<ConstraintSpec, std::shared_ptr<CompiledGrammar>>> grammars_
      ABSL_GUARDED_BY(mu_);
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_CONSTRAINT_CACHE_H_
