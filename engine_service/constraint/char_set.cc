#include "engine_service/constraint/char_set.h"

#include <algorithm>
#include <array>
#include <string>

#include "tokenizer_service/bpe/utf8.h"

namespace vallm::engine {
namespace {

constexpr char32_t kLast = 0x10FFFF;
constexpr char32_t kFirstSurrogate = 0xD800;
constexpr char32_t kLastSurrogate = 0xDFFF;
// The last code points of each length of encoding.
constexpr std::array<char32_t, 4> kLastOfLength = {0x7F, 0x7FF, 0xFFFF, kLast};

using Sequence = std::vector<ByteRange>;

uint8_t Byte(char c) { return static_cast<uint8_t>(c); }

// The sequences from `first` to `last`, encodings of one length that agree before `begin`.
void Split(const std::string& first, const std::string& last, size_t begin, Sequence* prefix,
           std::vector<Sequence>* out) {
  const size_t length = first.size();
  size_t at = begin;
  while (at < length && first[at] == last[at]) {
    prefix->push_back({Byte(first[at]), Byte(first[at])});
    ++at;
  }
  if (at == length) {
    out->push_back(*prefix);
    prefix->resize(begin);
    return;
  }
  const auto continuation = [&](size_t from, uint8_t byte) {
    return std::all_of(from == 1 ? first.begin() + at + 1 : last.begin() + at + 1,
                       from == 1 ? first.end() : last.end(),
                       [byte](char c) { return Byte(c) == byte; });
  };
  uint8_t low = Byte(first[at]);
  uint8_t high = Byte(last[at]);
  if (!continuation(1, 0x80)) {
    std::string end = first.substr(0, at + 1);
    end.resize(length, '\xBF');
    Split(first, end, at, prefix, out);
    ++low;
  }
  const bool cut_high = !continuation(2, 0xBF);
  if (cut_high) --high;
  if (low <= high) {
    Sequence whole = *prefix;
    whole.push_back({low, high});
    whole.resize(length, {0x80, 0xBF});
    out->push_back(std::move(whole));
  }
  if (cut_high) {
    std::string start = last.substr(0, at + 1);
    start.resize(length, '\x80');
    Split(start, last, at, prefix, out);
  }
  prefix->resize(begin);
}

}  // namespace

CharSet CharSet::Of(char32_t first, char32_t last) {
  CharSet set;
  set.Add(first, last);
  return set;
}

CharSet CharSet::All() { return Of(0, kLast); }

void CharSet::Add(char32_t first, char32_t last) {
  if (first < kFirstSurrogate) AddScalars(first, std::min<char32_t>(last, kFirstSurrogate - 1));
  if (last > kLastSurrogate)
    AddScalars(std::max<char32_t>(first, kLastSurrogate + 1), std::min(last, kLast));
}

void CharSet::Add(const CharSet& other) {
  for (const Range& range : other.ranges_) AddScalars(range.first, range.last);
}

void CharSet::AddScalars(char32_t first, char32_t last) {
  // Neighbours across the surrogates stay two ranges; all others that touch are joined.
  auto at = std::lower_bound(ranges_.begin(), ranges_.end(), first,
                             [](const Range& r, char32_t c) { return r.last + 1 < c; });
  auto end = at;
  while (end != ranges_.end() && end->first <= last + 1) {
    first = std::min(first, end->first);
    last = std::max(last, end->last);
    ++end;
  }
  at = ranges_.erase(at, end);
  ranges_.insert(at, {first, last});
}

CharSet CharSet::Complement() const {
  CharSet result;
  char32_t next = 0;
  for (const Range& range : ranges_) {
    if (range.first > next) result.Add(next, range.first - 1);
    next = range.last + 1;
  }
  if (next <= kLast) result.Add(next, kLast);
  return result;
}

CharSet CharSet::Intersection(const CharSet& other) const {
  CharSet result;
  size_t i = 0;
  size_t j = 0;
  while (i < ranges_.size() && j < other.ranges_.size()) {
    const Range& a = ranges_[i];
    const Range& b = other.ranges_[j];
    const char32_t first = std::max(a.first, b.first);
    const char32_t last = std::min(a.last, b.last);
    if (first <= last) result.Add(first, last);
    (a.last < b.last ? i : j)++;
  }
  return result;
}

CharSet CharSet::FoldAsciiCase() const {
  CharSet result = *this;
  for (const auto& [letters, shift] :
       {std::pair<CharSet, int>{Of('A', 'Z'), 32}, std::pair<CharSet, int>{Of('a', 'z'), -32}}) {
    for (const Range& range : Intersection(letters).ranges_) {
      result.Add(range.first + shift, range.last + shift);
    }
  }
  return result;
}

bool CharSet::Contains(char32_t c) const {
  return std::any_of(ranges_.begin(), ranges_.end(),
                     [c](const Range& r) { return r.first <= c && c <= r.last; });
}

std::vector<std::vector<ByteRange>> Utf8Sequences(const CharSet& set) {
  std::vector<Sequence> result;
  for (const CharSet::Range& range : set.ranges()) {
    char32_t first = range.first;
    for (const char32_t limit : kLastOfLength) {
      if (first > limit || first > range.last) continue;
      const char32_t last = std::min(limit, range.last);
      std::string first_bytes;
      std::string last_bytes;
      tokenizer::AppendUtf8(first, &first_bytes);
      tokenizer::AppendUtf8(last, &last_bytes);
      Sequence prefix;
      Split(first_bytes, last_bytes, 0, &prefix, &result);
      first = last + 1;
    }
  }
  return result;
}

}  // namespace vallm::engine
