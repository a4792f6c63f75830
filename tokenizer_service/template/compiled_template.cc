#include "tokenizer_service/template/compiled_template.h"

#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "tokenizer_service/template/interpreter.h"
#include "tokenizer_service/template/lexer.h"
#include "tokenizer_service/template/parser.h"
#include "tokenizer_service/template/resolver.h"
#include "tokenizer_service/template/runtime.h"

namespace vallm::tokenizer {
namespace {

// Without the mark that says an error has its place: that is for the stages only.
absl::Status ForCallers(const absl::Status& status) {
  return absl::Status(status.code(), status.message());
}

absl::StatusOr<TemplateAst> Analyze(const Source& source, const Limits& limits) {
  VALLM_ASSIGN_OR_RETURN(std::vector<Token> tokens, Tokenize(source));
  std::unordered_set<std::string_view> names;
  for (const Token& token : tokens) {
    if (token.type == TokenType::kName) names.insert(token.text);
  }
  if (names.size() > limits.max_names) {
    return absl::InvalidArgumentError(absl::StrCat("template has ", names.size(),
                                                   " distinct names; limit is ", limits.max_names));
  }
  VALLM_ASSIGN_OR_RETURN(TemplateAst ast, ParseTemplate(source, std::move(tokens), limits));
  VALLM_RETURN_IF_ERROR(ResolveVariables(source, &ast));
  return ast;
}

}  // namespace

absl::StatusOr<std::unique_ptr<const CompiledTemplate>> CompiledTemplate::Compile(
    std::string_view text, const Limits& limits) {
  VALLM_ASSIGN_OR_RETURN(Source source, Source::Create(text, limits));
  auto ast = Analyze(source, limits);
  if (!ast.ok()) return ForCallers(ast.status());
  return std::unique_ptr<const CompiledTemplate>(
      new CompiledTemplate(std::move(source), *std::move(ast), limits));
}

absl::StatusOr<std::string> CompiledTemplate::Render(const Value& context, absl::Time now,
                                                     absl::TimeZone time_zone) const {
  Runtime runtime(limits_, now, time_zone);
  auto text = Interpreter(source_, ast_, runtime, context).Run();
  if (!text.ok()) return ForCallers(text.status());
  return text;
}

}  // namespace vallm::tokenizer
