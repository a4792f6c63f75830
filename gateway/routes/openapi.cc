#include "gateway/routes/openapi.h"

#include <string>

#include "absl/strings/str_replace.h"
#include "common/version.h"
#include "gateway/openapi/document.h"

namespace vallm::gateway {

HttpResponse OpenApi(GatewayContext&, const HttpRequest&) {
  static const std::string& document = *new std::string(absl::StrReplaceAll(
      std::string(openapi::kDocument, openapi::kDocumentSize),
      {{"\"version\": \"VERSION\"", std::string("\"version\": \"") + kVersion + "\""}}));
  HttpResponse response;
  response.body = document;
  return response;
}

}  // namespace vallm::gateway
