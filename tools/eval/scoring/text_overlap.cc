#include "tools/eval/scoring/text_overlap.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "absl/strings/str_join.h"
#include "tools/eval/text/regex.h"
#include "tools/eval/text/sentences.h"
#include "tools/eval/text/unicode_text.h"

namespace vallm::eval {
namespace {

using Ngram = std::vector<std::string>;

std::vector<Ngram> Ngrams(const std::vector<std::string>& words, size_t n) {
  std::vector<Ngram> ngrams;
  for (size_t i = 0; i + n <= words.size(); ++i) {
    ngrams.emplace_back(words.begin() + static_cast<std::ptrdiff_t>(i),
                        words.begin() + static_cast<std::ptrdiff_t>(i + n));
  }
  return ngrams;
}

Overlap Rates(size_t common, size_t answer, size_t reference) {
  const auto share = [common](size_t of) {
    return of == 0 ? 0.0 : static_cast<double>(common) / static_cast<double>(of);
  };
  Overlap overlap{.precision = share(answer), .recall = share(reference)};
  // The small term is ROUGE's guard against 0/0; kept, to give the same digits.
  overlap.f1 = 2 * overlap.precision * overlap.recall / (overlap.precision + overlap.recall + 1e-8);
  return overlap;
}

// ROUGE's words as rouge_chinese finds them: it breaks lines at the ends of sentences in every
// language, so that "why?because" is two words, and a line of blanks is an empty one.
std::vector<std::string> RougeWords(std::string_view text) {
  static const auto& ends = *[] {
    auto* list = new std::vector<Regex>;
    for (const char* end : {"([。！？?])([^”’])", "(\\.{6})([^”’])", "(…{2})([^”’])",
                            "([。！？?][”’])([^，。！？?])"}) {
      list->push_back(Regex::Of(end));
    }
    return list;
  }();
  std::string broken = HasHan(text) ? absl::StrJoin(OverlapWords(text), " ") : std::string(text);
  for (const Regex& end : ends) {
    broken = end.Replace(broken, [](const Regex::Match& match) {
      return std::string(match[1]) + "\n" + std::string(match[2]);
    });
  }
  std::vector<std::string> words;
  for (const std::string_view line : SplitAt(StripRight(broken), "\n")) {
    const auto found = Words(line);
    if (found.empty() && !line.empty()) words.emplace_back();
    words.insert(words.end(), found.begin(), found.end());
  }
  return words;
}

std::vector<std::string> BleuWords(std::string_view text) {
  return HasHan(text) ? OverlapWords(text) : TreebankWords(text);
}

}  // namespace

std::vector<std::string> OverlapWords(std::string_view text) {
  if (!HasHan(text)) {
    std::vector<std::string> words;
    for (const std::string_view word : Words(text)) words.emplace_back(word);
    return words;
  }
  std::string spaced;
  for (const char32_t c : Characters(text)) {
    spaced += c >= 0x2E80 ? " " + ToUtf8(c) + " " : ToUtf8(c);
  }
  std::vector<std::string> words;
  for (const std::string_view word : Words(spaced)) words.emplace_back(word);
  return words;
}

Overlap RougeN(std::string_view answer, std::string_view reference, size_t n) {
  const auto as_set = [n](std::string_view text) {
    const auto ngrams = Ngrams(RougeWords(text), n);
    return std::set<Ngram>(ngrams.begin(), ngrams.end());
  };
  const std::set<Ngram> a = as_set(answer);
  const std::set<Ngram> r = as_set(reference);
  const auto common = std::count_if(a.begin(), a.end(), [&](const Ngram& g) { return r.count(g); });
  return Rates(static_cast<size_t>(common), a.size(), r.size());
}

Overlap RougeL(std::string_view answer, std::string_view reference) {
  const std::vector<std::string> a = RougeWords(answer);
  const std::vector<std::string> r = RougeWords(reference);
  std::vector<size_t> row(r.size() + 1, 0);
  for (const std::string& word : a) {
    size_t diagonal = 0;
    for (size_t j = 1; j <= r.size(); ++j) {
      const size_t above = row[j];
      row[j] = word == r[j - 1] ? diagonal + 1 : std::max(row[j], row[j - 1]);
      diagonal = above;
    }
  }
  return Rates(row.back(), a.size(), r.size());
}

double BleuN(std::string_view answer, std::string_view reference, size_t n) {
  const std::vector<std::string> a = BleuWords(answer);
  const std::vector<std::string> r = BleuWords(reference);
  if (a.empty()) return 0;
  std::map<Ngram, size_t> left;
  for (const Ngram& ngram : Ngrams(r, n)) ++left[ngram];
  size_t hits = 0;
  const std::vector<Ngram> ngrams = Ngrams(a, n);
  for (const Ngram& ngram : ngrams) {
    const auto found = left.find(ngram);
    if (found == left.end() || found->second == 0) continue;
    --found->second;
    ++hits;
  }
  const double precision =
      static_cast<double>(hits) / static_cast<double>(std::max<size_t>(ngrams.size(), 1));
  const double brevity =
      a.size() > r.size()
          ? 1.0
          : std::exp(1.0 - static_cast<double>(r.size()) / static_cast<double>(a.size()));
  return brevity * precision;
}

}  // namespace vallm::eval
