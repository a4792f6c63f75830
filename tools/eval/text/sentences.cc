#include "tools/eval/text/sentences.h"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "tools/eval/text/regex.h"
#include "tools/eval/text/unicode_text.h"

namespace vallm::eval {
namespace {

const std::set<std::string_view>& Abbreviations() {
  static const auto& set = *new std::set<std::string_view>{
      "adm",  "ala",  "a.m",  "ariz", "aug",  "ave",   "bros", "c.v",    "calif",   "co",
      "col",  "colo", "conn", "corp", "cos",  "ct",    "d.c",  "dec",    "dr",      "feb",
      "fla",  "fri",  "ft",   "ga",   "gen",  "ill",   "inc",  "j.p",    "jan",     "jr",
      "kan",  "ky",   "l.a",  "lt",   "ltd",  "m.b.a", "maj",  "messrs", "mg",      "mich",
      "minn", "mr",   "mrs",  "ms",   "n.c",  "n.h",   "n.j",  "n.m",    "n.v",     "n.y",
      "nev",  "nov",  "oct",  "ok",   "okla", "ore",   "p.m",  "pa",     "ph.d",    "prof",
      "r.j",  "rep",  "reps", "s.a",  "s.c",  "s.s",   "sen",  "sep",    "sept",    "sr",
      "st",   "sw",   "tenn", "tues", "u.k",  "u.n",   "u.s",  "u.s.a",  "u.s.s.r", "v",
      "va",   "vs",   "vt",   "w.r",  "w.va", "wash",  "wed",  "wis",    "yr"};
  return set;
}

// Words that are written with a small letter except where a sentence begins.
bool BeginsSentences(std::string_view word) {
  static const auto& set = *new std::set<std::string_view>{
      "the",   "a",     "an",     "this",    "that",  "these", "those", "it",    "he",    "she",
      "we",    "they",  "you",    "his",     "her",   "its",   "our",   "their", "in",    "on",
      "at",    "for",   "but",    "and",     "or",    "so",    "if",    "when",  "while", "as",
      "by",    "with",  "from",   "to",      "there", "then",  "what",  "how",   "why",   "who",
      "where", "after", "before", "however", "also",  "not",   "no",    "yes",   "some",  "many",
      "most",  "all",   "one",    "each",    "every"};
  return set.count(word) != 0;
}

// What decides whether the period of `before` ends a sentence in front of `next`.
bool PeriodEndsSentence(std::string_view before, std::string_view next) {
  static const Regex& initial = *new Regex(Regex::Of(R"(^[^\W\d]\.$)"));
  static const Regex& number = *new Regex(Regex::Of(R"(^-?[.,]?\d[\d,.-]*\.$)"));
  static const Regex& ellipsis = *new Regex(Regex::Of(R"(\.\.+$)"));
  const std::string lower = Lower(before.substr(0, before.size() - 1));
  const size_t hyphen = lower.rfind('-');
  const bool abbreviation =
      Abbreviations().count(lower) != 0 ||
      (hyphen != std::string::npos && Abbreviations().count(lower.substr(hyphen + 1)) != 0);
  const std::string first = next.empty() ? "" : ToUtf8(Characters(next)[0]);
  const bool starts = IsUpper(first) && BeginsSentences(Lower(StripOf(next, ".,;:!?\"')")));
  if (abbreviation || ellipsis.Matches(before)) return starts;
  if (number.Matches(before)) return !IsLower(first);
  if (initial.Matches(before)) return starts || (!IsUpper(first) && !IsLower(first));
  return true;
}

bool IsSpaceAt(std::string_view text, size_t at) {
  return at < text.size() &&
         std::string_view(" \t\n\r\v\f").find(text[at]) != std::string_view::npos;
}

// The word that ends at `end`, without what opens brackets and quotes in front of it.
std::string_view WordBefore(std::string_view text, size_t end) {
  size_t begin = end;
  while (begin > 0 && !IsSpaceAt(text, begin - 1)) --begin;
  std::string_view word = text.substr(begin, end - begin);
  const size_t cut = word.find_last_of("(\"`{[:;&#*@)}],!?");
  return cut == std::string_view::npos ? word : word.substr(cut + 1);
}

constexpr std::string_view kClosing = "\"')]}";

struct Rule {
  Regex pattern;
  const char* by;  // \1 and so on are groups
};

std::string Apply(const Rule& rule, std::string_view text) {
  return rule.pattern.Replace(text, [&rule](const Regex::Match& match) {
    std::string made;
    for (const char* c = rule.by; *c != '\0'; ++c) {
      if (*c == '\\') {
        ++c;
        made += match[static_cast<size_t>(*c - '0')];
      } else {
        made.push_back(*c);
      }
    }
    return made;
  });
}

const std::vector<Rule>& TreebankRules() {
  static const auto& rules = *[] {
    auto* list = new std::vector<Rule>;
    const auto add = [list](const char* pattern, const char* by, bool ignore_case = false) {
      list->push_back({.pattern = Regex::Of(pattern, {.ignore_case = ignore_case}), .by = by});
    };
    // Quotes that open.
    add(R"(([«“‘„]|[`]+))", " \\1 ");
    add(R"(^")", "``");
    add(R"((``))", " \\1 ");
    add(R"(([ \(\[{<])("|'{2}))", "\\1 `` ");
    add(R"((?i)(?<!\w)(')(?!(?:re|ve|ll|m|t|s|d|n)\b)(?=\w))", "\\1 ");
    // Punctuation.
    add(R"(([^\.])(\.)([\]\)}>"'»”’ ]*)\s*$)", "\\1 \\2 \\3 ");
    add(R"(([:,])([^\d]))", " \\1 \\2");
    add(R"(([:,])$)", " \\1 ");
    add(R"((\.{2,}))", " \\1 ");
    add(R"(([;@#$%&]))", " \\1 ");
    add(R"(([\x{2012}-\x{2015}]))", " \\1 ");
    add(R"(([^\.])(\.)([\]\)}>"']*)\s*$)", "\\1 \\2\\3 ");
    add(R"(([?!]))", " \\1 ");
    add(R"(([^'])' )", "\\1 ' ");
    add(R"(([*]))", " \\1 ");
    // Brackets and dashes.
    add(R"(([\]\[\(\)\{\}<>]))", " \\1 ");
    add(R"((--))", " \\1 ");
    return list;
  }();
  return rules;
}

const std::vector<Rule>& TreebankEndings() {
  static const auto& rules = *[] {
    auto* list = new std::vector<Rule>;
    const auto add = [list](const char* pattern, const char* by) {
      list->push_back({.pattern = Regex::Of(pattern), .by = by});
    };
    add(R"(([»”’]))", " \\1 ");
    add(R"('')", " '' ");
    add(R"(")", " '' ");
    add(R"(\s+)", " ");
    add(R"(([^' ])('[sS]|'[mM]|'[dD]|') )", "\\1 \\2 ");
    add(R"(([^' ])('ll|'LL|'re|'RE|'ve|'VE|n't|N'T) )", "\\1 \\2 ");
    add(R"((?i)\b(can)(not)\b)", " \\1 \\2 ");
    add(R"((?i)\b(d)('ye)\b)", " \\1 \\2 ");
    add(R"((?i)\b(gim)(me)\b)", " \\1 \\2 ");
    add(R"((?i)\b(gon)(na)\b)", " \\1 \\2 ");
    add(R"((?i)\b(got)(ta)\b)", " \\1 \\2 ");
    add(R"((?i)\b(lem)(me)\b)", " \\1 \\2 ");
    add(R"((?i)\b(more)('n)\b)", " \\1 \\2 ");
    add(R"((?i)\b(wan)(na)\s)", " \\1 \\2 ");
    add(R"((?i) ('t)(is)\b)", " \\1 \\2 ");
    add(R"((?i) ('t)(was)\b)", " \\1 \\2 ");
    return list;
  }();
  return rules;
}

}  // namespace

std::vector<std::string> Sentences(std::string_view text) {
  // Punctuation that may follow a full stop directly and still lets a sentence end there.
  static const Regex& other = *new Regex(Regex::Of(R"re(^[)";}\]*:@'({\[?!‘’“”«»])re"));
  text = StripRight(text);
  std::vector<std::string> sentences;
  size_t begin = 0;
  const auto add = [&](size_t end) {
    if (!Strip(text.substr(begin, end - begin)).empty()) {
      sentences.emplace_back(Strip(text.substr(begin, end - begin)));
    }
    begin = end;
  };
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c != '.' && c != '?' && c != '!') continue;
    const std::string_view rest = text.substr(i + 1);
    const bool spaced = IsSpaceAt(text, i + 1);
    if (!spaced && !other.Matches(rest)) continue;
    const std::vector<std::string_view> ahead =
        spaced ? Words(rest.substr(0, 200)) : std::vector<std::string_view>();
    if (spaced && ahead.empty()) continue;
    const std::string_view word = WordBefore(text, i + 1);
    if (c == '.' && !word.empty() && !PeriodEndsSentence(word, spaced ? ahead[0] : "")) continue;
    size_t end = i + 1;
    // What closes quotes and brackets belongs to the sentence before it, if white space follows.
    size_t closed = end;
    while (closed < text.size() && kClosing.find(text[closed]) != std::string_view::npos) ++closed;
    if (closed > end && (closed == text.size() || IsSpaceAt(text, closed))) end = closed;
    add(end);
    i = end - 1;
  }
  add(text.size());
  return sentences;
}

std::vector<std::string> TreebankWords(std::string_view text) {
  std::vector<std::string> words;
  for (const std::string& sentence : Sentences(text)) {
    std::string spaced = sentence;
    for (const Rule& rule : TreebankRules()) spaced = Apply(rule, spaced);
    spaced = " " + spaced + " ";
    for (const Rule& rule : TreebankEndings()) spaced = Apply(rule, spaced);
    for (const std::string_view word : Words(spaced)) words.emplace_back(word);
  }
  return words;
}

}  // namespace vallm::eval
