#include "gateway/routes/status_page.h"

#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/strings.h"
#include "common/version.h"

namespace vallm::gateway {
namespace {

constexpr char kHead[] = R"html(<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="2">
<title>vallm gateway</title><style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .35rem .75rem; border-bottom: 1px solid #ddd }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums }
.serving { color: #0a7d33 } .unreachable { color: #b3261e } .loading, .restarting, .draining { color: #9a6700 }
</style></head><body><h1>vallm gateway</h1>
)html";

std::string EscapeHtml(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '&':
        out += "&amp;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string Row(const InstanceSnapshot& instance) {
  const v1::Load& load = instance.load;
  const int64_t used = load.total_kv_block_count() - load.free_kv_block_count();
  const std::string kv = load.total_kv_block_count() > 0
                             ? absl::StrCat(100 * used / load.total_kv_block_count(), " %")
                             : "-";
  return absl::StrCat("<tr><td>", instance.name, "</td><td>", EscapeHtml(instance.address),
                      "</td><td class=\"", instance.state, "\">", instance.state,
                      "</td><td class=\"n\">", load.running_count(), " / ", instance.limit,
                      "</td><td class=\"n\">", load.waiting_count(), "</td><td class=\"n\">") +
         absl::StrCat(instance.in_flight, "</td><td class=\"n\">", kv, "</td><td class=\"n\">",
                      load.prompt_token_count(), "</td><td class=\"n\">",
                      load.generated_token_count(), "</td></tr>\n");
}

}  // namespace

HttpResponse StatusPage(GatewayContext& context, const HttpRequest&) {
  HttpResponse response;
  response.content_type = "text/html; charset=utf-8";
  const absl::Duration uptime = absl::Floor(absl::Now() - context.start_time, absl::Seconds(1));
  response.body =
      absl::StrCat(kHead, "<p>Version ", kVersion, ", up ",
                   uptime < absl::Seconds(1) ? "0s" : absl::FormatDuration(uptime),
                   context.draining ? ", <b>draining</b>" : "",
                   ". Requests waiting for a slot: ", context.pool.waiting_count(),
                   ".</p>\n<table><tr><th>instance</th><th>address</th>"
                   "<th>state</th><th class=\"n\">running</th><th class=\"n\">waiting</th>"
                   "<th class=\"n\">from here</th><th class=\"n\">KV in use</th>"
                   "<th class=\"n\">prompt tokens</th><th class=\"n\">generated</th></tr>\n");
  for (const InstanceSnapshot& instance : context.pool.Snapshot()) response.body += Row(instance);
  response.body +=
      "</table><p><a href=\"/metrics\">metrics</a> · "
      "<a href=\"/health/ready\">readiness</a></p></body></html>\n";
  return response;
}

}  // namespace vallm::gateway
