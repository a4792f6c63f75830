#include "tokenizer_service/service_metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>

namespace vallm::tokenizer {
namespace {

// Most calls take well below a millisecond, a stream as long as an answer.
const prometheus::Histogram::BucketBoundaries kSeconds = {
    .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1,
    .25,   .5,     1,     2.5,  5,     10,   30,  60,   300, 1800};

prometheus::Counter& Counter(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry).Add({});
}
prometheus::Gauge& Gauge(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add({});
}

}  // namespace

struct ServiceMetrics::Series {
  const std::shared_ptr<prometheus::Registry> all = std::make_shared<prometheus::Registry>();
  prometheus::Registry& r = *all;

  prometheus::Family<prometheus::Counter>& calls =
      prometheus::BuildCounter()
          .Name("vallm_tokenizer_requests_total")
          .Help("Ended calls by method and status code")
          .Register(r);
  prometheus::Family<prometheus::Histogram>& seconds =
      prometheus::BuildHistogram()
          .Name("vallm_tokenizer_request_duration_seconds")
          .Help("From a call's arrival to its end, by method")
          .Register(r);
  prometheus::Counter& encoded =
      Counter(r, "vallm_tokenizer_tokens_encoded_total", "Tokens made of texts and conversations");
  prometheus::Counter& decoded =
      Counter(r, "vallm_tokenizer_tokens_decoded_total", "Tokens turned into text and events");
  prometheus::Gauge& streams =
      Gauge(r, "vallm_tokenizer_open_streams", "ParseStream calls that are open");
  prometheus::Gauge& queue =
      Gauge(r, "vallm_tokenizer_queued_requests", "Large requests that wait for a thread");
};

ServiceMetrics::ServiceMetrics() : series_(std::make_unique<Series>()) {}
ServiceMetrics::~ServiceMetrics() = default;

std::shared_ptr<prometheus::Registry> ServiceMetrics::registry() const { return series_->all; }

void ServiceMetrics::OnCall(const char* method, absl::StatusCode code, absl::Duration time) {
  series_->calls.Add({{"method", method}, {"code", absl::StatusCodeToString(code)}}).Increment();
  series_->seconds.Add({{"method", method}}, kSeconds).Observe(absl::ToDoubleSeconds(time));
}

void ServiceMetrics::OnTokensEncoded(int64_t count) {
  series_->encoded.Increment(static_cast<double>(count));
}

void ServiceMetrics::OnTokensDecoded(int64_t count) {
  series_->decoded.Increment(static_cast<double>(count));
}

void ServiceMetrics::OnStreamBegin() { series_->streams.Increment(); }
void ServiceMetrics::OnStreamEnd() { series_->streams.Decrement(); }
void ServiceMetrics::OnQueue(size_t waiting) { series_->queue.Set(static_cast<double>(waiting)); }

}  // namespace vallm::tokenizer
