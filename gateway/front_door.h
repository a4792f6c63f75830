// What every request passes: routing by exact path, API keys and their limits, CORS, request ids,
// the log line and the HTTP metrics. Serves one port; the gateway has two. Thread-safe once routes
// are added.
#ifndef VALLM_GATEWAY_FRONT_DOOR_H_
#define VALLM_GATEWAY_FRONT_DOOR_H_

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "gateway/access/key_ring.h"
#include "gateway/admin/request_log.h"
#include "gateway/http_message.h"
#include "gateway/metrics.h"

namespace vallm::gateway {

struct Route {
  std::string method;  // GET (answers HEAD too), POST or DELETE (without a body)
  std::string path;    // literal; one that ends in '/' also matches everything below it
  std::function<HttpResponse(const HttpRequest&)> handler;
  bool needs_key = true;  // if the port asks for keys
  // Asked for every few seconds by probes: no log line.
  bool quiet = false;
};

struct FrontDoorOptions {
  std::vector<std::string> allowed_origins = {};
  // Of a port that manages the gateway. Without keys it takes calls that change something (other
  // than GET) only if `is_loopback`, and then not from pages of other origins.
  bool is_management = false;
  bool is_loopback = false;
  bool log_bodies = false;  // of requests that come in
};

class FrontDoor final : public HttpService {
 public:
  // `keys` and `metrics` must outlive the door, and so must `request_log`, where POST requests are
  // written; null: nowhere.
  FrontDoor(FrontDoorOptions options, std::vector<Route> routes, const KeyRing& keys,
            GatewayMetrics& metrics, RequestLog* request_log = nullptr);

  std::optional<HttpResponse> Screen(HttpRequest& request) override;
  HttpResponse Handle(const HttpRequest& request) override;
  HttpResponse Malformed(int status) override;

  const std::vector<Route>& routes() const { return routes_; }

 private:
  struct Found {
    const Route* route = nullptr;       // of path and method
    const std::string* path = nullptr;  // as its route has it, whatever the method
  };
  Found Find(const HttpRequest& request) const;
  // What a 405 says is allowed: "POST, OPTIONS".
  std::string MethodsOf(const std::string& path) const;
  std::optional<HttpResponse> Refusal(HttpRequest& request, const Found& found) const;
  // Whether the request may come in for its key; fills request.key.
  std::optional<HttpResponse> CheckKey(HttpRequest& request) const;
  // The same for a change on a management port that asks for no key.
  std::optional<HttpResponse> CheckKeylessChange(const HttpRequest& request) const;
  HttpResponse Preflight(const HttpRequest& request) const;
  void AddCommonHeaders(const HttpRequest& request, HttpResponse* response) const;

  const FrontDoorOptions options_;
  const std::vector<Route> routes_;
  const KeyRing& keys_;
  GatewayMetrics& metrics_;
  RequestLog* const request_log_;
};

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_FRONT_DOOR_H_
