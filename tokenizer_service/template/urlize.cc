#include "tokenizer_service/template/urlize.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/strings.h"
#include "tokenizer_service/template/markup.h"
#include "tokenizer_service/template/unicode.h"

namespace vallm::tokenizer {
namespace {

// A letter as a regular expression that ignores case sees it: four letters beyond ASCII fold into
// it.
char32_t Fold(char32_t c) {
  if (c >= 'A' && c <= 'Z') return c - 'A' + 'a';
  if (c == 0x130 || c == 0x131) return 'i';
  if (c == 0x17F) return 's';
  return c == 0x212A ? 'k' : c;
}

std::string FoldAll(std::string_view text) {
  std::string out;
  for (size_t pos = 0; pos < text.size();) {
    const size_t begin = pos;
    const char32_t c = Fold(NextCodePoint(text, &pos));
    if (c < 0x80) {
      out.push_back(static_cast<char>(c));
    } else {
      out.append(text.substr(begin, pos - begin));
    }
  }
  return out;
}

// How many characters `text` has if `allowed` holds for each; else -1.
template <typename Allowed>
int64_t CountIf(std::string_view text, const Allowed& allowed) {
  int64_t count = 0;
  for (size_t pos = 0; pos < text.size(); ++count) {
    if (!allowed(NextCodePoint(text, &pos))) return -1;
  }
  return count;
}

bool IsLabelCharacter(char32_t c) { return IsWord(c) || c == '%' || c == '-'; }
bool IsHexDigit(char32_t c) { return IsDecimal(c) || (c >= 'a' && c <= 'f'); }
bool Within(int64_t count, int64_t low, int64_t high) { return low <= count && count <= high; }

// Labels of at least `shortest` characters, each with its dot. `labels` ends in a dot or is empty.
bool AreLabels(std::string_view labels, int64_t shortest, int64_t longest) {
  while (!labels.empty()) {
    const size_t dot = labels.find('.');
    if (!Within(CountIf(labels.substr(0, dot), IsLabelCharacter), shortest, longest)) return false;
    labels.remove_prefix(dot + 1);
  }
  return true;
}

// Any host: labels and a top level of letters, or one of "xn--".
bool IsNamedHost(std::string_view host) {
  const size_t dot = host.rfind('.');
  const size_t top_begin = dot == std::string_view::npos ? 0 : dot + 1;
  const std::string_view top = host.substr(top_begin);
  const auto is_letter = [](char32_t c) { return c >= 'a' && c <= 'z'; };
  const auto is_idna = [](char32_t c) { return IsWord(c) || c == '%'; };
  const bool known = Within(CountIf(top, is_letter), 2, 63) ||
                     (top.substr(0, 4) == "xn--" && Within(CountIf(top.substr(4), is_idna), 2, 59));
  return known && AreLabels(host.substr(0, top_begin), 1, INT64_MAX);
}

// A host that is believed without a scheme.
bool IsKnownHost(std::string_view host) {
  constexpr std::string_view kTops[] = {"com", "net", "int", "edu", "gov", "org", "info", "mil"};
  const size_t dot = host.rfind('.');
  if (dot == std::string_view::npos) return false;
  const std::string_view top = host.substr(dot + 1);
  if (std::find(std::begin(kTops), std::end(kTops), top) == std::end(kTops)) return false;
  return AreLabels(host.substr(0, dot + 1), 2, 63);
}

bool IsIpv4(std::string_view host) {
  for (int part = 0; part < 4; ++part) {
    const size_t end = part == 3 ? host.size() : host.find('.');
    if (end == std::string_view::npos) return false;
    if (!Within(CountIf(host.substr(0, end), IsDecimal), 1, 3)) return false;
    host.remove_prefix(std::min(host.size(), end + 1));
  }
  return true;
}

// Two groups that end in a colon, then one to six more: up to four digits, perhaps a colon.
bool IsIpv6(std::string_view inside) {
  for (int group = 0; group < 8 && (group < 2 || !inside.empty()); ++group) {
    size_t end = 0;
    for (int digits = 0; digits < 4 && end < inside.size(); ++digits) {
      size_t next = end;
      if (!IsHexDigit(NextCodePoint(inside, &next))) break;
      end = next;
    }
    const bool colon = end < inside.size() && inside[end] == ':';
    if (group < 2 && !colon) return false;
    inside.remove_prefix(end + (colon ? 1 : 0));
  }
  return inside.empty();
}

// What may follow a host: a port, a path, a query, a fragment.
bool IsTail(std::string_view tail) {
  if (!tail.empty() && tail[0] == ':') {
    const size_t end = std::min(tail.size(), tail.find_first_of("/?#"));
    if (!Within(CountIf(tail.substr(1, end - 1), IsDecimal), 1, 5)) return false;
    tail.remove_prefix(end);
  }
  return tail.empty() || tail[0] == '/' || tail[0] == '?' || tail[0] == '#';
}

bool IsWebAddress(std::string_view word) {
  const std::string folded = FoldAll(word);
  std::string_view rest = folded;
  bool scheme = false;
  for (std::string_view prefix : {"https://", "http://"}) {
    if (rest.substr(0, prefix.size()) != prefix) continue;
    rest.remove_prefix(prefix.size());
    scheme = true;
    break;
  }
  if (scheme && !rest.empty() && rest[0] == '[') {
    const size_t close = rest.find(']');
    return close != std::string_view::npos && IsIpv6(rest.substr(1, close - 1)) &&
           IsTail(rest.substr(close + 1));
  }
  const size_t end = std::min(rest.size(), rest.find_first_of(":/?#"));
  const std::string_view host = rest.substr(0, end);
  if (!IsTail(rest.substr(end))) return false;
  if (scheme) return IsNamedHost(host) || IsIpv4(host);
  if (host.substr(0, 4) == "www." && IsNamedHost(host.substr(4))) return true;
  return IsKnownHost(host);
}

bool IsMailAddress(std::string_view word) {
  const size_t at = word.rfind('@');
  if (at == std::string_view::npos || at == 0) return false;
  const std::string_view domain = word.substr(at + 1);
  const size_t dot = domain.rfind('.');
  if (dot == std::string_view::npos || dot == 0 || dot + 1 == domain.size()) return false;
  size_t first = 0;
  if (!IsWord(NextCodePoint(domain, &first))) return false;
  const auto inner = [](char32_t c) { return IsWord(c) || c == '.' || c == '-'; };
  return CountIf(domain.substr(0, dot), inner) >= 0 && CountIf(domain.substr(dot + 1), IsWord) > 0;
}

int64_t CountText(std::string_view text, std::string_view what) {
  int64_t count = 0;
  for (size_t pos = text.find(what); pos != std::string_view::npos;
       pos = text.find(what, pos + what.size())) {
    ++count;
  }
  return count;
}

// A word in three parts: brackets and such before and behind an address are not of it.
struct Parts {
  std::string_view head;
  std::string_view middle;
  std::string_view tail;
};

Parts Divide(std::string_view word) {
  size_t begin = 0;
  while (begin < word.size()) {
    if (word[begin] == '(' || word[begin] == '<') {
      ++begin;
    } else if (word.substr(begin, 4) == "&lt;") {
      begin += 4;
    } else {
      break;
    }
  }
  size_t end = word.size();
  while (end > begin) {
    const std::string_view left = word.substr(begin, end - begin);
    if (std::string_view(")>.,\n").find(left.back()) != std::string_view::npos) {
      --end;
    } else if (left.size() >= 4 && left.substr(left.size() - 4) == "&gt;") {
      end -= 4;
    } else {
      break;
    }
  }
  // Brackets that the address itself opens are closed in it.
  constexpr std::pair<std::string_view, std::string_view> kBrackets[] = {
      {"(", ")"}, {"<", ">"}, {"&lt;", "&gt;"}};
  for (const auto& [open, close] : kBrackets) {
    const std::string_view middle = word.substr(begin, end - begin);
    const int64_t opened = CountText(middle, open);
    if (opened <= CountText(middle, close)) continue;
    const int64_t moved = std::min(opened, CountText(word.substr(end), close));
    for (int64_t i = 0; i < moved; ++i) end = word.find(close, end) + close.size();
  }
  return {word.substr(0, begin), word.substr(begin, end - begin), word.substr(end)};
}

std::string Shown(std::string_view address, const std::optional<int64_t>& limit) {
  const int64_t length = CountCodePoints(address);
  if (!limit || length <= *limit) return std::string(address);
  const int64_t kept = *limit >= 0 ? *limit : std::max<int64_t>(0, length + *limit);
  return absl::StrCat(ToAbsl(address.substr(0, ByteOffset(address, kept))), "...");
}

// The link for `middle`, or `middle` itself.
std::string Link(std::string_view middle, const UrlizeOptions& options,
                 const std::string& attributes) {
  const auto text = ToAbsl(middle);
  if (IsWebAddress(middle)) {
    const bool scheme = absl::StartsWith(text, "https://") || absl::StartsWith(text, "http://");
    return absl::StrCat("<a href=\"", scheme ? "" : "https://", text, "\"", attributes, ">",
                        Shown(middle, options.trim_url_limit), "</a>");
  }
  if (absl::StartsWith(text, "mailto:") && IsMailAddress(middle.substr(7))) {
    return absl::StrCat("<a href=\"", text, "\">", text.substr(7), "</a>");
  }
  if (!absl::StartsWith(text, "www.") && !absl::StartsWith(text, "@") &&
      middle.find(':') == std::string_view::npos && IsMailAddress(middle)) {
    return absl::StrCat("<a href=\"mailto:", text, "\">", text, "</a>");
  }
  std::string link(middle);
  for (const std::string& scheme : options.extra_schemes) {
    if (link == scheme || !absl::StartsWith(link, scheme)) continue;
    link = absl::StrCat("<a href=\"", link, "\"", attributes, ">", link, "</a>");
  }
  return link;
}

}  // namespace

bool IsUriScheme(std::string_view scheme) {
  const size_t colon = scheme.find(':');
  if (colon == std::string_view::npos) return false;
  const auto allowed = [](char32_t c) { return IsWord(c) || c == '.' || c == '+' || c == '-'; };
  if (CountIf(scheme.substr(0, colon), allowed) < 2) return false;
  const std::string_view slashes = scheme.substr(colon + 1);
  return slashes.empty() || slashes == "/" || slashes == "//";
}

std::string Urlize(std::string_view escaped, const UrlizeOptions& options, size_t limit) {
  std::string attributes;
  if (!options.rel.empty()) absl::StrAppend(&attributes, " rel=\"", EscapeHtml(options.rel), "\"");
  if (!options.target.empty()) {
    absl::StrAppend(&attributes, " target=\"", EscapeHtml(options.target), "\"");
  }
  std::string out;
  for (size_t pos = 0; pos < escaped.size() && out.size() <= limit;) {
    size_t end = pos;
    const bool space = IsSpace(NextCodePoint(escaped, &end));
    while (end < escaped.size()) {
      size_t next = end;
      if (IsSpace(NextCodePoint(escaped, &next)) != space) break;
      end = next;
    }
    const std::string_view word = escaped.substr(pos, end - pos);
    pos = end;
    if (space) {
      out += word;
      continue;
    }
    const Parts parts = Divide(word);
    out += parts.head;
    out += Link(parts.middle, options, attributes);
    out += parts.tail;
  }
  return out;
}

}  // namespace vallm::tokenizer
