// A board under simulated traffic: eight instances with prefix caches of their own, requests that
// come at random, take a slot, compute what is not cached, answer, and leave.

#include <algorithm>
#include <functional>
#include <map>
#include <numeric>
#include <queue>
#include <random>

#include "gateway/routing/prefix_record.h"
#include "gateway/routing/slot_board.h"
#include "gmock/gmock.h"
#include "tests/testing/status_matchers.h"

namespace vallm::gateway {
namespace {

constexpr int kInstances = 8;
constexpr int kLimit = 8;
constexpr int kBlock = 16;
constexpr int kRequests = 4000;
constexpr absl::Duration kReportInterval = absl::Milliseconds(50);
constexpr absl::Duration kAnswerTime = absl::Seconds(2);
constexpr absl::Duration kPromptTime = absl::Seconds(1);  // of 1,000 tokens

using Tokens = std::vector<int32_t>;
// The next request's prompt.
using Workload = std::function<Tokens(std::mt19937_64&)>;

Tokens Fresh(int count, std::mt19937_64& dice) {
  Tokens tokens(static_cast<size_t>(count));
  for (int32_t& token : tokens) token = static_cast<int32_t>(dice() % 150000);
  return tokens;
}

void Append(const Tokens& tail, Tokens* tokens) {
  tokens->insert(tokens->end(), tail.begin(), tail.end());
}

// Seven in ten begin with the same thousand tokens, the others with one of forty.
Workload HotPrefix() {
  std::mt19937_64 dice(1);
  const Tokens hot = Fresh(1024, dice);
  std::vector<Tokens> others;
  for (int i = 0; i < 40; ++i) others.push_back(Fresh(1024, dice));
  return [hot, others](std::mt19937_64& rng) {
    Tokens prompt = rng() % 10 < 7 ? hot : others[rng() % others.size()];
    Append(Fresh(128, rng), &prompt);
    return prompt;
  };
}

// Conversations that go on: each asks again with all that was said before.
Workload Conversations() {
  auto open = std::make_shared<std::vector<Tokens>>(200);
  return [open](std::mt19937_64& rng) {
    Tokens& conversation = (*open)[rng() % open->size()];
    if (conversation.size() > 3000) conversation.clear();
    Append(Fresh(200, rng), &conversation);
    return conversation;
  };
}

struct Result {
  int64_t prompt_tokens = 0;
  int64_t hit_tokens = 0;       // in the instances' caches
  int64_t expected_tokens = 0;  // as the policy thought
  // By how much of a batch the chosen instance was fuller than the emptiest with a free slot.
  double worst_imbalance = 0;
  std::vector<int> sent = std::vector<int>(kInstances);

  double hit_rate() const { return static_cast<double>(hit_tokens) / prompt_tokens; }
};

class Simulation {
 public:
  Simulation(const RoutingPolicyOptions& policy, Workload workload)
      : board_({.policy = policy}), workload_(std::move(workload)) {
    for (int i = 0; i < kInstances; ++i) {
      board_.AddInstance();
      board_.SetCapacity(i, kCacheBlocks);
      board_.UpdateInstance(i, /*serving=*/true, kLimit, 0);
      caches_.emplace_back(kCacheBlocks);
    }
  }

  // About 60 % of the slots are taken when nothing is cached.
  Result Run() {
    std::exponential_distribution<> gap(kInstances * kLimit * 0.6 / 3.1);
    absl::Time next_report = now_;
    for (int i = 0; i < kRequests; ++i) {
      AdvanceTo(now_ + absl::Seconds(gap(rng_)));
      if (now_ >= next_report) {
        next_report = now_ + kReportInterval;
        for (int j = 0; j < kInstances; ++j) {
          board_.UpdateInstance(j, true, kLimit, board_.in_flight(j));
        }
      }
      SlotRequest request;
      request.prompt =
          std::make_shared<const PromptBlocks>(HashPromptBlocks(workload_(rng_), "", kBlock));
      const auto ticket = board_.Enqueue(now_, request);
      EXPECT_OK(ticket);
      waiting_[*ticket] = request.prompt;
      Settle();
    }
    return result_;
  }

 private:
  static constexpr int64_t kCacheBlocks = 5000;  // 80,000 tokens; the conversations have 300,000

  // Lets requests end until `time`.
  void AdvanceTo(absl::Time time) {
    while (!ends_.empty() && ends_.top().first <= time) {
      now_ = ends_.top().first;
      board_.Release(ends_.top().second, now_);
      ends_.pop();
      Settle();
    }
    now_ = time;
  }

  void Settle() {
    std::vector<int> before(kInstances);
    for (int i = 0; i < kInstances; ++i) before[i] = board_.in_flight(i);
    for (const SlotBoard::Decision& decision : board_.Settle(now_)) {
      ASSERT_OK(decision.choice);
      const int instance = decision.choice->instance;
      const int emptiest = *std::min_element(before.begin(), before.end());
      result_.worst_imbalance = std::max(result_.worst_imbalance,
                                         static_cast<double>(before[instance] - emptiest) / kLimit);
      ++before[instance];
      ++result_.sent[instance];
      const auto prompt = waiting_.extract(decision.ticket).mapped();
      const int64_t hit = caches_[instance].MatchedTokens(*prompt);
      caches_[instance].Add(*prompt);
      result_.prompt_tokens += prompt->token_count;
      result_.hit_tokens += hit;
      result_.expected_tokens += decision.choice->matched_tokens;
      ends_.emplace(now_ + kAnswerTime +
                        kPromptTime * (static_cast<double>(prompt->token_count - hit) / 1000),
                    instance);
    }
  }

  SlotBoard board_;
  const Workload workload_;
  std::mt19937_64 rng_{42};
  absl::Time now_ = absl::UnixEpoch();
  std::vector<PrefixRecord> caches_;
  std::map<SlotBoard::Ticket, std::shared_ptr<const PromptBlocks>> waiting_;
  std::priority_queue<std::pair<absl::Time, int>, std::vector<std::pair<absl::Time, int>>,
                      std::greater<>>
      ends_;
  Result result_;
};

Result Simulate(RoutingPolicyKind kind, const Workload& workload, double load_weight = 2) {
  return Simulation({.kind = kind, .load_weight = load_weight}, workload).Run();
}

// The bound that prefix_aware_policy.h promises, and the slot that is taken on top of it.
TEST(RoutingSimulationTest, AHotPrefixNeverFillsOneInstanceWhileOthersIdle) {
  for (const double weight : {1.0, 2.0, 4.0}) {
    const Result result = Simulate(RoutingPolicyKind::kPrefixAware, HotPrefix(), weight);
    EXPECT_LE(result.worst_imbalance, 1 / weight + 1e-9) << weight;
    // Nor does it have much more than its share of the whole.
    const int most = *std::max_element(result.sent.begin(), result.sent.end());
    EXPECT_LT(most, kRequests * 0.25) << weight;
  }
  // What the weight is there for: without it the first instance is filled to the brim.
  EXPECT_GT(Simulate(RoutingPolicyKind::kPrefixAware, HotPrefix(), 1e-6).worst_imbalance, 0.8);
}

TEST(RoutingSimulationTest, PrefixAwareFindsMoreInTheCachesThanTheOthers) {
  std::map<RoutingPolicyKind, double> rates;
  for (const auto kind : {RoutingPolicyKind::kPrefixAware, RoutingPolicyKind::kLeastLoad,
                          RoutingPolicyKind::kRoundRobin, RoutingPolicyKind::kPowerOfTwo}) {
    const Result result = Simulate(kind, Conversations());
    rates[kind] = result.hit_rate();
    const std::string name = NameOf(kind);
    RecordProperty("hit_rate_" + name, std::to_string(result.hit_rate()));
    std::cout << name << ": " << result.hit_rate() << " of the prompt tokens are cached, "
              << result.worst_imbalance << " of a batch is the worst imbalance\n";
    if (kind == RoutingPolicyKind::kPrefixAware) {
      // It knows what it does: the record is of what was sent, and only that is there.
      EXPECT_NEAR(static_cast<double>(result.expected_tokens) / result.prompt_tokens,
                  result.hit_rate(), 0.02);
    }
  }
  const double ours = rates[RoutingPolicyKind::kPrefixAware];
  EXPECT_GT(ours, 0.75);
  for (const auto kind : {RoutingPolicyKind::kLeastLoad, RoutingPolicyKind::kRoundRobin,
                          RoutingPolicyKind::kPowerOfTwo}) {
    EXPECT_LT(rates[kind], ours - 0.3) << NameOf(kind);
  }
}

}  // namespace
}  // namespace vallm::gateway
