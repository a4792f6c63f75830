// No template can hang or exhaust the process: each limit stops it with an error that names the
// limit.
#include "tokenizer_service/template/limits.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/time/time.h"
#include "tests/testing/status_matchers.h"
#include "tokenizer_service/template/render_template.h"

namespace vallm::tokenizer {
namespace {

using vallm::testing::IsOk;
using vallm::testing::StatusIs;

std::string Repeated(const std::string& unit, int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += unit;
  return text;
}

void ExpectRefused(const std::string& source, const std::string& message,
                   const Limits& limits = {}) {
  EXPECT_THAT(RenderTemplate(source, "{}", absl::UnixEpoch(), limits),
              StatusIs(absl::StatusCode::kInvalidArgument, message))
      << source.substr(0, 200);
}

TEST(LimitsTest, InfiniteRecursionStops) {
  ExpectRefused("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "recursion is more than 200");
  ExpectRefused("{% for x in [1] recursive %}{{ loop([x]) }}{% endfor %}",
                "recursion is more than 200");
  ExpectRefused("{% block a %}{{ self.a() }}{% endblock %}", "recursion is more than 200");
}

TEST(LimitsTest, HugeRangesAndStringsAreNotMade) {
  ExpectRefused("{{ range(10**9)|length }}", "larger than 100000");
  ExpectRefused("{{ range(99999999999999999999) }}", "larger than 100000");
  ExpectRefused("{{ range(99999999999999999999, 9) }}", "bounds beyond 64 bits");
  ExpectRefused("{{ 'a' * 10**9 }}", "limit is 67108864");
  ExpectRefused("{{ [0] * 10**9 }}", "limit is 2000000");
  ExpectRefused("{{ 'a'.center(10**9) }}", "too long");
  ExpectRefused("{{ '%1000000000d' % 1 }}", "too large");
  ExpectRefused("{{ 10 ** 10000 }}", "digits");
  ExpectRefused("{{ 'a'|indent(10**9, true) }}", "too long");
}

TEST(LimitsTest, GrowthByDoublingStops) {
  ExpectRefused(
      "{% set ns = namespace(s='ab') %}{% for i in range(60) %}"
      "{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
      "too long");
  ExpectRefused(
      "{% set ns = namespace(l=[1]) %}{% for i in range(60) %}"
      "{% set ns.l = ns.l + ns.l %}{% endfor %}",
      "limit is");
  // Shared structure: small in memory, exponential to print or compare.
  ExpectRefused(
      "{% set ns = namespace(l=[1]) %}{% for i in range(99) %}"
      "{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l }}",
      "value weighs");
}

TEST(LimitsTest, NestingOfValuesStops) {
  ExpectRefused(
      "{% set ns = namespace(l=[]) %}{% for i in range(5000) %}"
      "{% set ns.l = [ns.l] %}{% endfor %}",
      "levels deep; limit is 500");
}

TEST(LimitsTest, LoopsRunOutOfSteps) {
  Limits limits;
  limits.max_steps = 10'000;
  ExpectRefused("{% for i in range(1000) %}{% for j in range(1000) %}{% endfor %}{% endfor %}",
                "more than 10000 steps", limits);
}

TEST(LimitsTest, WorkWithALittleResultTakesSteps) {
  Limits limits;
  limits.max_steps = 2'000'000;  // more than the loop and making the texts take
  const std::string texts =
      "{% set s = ' ' * 1000000 %}{% set t = s ~ 'a' %}{% set n = '9' * 4000 %}";
  const std::string loop = "{% for i in range(100000) %}{% set x = ";
  EXPECT_THAT(RenderTemplate(texts + loop + "s %}{% endfor %}", "{}", absl::UnixEpoch(), limits),
              IsOk());
  for (const std::string work :
       {"s < t", "s.strip()", "s.rstrip(' ')", "t.startswith(s)", "t.removeprefix(s)",
        "s|wordcount", "s.istitle()", "n|int", "n|float", "range(1000)|max", "t|urlize",
        "[t]|pprint", "(n|int).bit_length()", "(n|int).bit_count()"}) {
    ExpectRefused(texts + loop + work + " %}{% endfor %}", "steps", limits);
  }
}

TEST(LimitsTest, AnUnknownFormatLetterIsNamedWhole) {
  ExpectRefused("{{ '%é' % 1 }}", "unsupported format character 'é'");
}

TEST(LimitsTest, OutputIsBounded) {
  Limits limits;
  limits.max_output_bytes = 1000;
  ExpectRefused("{% for i in range(1000) %}xxxxxxxxxx{% endfor %}", "output of 1010 bytes", limits);
}

TEST(LimitsTest, DeepSourceIsRefusedWhileParsing) {
  ExpectRefused("{{ " + Repeated("(", 5000) + "1" + Repeated(")", 5000) + " }}",
                "nested more than");
  ExpectRefused("{{ " + Repeated("not ", 5000) + "1 }}", "nested more than");
  ExpectRefused("{{ " + Repeated("-", 5000) + "1 }}", "nested more than");
  ExpectRefused("{{ 1" + Repeated(" + 1", 20000) + " }}", "levels high");
  ExpectRefused("{{ x" + Repeated(".a", 20000) + " }}", "levels high");
  ExpectRefused("{{ x" + Repeated("|list", 20000) + " }}", "levels high");
  ExpectRefused(Repeated("{% if 1 %}", 5000), "nested more than");
}

TEST(LimitsTest, FiltersThatCallFiltersStop) {
  ExpectRefused("{{ ['a']|map(*(['map'] * 1000))|list|string }}{{ x.y }}", "undefined");
  ExpectRefused(
      "{% set m = ['a']|map(*(['map'] * 30 + ['list'])) %}{% for a in m %}"
      "{% for b in a recursive %}{{ loop(b) }}{% endfor %}{% endfor %}",
      "deep");
}

TEST(LimitsTest, SearchesAreLinear) {
  EXPECT_EQ(
      *RenderTemplate("{{ ('a' * 1000000 ~ 'b') in 'a' * 4000000 }}", "{}", absl::UnixEpoch()),
      "False");
  ExpectRefused("{{ ('a' * 4000000).rfind('b' ~ 'a' * 1000000) }}", "steps");
}

// What a hostile template can do with a few long values ends within the steps, and nothing is made
// in full before its size is looked at.
TEST(LimitsTest, WorkOnLongValuesEndsSoon) {
  const std::string loop = "{% for i in range(100000) %}";
  const std::string end = "{% endfor %}";
  Limits limits;
  limits.max_steps = 300'000;
  for (const char* work :
       {"'%x' % (10 ** 4299)", "(10 ** 4299)|string|int", "10 ** 4299 // 10 ** 2150",
        "(10 ** 4299) / (10 ** 4298)", "3 ** 9000", "('a' * 1000000).strip('a')",
        "('a' * 1000000)|wordwrap(1)", "'{:b}'.format(10 ** 4299)"}) {
    ExpectRefused(loop + "{% set x = " + work + " %}" + end, "more than 300000 steps", limits);
  }
  ExpectRefused("{{ ('a ' * 5000000).split()|length }}", "limit is 2000000");
  ExpectRefused("{{ ('a,' * 5000000).split(',')|length }}", "limit is 2000000");
  ExpectRefused("{{ ('\n' * 20000000).splitlines()|length }}", "limit is 2000000");
  ExpectRefused("{{ ('\n' * 20000000)|indent(1000, true, true) }}", "limit is 2000000");
  ExpectRefused("{{ ('a' * 1000000)|wordwrap(1, true, 'x' * 1000) }}", "too long");
}

TEST(LimitsTest, ErrorsSayWhereTheyAre) {
  ExpectRefused("a\nb\n  {{ 'x' * 10**9 }}", "template line 3, column 10: string of 1e+09 bytes");
  ExpectRefused("{% if x %}\n{% for %}", "template line 2, column ");
  ExpectRefused("\n{% macro f() %}\n {{ f() }}{% endmacro %}{{ f() }}", "template line 3, column ");
  ExpectRefused("é{{ [1].foo.bar }}", "template line 1, column 12");
}

TEST(LimitsTest, SourceIsBounded) {
  ExpectRefused(std::string(300'000, 'x'), "template has 300000 bytes; limit is 262144");
  std::string names;
  for (int i = 0; i < 3000; ++i) names += "{{ n" + std::to_string(i) + " }}";
  ExpectRefused(names, "template has 3000 distinct names; limit is 2000");
}

TEST(LimitsTest, ObjectsInCirclesAreFreed) {
  // Leaks show under AddressSanitizer.
  EXPECT_OK(
      RenderTemplate("{% set ns = namespace() %}{% set ns.self = ns %}{{ ns }}"
                     "{% macro f() %}{{ f }}{% endmacro %}{% set ns.f = f %}{{ ns.f() }}"
                     "{% for i in [1] %}{% set ns.loop = loop %}{% endfor %}",
                     "{}", absl::UnixEpoch()));
}

TEST(LimitsTest, ManyTermsOfOneKindAreFine) {
  EXPECT_EQ(*RenderTemplate("{{ 1" + Repeated(" + 1", 300) + " }}", "{}", absl::UnixEpoch()),
            "301");
}

}  // namespace
}  // namespace vallm::tokenizer
