#include "gateway/admin/time_histogram.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace vallm::gateway {
namespace {

constexpr double kFirstSeconds = 0.0002;  // upper end of the first bin
constexpr double kRatio = 1.2;
constexpr int kBins = 96;  // the last one ends at 0.2 ms * 1.2^95, which is 6,600 s

int BinOf(double seconds) {
  if (!(seconds > kFirstSeconds)) return 0;
  const double bin = std::ceil(std::log(seconds / kFirstSeconds) / std::log(kRatio));
  return static_cast<int>(std::min<double>(bin, kBins - 1));
}

}  // namespace

void TimeHistogram::Add(absl::Duration duration) {
  if (bins_.empty()) bins_.resize(kBins);
  ++bins_[BinOf(absl::ToDoubleSeconds(duration))];
}

void TimeHistogram::Merge(const TimeHistogram& other) {
  if (other.bins_.empty()) return;
  if (bins_.empty()) bins_.resize(kBins);
  for (int bin = 0; bin < kBins; ++bin) bins_[bin] += other.bins_[bin];
}

int64_t TimeHistogram::count() const {
  return std::accumulate(bins_.begin(), bins_.end(), int64_t{0});
}

std::optional<absl::Duration> TimeHistogram::Quantile(double q) const {
  const int64_t total = count();
  if (total == 0) return std::nullopt;
  const auto rank = std::max<int64_t>(1, std::llround(std::ceil(q * static_cast<double>(total))));
  int bin = 0;
  for (int64_t seen = bins_[0]; seen < rank; seen += bins_[bin]) ++bin;
  // The geometric middle of the bin.
  return absl::Seconds(kFirstSeconds * std::pow(kRatio, bin - 0.5));
}

}  // namespace vallm::gateway
