// What each notation accepts, refuses, and says about it.
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine_service/constraint/matcher.h"
#include "gtest/gtest.h"
#include "tests/testing/constraint_vocabulary.h"
#include "tests/testing/status_matchers.h"

namespace vallm::engine {
namespace {

using testing::StatusIs;
using Kind = ConstraintSpec::Kind;
using Code = absl::StatusCode;

absl::StatusOr<std::shared_ptr<CompiledGrammar>> Compile(Kind kind, std::string text) {
  return CompileConstraint({.kind = kind, .text = std::move(text)}, MakeVocabulary({}));
}

void Check(Kind kind, const std::string& text, const std::map<std::string, bool>& expected) {
  const auto grammar = Compile(kind, text);
  ASSERT_OK(grammar) << text;
  for (const auto& [output, matches] : expected) {
    EXPECT_EQ((*grammar)->Matches(output), matches) << text << " on " << output;
  }
}

void Refuse(Kind kind, const std::string& text, Code code, const char* message) {
  EXPECT_THAT(Compile(kind, text), StatusIs(code, message)) << text;
}

TEST(JsonObjectTest, TakesAnyObjectAndNothingElse) {
  Check(Kind::kJsonObject, "",
        {{"{}", true},
         {R"({"a": [1, -0.5e+3, true, null, {"b": "\u00e9\ud83d\ude00\n"}]})", true},
         {"{\n    \"a\": 1\n}", true},
         {"[]", false},
         {" {}", false},
         {"{} ", false},
         {"{\"a\": 01}", false},
         {"{\"a\": \"\\ud83d\"}", false},
         {"{\"a\": \"\n\"}", false},
         {"{\"a\": \"\xFF\"}", false},
         {"{\"a\": \"\xC0\x80\"}", false},
         {"{\"a\": \"\xED\xA0\x80\"}", false},
         {"{\"a\":  1}", false},
         {"{\"a\": 1,}", false}});
}

TEST(JsonSchemaTest, PropertiesComeInOrderAndRequiredOnesMustCome) {
  Check(Kind::kJsonSchema,
        R"({"type":"object","properties":{"a":{"type":"null"},"b":{"type":"null"},
        "c":{"type":"null"}},"required":["b"]})",
        {{R"({"b":null})", true},
         {R"({"a":null,"b":null,"c":null})", true},
         {R"({"b":null,"c":null})", true},
         {R"({"a":null})", false},
         {R"({"b":null,"a":null})", false},
         {R"({"b":null,"d":null})", false},
         {"{}", false}});
}

TEST(JsonSchemaTest, AnObjectMayHaveToHaveSomething) {
  for (const char* schema :
       {R"({"type":"object","minProperties":1,"additionalProperties":{"type":"null"}})",
        R"({"type":"object","minProperties":1,"patternProperties":{"^[ab]$":{"type":"null"}}})",
        R"({"minProperties":1,"properties":{"a":{"type":"null"},"b":{"type":"null"}}})"}) {
    Check(Kind::kJsonSchema, schema,
          {{"{}", false}, {R"({"a":null})", true}, {R"({"a":null,"b":null})", true}});
  }
  Refuse(Kind::kJsonSchema, R"({"type":"object","minProperties":2})", Code::kUnimplemented,
         "#: keyword 'minProperties' above 1 is not supported");
  Refuse(Kind::kJsonSchema, R"({"minProperties":1,"properties":{}})", Code::kInvalidArgument,
         "nothing can satisfy");
}

TEST(JsonSchemaTest, OtherKeysAreNeverDeclaredOnesInDisguise) {
  Check(Kind::kJsonSchema, R"({"type":"object","properties":{"ab":{"type":"integer"}},
        "additionalProperties":{"type":"string"}})",
        {{R"({"ab":1,"x":"s"})", true},
         {R"({"a":"s","abc":"s","":"s"})", true},
         {R"({"ab":"s"})", false},
         {R"({"\u0061b":"s"})", false},
         {R"({"x\u0061b":"s"})", true},
         {R"({"x":1})", false}});
}

TEST(JsonSchemaTest, NumbersKeepTheirBounds) {
  Check(Kind::kJsonSchema, R"({"type":"integer","minimum":-12.5,"exclusiveMaximum":1000})",
        {{"-12", true},
         {"-13", false},
         {"999", true},
         {"1000", false},
         {"0", true},
         {"-0", false},
         {"007", false},
         {"1.0", false}});
  Check(Kind::kJsonSchema, R"({"type":"number","minimum":0.05,"maximum":12.5})",
        {{"0.05", true},
         {"0.0499", false},
         {"0.050001", true},
         {"12.5", true},
         {"12.50", true},
         {"12.51", false},
         {"12.", false},
         {"7", true},
         {"7.123", true},
         {"0", false},
         {"13", false}});
  Check(Kind::kJsonSchema, R"({"type":"number","minimum":0,"multipleOf":0.01})",
        {{"1.25", true}, {"1.255", false}, {"-1", false}, {"3", true}});
  Check(Kind::kJsonSchema, R"({"type":"integer","multipleOf":7})",
        {{"0", true}, {"-14", true}, {"7000000000000000000000", true}, {"15", false}});
}

TEST(JsonSchemaTest, AllOfJoinsWhatItSays) {
  Check(Kind::kJsonSchema,
        R"({"allOf":[{"type":"object","properties":{"a":{"type":"number","minimum":0}},
        "required":["a"]},{"properties":{"a":{"type":"integer","maximum":9}}}]})",
        {{R"({"a":5})", true}, {R"({"a":10})", false}, {R"({"a":5.5})", false}, {"{}", false}});
  Check(Kind::kJsonSchema, R"({"type":"object","properties":{"a":{"const":1},"b":{"const":2}},
        "anyOf":[{"required":["a"]},{"required":["b"]}]})",
        {{R"({"a":1})", true}, {R"({"b":2})", true}, {"{}", false}});
}

TEST(JsonSchemaTest, RefusesByKeywordAndPath) {
  Refuse(Kind::kJsonSchema, R"({"properties":{"a/b":{"not":{}}}})", Code::kUnimplemented,
         "#/properties/a~1b: keyword 'not' is not supported");
  Refuse(Kind::kJsonSchema, R"({"type":"array","uniqueItems":true})", Code::kUnimplemented,
         "uniqueItems");
  Refuse(Kind::kJsonSchema, R"({"type":"string","maxLenght":3})", Code::kUnimplemented,
         "'maxLenght'");
  Refuse(Kind::kJsonSchema, R"({"type":"string","format":"iri"})", Code::kUnimplemented, "'iri'");
  Refuse(Kind::kJsonSchema, R"({"type":"string","pattern":"(?<=a)b"})", Code::kUnimplemented,
         "#: keyword 'pattern': regex: look-around");
  Refuse(Kind::kJsonSchema, R"({"$ref":"http://x/y"})", Code::kUnimplemented, "'http://x/y'");
  Refuse(Kind::kJsonSchema, R"({"$ref":"#/$defs/x"})", Code::kInvalidArgument, "points at nothing");
  Refuse(Kind::kJsonSchema, R"({"type":"strin"})", Code::kInvalidArgument, "'strin'");
  Refuse(Kind::kJsonSchema, R"({"type":"integer","minimum":"3"})", Code::kInvalidArgument,
         "'minimum'");
  Refuse(Kind::kJsonSchema, "{", Code::kInvalidArgument, "not JSON");
}

TEST(JsonSchemaTest, RefusesWhatNothingSatisfies) {
  Refuse(Kind::kJsonSchema, R"({"type":"integer","minimum":5,"maximum":4})", Code::kInvalidArgument,
         "nothing can satisfy");
  Refuse(Kind::kJsonSchema, "false", Code::kInvalidArgument, "nothing can satisfy");
  Refuse(Kind::kJsonSchema, R"({"type":"object","properties":{"a":{"$ref":"#"}},"required":["a"]})",
         Code::kInvalidArgument, "nothing can satisfy");
  Refuse(Kind::kJsonSchema, R"({"$ref":"#"})", Code::kInvalidArgument, "calls itself");
}

TEST(JsonSchemaTest, LimitsHoldAgainstHostileSchemas) {
  Refuse(Kind::kJsonSchema, R"({"type":"string","maxLength":900000000})", Code::kResourceExhausted,
         "automaton nodes");
  std::string deep = "{\"type\":\"null\"}";
  for (int i = 0; i < 200; ++i) deep = absl::StrCat("{\"type\":\"array\",\"items\":", deep, "}");
  Refuse(Kind::kJsonSchema, deep, Code::kResourceExhausted, "nests deeper than 100");
  // Each level doubles the parts if references are merged one by one.
  std::string wide = "{\"$defs\":{\"d0\":{\"type\":\"null\"}";
  for (int i = 1; i < 40; ++i) {
    const std::string ref = absl::StrCat("{\"$ref\":\"#/$defs/d", i - 1, "\",\"minItems\":0}");
    absl::StrAppend(&wide, ",\"d", i, "\":{\"anyOf\":[", ref, ",", ref, "]}");
  }
  Refuse(Kind::kJsonSchema, wide + "},\"$ref\":\"#/$defs/d39\"}", Code::kResourceExhausted,
         "parts");
}

TEST(RegexTest, MatchesInFull) {
  Check(Kind::kRegex, "^(?:ab|c{2})+[^\\d\\s]$",
        {{"abx", true}, {"ccab-", true}, {"cx", false}, {"ab1", false}});
  Check(Kind::kRegex, "(?i)h\\x65llo.", {{"HeLLo!", true}, {"hello\n", false}, {"hello日", true}});
}

TEST(RegexTest, RefusesByName) {
  const auto refuse = [](const char* text, Code code, const char* message) {
    Refuse(Kind::kRegex, text, code, message);
  };
  refuse("a(?=b)", Code::kUnimplemented, "look-around '(?=' at offset 2");
  refuse("(a)\\1", Code::kUnimplemented, "back reference '\\1'");
  refuse("(?P<n>a)(?P=n)", Code::kUnimplemented, "back reference");
  refuse("\\bx", Code::kUnimplemented, "word boundary '\\b'");
  refuse("\\p{L}", Code::kUnimplemented, "character property");
  refuse("a++", Code::kUnimplemented, "possessive");
  refuse("a$b", Code::kUnimplemented, "'$'");
  refuse("(?x)a", Code::kUnimplemented, "flag 'x'");
  refuse("(a", Code::kInvalidArgument, "unclosed '('");
  refuse("a)", Code::kInvalidArgument, "unmatched ')'");
  refuse("[a", Code::kInvalidArgument, "unclosed '['");
  refuse("*a", Code::kInvalidArgument, "nothing to repeat");
  refuse("a{3,2}", Code::kInvalidArgument, "maximum is below");
  refuse("a{200000}", Code::kInvalidArgument, "above 100000");
  refuse("((((a{90000}){90000}){9}b){9}c){90000}[^\\x00-\\U0010ffff]", Code::kInvalidArgument,
         "nothing can satisfy");
  refuse("a{90000}b{90000}c{90000}d{90000}e{90000}", Code::kResourceExhausted, "automaton nodes");
}

TEST(ChoiceTest, TakesOneOfTheChoices) {
  ConstraintSpec spec = {.kind = Kind::kChoice, .choices = {"yes", "yes, but", "no"}};
  const auto grammar = CompileConstraint(spec, MakeVocabulary({}));
  ASSERT_OK(grammar);
  EXPECT_TRUE((*grammar)->Matches("yes"));
  EXPECT_TRUE((*grammar)->Matches("yes, but"));
  EXPECT_FALSE((*grammar)->Matches("yes, "));
  spec.choices = {};
  EXPECT_THAT(CompileConstraint(spec, MakeVocabulary({})),
              StatusIs(Code::kInvalidArgument, "0 choices"));
}

TEST(EbnfTest, ReadsBothNotations) {
  Check(Kind::kGrammar,
        "# sums\nroot ::= term (\"+\" term)*\nterm ::= [0-9]{1,3} |\n  \"(\" root \")\"",
        {{"1+(22+3)", true}, {"1+", false}, {"1234", false}});
  Check(Kind::kGrammar,
        "start: greeting \" \" NAME // Lark\ngreeting: \"hi\" | 'hello'\nNAME: /[A-Z][a-z\\/]+/",
        {{"hello Ada", true}, {"hi a", false}, {"hi A/", true}});
}

TEST(EbnfTest, RefusesWithTheLine) {
  Refuse(Kind::kGrammar, "root ::= a\na ::= a \"x\" | \"y\"", Code::kInvalidArgument,
         "rule 'a' calls itself before it matches anything (left recursion)");
  Refuse(Kind::kGrammar, "root ::= b", Code::kInvalidArgument, "rule 'b' is used but not defined");
  Refuse(Kind::kGrammar, "a ::= \"x\"", Code::kInvalidArgument, "no rule 'root'");
  Refuse(Kind::kGrammar, "root ::= \"x\"\nroot ::= \"y\"", Code::kInvalidArgument, "line 2");
  Refuse(Kind::kGrammar, "root ::= (\"x\"", Code::kInvalidArgument, "unclosed '('");
  Refuse(Kind::kGrammar, "root: \"x\"\n%import common.WS", Code::kUnimplemented, "'%import'");
  Refuse(Kind::kGrammar, "root ::= \"x\" root", Code::kInvalidArgument, "nothing can satisfy");
}

}  // namespace
}  // namespace vallm::engine
