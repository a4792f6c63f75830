#include "tools/eval/scoring/drop_answer.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <set>

#include "absl/strings/numbers.h"
#include "common/strings.h"
#include "tools/eval/text/regex.h"
#include "tools/eval/text/unicode_text.h"

namespace vallm::eval {
namespace {

constexpr std::string_view kPunctuation = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

using Bag = std::set<std::string>;

// What Python's float() takes, but for its "nan" and "inf" in words.
std::optional<double> NumberOf(std::string_view text) {
  const std::string bare = ReplaceEach(Strip(text), "_", "");
  double value = 0;
  if (bare.empty() || bare.find_first_not_of("0123456789.eE+-") != std::string::npos) return {};
  if (!absl::SimpleAtod(bare, &value)) return std::nullopt;
  return value;
}

// The shortest digits that give the number back, as Python's str(): "3.0", "1e+16".
std::string NumberText(double value) {
  std::array<char, 32> buffer;
  const double size = std::abs(value);
  const bool plain = value == 0 || (size >= 1e-4 && size < 1e16);
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                                 plain ? std::chars_format::fixed : std::chars_format::scientific);
  std::string text(buffer.data(), end.ptr);
  if (plain && !Contains(text, ".")) text += ".0";
  return text;
}

std::string NormalToken(std::string_view token) {
  static const Regex& article = *new Regex(Regex::Of(R"(\b(a|an|the)\b)"));
  std::string text = Lower(token);
  if (!NumberOf(text)) {
    text.erase(
        std::remove_if(text.begin(), text.end(),
                       [](char c) { return kPunctuation.find(c) != std::string_view::npos; }),
        text.end());
  }
  if (const auto number = NumberOf(text)) text = NumberText(*number);
  text = article.Replace(text, " ");
  std::string joined;
  for (const std::string_view word : Words(text)) {
    if (!joined.empty()) joined += ' ';
    joined += word;
  }
  return joined;
}

Bag BagOf(const std::string& normal) {
  Bag bag;
  for (const std::string_view word : Words(normal)) bag.emplace(word);
  return bag;
}

Bag NumbersOf(const Bag& bag) {
  Bag numbers;
  for (const std::string& word : bag) {
    if (NumberOf(word)) numbers.insert(word);
  }
  return numbers;
}

bool Disjoint(const Bag& a, const Bag& b) {
  return std::none_of(a.begin(), a.end(), [&b](const std::string& x) { return b.count(x) != 0; });
}

double F1(const Bag& answer, const Bag& reference) {
  const Bag wanted = NumbersOf(reference);
  if (!wanted.empty() && Disjoint(wanted, NumbersOf(answer))) return 0;
  const auto common = static_cast<double>(std::count_if(
      answer.begin(), answer.end(), [&](const std::string& x) { return reference.count(x) != 0; }));
  const double precision = answer.empty() ? 1 : common / static_cast<double>(answer.size());
  const double recall = reference.empty() ? 1 : common / static_cast<double>(reference.size());
  return precision + recall == 0 ? 0 : 2 * precision * recall / (precision + recall);
}

}  // namespace

std::string ExtractDropAnswer(std::string_view text) {
  static const Regex& answer =
      *new Regex(Regex::Of(R"(Answer\s*:\s*([^\n]+))", {.ignore_case = true}));
  const auto match = answer.Search(text);
  return std::string(match ? (*match)[1] : text);
}

std::string NormalDropSpan(std::string_view span) {
  std::string normal;
  for (const std::string_view part : SplitAt(span, " ")) {
    for (const std::string_view token : SplitAt(part, "-")) {
      const std::string text = NormalToken(token);
      if (text.empty()) continue;
      if (!normal.empty()) normal += ' ';
      normal += text;
    }
  }
  return normal;
}

DropScore ScoreDrop(const std::string& answer, const std::vector<DropAnswer>& references) {
  const std::string given = NormalDropSpan(answer);
  const Bag given_bag = BagOf(given);
  DropScore best;
  for (const DropAnswer& reference : references) {
    if (reference.empty() || Strip(reference[0]).empty()) continue;
    double best_pair = 0;
    for (const std::string& span : reference) {
      best_pair = std::max(best_pair, F1(given_bag, BagOf(NormalDropSpan(span))));
    }
    // One bag is paired with the best of the reference's; the others go without.
    const double f1 = best_pair / static_cast<double>(reference.size());
    const bool exact = reference.size() == 1 && NormalDropSpan(reference[0]) == given;
    best.exact_match = std::max(best.exact_match, exact ? 1.0 : 0.0);
    best.f1 = std::max(best.f1, std::round(f1 * 100) / 100);
  }
  return best;
}

}  // namespace vallm::eval
