// Routing and experts: ties, weights, real models' experts and their narrow shards, and laws E1, E2
// and E5.
#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "engine_service/device/conformance/check.h"
#include "engine_service/device/conformance/test_weights.h"

namespace vallm::engine::conformance {
namespace {

// ---- Routing
// -------------------------------------------------------------------------------------

struct Routed {
  std::vector<int32_t> ids;
  std::vector<float> weights;
};

absl::StatusOr<Routed> Route(Bench& bench, const std::vector<float>& logits, int64_t rows,
                             int32_t experts, int32_t top_k, bool normalize) {
  VALLM_ASSIGN_OR_RETURN(const auto in, bench.PutRows(logits, experts));
  VALLM_ASSIGN_OR_RETURN(const auto ids, bench.PutOutput(rows * top_k));
  VALLM_ASSIGN_OR_RETURN(const auto weights, bench.PutOutput(rows * top_k));
  VALLM_RETURN_IF_ERROR(
      bench.device().MoeRoute(*in, rows, experts, top_k, normalize, *ids, *weights));
  Routed routed;
  VALLM_RETURN_IF_ERROR(bench.GetOutput(*ids, rows * top_k).status());  // its guard
  VALLM_ASSIGN_OR_RETURN(routed.ids, bench.Get<int32_t>(*ids, rows * top_k));
  VALLM_ASSIGN_OR_RETURN(routed.weights, bench.GetOutput(*weights, rows * top_k));
  return routed;
}

Finding IdsAre(const std::vector<int32_t>& got, const std::vector<int32_t>& want) {
  if (got == want) return Passed();
  return Failed(std::string(
      absl::StrCat("experts ", absl::StrJoin(got, ","), ", not ", absl::StrJoin(want, ","))));
}

absl::StatusOr<Finding> RoutesLikeReference(Bench& bench, int32_t experts, int32_t top_k,
                                            bool normalize, int64_t rows) {
  std::vector<float> logits = RandomFloats(rows * experts, 51);
  for (float& x : logits) x *= 4;
  VALLM_ASSIGN_OR_RETURN(const Routed routed,
                         Route(bench, logits, rows, experts, top_k, normalize));
  std::vector<int32_t> ids;
  std::vector<double> weights;
  for (int64_t row = 0; row < rows; ++row) {
    const float* l = logits.data() + row * experts;
    std::vector<int32_t> order(static_cast<size_t>(experts));
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [l](int32_t a, int32_t b) { return l[a] > l[b]; });
    double total = 0, chosen = 0;
    for (int32_t e = 0; e < experts; ++e) total += std::exp(double{l[e]});
    for (int32_t j = 0; j < top_k; ++j)
      chosen += std::exp(double{l[order[static_cast<size_t>(j)]]});
    for (int32_t j = 0; j < top_k; ++j) {
      ids.push_back(order[static_cast<size_t>(j)]);
      weights.push_back(std::exp(double{l[ids.back()]}) / (normalize ? chosen : total));
    }
  }
  const Finding same = IdsAre(routed.ids, ids);
  if (same.outcome != Outcome::kPassed) return same;
  std::vector<double> scale = weights;
  return Compare(routed.weights, weights, scale, top_k, 2e-6);
}

absl::StatusOr<Finding> TiesGoToTheLowerExpert(Bench& bench) {
  VALLM_ASSIGN_OR_RETURN(const Routed few, Route(bench, {1, 2, 2, 2, 2, 0, 0, 0, 0, 0}, /*rows=*/2,
                                                 5, 3, /*normalize=*/false));
  const Finding same = IdsAre(few.ids, {1, 2, 3, 0, 1, 2});
  if (same.outcome != Outcome::kPassed) return same;
  // All of 128 equal, and one pair of equals among others: -0 and 0 are equal as well.
  std::vector<float> logits(128, 0.0f);
  logits[3] = -0.0f;
  VALLM_ASSIGN_OR_RETURN(const Routed all, Route(bench, logits, 1, 128, 8, true));
  const Finding lowest = IdsAre(all.ids, {0, 1, 2, 3, 4, 5, 6, 7});
  if (lowest.outcome != Outcome::kPassed) return lowest;
  logits = RandomFloats(128, 52);
  logits[100] = logits[5] = 9;
  VALLM_ASSIGN_OR_RETURN(const Routed pair, Route(bench, logits, 1, 128, 2, true));
  return IdsAre(pair.ids, {5, 100});
}

// Neighbouring floats are different logits.
absl::StatusOr<Finding> CloseLogitsAreTold(Bench& bench) {
  std::vector<float> logits(128, -1.0f);
  logits[90] = 1.0f;
  logits[17] = std::nextafter(1.0f, 0.0f);
  VALLM_ASSIGN_OR_RETURN(const Routed routed, Route(bench, logits, 1, 128, 1, true));
  return IdsAre(routed.ids, {90});
}

absl::StatusOr<Finding> HugeLogitsDoNotOverflow(Bench& bench) {
  VALLM_ASSIGN_OR_RETURN(const Routed routed, Route(bench, {10001, -1e4f, 10000}, 1, 3, 2, false));
  const double odds = std::exp(1.0);
  const Finding same = IdsAre(routed.ids, {0, 2});
  if (same.outcome != Outcome::kPassed) return same;
  return CompareToLargest(routed.weights, std::vector<double>{odds / (1 + odds), 1 / (1 + odds)}, 2,
                          1e-6);
}

absl::StatusOr<Finding> RoutedRowsAreIndependent(Bench& bench) {
  constexpr int64_t kRows = 9;
  const std::vector<float> logits = RandomFloats(kRows * 128, 53);
  VALLM_ASSIGN_OR_RETURN(const Routed whole, Route(bench, logits, kRows, 128, 8, true));
  for (int64_t row = 0; row < kRows; ++row) {
    const std::vector<float> one(logits.begin() + row * 128, logits.begin() + (row + 1) * 128);
    VALLM_ASSIGN_OR_RETURN(const Routed got, Route(bench, one, 1, 128, 8, true));
    const Finding same =
        SameBits(got.weights, std::span(whole.weights).subspan(static_cast<size_t>(row * 8), 8), 8,
                 std::string(absl::StrCat("row ", row, " on its own")));
    if (same.outcome != Outcome::kPassed) return same;
  }
  return Passed();
}

// ---- Experts
// -------------------------------------------------------------------------------------

struct ExpertShape {
  const char* name;
  int64_t hidden, inter;             // of the whole model
  int64_t begin, width;              // this rank's part of inter
  int32_t experts, top_k, k_groups;  // fewer experts than the model has: they are alike
  int64_t rows;
  bool heavy;
};

constexpr ExpertShape kExperts[] = {
    {"Qwen3-30B-A3B TP4, 192 wide", 2048, 768, 192, 192, 6, 4, 2, 5, false},
    {"Qwen3-30B-A3B TP8, 96 wide", 2048, 768, 672, 96, 8, 8, 1, 3, false},
    {"Qwen3-235B-A22B TP16, 96 wide", 4096, 1536, 480, 96, 4, 2, 1, 2, false},
    {"one expert, one row", 64, 96, 0, 96, 1, 1, 8, 1, false},
    {"ragged blocks", 200, 168, 0, 168, 3, 2, 8, 4, false},
    {"Qwen3-30B-A3B, 128 experts", 2048, 768, 0, 768, 128, 8, 8, 4, true},
    {"Qwen3-235B-A22B TP8, 64 experts", 4096, 1536, 192, 192, 64, 8, 1, 4, true},
};

class Experts {
 public:
  Experts(int64_t hidden, int64_t inter, int32_t experts, WeightType type)
      : hidden_(hidden), inter_(inter) {
    for (int32_t e = 0; e < experts; ++e) {
      const auto seed = static_cast<uint64_t>(60 + 3 * e);
      gate_.emplace_back(inter, hidden, type, seed);
      up_.emplace_back(inter, hidden, type, seed + 1);
      down_.emplace_back(hidden, inter, type, seed + 2);
    }
  }

  int32_t count() const { return static_cast<int32_t>(gate_.size()); }

  absl::StatusOr<std::unique_ptr<PackedExperts>> Pack(Bench& bench, int64_t begin, int64_t width,
                                                      int32_t k_groups) const {
    std::vector<ExpertSlices> slices;
    for (size_t e = 0; e < gate_.size(); ++e) {
      slices.push_back({gate_[e].Slice(begin, width, 0, hidden_),
                        up_[e].Slice(begin, width, 0, hidden_),
                        down_[e].Slice(0, hidden_, begin, width)});
    }
    return bench.device().PackExperts(slices, k_groups);
  }

  // Of one row and one expert, the window of inter only.
  std::vector<double> Reference(const float* x, int32_t expert, int64_t begin,
                                int64_t width) const {
    const auto e = static_cast<size_t>(expert);
    std::vector<double> inner(static_cast<size_t>(width));
    for (int64_t i = 0; i < width; ++i) {
      double g = 0, u = 0;
      const std::vector<double> gate = gate_[e].Row(begin + i, 0, hidden_);
      const std::vector<double> up = up_[e].Row(begin + i, 0, hidden_);
      for (size_t k = 0; k < gate.size(); ++k) {
        g += x[k] * gate[k];
        u += x[k] * up[k];
      }
      inner[static_cast<size_t>(i)] = g / (1 + std::exp(-g)) * u;
    }
    std::vector<double> out;
    for (int64_t h = 0; h < hidden_; ++h) {
      const std::vector<double> down = down_[e].Row(h, begin, width);
      out.push_back(std::inner_product(down.begin(), down.end(), inner.begin(), 0.0));
    }
    return out;
  }

 private:
  int64_t hidden_, inter_;
  std::vector<TestMatrix> gate_, up_, down_;
};

// Choices of some rows: different experts within a row, in an order of no meaning.
struct Choices {
  std::vector<int32_t> ids;
  std::vector<float> weights;
};

Choices Choose(int64_t rows, int32_t experts, int32_t top_k) {
  Choices choices;
  Random random(71);
  for (int64_t row = 0; row < rows; ++row) {
    std::vector<int32_t> order(static_cast<size_t>(experts));
    std::iota(order.begin(), order.end(), 0);
    for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.Next() % i]);
    for (int32_t j = 0; j < top_k; ++j) {
      choices.ids.push_back(order[static_cast<size_t>(j)]);
      choices.weights.push_back(0.1f + std::abs(random.Uniform()));
    }
  }
  return choices;
}

// Small enough that silu is neither linear nor zero.
std::vector<float> ExpertInput(int64_t rows, int64_t hidden, WeightType type) {
  std::vector<float> x = RandomFloats(rows * hidden, 72);
  const double weight_size = type == WeightType::kF8E4m3  ? 1.5
                             : type == WeightType::kUint8 ? 1.6
                             : type == WeightType::kUint4 ? 0.1
                                                          : 0.8;
  const auto scale = static_cast<float>(1 / (weight_size * std::sqrt(static_cast<double>(hidden))));
  for (float& value : x) value *= scale;
  return x;
}

absl::StatusOr<std::vector<float>> Run(Bench& bench, const PackedExperts& experts,
                                       const std::vector<float>& x, int64_t rows, int64_t hidden,
                                       const Choices& choices, int32_t top_k) {
  VALLM_ASSIGN_OR_RETURN(const auto in, bench.PutRows(x, hidden));
  VALLM_ASSIGN_OR_RETURN(const auto ids, bench.Put(choices.ids));
  VALLM_ASSIGN_OR_RETURN(const auto weights, bench.Put(choices.weights));
  VALLM_ASSIGN_OR_RETURN(const auto out, bench.PutOutput(rows * hidden));
  VALLM_RETURN_IF_ERROR(bench.device().MoeExperts(*in, rows, *ids, *weights, top_k, experts, *out));
  return bench.GetOutput(*out, rows * hidden);
}

absl::StatusOr<Finding> ExpertsAreClose(Bench& bench, const ExpertShape& s, WeightType type) {
  const Experts experts(s.hidden, s.inter, s.experts, type);
  VALLM_ASSIGN_OR_RETURN(const auto packed, experts.Pack(bench, s.begin, s.width, s.k_groups));
  const std::vector<float> x = ExpertInput(s.rows, s.hidden, type);
  const Choices choices = Choose(s.rows, s.experts, s.top_k);
  VALLM_ASSIGN_OR_RETURN(const std::vector<float> got,
                         Run(bench, *packed, x, s.rows, s.hidden, choices, s.top_k));
  std::vector<double> want(got.size(), 0), scale;
  for (int64_t row = 0; row < s.rows; ++row) {
    double squares = 1e-60;
    for (int32_t j = 0; j < s.top_k; ++j) {
      const auto pair = static_cast<size_t>(row * s.top_k + j);
      const std::vector<double> y =
          experts.Reference(x.data() + row * s.hidden, choices.ids[pair], s.begin, s.width);
      for (int64_t h = 0; h < s.hidden; ++h) {
        want[static_cast<size_t>(row * s.hidden + h)] +=
            choices.weights[pair] * y[static_cast<size_t>(h)];
      }
    }
    for (int64_t h = 0; h < s.hidden; ++h) {
      squares += std::pow(want[static_cast<size_t>(row * s.hidden + h)], 2);
    }
    scale.insert(scale.end(), static_cast<size_t>(s.hidden),
                 std::sqrt(squares / static_cast<double>(s.hidden)));
  }
  return Compare(got, want, scale, s.hidden, bench.ProductTolerance(2e-5, 5e-2));
}

// Runs `rows` of the rows at `begin` on their own.
absl::StatusOr<Finding> ExpertRowsAreIndependent(Bench& bench, WeightType type) {
  constexpr int64_t kRows = 13, kHidden = 200;
  constexpr int32_t kTopK = 3;
  const Experts experts(kHidden, 168, 7, type);
  VALLM_ASSIGN_OR_RETURN(const auto packed, experts.Pack(bench, 0, 168, 8));
  const std::vector<float> x = ExpertInput(kRows, kHidden, type);
  const Choices choices = Choose(kRows, 7, kTopK);
  VALLM_ASSIGN_OR_RETURN(const std::vector<float> whole,
                         Run(bench, *packed, x, kRows, kHidden, choices, kTopK));
  for (const auto& [begin, count] : {std::pair<int64_t, int64_t>{0, 1}, {12, 1}, {5, 2}, {3, 9}}) {
    Choices some;
    some.ids.assign(choices.ids.begin() + begin * kTopK,
                    choices.ids.begin() + (begin + count) * kTopK);
    some.weights.assign(choices.weights.begin() + begin * kTopK,
                        choices.weights.begin() + (begin + count) * kTopK);
    const std::vector<float> part(x.begin() + begin * kHidden,
                                  x.begin() + (begin + count) * kHidden);
    VALLM_ASSIGN_OR_RETURN(const std::vector<float> got,
                           Run(bench, *packed, part, count, kHidden, some, kTopK));
    const Finding same = SameBits(
        got, std::span(whole).subspan(static_cast<size_t>(begin * kHidden), got.size()), kHidden,
        std::string(absl::StrCat("rows ", begin, " to ", begin + count - 1, " on their own")));
    if (same.outcome != Outcome::kPassed) return same;
  }
  return Passed();
}

// The order of a row's choices changes no bit: experts are added in ascending order.
absl::StatusOr<Finding> OrderOfChoicesChangesNoBit(Bench& bench, WeightType type) {
  constexpr int64_t kRows = 3, kHidden = 128;
  constexpr int32_t kTopK = 4;
  const Experts experts(kHidden, 96, 6, type);
  VALLM_ASSIGN_OR_RETURN(const auto packed, experts.Pack(bench, 0, 96, 8));
  const std::vector<float> x = ExpertInput(kRows, kHidden, type);
  Choices choices = Choose(kRows, 6, kTopK);
  VALLM_ASSIGN_OR_RETURN(const std::vector<float> first,
                         Run(bench, *packed, x, kRows, kHidden, choices, kTopK));
  for (int64_t row = 0; row < kRows; ++row) {
    std::reverse(choices.ids.begin() + row * kTopK, choices.ids.begin() + (row + 1) * kTopK);
    std::reverse(choices.weights.begin() + row * kTopK,
                 choices.weights.begin() + (row + 1) * kTopK);
  }
  VALLM_ASSIGN_OR_RETURN(const std::vector<float> second,
                         Run(bench, *packed, x, kRows, kHidden, choices, kTopK));
  return SameBits(second, first, kHidden, "choices in the opposite order");
}

absl::StatusOr<Finding> ExpertShardsJoin(Bench& bench, WeightType type) {
  constexpr int64_t kRows = 3, kHidden = 128, kInter = 768;
  constexpr int32_t kTopK = 3;
  const Experts experts(kHidden, kInter, 5, type);
  const std::vector<float> x = ExpertInput(kRows, kHidden, type);
  const Choices choices = Choose(kRows, 5, kTopK);
  VALLM_ASSIGN_OR_RETURN(const auto packed, experts.Pack(bench, 0, kInter, 8));
  VALLM_ASSIGN_OR_RETURN(const std::vector<float> whole,
                         Run(bench, *packed, x, kRows, kHidden, choices, kTopK));
  for (const int64_t shards : {2, 4, 8}) {
    const int64_t width = kInter / shards;
    std::vector<std::vector<float>> parts;
    for (int64_t s = 0; s < shards; ++s) {
      VALLM_ASSIGN_OR_RETURN(const auto shard, experts.Pack(bench, s * width, width,
                                                            static_cast<int32_t>(8 / shards)));
      VALLM_ASSIGN_OR_RETURN(std::vector<float> part,
                             Run(bench, *shard, x, kRows, kHidden, choices, kTopK));
      parts.push_back(std::move(part));
    }
    for (size_t left = parts.size() / 2; left >= 1; left /= 2) {
      for (size_t s = 0; s < left; ++s) {
        for (size_t i = 0; i < parts[s].size(); ++i) {
          parts[s][i] = parts[2 * s][i] + parts[2 * s + 1][i];
        }
      }
    }
    const Finding same =
        SameBits(parts[0], whole, kHidden, std::string(absl::StrCat(shards, " shards joined")));
    if (same.outcome != Outcome::kPassed) return same;
  }
  return Passed();
}

absl::StatusOr<Finding> NoExpertRows(Bench& bench) {
  const Experts experts(64, 96, 2, WeightType::kBf16);
  VALLM_ASSIGN_OR_RETURN(const auto packed, experts.Pack(bench, 0, 96, 8));
  VALLM_RETURN_IF_ERROR(Run(bench, *packed, {}, 0, 64, {}, 1).status());
  return Passed();
}

}  // namespace

std::vector<Check> MoeChecks() {
  std::vector<Check> checks;
  const auto plain = [&checks](const std::string& name, auto run) {
    checks.push_back({name, /*heavy=*/false, std::move(run)});
  };
  plain("moe_route/close/Qwen3-30B-A3B, 8 of 128, normalized",
        [](Bench& b) { return RoutesLikeReference(b, 128, 8, true, 7); });
  plain("moe_route/close/8 of 128, not normalized",
        [](Bench& b) { return RoutesLikeReference(b, 128, 8, false, 7); });
  plain("moe_route/close/all of 4", [](Bench& b) { return RoutesLikeReference(b, 4, 4, true, 3); });
  plain("moe_route/close/1 of 1", [](Bench& b) { return RoutesLikeReference(b, 1, 1, true, 1); });
  plain("moe_route/close/3 of 60", [](Bench& b) { return RoutesLikeReference(b, 60, 3, true, 2); });
  plain("moe_route/close/no rows",
        [](Bench& b) { return RoutesLikeReference(b, 128, 8, true, 0); });
  plain("moe_route/ties/to the lower expert", TiesGoToTheLowerExpert);
  plain("moe_route/ties/neighbouring floats are none", CloseLogitsAreTold);
  plain("moe_route/close/huge logits", HugeLogitsDoNotOverflow);
  plain("moe_route/rows/9 rows", RoutedRowsAreIndependent);
  for (const WeightType type : kWeightTypes) {
    const std::string suffix = " " + std::string(WeightTypeName(type));
    const auto add = [&](const std::string& name, bool heavy, auto run) {
      checks.push_back({name + suffix, heavy, OfType(type, std::move(run))});
    };
    for (const ExpertShape& shape : kExperts) {
      add(std::string("moe_experts/close/") + shape.name, shape.heavy,
          [&shape, type](Bench& b) { return ExpertsAreClose(b, shape, type); });
    }
    add("moe_experts/rows/13 rows", false,
        [type](Bench& b) { return ExpertRowsAreIndependent(b, type); });
    add("moe_experts/order/of a row's choices", false,
        [type](Bench& b) { return OrderOfChoicesChangesNoBit(b, type); });
    add("moe_experts/tree/768 wide, blocks cut by shards", false,
        [type](Bench& b) { return ExpertShardsJoin(b, type); });
  }
  plain("moe_experts/close/no rows", NoExpertRows);
  return checks;
}

}  // namespace vallm::engine::conformance
