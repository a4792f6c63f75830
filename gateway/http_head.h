// What a request's header says that the library does not look at, or lets through.
#ifndef VALLM_GATEWAY_HTTP_HEAD_H_
#define VALLM_GATEWAY_HTTP_HEAD_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "gateway/http_library.h"

namespace vallm::gateway {

// The status that refuses a request for what its header says of the body; 0: none.
int RefusalOf(const httplib::Request& request, int64_t max_body_bytes);

// Whether the header is as the standard has it, in what proxies in front may read differently and
// the library lets through: two blanks in the request line; no control characters, folded lines or
// blanks in names. `head` ends with an empty line.
bool IsCleanHead(std::string_view head);

// Undoes what the library does to the values of headers: it decodes percent signs, which makes two
// keys of one. `head` is the header as it came.
void RestoreHeaders(std::string_view head, httplib::Headers* headers);

// "http://host/path", which proxies send, means "/path".
std::string WithoutAuthority(std::string path);

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_HTTP_HEAD_H_
