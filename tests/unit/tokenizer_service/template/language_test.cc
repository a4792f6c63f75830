// What templates print, one table per area of the language. Expected texts come from Jinja2 3.1.6.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "tests/testing/status_matchers.h"
#include "tokenizer_service/template/render_template.h"

namespace vallm::tokenizer {
namespace {

using vallm::testing::StatusIs;

struct Row {
  const char* source;
  const char* expected;
  const char* context = "{}";
};

void ExpectAll(const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    const auto got = RenderTemplate(row.source, row.context, absl::UnixEpoch());
    ASSERT_TRUE(got.ok()) << row.source << "\n" << got.status();
    EXPECT_EQ(*got, row.expected) << row.source;
  }
}

TEST(LanguageTest, ScopesFollowTheTranslationToPython) {
  ExpectAll({
      // A later assignment at the top level hides the context variable from earlier macros and
      // loops.
      {"{% macro f() %}[{{ b }}]{% endmacro %}{{ f() }}{% set b = 3 %}{{ f() }}", "[][3]",
       R"({"b": 9})"},
      {"{% for i in [1] %}[{{ b }}]{% endfor %}{% set b = 3 %}", "[]", R"({"b": 9})"},
      {"{{ b }}{% set b = 3 %}{{ b }}", "93", R"({"b": 9})"},
      {"{% if false %}{% set b = 1 %}{% endif %}{{ b }}", "9", R"({"b": 9})"},
      {"{% set x = 1 %}{% for i in [1, 2] %}{% set x = x + i %}{{ x }}{% endfor %}{{ x }}", "231"},
      {"{% with a = 1, b = 2 %}{% set a = 5 %}{{ a }}{{ b }}{% endwith %}[{{ a }}]", "52[]"},
      {"{% set x = 0 %}{% filter upper %}{% set x = 'q' %}{{ x }}{% endfilter %}{{ x }}", "Q0"},
      {"{% set ns = namespace(n=0) %}{% for i in range(4) if i != 1 %}{% set ns.n = ns.n + i %}"
       "{% endfor %}{{ ns.n }}",
       "5"},
      {"{% set ns = namespace(ok=true) %}{% for i in [1, 2] if ns.ok %}{% set ns.ok = false %}{{ i "
       "}}"
       "{% endfor %}",
       "1"},
  });
}

TEST(LanguageTest, LoopsKnowTheirPlace) {
  ExpectAll({
      {"{% for i in [1, 2, 3] if i > 1 %}{{ loop.index }}/{{ loop.length }} {% endfor %}",
       "1/2 2/2 "},
      {"{% for i in 'ab' %}{{ loop.previtem }}<{{ i }}>{{ loop.nextitem }} {% endfor %}",
       "<a>b a<b> "},
      {"{% for i in [1, 1, 2] %}{{ loop.changed(i) }} {% endfor %}", "True False True "},
      // The else part runs when no iteration reached the end of the body.
      {"{% for i in [1] %}{% continue %}{% else %}none{% endfor %}", "none"},
      {"{% for i in [1, 2] %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% else %}none{% endfor "
       "%}",
       "1"},
      {"{% for n in t recursive %}{{ n.v }}{% if n.c %}({{ loop(n.c) }}){% endif %}"
       "{{ loop.depth }}{% endfor %}",
       "a(b2c2)1d1", R"({"t": [{"v": "a", "c": [{"v": "b"}, {"v": "c"}]}, {"v": "d"}]})"},
      {"{% for a, (b, c) in [[1, [2, 3]]] %}{{ a + b + c }}{% endfor %}", "6"},
      {"{% for k, v in {'x': 1}.items() %}{{ k }}{{ v }}{% endfor %}", "x1"},
  });
}

TEST(LanguageTest, MacrosTakeArgumentsAsPythonDoes) {
  ExpectAll({
      {"{% macro f(a, b=2, c=a) %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ f(1) }} {{ f(1, c=3) }}",
       "121 123"},
      {"{% macro f() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ f(1, *[2], x=3, **{'y': 4}) }}",
       "(1, 2){'x': 3, 'y': 4}"},
      {"{% macro f(x) %}<{{ caller(x) }}>{% endmacro %}{% call(y) f(1) %}{{ y + 1 }}{% endcall %}",
       "<2>"},
      {"a{% generation %}{% set x = 1 %}{{ x }}{% endgeneration %}[{{ x }}]", "a1[]"},
      {"{% macro f(n) %}{{ n }}{% if n %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(3) }}",
       "3210"},
      {"{% set x = 1 %}{% block b %}{{ x }}{% endblock %}{% for i in [7] %}{% block c scoped %}"
       "{{ i }}{% endblock %}{% endfor %}",
       "17"},
  });
}

TEST(LanguageTest, WhiteSpaceAroundTags) {
  ExpectAll({
      {"a\n  {% if true %}\nb\n  {% endif %}\nc\n", "a\nb\nc"},
      {"a \n {%- set x = 1 -%} \n b", "ab"},
      {"a\n  {%+ if true %}b{% endif %}", "a\n  b"},
      {"{% if true +%}\nb{% endif %}", "\nb"},
      {"a {# c #}\n  {#- d -#} \n b", "a b"},
      {"{% raw %}{{ x }}{% endraw %}", "{{ x }}"},
      {"a\r\nb\rc\r\n", "a\nb\nc"},
      {"{{ {'a': {'b': 1}} }}", "{'a': {'b': 1}}"},
  });
}

TEST(LanguageTest, NumbersArePythons) {
  ExpectAll({
      {"{{ 7 // -2 }} {{ -7 % 3 }} {{ 7.5 // -2 }} {{ 2 ** -1 }} {{ 2 ** 100 }}",
       "-4 2 -4.0 0.5 1267650600228229401496703205376"},
      {"{{ 9223372036854775807 + 1 }} {{ -9223372036854775808 - 1 }}",
       "9223372036854775808 -9223372036854775809"},
      {"{{ 123456789012345678901234567890 // 987654321 }} {{ -10**20 % 7 }}",
       "124999998873437499901 2"},
      {"{{ 1e16 }} {{ 1e15 }} {{ 1e-5 }} {{ 0.0001 }} {{ 5e-324 }} {{ 1.0 }}",
       "1e+16 1000000000000000.0 1e-05 0.0001 5e-324 1.0"},
      {"{{ 2.5|round }} {{ 0.125|round(2) }} {{ 25|round(-1) }} {{ 7|round(1, 'ceil') }}",
       "2.0 0.12 20 7.0"},
      {"{{ 1 == 1.0 }} {{ true == 1 }} {{ x == 18446744073709551616.0 }}", "True True True",
       R"({"x": 18446744073709551616})"},
      {"{{ '%05.1f|%-4d|%x' % (3.14159, 7, 255) }} {{ '{:>6.2f}{:,}'.format(2.5, 1234567) }}",
       "003.1|7   |ff   2.501,234,567"},
      {"{{ 0x_ff }} {{ 1_000 }} {{ 0b101 }} {{ 0o17 }}", "255 1000 5 15"},
  });
}

TEST(LanguageTest, StringsAreCodePoints) {
  ExpectAll({
      {"{{ s|length }}{{ s[1] }}{{ s[::-1] }}{{ s[-2:] }}", "4😀dß😀aßd", R"({"s": "a😀ßd"})"},
      {"{{ s }} {{ [s] }}", "it's\n\u00a0 [\"it's\\n\\xa0\"]", R"({"s": "it's\n\u00a0"})"},
      {"{{ 'ß'.upper() }} {{ 'ΑΣ'.lower() }} {{ 'ŒUVRE x'.title() }} {{ 'ǆ'.capitalize() }}",
       "SS ας Œuvre X ǅ"},
      {"{{ ' a  b '.split() }}{{ ' a  b '.split(' ') }}{{ 'a,b,c'.rsplit(',', 1) }}",
       "['a', 'b']['', 'a', '', 'b', '']['a,b', 'c']"},
      {"{{ ' a b '.split(none, 1) }}{{ 'abc'.partition('b') }}", "['a', 'b ']('a', 'b', 'c')"},
      {"{{ 'a\\u2028b\\x85c'.splitlines() }}{{ 'banana'.find('an', 2) }}", "['a', 'b', 'c']3"},
      {"{{ 'x'.replace('', '-') }}{{ 'ab'.center(5, '*') }}{{ '-7'.zfill(4) }}", "-x-**ab*-007"},
  });
}

TEST(LanguageTest, WordsWrapWherePythonBreaksThem) {
  ExpectAll({
      {"{{ 'this is a-hyphenated long-ish text'|wordwrap(10, false, '|') }}",
       "this is|a-hyphenated|long-ish|text"},
      {"{{ 'this is a-hyphenated'|wordwrap(10, wrapstring='|') }}", "this is a-|hyphenated"},
      {"{{ 'ab-cd-ef a-b-cd'|wordwrap(4, false, '|') }}", "ab-|cd-|ef|a-b-|cd"},
      {"{{ 'ab--cd 12-34 a--'|wordwrap(3, false, '|') }}", "ab|--|cd|12-34|a--"},
      {"{{ 'ab-cd'|wordwrap(3, false, '|', false) }}", "ab-cd"},
  });
}

TEST(LanguageTest, IteratorsOfFiltersRunOnce) {
  ExpectAll({
      {"{{ missing|reverse and 1 }}{{ missing|reverse|list }}", "1[]"},
      {"{% set m = [1, 2]|map('string') %}{{ m|list }}{{ m|list }}", "['1', '2'][]"},
      {"{{ 'yes' if [1]|select('even') else 'no' }}", "yes"},
      {"{{ ['a', 1]|map('upper')|first }}", "A"},
      {"{% set m = [1, 2, 3]|map('abs') %}{{ m|first }}{{ m|list }}", "1[2, 3]"},
  });
}

TEST(LanguageTest, UndefinedIsLenientUntilUsed) {
  ExpectAll({
      {"[{{ x }}][{{ x|default('d') }}][{{ d.a.b is defined }}][{{ x|list }}]", "[][d][False][[]]",
       R"({"d": {"a": {}}})"},
      {"{{ [x, 1 if false] }}{{ x == y }}{{ 'a' in x }}", "[Undefined, Undefined]TrueFalse"},
  });
  for (const char* source : {"{{ x.y }}", "{{ x + 1 }}", "{{ x() }}", "{{ x < 1 }}", "{{ -x }}",
                             "{{ x|int }}", "{{ x|tojson }}"}) {
    EXPECT_THAT(RenderTemplate(source, R"({"d": {}})", absl::UnixEpoch()),
                StatusIs(absl::StatusCode::kInvalidArgument, "ndefined"))
        << source;
  }
}

TEST(LanguageTest, TheSandboxKeepsValuesImmutable) {
  for (const char* source : {"{{ l.append(1) }}", "{{ l.sort() }}", "{{ d.update({}) }}",
                             "{{ d.pop('a') }}", "{{ ''.__class__.__mro__ }}"}) {
    EXPECT_THAT(RenderTemplate(source, R"({"l": [], "d": {"a": 1}})", absl::UnixEpoch()),
                StatusIs(absl::StatusCode::kInvalidArgument, "unsafe"))
        << source;
  }
}

TEST(LanguageTest, TojsonIsJsonDumps) {
  ExpectAll({
      {"{{ x|tojson }}", "{\"b\": [1, 1.0, \"é<&'\\n\\u0001\"], \"a\": {}}",
       R"({"x": {"b": [1, 1.0, "é<&'\n\u0001"], "a": {}}})"},
      {"{{ x|tojson(indent=2, sort_keys=true) }}", "{\n  \"a\": [],\n  \"b\": [\n    1\n  ]\n}",
       R"({"x": {"b": [1], "a": []}})"},
      {"{{ x|tojson(ensure_ascii=true, separators=(',', ':')) }}", "[\"\\ud83d\\ude00\",1]",
       R"({"x": ["😀", 1]})"},
      {"{{ {1: 2, none: 3, true: 4.5}|tojson }}", "{\"1\": 4.5, \"null\": 3}"},
  });
}

TEST(LanguageTest, StringsTranslateByTables) {
  ExpectAll({
      {"{{ 'hello'.translate({101: 'E', 'o': 1, 108: none, 104: 228}) }}", "äEo"},
      {"{{ 'abc'.translate(''.maketrans('ab', 'éy', 'c')) }}", "éy"},
      {"{{ 'ab'.translate(''.maketrans({'a': 'xx', 98: none})) }}", "xx"},
  });
}

TEST(LanguageTest, NumbersAndRangesHaveMembers) {
  ExpectAll({
      {"{{ true.real }}|{{ (5).imag }}|{{ (2.5).imag }}|{{ (5).denominator }}", "1|0|0.0|1"},
      {"{{ (-7).bit_count() }}|{{ (1e300).is_integer() }}|{{ (2.5).is_integer() }}",
       "3|True|False"},
      {"{{ (10**30).bit_length() }}|{{ (10**30).bit_count() }}|{{ (-255).bit_length() }}|"
       "{{ (0).bit_length() }}",
       "100|37|8|0"},
      {"{{ 9007199254740993 in range(9007199254740992, 9007199254740999, 2) }}|"
       "{{ 3.0 in range(5) }}|{{ 1e300 in range(5) }}|{{ 4 in range(0, 9, 3) }}",
       "False|True|False|False"},
      {"{% set d = {'a': [1]} %}{{ 'a' in d.keys() }}|{{ [1] in d.values() }}|"
       "{{ ('a', [1]) in d.items() }}|{{ 'a' in d.items() }}|{{ ('a', 2) in d.items() }}",
       "True|True|True|False|False"},
      {"{{ range(3, 9, 2).step }}|{{ range(9).index(4) }}|{{ range(9).count(9) }}", "2|4|0"},
  });
  EXPECT_THAT(RenderTemplate("{{ {} in {}.keys() }}", "{}", absl::UnixEpoch()),
              StatusIs(absl::StatusCode::kInvalidArgument, "unhashable type: 'dict'"));
  EXPECT_THAT(RenderTemplate("{{ {}.keys() in {} }}", "{}", absl::UnixEpoch()),
              StatusIs(absl::StatusCode::kInvalidArgument, "unhashable type: 'dict_keys'"));
}

TEST(LanguageTest, PrettyPrintFitsEightyColumns) {
  ExpectAll({
      {"{{ v|pprint }}",
       "{'a': [1, 2.0, None, True],\n"
       " 'long': 'The quick brown fox jumps over the lazy dog and runs away from the '\n"
       "         'hound',\n"
       " 'name': 'get_weather'}",
       R"({"v": {"name": "get_weather", "a": [1, 2.0, null, true], "long":
           "The quick brown fox jumps over the lazy dog and runs away from the hound"}})"},
      {"{{ v|pprint }}|{{ [v]|pprint }}",
       "('line one\\n'\n"
       " 'The quick brown fox jumps over the lazy dog and then it rests in the shade '\n"
       " 'of a tree')|['line one\\n'\n"
       " 'The quick brown fox jumps over the lazy dog and then it rests in the shade '\n"
       " 'of a tree']",
       R"({"v": "line one\nThe quick brown fox jumps over the lazy dog and then it rests )"
       R"(in the shade of a tree"})"},
      {"{{ (['x' * 50, 'y' * 26],)|pprint }}",
       "(['xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx',\n"
       "  'yyyyyyyyyyyyyyyyyyyyyyyyyy'],)"},
      {"{{ {2: 'b', none: 0, 'k': 1, 1.5: 'a', true: 2}|pprint }}",
       "{None: 0, True: 2, 1.5: 'a', 2: 'b', 'k': 1}"},
      {"{{ ''|pprint }}|{{ [[]]|pprint }}|{{ missing|pprint }}|{{ range(3)|pprint }}",
       "''|[[]]|Undefined|range(0, 3)"},
  });
}

TEST(LanguageTest, UrlizeLinksAddresses) {
  ExpectAll({
      {"{{ s|urlize }}",
       "see (<a href=\"http://example.com/a_(b)\" rel=\"noopener\">http://example.com/a_(b)</a>), "
       "<a href=\"https://www.example.org\" rel=\"noopener\">www.example.org</a>. or "
       "&lt;<a href=\"mailto:me@example.com\">me@example.com</a>&gt;, ftp://h.de",
       R"({"s": "see (http://example.com/a_(b)), www.example.org. or <me@example.com>, ftp://h.de"})"},
      {"{{ s|urlize(12, true, target='_blank', rel='x a') }}",
       "<a href=\"http://example.com/long/path\" rel=\"a nofollow noopener x\" "
       "target=\"_blank\">http://examp...</a> <a href=\"https://HTTP://A.BC\" "
       "rel=\"a nofollow noopener x\" target=\"_blank\">HTTP://A.BC</a> "
       "<a href=\"mailto:a@b.co\">a@b.co</a> @a@b.c",
       R"({"s": "http://example.com/long/path HTTP://A.BC mailto:a@b.co @a@b.c"})"},
      {"{{ s|urlize(extra_schemes=['ftp://', 'tel:']) }}",
       "<a href=\"ftp://h.de\" rel=\"noopener\">ftp://h.de</a> "
       "<a href=\"tel:+123\" rel=\"noopener\">tel:+123</a> tel: "
       "<a href=\"http://1.2.3.4:80/?q\" rel=\"noopener\">http://1.2.3.4:80/?q</a> "
       "<a href=\"http://[::1]/\" rel=\"noopener\">http://[::1]/</a> http://1.2.3/",
       R"({"s": "ftp://h.de tel:+123 tel: http://1.2.3.4:80/?q http://[::1]/ http://1.2.3/"})"},
  });
}

TEST(LanguageTest, SelfCallsBlocks) {
  ExpectAll({
      {"{% for i in [5, 6] %}{% filter upper %}{% block v scoped %}{{ loop.index }}a{{ i }} "
       "{% endblock %}{% endfilter %}{% endfor %}",
       "1A5 2A6 "},
      {"{% block a %}[{{ x }}]{% endblock %}{{ self.a() }}{{ self.b is defined }}{{ self }}",
       "[1][1]False<TemplateReference None>", R"({"x": 1})"},
      {"{% set y = 1 %}{% block a %}<{{ y }}>{% endblock %}{% set y = 2 %}{{ self.a()|upper }}",
       "<1><2>"},
  });
}

}  // namespace
}  // namespace vallm::tokenizer
