#include "tools/eval/math/number_words.h"

#include <array>
#include <cstdint>
#include <vector>

#include "tools/eval/text/unicode_text.h"

namespace vallm::eval {
namespace {

constexpr std::array<std::string_view, 20> kSmall = {
    "zero",     "one",     "two",     "three",     "four",     "five",    "six",
    "seven",    "eight",   "nine",    "ten",       "eleven",   "twelve",  "thirteen",
    "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"};
constexpr std::array<std::string_view, 8> kTens = {"twenty", "thirty",  "forty",  "fifty",
                                                   "sixty",  "seventy", "eighty", "ninety"};

struct Scale {
  std::string_view word;
  int64_t value;
};
constexpr Scale kScales[] = {{"thousand", 1000}, {"million", 1000000}, {"billion", 1000000000}};

// 0 to 99, or -1.
int64_t SmallNumber(std::string_view word) {
  for (size_t i = 0; i < kSmall.size(); ++i) {
    if (word == kSmall[i]) return static_cast<int64_t>(i);
  }
  for (size_t i = 0; i < kTens.size(); ++i) {
    if (word == kTens[i]) return static_cast<int64_t>(10 * (i + 2));
  }
  return -1;
}

int64_t ScaleOf(std::string_view word) {
  for (const Scale& scale : kScales) {
    if (word == scale.word) return scale.value;
  }
  return 0;
}

}  // namespace

std::optional<std::string> NumberFromWords(std::string_view text) {
  const std::string lower = Lower(ReplaceEach(text, "-", " "));
  int64_t total = 0;       // what stands before the last scale word
  int64_t group = -1;      // of the words since then; -1: none
  int64_t last_scale = 0;  // scales must fall
  bool found = false;
  bool in_decimals = false;
  std::string decimals;
  for (const std::string_view word : Words(lower)) {
    const int64_t small = SmallNumber(word);
    const int64_t scale = ScaleOf(word);
    if (in_decimals) {
      if (small < 0) continue;
      if (small > 9) return std::nullopt;
      decimals.push_back(static_cast<char>('0' + small));
    } else if (small >= 0) {
      group = (group < 0 ? 0 : group) + small;
    } else if (word == "hundred") {
      group = (group <= 0 ? 1 : group) * 100;
    } else if (scale > 0) {
      if (last_scale != 0 && scale >= last_scale) return std::nullopt;
      total += (group < 0 ? 1 : group) * scale;
      group = -1;
      last_scale = scale;
    } else if (word == "point" && found) {
      in_decimals = true;
    } else {
      continue;
    }
    found = true;
  }
  if (!found) return std::nullopt;
  std::string digits = std::to_string(total + (group < 0 ? 0 : group));
  while (!decimals.empty() && decimals.back() == '0') decimals.pop_back();
  if (!decimals.empty()) digits += "." + decimals;
  return digits;
}

}  // namespace vallm::eval
