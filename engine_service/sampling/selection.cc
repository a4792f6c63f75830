#include "engine_service/sampling/selection.h"

#include <algorithm>
#include <limits>

#include "engine_service/sampling/logits_scan.h"

namespace vallm::engine {
namespace {

bool Better(const ScoredToken& a, const ScoredToken& b) { return a.Beats(b); }

}  // namespace

void SelectBest(std::span<const float> logits, int64_t count, std::vector<ScoredToken>& best) {
  const auto size = static_cast<int64_t>(logits.size());
  const int64_t keep = std::min(count, size);
  // Candidates gather up to twice what is kept; then the worse half goes and the worst survivor
  // becomes the bar for newcomers. Most logits never pass the bar.
  const int64_t room = std::min(2 * keep + 64, size);
  best.clear();
  best.reserve(static_cast<size_t>(room));
  bool bar_set = false;
  float bar = -std::numeric_limits<float>::infinity();
  for (int64_t i = 0; i < size; ++i) {
    if (bar_set) {
      // A later token that ties with the bar has a higher id and loses.
      i = static_cast<int64_t>(FindAbove(logits, static_cast<size_t>(i), bar));
      if (i == size) break;
    }
    best.push_back({static_cast<int32_t>(i), logits[i]});
    if (static_cast<int64_t>(best.size()) == room && i + 1 < size) {
      std::nth_element(best.begin(), best.begin() + (keep - 1), best.end(), Better);
      best.resize(static_cast<size_t>(keep));
      bar = best.back().logit;
      bar_set = true;
    }
  }
  std::partial_sort(best.begin(), best.begin() + keep, best.end(), Better);
  best.resize(static_cast<size_t>(keep));
}

}  // namespace vallm::engine
