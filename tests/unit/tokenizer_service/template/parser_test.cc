// The tree an expression parses to, and where errors point.
#include "tokenizer_service/template/parser.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "absl/time/time.h"
#include "tests/testing/status_matchers.h"
#include "tokenizer_service/template/lexer.h"
#include "tokenizer_service/template/render_template.h"

namespace vallm::tokenizer {
namespace {

using vallm::testing::StatusIs;

std::string Tree(const std::string& expression) {
  const Limits limits;
  auto source = Source::Create("{{ " + expression + " }}", limits);
  if (!source.ok()) return source.status().ToString();
  auto tokens = Tokenize(*source);
  if (!tokens.ok()) return tokens.status().ToString();
  auto ast = ParseTemplate(*source, *std::move(tokens), limits);
  if (!ast.ok()) return ast.status().ToString();
  return Dump(*static_cast<const OutputStmt&>(*ast->body[0]).items[0]);
}

TEST(ParserTest, OperatorsBindAsInJinja) {
  const std::pair<const char*, const char*> rows[] = {
      {"1 + 2 * 3", "(+ 1 (* 2 3))"},
      {"1 - 2 - 3", "(- (- 1 2) 3)"},
      {"-2 ** 2", "(** (neg 2) 2)"},
      {"2 ** 3 ** 2", "(** (** 2 3) 2)"},
      {"-1|abs", "(|abs (neg 1))"},
      {"a + b ~ c * d", "(+ a (~ b (* c d)))"},
      {"not a == b and c or d", "(or (and (not (a == b)) c) d)"},
      {"a < b < c", "(a < b < c)"},
      {"a not in b", "(a not in b)"},
      {"2 * 3 is odd", "(* 2 (is odd 3))"},
      {"a is not none", "(not (is none a))"},
      {"a is divisibleby 3", "(is divisibleby a 3)"},
      {"not x is defined", "(not (is defined x))"},
      {"a if b else c if d else e", "(if a b (if c d e))"},
      {"a if b", "(if a b _)"},
      {"a.b[0](1, *c, k=2, **d).e", "(. (call (item (. a b) 0) 1 k=2 *c **d) e)"},
      {"a[1:], b[::2]", "(tuple (slice a 1 _ _) (slice b _ _ 2))"},
      {"'a' 'b'", "'ab'"},
      {"{'a': [1, (2,)]}", "(dict 'a' (list 1 (tuple 2)))"},
      {"a.0", "(item a 0)"},
      {"a|default(b)|length > 2", "((|length (|default a b)) > 2)"},
  };
  for (const auto& [expression, tree] : rows) {
    EXPECT_EQ(Tree(expression), tree) << expression;
  }
}

TEST(ParserTest, ErrorsNameLineColumnAndQuoteTheLine) {
  const std::pair<const char*, const char*> rows[] = {
      {"a\n{{ 1 + }}", "template line 2, column 8: unexpected end of print statement\n  {{ 1 + }}"},
      {"{% if x %}\n", "looking for elif or else or endif"},
      {"é{% nosuch %}", "template line 1, column 5: encountered unknown tag 'nosuch'"},
      {"{{ x|nosuch }}", "line 1, column 6: no filter named 'nosuch'"},
      {"{{ x is nosuch }}", "no test named 'nosuch'"},
      {"{% for loop in x %}{% endfor %}", "can't assign to special loop variable"},
      {"{% break %}", "'break' outside loop"},
      {"{% for i in x %}{% macro f() %}{% break %}{% endmacro %}{% endfor %}", "outside loop"},
      {"{% macro f(a, a) %}{% endmacro %}", "duplicate argument 'a'"},
      {"{{ [1, 2 }}", "unexpected '}', expected ']'"},
      {"{{ 'abc }}", "column 4: string literal is not closed"},
      {"{# never", "Missing end of comment tag"},
      {"{{ f(a=1, 2) }}", "invalid syntax for function call expression"},
      {"{% set 1 = 2 %}", "can't assign"},
      {"x\n\n{{ 'a' + 1 }}", "template line 3, column 8: can only concatenate str"},
      {"{{ raise_exception('roles must alternate') }}", "roles must alternate"},
  };
  for (const auto& [source, message] : rows) {
    EXPECT_THAT(RenderTemplate(source, R"({"x": [1]})", absl::UnixEpoch()),
                StatusIs(absl::StatusCode::kInvalidArgument, message))
        << source;
  }
}

TEST(ParserTest, UnknownFiltersUnderAConditionFailOnlyWhenReached) {
  EXPECT_EQ(*RenderTemplate("{% if false %}{{ x|nosuch }}{% endif %}ok", "{}", absl::UnixEpoch()),
            "ok");
  EXPECT_THAT(RenderTemplate("{{ 1|nosuch if true }}", "{}", absl::UnixEpoch()),
              StatusIs(absl::StatusCode::kInvalidArgument, "no filter named 'nosuch'"));
}

TEST(ParserTest, SourceMustBeUtf8) {
  EXPECT_THAT(RenderTemplate("ab\xff", "{}", absl::UnixEpoch()),
              StatusIs(absl::StatusCode::kInvalidArgument, "not UTF-8 at byte 2"));
}

}  // namespace
}  // namespace vallm::tokenizer
