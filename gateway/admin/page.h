// The admin page, put together from gateway/admin/page/ when the binary is built.
#ifndef VALLM_GATEWAY_ADMIN_PAGE_H_
#define VALLM_GATEWAY_ADMIN_PAGE_H_

#include <string>

namespace vallm::gateway {

struct PageFile {
  std::string html;
  // Lets the page's own script and style run, by their hashes, and nothing else.
  std::string content_security_policy;
};

// Thread-safe.
const PageFile& AdminPageFile();

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_ADMIN_PAGE_H_
