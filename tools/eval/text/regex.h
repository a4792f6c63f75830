// Regular expressions over UTF-8 text, PCRE2's with Unicode classes: the rules of the public
// scorers are written for Python's `re`, whose syntax and meaning PCRE2 shares as far as they use
// it (\s, \w, \b and case are Unicode's, '$' also matches before a line feed at the end).
//
// Immutable and thread-safe; moves, does not copy.
#ifndef VALLM_TOOLS_EVAL_TEXT_REGEX_H_
#define VALLM_TOOLS_EVAL_TEXT_REGEX_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace vallm::eval {

class Regex {
 public:
  struct Options {
    bool ignore_case = false;
    bool multiline = false;  // ^ and $ match at every line
    bool dot_all = false;    // . matches line feeds
  };

  // Where a match lies. groups[0] is the whole; a group that took no part is empty, at npos.
  struct Match {
    struct Span {
      size_t begin = std::string_view::npos;
      size_t end = std::string_view::npos;
    };
    std::string_view text;  // what was searched
    std::vector<Span> groups;

    size_t begin() const { return groups[0].begin; }
    size_t end() const { return groups[0].end; }
    // The text of a group; empty when it took no part.
    std::string_view operator[](size_t group) const;
  };

  // Errors: INVALID_ARGUMENT with PCRE2's message and the offset.
  static absl::StatusOr<Regex> Compile(std::string_view pattern, const Options& options);
  static absl::StatusOr<Regex> Compile(std::string_view pattern) { return Compile(pattern, {}); }
  // For patterns in the source. REQUIRES: the pattern is well-formed.
  static Regex Of(std::string_view pattern, const Options& options);
  static Regex Of(std::string_view pattern) { return Of(pattern, {}); }

  Regex(Regex&&) noexcept = default;
  Regex& operator=(Regex&&) noexcept = default;

  // The first match at or behind byte `from`. Views of `text` stay in the result. A search that
  // hits PCRE2's limits counts as no match.
  std::optional<Match> Search(std::string_view text, size_t from = 0) const;
  bool Matches(std::string_view text) const { return Search(text).has_value(); }
  // The matches from left to right that do not overlap; empty ones too.
  std::vector<Match> FindAll(std::string_view text) const;
  // `text` with every match replaced by what `make` returns for it.
  std::string Replace(std::string_view text,
                      const std::function<std::string(const Match&)>& make) const;
  std::string Replace(std::string_view text, std::string_view by) const;
  // What lies between the matches, ends included.
  std::vector<std::string_view> Split(std::string_view text) const;

 private:
  struct Deleter {
    void operator()(void* code) const;
  };
  explicit Regex(void* code) : code_(code) {}

  std::unique_ptr<void, Deleter> code_;
};

// `text` as a pattern that matches it and nothing else.
std::string EscapeRegex(std::string_view text);

}  // namespace vallm::eval

#endif  // VALLM_TOOLS_EVAL_TEXT_REGEX_H_
