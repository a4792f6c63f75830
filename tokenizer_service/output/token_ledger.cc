#include "tokenizer_service/output/token_ledger.h"

#include "tokenizer_service/output/token_run.h"

namespace vallm::tokenizer {

void AppendTokenRuns(std::span<const TokenRun> runs, std::vector<TokenRun>* out) {
  for (const TokenRun& run : runs) {
    if (!out->empty() && out->back().role == run.role) {
      out->back().count += run.count;
    } else {
      out->push_back(run);
    }
  }
}

void TokenLedger::Add(int64_t begin, int64_t end) {
  if (tokens_.empty() && end <= settled_) {  // no text, and none is waited for
    Give({begin, end}, TokenRole::kSilent);
  } else {
    tokens_.push_back({begin, end});
  }
}

void TokenLedger::Give(const Token& token, TokenRole role) {
  const TokenRun run{token.begin == token.end ? TokenRole::kSilent : role, 1};
  AppendTokenRuns({&run, 1}, &given_);
}

void TokenLedger::GiveHidden() {
  for (; !tokens_.empty() && tokens_.front().end <= settled_; tokens_.pop_front()) {
    Give(tokens_.front(), TokenRole::kHidden);
  }
}

void TokenLedger::Show(TokenRole role, size_t bytes) {
  if (bytes == 0) return;
  GiveHidden();
  settled_ += static_cast<int64_t>(bytes);
  for (; !tokens_.empty() && tokens_.front().begin < settled_; tokens_.pop_front()) {
    Give(tokens_.front(), role);
  }
}

void TokenLedger::Stop(size_t bytes) {
  const int64_t end = settled_ + static_cast<int64_t>(bytes);
  while (!tokens_.empty() && tokens_.back().begin >= end) tokens_.pop_back();
  GiveHidden();
  for (; !tokens_.empty(); tokens_.pop_front()) Give(tokens_.front(), TokenRole::kStop);
  settled_ = end;
}

void TokenLedger::Finish() {
  for (; !tokens_.empty(); tokens_.pop_front()) Give(tokens_.front(), TokenRole::kHidden);
}

void TokenLedger::Take(std::vector<TokenRun>* runs) {
  AppendTokenRuns(given_, runs);
  given_.clear();
}

}  // namespace vallm::tokenizer
