#include "tools/eval/text/regex.h"

#include <glog/logging.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/strings.h"

namespace vallm::eval {
namespace {

pcre2_code* Code(void* code) { return static_cast<pcre2_code*>(code); }

struct MatchDataDeleter {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};

// The byte behind the character at `at`.
size_t NextCharacter(std::string_view text, size_t at) {
  ++at;
  while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) ++at;
  return at;
}

}  // namespace

void Regex::Deleter::operator()(void* code) const { pcre2_code_free(Code(code)); }

std::string_view Regex::Match::operator[](size_t group) const {
  if (group >= groups.size() || groups[group].begin == std::string_view::npos) return {};
  return text.substr(groups[group].begin, groups[group].end - groups[group].begin);
}

absl::StatusOr<Regex> Regex::Compile(std::string_view pattern, const Options& options) {
  uint32_t flags = PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF;
  if (options.ignore_case) flags |= PCRE2_CASELESS;
  if (options.multiline) flags |= PCRE2_MULTILINE;
  if (options.dot_all) flags |= PCRE2_DOTALL;
  std::unique_ptr<pcre2_compile_context, decltype(&pcre2_compile_context_free)> context(
      pcre2_compile_context_create(nullptr), &pcre2_compile_context_free);
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  int error = 0;
  PCRE2_SIZE offset = 0;
  pcre2_code* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                                   flags, &error, &offset, context.get());
  if (code == nullptr) {
    PCRE2_UCHAR message[256];
    pcre2_get_error_message(error, message, sizeof(message));
    return absl::InvalidArgumentError(absl::StrCat("regular expression '", ToAbsl(pattern),
                                                   "': ", reinterpret_cast<char*>(message),
                                                   " at offset ", offset));
  }
  pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);  // only faster: its failure does not matter
  return Regex(code);
}

Regex Regex::Of(std::string_view pattern, const Options& options) {
  auto regex = Compile(pattern, options);
  CHECK(regex.ok()) << regex.status();
  return *std::move(regex);
}

std::optional<Regex::Match> Regex::Search(std::string_view text, size_t from) const {
  if (from > text.size()) return std::nullopt;
  std::unique_ptr<pcre2_match_data, MatchDataDeleter> data(
      pcre2_match_data_create_from_pattern(Code(code_.get()), nullptr));
  const int count = pcre2_match(Code(code_.get()), reinterpret_cast<PCRE2_SPTR>(text.data()),
                                text.size(), from, 0, data.get(), nullptr);
  if (count < 0) return std::nullopt;
  Match match{.text = text, .groups = {}};
  const PCRE2_SIZE* ends = pcre2_get_ovector_pointer(data.get());
  const uint32_t groups = pcre2_get_ovector_count(data.get());
  match.groups.resize(groups);
  for (uint32_t i = 0; i < static_cast<uint32_t>(count); ++i) {
    if (ends[2 * i] != PCRE2_UNSET) match.groups[i] = {ends[2 * i], ends[2 * i + 1]};
  }
  return match;
}

std::vector<Regex::Match> Regex::FindAll(std::string_view text) const {
  std::vector<Match> found;
  size_t from = 0;
  while (auto match = Search(text, from)) {
    from = match->end() > match->begin() ? match->end() : NextCharacter(text, match->end());
    found.push_back(*std::move(match));
  }
  return found;
}

std::string Regex::Replace(std::string_view text,
                           const std::function<std::string(const Match&)>& make) const {
  std::string result;
  size_t done = 0;
  for (const Match& match : FindAll(text)) {
    result.append(text.substr(done, match.begin() - done));
    result.append(make(match));
    done = match.end();
  }
  result.append(text.substr(done));
  return result;
}

std::string Regex::Replace(std::string_view text, std::string_view by) const {
  return Replace(text, [by](const Match&) { return std::string(by); });
}

std::vector<std::string_view> Regex::Split(std::string_view text) const {
  std::vector<std::string_view> parts;
  size_t done = 0;
  for (const Match& match : FindAll(text)) {
    parts.push_back(text.substr(done, match.begin() - done));
    done = match.end();
  }
  parts.push_back(text.substr(done));
  return parts;
}

std::string EscapeRegex(std::string_view text) {
  static constexpr std::string_view kSpecial = R"(\^$.|?*+()[]{}-#&~ )";
  std::string escaped;
  for (const char c : text) {
    if (kSpecial.find(c) != std::string_view::npos) escaped.push_back('\\');
    escaped.push_back(c);
  }
  return escaped;
}

}  // namespace vallm::eval
