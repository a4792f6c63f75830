// Links in text: what the filter urlize makes.
#ifndef VALLM_TOKENIZER_SERVICE_TEMPLATE_URLIZE_H_
#define VALLM_TOKENIZER_SERVICE_TEMPLATE_URLIZE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vallm::tokenizer {

struct UrlizeOptions {
  std::optional<int64_t> trim_url_limit;  // characters of an address that are shown
  std::string rel;                        // attributes of the links; empty: none
  std::string target;
  std::vector<std::string> extra_schemes;  // what begins with one of them is a link too
};

// `escaped`, which is text escaped for HTML, with its addresses of the web and of mail as links.
// Linear in its length, times the number of schemes. Stops early once the result is longer than
// `limit` bytes.
std::string Urlize(std::string_view escaped, const UrlizeOptions& options, size_t limit);
// Is `scheme` like "ftp://" or "tel:"?
bool IsUriScheme(std::string_view scheme);

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_TEMPLATE_URLIZE_H_
