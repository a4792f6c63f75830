// Constrained decoding: CompileConstraint() turns what a request asks for into a CompiledGrammar;
// a Matcher follows one output through it and says which tokens may come next.
//
//   VALLM_ASSIGN_OR_RETURN(auto grammar, CompileConstraint(spec, vocabulary));
//   Matcher matcher(grammar, {});
//   matcher.FillMask(mask);  ... sample a token among the mask's ...  matcher.Accept(token);
//
// Which tokens a mask allows depends on the constraint and the tokens accepted so far alone. A
// matcher can be copied (n > 1), and rebuilt by accepting the same tokens again (resume).
//
// Threads: CompileConstraint may run anywhere. A CompiledGrammar learns as its matchers ask (its
// automaton is built lazily and shared by them), so that all matchers of one grammar, copies
// included, must be used by one thread at a time.
#ifndef VALLM_ENGINE_SERVICE_CONSTRAINT_MATCHER_H_
#define VALLM_ENGINE_SERVICE_CONSTRAINT_MATCHER_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine_service/constraint/automaton.h"
#include "engine_service/constraint/constraint_spec.h"
#include "engine_service/constraint/mask_builder.h"
#include "engine_service/constraint/token_trie.h"

namespace vallm::engine {

class CompiledGrammar {
 public:
  // What the automaton and its masks may take before they are forgotten and built anew.
  static constexpr size_t kMaxMemoryBytes = size_t{32} << 20;

  CompiledGrammar(Network network, std::shared_ptr<const ConstraintVocabulary> vocabulary);

  const ConstraintVocabulary& vocabulary() const { return *vocabulary_; }
  size_t memory_bytes() const { return automaton_.memory_bytes() + masks_.memory_bytes(); }
  // Whether `text` as a whole satisfies the constraint. For tests and tools.
  bool Matches(std::string_view text);

 private:
  friend class Matcher;

  void ForgetIfLarge();

  std::shared_ptr<const ConstraintVocabulary> vocabulary_;
  Automaton automaton_;
  MaskBuilder masks_;
  int64_t generation_ = 0;  // counts how often the states were forgotten
  size_t memory_limit_ = kMaxMemoryBytes;
};

// Errors: INVALID_ARGUMENT (malformed, contradictory), UNIMPLEMENTED (a keyword or construct that
// is not supported, by name), RESOURCE_EXHAUSTED (beyond a limit, with both numbers).
absl::StatusOr<std::shared_ptr<CompiledGrammar>> CompileConstraint(
    const ConstraintSpec& spec, std::shared_ptr<const ConstraintVocabulary> vocabulary);

// Where in its output a request is when the constraint is set up.
struct ConstraintStart {
  enum class Phase {
    kAnswer,         // the next token is the answer's
    kMaybeThinking,  // the next token may open a thought, or be the answer's
    kThinking,       // a thought is open
  };
  Phase phase = Phase::kAnswer;
  // The tokens that open and close a thought. Both >= 0 unless the phase is kAnswer.
  int32_t think_open = -1;
  int32_t think_close = -1;
};

class Matcher {
 public:
  Matcher(std::shared_ptr<CompiledGrammar> grammar, const ConstraintStart& start);

  // Overwrites `mask` with the tokens that may come next. The thought of a model is free, but must
  // be closed: end-of-sequence tokens are left out of it. In the answer they are allowed exactly
  // when it is complete, and nothing else is once nothing else can follow.
  // REQUIRES: mask.size() == MaskWords(vocabulary.mask_size()).
  // Errors: RESOURCE_EXHAUSTED if the constraint is too ambiguous to go on; FAILED_PRECONDITION if
  // the vocabulary lacks the bytes that would have to follow.
  absl::Status FillMask(std::span<uint64_t> mask);

  // Goes on behind `token`. Errors: INVALID_ARGUMENT if the mask does not allow it;
  // RESOURCE_EXHAUSTED as above. On error the matcher is unchanged.
  absl::Status Accept(int32_t token);

  // Whether the answer so far is all that was asked for (more may be allowed).
  bool IsComplete();
  // Whether the constraint holds the next token (no thought is open).
  bool IsInAnswer() const { return start_.phase == ConstraintStart::Phase::kAnswer; }

 private:
  using State = Automaton::State;
  using Phase = ConstraintStart::Phase;

  // Makes state_ a state of the automaton as it is now.
  absl::Status Sync();
  State Step(State state, int32_t token);

  std::shared_ptr<CompiledGrammar> grammar_;
  ConstraintStart start_;
  std::vector<int32_t> accepted_;  // of the answer, but end-of-sequence tokens
  bool ended_ = false;             // by an end-of-sequence token
  int64_t generation_ = -1;        // of state_
  State state_ = Automaton::kDead;
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_CONSTRAINT_MATCHER_H_
