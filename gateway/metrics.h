// The gateway's Prometheus metrics, under vLLM's names where vLLM has one, so that its dashboards
// work unchanged. Thread-safe.
#ifndef VALLM_GATEWAY_METRICS_H_
#define VALLM_GATEWAY_METRICS_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "gateway/generation/event.h"
#include "gateway/generation/move_policy.h"
#include "gateway/routing/instance_pool.h"

namespace vallm::gateway {

class GatewayMetrics {
 public:
  // `model_name` labels every series of the model, `policy` the decisions of routing.
  GatewayMetrics(const std::string& model_name, RoutingPolicyKind policy);
  ~GatewayMetrics();

  // A request ended: `status` is what the client saw.
  void CountHttpRequest(const std::string& handler, const std::string& method, int status,
                        absl::Duration duration);
  // A generation ended well.
  void CountSuccess(const std::string& finish_reason, const TokenUsage& usage, int64_t max_tokens,
                    int choices, absl::Duration duration);
  // A chat was accepted; `thinking` is what it says of thinking, all its parameters taken together.
  void CountChat(std::optional<bool> thinking);
  // One ended because the client went, or with an error.
  void CountAborted();
  void CountFailed();
  // `begun`: tokens had come already.
  void CountMove(MoveReason reason, bool begun);
  void CountQuarantined();
  // A choice was placed on an instance for `reason`; `matched_tokens` of the prompt's are expected
  // to be cached there.
  void CountRouting(RoutingReason reason, int64_t matched_tokens, int64_t prompt_tokens);
  // A request of the background came; `task` is what it was recognised as, empty if it said so.
  void CountBackground(const std::string& task);
  void CountPromptTokens(int64_t count);
  void CountGenerationTokens(int count);
  void ObserveQueueTime(absl::Duration duration);
  void ObserveTimeToFirstToken(absl::Duration duration);
  // Of a generation that ended well: from its first slot to its first token, from there to the end,
  // and the tokens of its longest choice.
  void ObserveRun(absl::Duration prefill, absl::Duration decode, int64_t longest_choice);
  // `count` gaps of `gap` each.
  void ObserveInterTokenLatency(absl::Duration gap, int count);

  // Of API keys, by name: a request came in, or was refused for `reason` (invalid, expired,
  // requests, tokens, concurrency); what requests used; a key file was read again.
  void CountKeyRequest(const std::string& key);
  void CountKeyRefusal(const std::string& key, const std::string& reason);
  void CountKeyTokens(const std::string& key, int64_t prompt_tokens, int64_t completion_tokens);
  // `what` is watched and may be read again. To be called before that happens: an alert sees the
  // first failure as growth from zero, not as a series that comes into being.
  void ExpectReloads(const std::string& what);
  // A file of keys or certificates was read again.
  void CountReload(const std::string& what, bool ok);

  // How things are when the metrics are asked for.
  struct Now {
    std::vector<InstanceSnapshot> instances;
    int waiting = 0;
    bool tokenizer_is_up = false;
    bool tokenizer_is_copied = false;
  };
  // The exposition text.
  std::string Text(const Now& now);

 private:
  struct Series;
  std::unique_ptr<Series> series_;
};

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_METRICS_H_
