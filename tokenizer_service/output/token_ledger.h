// Says what became of each output token: it follows where the text of the tokens begins and ends,
// and hears from the stages, in the order of the text, which bytes were shown and which were not.
//
// Every token gets one role, in order. It has it as soon as the first of its bytes is shown; a
// token of which nothing is shown has it with the next one that is, or at the end. So which token
// got which role, and behind which text, does not depend on how tokens are grouped.
//
// Not thread-safe. Memory: the tokens whose text is held back, or that show nowhere.
#ifndef VALLM_TOKENIZER_SERVICE_OUTPUT_TOKEN_LEDGER_H_
#define VALLM_TOKENIZER_SERVICE_OUTPUT_TOKEN_LEDGER_H_

#include <cstdint>
#include <deque>
#include <vector>

#include "tokenizer_service/output/token_run.h"

namespace vallm::tokenizer {

class TokenLedger {
 public:
  // A token whose text is the bytes [begin, end) of the answer; none if they are equal. A token
  // that ends inside a character ends behind the character's first byte.
  // REQUIRES: `begin` does not fall.
  void Add(int64_t begin, int64_t end);

  // The next `bytes` of the text are shown in an event, or not.
  void Show(TokenRole role, size_t bytes);
  void Hide(size_t bytes) { settled_ += static_cast<int64_t>(bytes); }

  // The next `bytes` are the stop string, which is not shown. Tokens that begin behind it are not
  // part of the answer and are forgotten.
  void Stop(size_t bytes);

  // The answer is over: what is left gets its role.
  void Finish();

  // Bytes shown or hidden so far.
  int64_t settled() const { return settled_; }

  // Moves to *runs the tokens that got their role and were not taken before.
  void Take(std::vector<TokenRun>* runs);

 private:
  struct Token {
    int64_t begin;
    int64_t end;
  };

  void Give(const Token& token, TokenRole role);
  // Gives their role to the tokens that end in what is settled, and of which nothing was shown.
  void GiveHidden();

  std::deque<Token> tokens_;  // without a role
  int64_t settled_ = 0;
  std::vector<TokenRun> given_;
};

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_OUTPUT_TOKEN_LEDGER_H_
