#include "engine_service/constraint/matcher.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "engine_service/constraint/ebnf_parser.h"
#include "engine_service/constraint/json_schema.h"
#include "engine_service/constraint/regex_parser.h"
#include "engine_service/constraint/tool_grammar.h"
#include "tokenizer_service/bpe/utf8.h"

namespace vallm::engine {
namespace {

// Steps of building states (some 30 ns each) that one call may take: what a cold mask of a sane
// constraint needs is 1% of it.
constexpr int64_t kWorkPerMask = 3'000'000;
constexpr int64_t kWorkPerToken = 300'000;

constexpr size_t kMaxChoices = 10'000;
constexpr size_t kMaxChoiceBytes = 1024 * 1024;

absl::StatusOr<Grammar> GrammarOfChoices(const std::vector<std::string>& choices) {
  size_t bytes = 0;
  std::vector<ExprPtr> ways;
  for (const std::string& choice : choices) {
    bytes += choice.size();
    if (choice.empty()) return absl::InvalidArgumentError("choice: a choice is empty");
    if (tokenizer::FirstInvalidUtf8(choice)) {
      return absl::InvalidArgumentError("choice: a choice is not valid UTF-8");
    }
    ways.push_back(BytesExpr(choice));
  }
  if (choices.empty() || choices.size() > kMaxChoices) {
    return absl::InvalidArgumentError(absl::StrCat("choice: there are ", choices.size(),
                                                   " choices; allowed are 1 to ", kMaxChoices));
  }
  if (bytes > kMaxChoiceBytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat("choice: the choices have ", bytes, " bytes; the limit is ", kMaxChoiceBytes));
  }
  Grammar grammar;
  grammar.root = grammar.AddRule("(choice)", ChoiceExpr(std::move(ways)));
  return grammar;
}

absl::StatusOr<Grammar> GrammarOfRegex(const std::string& pattern) {
  Grammar grammar;
  VALLM_ASSIGN_OR_RETURN(ExprPtr body, ParseRegex(pattern, RegexMatch::kFull));
  grammar.root = grammar.AddRule("(regex)", std::move(body));
  return grammar;
}

absl::StatusOr<Grammar> GrammarOfKind(const ConstraintSpec& spec) {
  switch (spec.kind) {
    case ConstraintSpec::Kind::kJsonObject:
      return GrammarOfAnyObject();
    case ConstraintSpec::Kind::kJsonSchema:
      return GrammarOfSchema(spec.text);
    case ConstraintSpec::Kind::kRegex:
      return GrammarOfRegex(spec.text);
    case ConstraintSpec::Kind::kChoice:
      return GrammarOfChoices(spec.choices);
    case ConstraintSpec::Kind::kGrammar:
      return ParseEbnf(spec.text);
    case ConstraintSpec::Kind::kTools:
      return Grammar();
  }
  return absl::InvalidArgumentError("unknown kind of constraint");
}

absl::StatusOr<Grammar> GrammarOf(const ConstraintSpec& spec,
                                  const ConstraintVocabulary& vocabulary) {
  VALLM_ASSIGN_OR_RETURN(Grammar grammar, GrammarOfKind(spec));
  const bool only_calls = spec.kind == ConstraintSpec::Kind::kTools;
  if (!only_calls && spec.tools.empty()) return grammar;
  VALLM_ASSIGN_OR_RETURN(
      const int calls,
      AddToolCalls(spec.tools, spec.tool_name, spec.parallel_tool_calls, vocabulary, &grammar));
  grammar.root = only_calls
                     ? calls
                     : grammar.AddRule("(answer or tool calls)",
                                       ChoiceExpr({RuleExpr(grammar.root), RuleExpr(calls)}));
  return grammar;
}

}  // namespace

CompiledGrammar::CompiledGrammar(Network network,
                                 std::shared_ptr<const ConstraintVocabulary> vocabulary)
    : vocabulary_(std::move(vocabulary)),
      automaton_(std::move(network)),
      masks_(&automaton_, vocabulary_.get()) {}

bool CompiledGrammar::Matches(std::string_view text) {
  ForgetIfLarge();
  automaton_.StartWork(kWorkPerMask);
  Automaton::State state = automaton_.Start();
  for (const char c : text) state = automaton_.Next(state, static_cast<uint8_t>(c));
  return automaton_.status().ok() && automaton_.IsComplete(state);
}

void CompiledGrammar::ForgetIfLarge() {
  if (memory_bytes() <= memory_limit_) return;
  automaton_.Clear();
  masks_.Clear();
  ++generation_;
  memory_limit_ = kMaxMemoryBytes;
}

absl::StatusOr<std::shared_ptr<CompiledGrammar>> CompileConstraint(
    const ConstraintSpec& spec, std::shared_ptr<const ConstraintVocabulary> vocabulary) {
  VALLM_ASSIGN_OR_RETURN(const Grammar grammar, GrammarOf(spec, *vocabulary));
  VALLM_ASSIGN_OR_RETURN(Network network, BuildNetwork(grammar));
  auto compiled = std::make_shared<CompiledGrammar>(std::move(network), std::move(vocabulary));
  // The first mask is part of compiling: its costs are not the first step's.
  Matcher matcher(compiled, {});
  std::vector<uint64_t> mask(MaskWords(compiled->vocabulary().mask_size()));
  VALLM_RETURN_IF_ERROR(matcher.FillMask(mask));
  return compiled;
}

Matcher::Matcher(std::shared_ptr<CompiledGrammar> grammar, const ConstraintStart& start)
    : grammar_(std::move(grammar)), start_(start) {}

absl::Status Matcher::Sync() {
  grammar_->ForgetIfLarge();
  Automaton& automaton = grammar_->automaton_;
  if (generation_ == grammar_->generation_) return absl::OkStatus();
  const size_t memory_before = grammar_->memory_bytes();
  automaton.StartWork(kWorkPerMask);
  State state = automaton.Start();
  for (const int32_t token : accepted_) {
    automaton.StartWork(kWorkPerMask);
    state = Step(state, token);
    VALLM_RETURN_IF_ERROR(automaton.status());
  }
  VALLM_RETURN_IF_ERROR(automaton.status());
  state_ = state;
  generation_ = grammar_->generation_;
  // A long output may need much by itself: forgetting it at every step would help nobody.
  const size_t added = grammar_->memory_bytes() - memory_before;
  grammar_->memory_limit_ =
      std::max(grammar_->memory_limit_, CompiledGrammar::kMaxMemoryBytes + 2 * added);
  return absl::OkStatus();
}

Matcher::State Matcher::Step(State state, int32_t token) {
  Automaton& automaton = grammar_->automaton_;
  const std::string_view text = grammar_->vocabulary_->TextOf(token);
  if (!text.empty()) {
    for (const char c : text) state = automaton.Next(state, static_cast<uint8_t>(c));
    return state;
  }
  const std::vector<std::string>& tokens = automaton.network().tokens;
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (grammar_->vocabulary_->AddedToken(tokens[i]) == token) {
      return automaton.NextToken(state, static_cast<int>(i));
    }
  }
  return Automaton::kDead;
}

absl::Status Matcher::FillMask(std::span<uint64_t> mask) {
  const ConstraintVocabulary& vocabulary = *grammar_->vocabulary_;
  const auto set = [mask](int32_t id) { mask[id / 64] |= uint64_t{1} << (id % 64); };
  if (start_.phase == Phase::kThinking) {
    std::fill(mask.begin(), mask.end(), ~uint64_t{0});
    for (const int32_t id : vocabulary.eos_ids()) mask[id / 64] &= ~(uint64_t{1} << (id % 64));
    return absl::OkStatus();
  }
  if (ended_) {
    std::fill(mask.begin(), mask.end(), 0);
    for (const int32_t id : vocabulary.eos_ids()) set(id);
    return absl::OkStatus();
  }
  VALLM_RETURN_IF_ERROR(Sync());
  grammar_->automaton_.StartWork(kWorkPerMask);
  const AllowedTokens& allowed = grammar_->masks_.MaskOf(state_);
  VALLM_RETURN_IF_ERROR(grammar_->automaton_.status());
  if (!allowed.Any()) {
    return absl::FailedPreconditionError("no token of the vocabulary can follow");
  }
  std::copy(allowed.words().begin(), allowed.words().end(), mask.begin());
  if (start_.phase == Phase::kMaybeThinking) set(start_.think_open);
  return absl::OkStatus();
}

absl::Status Matcher::Accept(int32_t token) {
  const ConstraintVocabulary& vocabulary = *grammar_->vocabulary_;
  const auto refused = [token] {
    return absl::InvalidArgumentError(
        absl::StrCat("the constraint does not allow token ", token, " here"));
  };
  if (start_.phase == Phase::kThinking) {
    if (vocabulary.IsEos(token)) return refused();
    if (token == start_.think_close) start_.phase = Phase::kAnswer;
    return absl::OkStatus();
  }
  if (start_.phase == Phase::kMaybeThinking && token == start_.think_open) {
    start_.phase = Phase::kThinking;
    return absl::OkStatus();
  }
  if (ended_) return vocabulary.IsEos(token) ? absl::OkStatus() : refused();
  VALLM_RETURN_IF_ERROR(Sync());
  if (vocabulary.IsEos(token)) {
    if (!grammar_->automaton_.IsComplete(state_)) return refused();
    ended_ = true;
    start_.phase = Phase::kAnswer;
    return absl::OkStatus();
  }
  grammar_->automaton_.StartWork(kWorkPerToken);
  const State next = Step(state_, token);
  VALLM_RETURN_IF_ERROR(grammar_->automaton_.status());
  if (next == Automaton::kDead) return refused();
  state_ = next;
  start_.phase = Phase::kAnswer;
  accepted_.push_back(token);
  return absl::OkStatus();
}

bool Matcher::IsComplete() {
  if (ended_) return true;
  if (start_.phase == Phase::kThinking) return false;
  return Sync().ok() && grammar_->automaton_.IsComplete(state_);
}

}  // namespace vallm::engine
