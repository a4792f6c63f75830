// The vocabulary of a tokenizer service, fetched call by call and kept. Thread-safe.
#ifndef VALLM_GATEWAY_REMOTE_VOCABULARY_H_
#define VALLM_GATEWAY_REMOTE_VOCABULARY_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/mutex.h"
#include "gateway/request_id.h"
#include "gateway/tokenizer_client.h"
#include "tokenizer_service/bpe/token_table.h"

namespace vallm::gateway {

class RemoteVocabulary {
 public:
  // `client` must outlive this.
  explicit RemoteVocabulary(TokenizerClient& client) : client_(client) {}

  // Fetches it if it has not been. `timeout` is that of the first call. Errors: those of the
  // client.
  absl::StatusOr<std::shared_ptr<const tokenizer::TokenTable>> Get(absl::Duration timeout,
                                                                   const RequestId& request_id);
  // Whether the service answers; fetches the vocabulary anew when it has another one.
  absl::Status Check(absl::Duration timeout, const RequestId& request_id);
  // Forgets the vocabulary unless it has this fingerprint (TokenizerInfo's). Waits for nothing.
  void ForgetUnless(const std::string& fingerprint);
  void Forget();

 private:
  using Table = std::shared_ptr<const tokenizer::TokenTable>;

  // Null unless it has been fetched; with a fingerprint, unless it is that one's.
  Table Known(const std::string* fingerprint);
  absl::StatusOr<Table> FetchOnce(const v1::TokenizerInfo& info, const RequestId& request_id);
  absl::StatusOr<Table> Fetch(const v1::TokenizerInfo& info, const RequestId& request_id);

  TokenizerClient& client_;

  // Held while it is fetched: all who want it wait for one fetch, and take its failure for theirs.
  Mutex fetch_mu_;
  absl::Status last_failure_ ABSL_GUARDED_BY(fetch_mu_);
  std::atomic<int64_t> failures_{0};

  Mutex mu_;
  Table table_ ABSL_GUARDED_BY(mu_);
  std::string fingerprint_ ABSL_GUARDED_BY(mu_);
};

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_REMOTE_VOCABULARY_H_
