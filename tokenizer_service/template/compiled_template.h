// A template after all stages before rendering. Immutable; shared by any number of renders.
#ifndef VALLM_TOKENIZER_SERVICE_TEMPLATE_COMPILED_TEMPLATE_H_
#define VALLM_TOKENIZER_SERVICE_TEMPLATE_COMPILED_TEMPLATE_H_

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tokenizer_service/template/ast.h"
#include "tokenizer_service/template/limits.h"
#include "tokenizer_service/template/source.h"

namespace vallm::tokenizer {

class CompiledTemplate {
 public:
  // Errors: INVALID_ARGUMENT with line and column.
  static absl::StatusOr<std::unique_ptr<const CompiledTemplate>> Compile(std::string_view text,
                                                                         const Limits& limits);

  // Renders with the members of `context` (a dict) as variables. Errors: INVALID_ARGUMENT.
  absl::StatusOr<std::string> Render(const Value& context, absl::Time now,
                                     absl::TimeZone time_zone) const;

  const Source& source() const { return source_; }
  const TemplateAst& ast() const { return ast_; }
  const Limits& limits() const { return limits_; }

 private:
  CompiledTemplate(Source source, TemplateAst ast, const Limits& limits)
      : source_(std::move(source)), ast_(std::move(ast)), limits_(limits) {}

  const Source source_;
  const TemplateAst ast_;
  const Limits limits_;
};

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_TEMPLATE_COMPILED_TEMPLATE_H_
