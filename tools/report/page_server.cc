#include "tools/report/page_server.h"

#include <httplib.h>
#include <signal.h>

#include "absl/strings/str_cat.h"

namespace vallm::tools {
namespace {

httplib::Server* g_server = nullptr;

void OnSignal(int) { g_server->stop(); }

}  // namespace

absl::Status ServePage(const std::string& host, int port,
                       const std::function<absl::StatusOr<std::string>()>& page,
                       const std::function<void(int port)>& ready) {
  httplib::Server server;
  server.Get("/", [&](const httplib::Request&, httplib::Response& response) {
    const absl::StatusOr<std::string> html = page();
    if (html.ok()) {
      response.set_content(*html, "text/html; charset=utf-8");
    } else {
      response.status = 500;
      response.set_content(std::string(html.status().message()) + "\n", "text/plain");
    }
  });
  if (port == 0) {
    port = server.bind_to_any_port(host);
    if (port < 0) return absl::UnavailableError(absl::StrCat("cannot listen on ", host));
  } else if (!server.bind_to_port(host, port)) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen on ", host, ":", port, "; is the port taken?"));
  }
  g_server = &server;
  struct sigaction action = {};
  action.sa_handler = OnSignal;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  ready(port);
  server.listen_after_bind();
  g_server = nullptr;
  return absl::OkStatus();
}

}  // namespace vallm::tools
