#include "tools/eval/scoring/choice_answer.h"

#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "tools/eval/text/regex.h"
#include "tools/eval/text/unicode_text.h"

namespace vallm::eval {
namespace {

// In the rules below, @ stands for a class of the option letters. (EvalScope joins the letters by
// '|' within the class, so that its rules also accept a bar; it can only matter where a bar follows
// a phrase, and then no letter is found within.)
constexpr const char* kChineseRules[] = {
    // "答案是B" in its spellings.
    R"(答案是?\s?@)",
    R"(答案是?\s?：@)",
    R"(答案是?\s?:@)",
    R"(答案应该?是\s?@)",
    R"(答案应该?选\s?@)",
    R"(答案为\s?@)",
    R"(答案选\s?@)",
    R"(选择?\s?@)",
    // Two rules of the original run into one for want of a comma. Kept, to find the same letters.
    R"(故选?\s?@只有选?项?\s?@\s?是?对)",
    R"(只有选?项?\s?@\s?是?错)",
    R"(只有选?项?\s?@\s?不?正确)",
    R"(只有选?项?\s?@\s?错误)",
    R"(说法不?对选?项?的?是\s?@)",
    R"(说法不?正确选?项?的?是\s?@)",
    R"(说法错误选?项?的?是\s?@)",
    R"(@\s?是正确的)",
    R"(@\s?是正确答案)",
    R"(选项\s?@\s?正确)",
    R"(所以答\s?@)",
    // At the end of the text.
    R"(所以\s?@[.。$]?$)",
    R"(所有\s?@[.。$]?$)",
    R"([\s，：:,]@[。，,\.]?$)",
    R"([\s，,：:][故即]@[。\.]?$)",
    R"([\s，,：:]因此@[。\.]?$)",
    R"([是为。]\s?@[。\.]?$)",
    R"(因此\s?@[。\.]?$)",
    R"(显然\s?@[。\.]?$)",
    // Something else stands between the phrase and the letter.
    R"(答案是\s?(\S+)(?:。|$))",
    R"(答案应该是\s?(\S+)(?:。|$))",
    R"(答案为\s?(\S+)(?:。|$))",
    R"(答案是(.*?)@)",
    R"(答案为(.*?)@)",
    R"(固选(.*?)@)",
    R"(答案应该是(.*?)@)",
    // English.
    R"([Tt]he answer is \(?@\)?)",
    R"([Tt]he correct answer is @)",
    "[Tt]he correct answer is:\\n@",
    // A letter that stands alone, then any.
    R"((\s|^)@[\s。，,\.$])",
    R"(^选项\s?@)",
    R"(^@\s?选?项)",
    R"((\s|^)@[\s。，,：:\.$])",
    R"((\s|^)@(\s|$))",
    R"(@)",
};

constexpr const char* kEnglishRules[] = {
    R"([Aa]nswer:\s*(@))",
    R"(ANSWER:\s*(@))",
    R"(answer is \(?(@)\)?)",
    R"([Tt]he correct answer is:\s*(@))",
    "[Tt]he correct answer is:\\n\\n-\\s*(@)",
    "[Tt]he answer might be:\\n\\n-\\s*(@)",
};

// The rules for one set of letters, compiled once.
class RuleSets {
 public:
  using Rules = std::vector<Regex>;

  template <size_t kCount>
  const Rules& For(std::string_view options, const char* const (&rules)[kCount],
                   std::string_view letter_class) {
    const std::lock_guard lock(mutex_);
    auto& set = sets_[std::string(options)];
    if (set == nullptr) {
      set = std::make_unique<Rules>();
      for (const char* rule : rules)
        set->push_back(Regex::Of(ReplaceEach(rule, "@", letter_class)));
    }
    return *set;
  }

 private:
  std::mutex mutex_;
  std::map<std::string, std::unique_ptr<Rules>> sets_;
};

std::string LastCapital(std::string_view text, std::string_view options) {
  const size_t at = text.find_last_of(options);
  return at == std::string_view::npos ? kNoChoice : std::string(1, text[at]);
}

}  // namespace

std::string FirstStatedChoice(std::string_view text, std::string_view options) {
  static RuleSets& sets = *new RuleSets;
  const std::string letters = "[" + std::string(options) + "]";
  for (const Regex& rule : sets.For(options, kEnglishRules, letters)) {
    if (const auto match = rule.Search(text)) return std::string((*match)[1]);
  }
  return LastCapital(text, options);
}

std::string ChineseStatedChoice(std::string_view text, std::string_view options) {
  static RuleSets& sets = *new RuleSets;
  const std::string letters = "[|" + std::string(options) + "]";
  for (const Regex& rule : sets.For(options, kChineseRules, letters)) {
    const auto match = rule.Search(text);
    if (!match) continue;
    for (const char option : options) {
      if (Contains((*match)[0], std::string(1, option))) return std::string(1, option);
    }
  }
  return LastCapital(text, options);
}

std::string LastLoneChoice(std::string_view text) {
  static const Regex& letter = *new Regex(Regex::Of(R"(\b(A|B|C|D)\b)"));
  const std::string upper = Upper(text);
  const auto found = letter.FindAll(upper);
  if (!found.empty()) return std::string(found.back()[1]);
  std::string_view rest = StripOf(Strip(text), ".");
  while (!rest.empty() && rest.back() == '.') rest.remove_suffix(1);
  while (!rest.empty() && rest.back() == '/') rest.remove_suffix(1);
  return std::string(rest);
}

}  // namespace vallm::eval
