#include "gateway/admin/page.h"

#include <openssl/sha.h>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gateway/admin/page_data.h"

namespace vallm::gateway {
namespace {

// As in Content-Security-Policy.
std::string HashSource(const std::string& content) {
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  SHA256(reinterpret_cast<const unsigned char*>(content.data()), content.size(),
         reinterpret_cast<unsigned char*>(digest.data()));
  return absl::StrCat("'sha256-", absl::Base64Escape(digest), "'");
}

PageFile MakePage() {
  const std::string style(page_data::kStyle, page_data::kStyleSize);
  // The files share a scope of their own.
  const std::string script =
      absl::StrCat("(() => {\n'use strict';\n",
                   std::string(page_data::kScript, page_data::kScriptSize), "})();\n");
  PageFile page;
  page.html =
      absl::StrReplaceAll(std::string(page_data::kIndex, page_data::kIndexSize),
                          {{"<!-- style -->", absl::StrCat("<style>", style, "</style>")},
                           {"<!-- script -->", absl::StrCat("<script>", script, "</script>")}});
  page.content_security_policy = absl::StrCat(
      "default-src 'none'; script-src ", HashSource(script), "; style-src ", HashSource(style),
      "; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
      "frame-ancestors 'none'");
  return page;
}

}  // namespace

const PageFile& AdminPageFile() {
  static const PageFile& page = *new PageFile(MakePage());
  return page;
}

}  // namespace vallm::gateway
