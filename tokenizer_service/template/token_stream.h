// The tokens of a template as a parser consumes them. Internal to the parser.
#ifndef VALLM_TOKENIZER_SERVICE_TEMPLATE_TOKEN_STREAM_H_
#define VALLM_TOKENIZER_SERVICE_TEMPLATE_TOKEN_STREAM_H_

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tokenizer_service/template/lexer.h"
#include "tokenizer_service/template/source.h"

namespace vallm::tokenizer {

class TokenStream {
 public:
  // `source` must outlive the stream.
  TokenStream(const Source& source, std::vector<Token> tokens)
      : source_(source), tokens_(std::move(tokens)) {}

  const Token& current() const { return tokens_[pos_]; }
  const Token& next() const { return tokens_[std::min(pos_ + 1, tokens_.size() - 1)]; }
  uint32_t offset() const { return current().offset; }
  // Moves on and returns the token left behind; stays at the end.
  const Token& Take();

  bool Is(TokenType type) const { return current().type == type; }
  bool IsOp(std::string_view op) const { return Matches(current(), TokenType::kOperator, op); }
  bool IsName(std::string_view name) const { return Matches(current(), TokenType::kName, name); }
  bool NextIsOp(std::string_view op) const { return Matches(next(), TokenType::kOperator, op); }
  bool NextIsName(std::string_view name) const { return Matches(next(), TokenType::kName, name); }
  // Take the token if it is the given one.
  bool SkipOp(std::string_view op);
  bool SkipName(std::string_view name);

  // Errors: INVALID_ARGUMENT at the current token.
  absl::Status ExpectOp(std::string_view op);
  absl::Status ExpectName(std::string_view name);
  absl::Status Expect(TokenType type);
  absl::StatusOr<std::string> TakeName();

  absl::Status Fail(const std::string& message) const { return FailAt(offset(), message); }
  absl::Status FailAt(uint32_t offset, const std::string& message) const;
  // How messages name the current token.
  std::string Describe() const;

 private:
  static bool Matches(const Token& token, TokenType type, std::string_view text) {
    return token.type == type && token.text == text;
  }

  const Source& source_;
  const std::vector<Token> tokens_;
  size_t pos_ = 0;
};

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_TEMPLATE_TOKEN_STREAM_H_
