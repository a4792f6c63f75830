// The headers of an HTTP message, and the parameters of its query.
#ifndef VALLM_GATEWAY_HTTP_HEADERS_H_
#define VALLM_GATEWAY_HTTP_HEADERS_H_

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vallm::gateway {

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;
using HttpQuery = std::vector<std::pair<std::string, std::string>>;

// The value of the first header called `name` (letter case does not matter), or nullptr.
const std::string* FindHeader(const HttpHeaders& headers, std::string_view name);
// The value of a query parameter called `name` (any of them if it is repeated), or nullptr.
const std::string* FindQuery(const HttpQuery& query, std::string_view name);

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_HTTP_HEADERS_H_
