#include "engine_service/constraint/number_range.h"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

namespace vallm::engine {
namespace {

constexpr int kDoubleDigits = 15;  // decimal digits that every double keeps apart
constexpr int kMostFractionDigits = 20;

ExprPtr Digit(char first, char last) {
  if (first > last) return ChoiceExpr({});
  return CharsExpr(CharSet::Of(static_cast<uint8_t>(first), static_cast<uint8_t>(last)));
}
// Matches nothing if there is no room for `min` of them.
ExprPtr Digits(char first, char last, int min, int max) {
  if (max != kUnbounded && max < min) return ChoiceExpr({});
  return RepeatExpr(Digit(first, last), min, max);
}
ExprPtr AnyDigits(int min, int max) { return Digits('0', '9', min, max); }
// As many digits as there may be behind the first of `room`.
ExprPtr RestOf(int room) { return room < 1 ? ChoiceExpr({}) : AnyDigits(0, room - 1); }
ExprPtr AnyDigits(size_t count) {
  return AnyDigits(static_cast<int>(count), static_cast<int>(count));
}
char Next(char digit) { return static_cast<char>(digit + 1); }
char Previous(char digit) { return static_cast<char>(digit - 1); }

std::string ToDigits(Int128 value) {
  std::string digits;
  do {
    digits.insert(digits.begin(), static_cast<char>('0' + static_cast<int>(value % 10)));
    value /= 10;
  } while (value != 0);
  return digits;
}

// `length` digits from `low` to `high`, both of that length; absent bounds do not bind.
ExprPtr SameLength(std::optional<std::string_view> low, std::optional<std::string_view> high,
                   size_t length) {
  if (length == 0) return BytesExpr("");
  if (!low && !high) return AnyDigits(length);
  const char first = low ? (*low)[0] : '0';
  const char last = high ? (*high)[0] : '9';
  const auto rest = [](std::optional<std::string_view> text) {
    return text ? std::optional(text->substr(1)) : text;
  };
  if (low && high && first == last) {
    return SequenceExpr({Digit(first, first), SameLength(rest(low), rest(high), length - 1)});
  }
  std::vector<ExprPtr> ways;
  if (low) {
    ways.push_back(SequenceExpr({Digit(first, first), SameLength(rest(low), {}, length - 1)}));
  }
  if (high) {
    ways.push_back(SequenceExpr({Digit(last, last), SameLength({}, rest(high), length - 1)}));
  }
  const ExprPtr between = Digit(low ? Next(first) : '0', high ? Previous(last) : '9');
  ways.push_back(SequenceExpr({between, AnyDigits(length - 1)}));
  return ChoiceExpr(std::move(ways));
}

// Whole numbers without sign up to `high`, if it is not null. REQUIRES: 0 <= low.
ExprPtr NaturalRange(Int128 low, const Int128* high) {
  if (high != nullptr && low > *high) return ChoiceExpr({});
  const std::string first = ToDigits(low);
  if (high == nullptr) {
    const int length = static_cast<int>(first.size());
    std::vector<ExprPtr> ways = {SameLength(first, {}, first.size()),
                                 SequenceExpr({Digit('1', '9'), AnyDigits(length, kUnbounded)})};
    return ChoiceExpr(std::move(ways));
  }
  const std::string last = ToDigits(*high);
  if (first.size() == last.size()) return SameLength(first, last, first.size());
  std::vector<ExprPtr> ways = {SameLength(first, {}, first.size())};
  const int shortest = static_cast<int>(first.size()) + 1;
  const int longest = static_cast<int>(last.size()) - 1;
  if (shortest <= longest) {
    ways.push_back(SequenceExpr({Digit('1', '9'), AnyDigits(shortest - 1, longest - 1)}));
  }
  const std::string power = "1" + std::string(last.size() - 1, '0');
  ways.push_back(SameLength(power, last, last.size()));
  return ChoiceExpr(std::move(ways));
}

// Digits behind a point, compared with those of a bound; at most `room` of them, and at least
// `least` (0 or 1).
struct Fraction {
  // Not below `digits`; `exclusive`: not equal either.
  static ExprPtr AtLeast(std::string_view digits, bool exclusive, int room, int least) {
    if (digits.empty()) {
      if (!exclusive) return AnyDigits(least, room);
      return SequenceExpr(
          {Digits('0', '0', 0, std::max(room - 1, 0)), Digit('1', '9'), RestOf(room)});
    }
    if (room < 1) return ChoiceExpr({});
    return ChoiceExpr({SequenceExpr({Digit(digits[0], digits[0]),
                                     AtLeast(digits.substr(1), exclusive, room - 1, 0)}),
                       SequenceExpr({Digit(Next(digits[0]), '9'), RestOf(room)})});
  }

  static ExprPtr AtMost(std::string_view digits, bool exclusive, int room, int least) {
    if (digits.empty()) {
      return exclusive ? ChoiceExpr({}) : Digits('0', '0', least, room);
    }
    std::vector<ExprPtr> ways;
    if (room > 0) {
      ways.push_back(SequenceExpr(
          {Digit(digits[0], digits[0]), AtMost(digits.substr(1), exclusive, room - 1, 0)}));
      ways.push_back(SequenceExpr({Digit('0', Previous(digits[0])), RestOf(room)}));
    }
    // Trailing zeros of `digits` are trimmed: to end before its end is to stay below it.
    if (least == 0) ways.push_back(BytesExpr(""));
    return ChoiceExpr(std::move(ways));
  }

  // REQUIRES: low <= high as digits behind a point.
  static ExprPtr Between(std::string_view low, bool low_exclusive, std::string_view high,
                         bool high_exclusive, int room, int least) {
    if (high.empty()) {
      if (low_exclusive || high_exclusive) return ChoiceExpr({});
      return Digits('0', '0', least, room);
    }
    const char first = low.empty() ? '0' : low[0];
    const std::string_view low_rest = low.empty() ? low : low.substr(1);
    std::vector<ExprPtr> ways;
    if (low.empty() && !low_exclusive && least == 0) ways.push_back(BytesExpr(""));
    if (room < 1) return ChoiceExpr(std::move(ways));
    if (first == high[0]) {
      ways.push_back(
          SequenceExpr({Digit(first, first), Between(low_rest, low_exclusive, high.substr(1),
                                                     high_exclusive, room - 1, 0)}));
      return ChoiceExpr(std::move(ways));
    }
    ways.push_back(
        SequenceExpr({Digit(first, first), AtLeast(low_rest, low_exclusive, room - 1, 0)}));
    ways.push_back(SequenceExpr(
        {Digit(high[0], high[0]), AtMost(high.substr(1), high_exclusive, room - 1, 0)}));
    ways.push_back(SequenceExpr({Digit(Next(first), Previous(high[0])), RestOf(room)}));
    return ChoiceExpr(std::move(ways));
  }
};

bool LessWhole(const std::string& a, const std::string& b) {
  return a.size() != b.size() ? a.size() < b.size() : a < b;
}

Int128 ToInt(const std::string& digits) {
  Int128 value = 0;
  for (const char c : digits) value = value * 10 + (c - '0');
  return value;
}

ExprPtr WithPoint(ExprPtr digits) { return SequenceExpr({BytesExpr("."), std::move(digits)}); }

// `whole`, then a point and one to `room` digits that make a fraction in the bounds, or no point if
// zero is in them.
ExprPtr WithFraction(const std::string& whole, const DecimalBound* low, const DecimalBound* high,
                     int room) {
  std::vector<ExprPtr> ways;
  const bool zero_fits = (low == nullptr || (low->fraction.empty() && !low->exclusive)) &&
                         (high == nullptr || !high->fraction.empty() || !high->exclusive);
  if (zero_fits) ways.push_back(BytesExpr(whole));
  ExprPtr digits;
  if (low != nullptr && high != nullptr) {
    digits =
        Fraction::Between(low->fraction, low->exclusive, high->fraction, high->exclusive, room, 1);
  } else if (low != nullptr) {
    digits = Fraction::AtLeast(low->fraction, low->exclusive, room, 1);
  } else {
    digits = Fraction::AtMost(high->fraction, high->exclusive, room, 1);
  }
  ways.push_back(SequenceExpr({BytesExpr(whole), WithPoint(std::move(digits))}));
  return ChoiceExpr(std::move(ways));
}

// Numbers without sign from `low` (not negative) to `high`.
ExprPtr NonNegativeRange(const DecimalBound& low, const DecimalBound* high, int room) {
  if (high == nullptr) {
    return ChoiceExpr({WithFraction(low.whole, &low, nullptr, room),
                       SequenceExpr({NaturalRange(ToInt(low.whole) + 1, nullptr),
                                     OptionalExpr(WithPoint(AnyDigits(1, room)))})});
  }
  if (LessWhole(high->whole, low.whole)) return ChoiceExpr({});
  if (low.whole == high->whole) {
    if (low.fraction > high->fraction) return ChoiceExpr({});
    return WithFraction(low.whole, &low, high, room);
  }
  const Int128 last = ToInt(high->whole) - 1;
  return ChoiceExpr({WithFraction(low.whole, &low, nullptr, room),
                     WithFraction(high->whole, nullptr, high, room),
                     SequenceExpr({NaturalRange(ToInt(low.whole) + 1, &last),
                                   OptionalExpr(WithPoint(AnyDigits(1, room)))})});
}

DecimalBound Mirrored(const DecimalBound& bound) {
  DecimalBound result = bound;
  result.negative = !bound.negative;
  return result;
}

bool IsZero(const DecimalBound& bound) { return bound.whole == "0" && bound.fraction.empty(); }

}  // namespace

ExprPtr IntegerRange(std::optional<Int128> low, std::optional<Int128> high) {
  std::vector<ExprPtr> ways;
  if (!low || *low < 0) {
    const Int128 nearest = high && *high < 0 ? -*high : 1;
    const Int128 farthest = low ? -*low : 0;
    ways.push_back(
        SequenceExpr({BytesExpr("-"), NaturalRange(nearest, low ? &farthest : nullptr)}));
  }
  if (!high || *high >= 0) {
    ways.push_back(NaturalRange(low && *low > 0 ? *low : 0, high ? &*high : nullptr));
  }
  return ChoiceExpr(std::move(ways));
}

ExprPtr DecimalRange(const std::optional<DecimalBound>& low,
                     const std::optional<DecimalBound>& high,
                     std::optional<int> max_fraction_digits) {
  int room = kMostFractionDigits;
  for (const auto* bound : {&low, &high}) {
    if (!*bound || !(*bound)->exclusive) continue;
    room = std::min(room, kDoubleDigits - static_cast<int>((*bound)->whole.size()));
  }
  for (const auto* bound : {&low, &high}) {
    if (*bound) room = std::max(room, static_cast<int>((*bound)->fraction.size()) + 1);
  }
  room = std::max(room, 1);
  if (max_fraction_digits) room = std::min(room, *max_fraction_digits);
  const DecimalBound zero = {.negative = false, .whole = "0", .fraction = "", .exclusive = false};
  std::vector<ExprPtr> ways;
  if (!low || low->negative) {
    DecimalBound nearest = zero;
    nearest.exclusive = true;  // "-0" is left out
    if (high && (high->negative || IsZero(*high))) {
      nearest = Mirrored(*high);
      if (IsZero(*high)) nearest.exclusive = true;
    }
    const DecimalBound farthest = low ? Mirrored(*low) : zero;
    ways.push_back(
        SequenceExpr({BytesExpr("-"), NonNegativeRange(nearest, low ? &farthest : nullptr, room)}));
  }
  if (!high || !high->negative) {
    const DecimalBound nearest = low && !low->negative ? *low : zero;
    ways.push_back(NonNegativeRange(nearest, high ? &*high : nullptr, room));
  }
  return ChoiceExpr(std::move(ways));
}

ExprPtr IntegerMultiple(int divisor, Grammar* grammar) {
  // Rule r: the digits that may follow once the number so far leaves the remainder r.
  std::vector<int> rules;
  for (int r = 0; r < divisor; ++r) rules.push_back(grammar->AddRule("(remainder)"));
  const auto digit_ways = [&](int remainder, int first_digit) {
    std::vector<ExprPtr> ways;
    for (int d = first_digit; d < 10; ++d) {
      ways.push_back(SequenceExpr({BytesExpr(std::string(1, static_cast<char>('0' + d))),
                                   RuleExpr(rules[(remainder * 10 + d) % divisor])}));
    }
    return ways;
  };
  for (int r = 0; r < divisor; ++r) {
    std::vector<ExprPtr> ways = digit_ways(r, 0);
    if (r == 0) ways.push_back(BytesExpr(""));
    grammar->rules[rules[r]].body = ChoiceExpr(std::move(ways));
  }
  return ChoiceExpr(
      {BytesExpr("0"), SequenceExpr({OptionalExpr(BytesExpr("-")), ChoiceExpr(digit_ways(0, 1))})});
}

}  // namespace vallm::engine
