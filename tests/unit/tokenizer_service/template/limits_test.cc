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
}

TEST(LimitsTest, HugeRangesAndStringsAreNotMade) {
  ExpectRefused("{{ range(10**9)|length }}", "larger than 100000");
  ExpectRefused("{{ range(99999999999999999999) }}", "larger than 100000");
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
        "s|wordcount", "s.istitle()", "n|int", "n|float", "range(1000)|max"}) {
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
