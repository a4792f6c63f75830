// A set of Unicode scalar values as sorted, disjoint ranges, and the byte sequences that spell it
// in UTF-8 (the range splitting that Ken Thompson's and RE2's byte-level automata use).
//
// Values; no shared state.
#ifndef VALLM_ENGINE_SERVICE_CONSTRAINT_CHAR_SET_H_
#define VALLM_ENGINE_SERVICE_CONSTRAINT_CHAR_SET_H_

#include <cstdint>
#include <vector>

namespace vallm::engine {

class CharSet {
 public:
  struct Range {
    char32_t first;
    char32_t last;  // included
    bool operator==(const Range&) const = default;
  };

  CharSet() = default;
  static CharSet Of(char32_t first, char32_t last);
  static CharSet One(char32_t c) { return Of(c, c); }
  // Every scalar value: U+0000 to U+10FFFF without the surrogates.
  static CharSet All();

  // Adds `first` to `last`; surrogates among them are left out. REQUIRES: first <= last.
  void Add(char32_t first, char32_t last);
  void Add(const CharSet& other);

  CharSet Complement() const;
  CharSet Intersection(const CharSet& other) const;
  CharSet Without(const CharSet& other) const { return Intersection(other.Complement()); }
  // With the other case of every ASCII letter in it.
  CharSet FoldAsciiCase() const;

  bool Contains(char32_t c) const;
  bool empty() const { return ranges_.empty(); }
  const std::vector<Range>& ranges() const { return ranges_; }
  bool operator==(const CharSet&) const = default;

 private:
  void AddScalars(char32_t first, char32_t last);

  std::vector<Range> ranges_;
};

struct ByteRange {
  uint8_t first;
  uint8_t last;  // included
  auto operator<=>(const ByteRange&) const = default;
};

// Sequences of byte ranges, 1 to 4 long, whose products are disjoint and together are the UTF-8
// forms of exactly the characters of `set`.
std::vector<std::vector<ByteRange>> Utf8Sequences(const CharSet& set);

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_CONSTRAINT_CHAR_SET_H_
