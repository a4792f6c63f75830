#include "tokenizer_service/template/token_stream.h"

#include "absl/strings/str_cat.h"
#include "common/strings.h"

namespace vallm::tokenizer {
namespace {

std::string DescribeType(TokenType type) {
  switch (type) {
    case TokenType::kData:
      return "template data";
    case TokenType::kVariableBegin:
      return "begin of print statement";
    case TokenType::kVariableEnd:
      return "end of print statement";
    case TokenType::kBlockBegin:
      return "begin of statement block";
    case TokenType::kBlockEnd:
      return "end of statement block";
    case TokenType::kName:
      return "name";
    case TokenType::kString:
      return "string";
    case TokenType::kInteger:
      return "integer";
    case TokenType::kFloat:
      return "float";
    case TokenType::kOperator:
      return "operator";
    case TokenType::kEnd:
      return "end of template";
  }
  return "token";
}

}  // namespace

const Token& TokenStream::Take() {
  const Token& token = tokens_[pos_];
  if (pos_ + 1 < tokens_.size()) ++pos_;
  return token;
}

bool TokenStream::SkipOp(std::string_view op) {
  const bool found = IsOp(op);
  if (found) Take();
  return found;
}

bool TokenStream::SkipName(std::string_view name) {
  const bool found = IsName(name);
  if (found) Take();
  return found;
}

absl::Status TokenStream::ExpectOp(std::string_view op) {
  if (SkipOp(op)) return absl::OkStatus();
  return Fail(absl::StrCat("expected '", ToAbsl(op), "', got ", Describe()));
}

absl::Status TokenStream::ExpectName(std::string_view name) {
  if (SkipName(name)) return absl::OkStatus();
  return Fail(absl::StrCat("expected '", ToAbsl(name), "', got ", Describe()));
}

absl::Status TokenStream::Expect(TokenType type) {
  if (!Is(type)) return Fail(absl::StrCat("expected ", DescribeType(type), ", got ", Describe()));
  Take();
  return absl::OkStatus();
}

absl::StatusOr<std::string> TokenStream::TakeName() {
  if (!Is(TokenType::kName)) return Fail(absl::StrCat("expected a name, got ", Describe()));
  return Take().text;
}

absl::Status TokenStream::FailAt(uint32_t offset, const std::string& message) const {
  return source_.Locate(absl::InvalidArgumentError(message), offset);
}

std::string TokenStream::Describe() const {
  const Token& token = current();
  if (token.type == TokenType::kName || token.type == TokenType::kOperator) {
    return absl::StrCat("'", token.text, "'");
  }
  return DescribeType(token.type);
}

}  // namespace vallm::tokenizer
