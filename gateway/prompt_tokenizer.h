// Prompts to tokens and back: small requests by a copy of what the tokenizer service serves, which
// takes a tenth of what the way to the service does, and everything else by the service.
//
// Large requests, and such with a template of their own, are the service's: it has threads for long
// work, which here would hold up the answers that are being sent, and its process is the one that a
// stranger's template may load. Without a copy (at first; while the service has other files than
// the copy; a service that is of another version) the service answers everything. A copy goes on to
// be used while the service is away; once it is back, a look within tenths of a second says whether
// it still has the same files.
//
// Thread-safe.
#ifndef VALLM_GATEWAY_PROMPT_TOKENIZER_H_
#define VALLM_GATEWAY_PROMPT_TOKENIZER_H_

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/mutex.h"
#include "common/tls_files.h"
#include "gateway/remote_vocabulary.h"
#include "gateway/request_id.h"
#include "gateway/tokenizer_client.h"
#include "gateway/tokenizer_copy.h"
#include "tokenizer_service/bpe/token_table.h"

namespace vallm::gateway {

struct PromptTokenizerOptions {
  std::string address = "127.0.0.1:50060";  // of the service
  // Requests up to this size are answered here, of their message in tokenizer.proto; 0: none, and
  // no copy is made.
  int local_prompt_bytes = 64 << 10;
  // What the copy may remember of encoded prompts; 0: nothing.
  int prompt_cache_mib = 16;
};

class PromptTokenizer {
 public:
  // `patience` and `tls`: of the calls of the service (tokenizer_client.h).
  PromptTokenizer(const PromptTokenizerOptions& options, absl::Duration patience,
                  const TlsFiles& tls = {});
  // Waits for a look at the service that is on its way: a second, or five if that hangs while it
  // hands out its files.
  ~PromptTokenizer();
  PromptTokenizer(const PromptTokenizer&) = delete;
  PromptTokenizer& operator=(const PromptTokenizer&) = delete;

  // Errors: those of the service's call (tokenizer.proto) and of TokenizerClient.
  absl::StatusOr<v1::RenderChatResponse> RenderChat(const v1::RenderChatRequest& request,
                                                    const RequestId& request_id);
  absl::StatusOr<v1::CountTokensResponse> CountTokens(const v1::CountTokensRequest& request,
                                                      const RequestId& request_id);
  absl::StatusOr<v1::EncodeResponse> Encode(const v1::EncodeRequest& request,
                                            const RequestId& request_id);
  absl::StatusOr<v1::DecodeResponse> Decode(const v1::DecodeRequest& request,
                                            const RequestId& request_id);
  absl::StatusOr<v1::GetTokenBytesResponse> GetTokenBytes(const v1::GetTokenBytesRequest& request,
                                                          const RequestId& request_id);

  // What answers are parsed with. Errors: those of TokenizerClient.
  absl::StatusOr<std::shared_ptr<const tokenizer::TokenTable>> GetTokenTable(
      const RequestId& request_id);
  // The templates, special tokens and default variables: the files without tokenizer_json. Errors:
  // UNAVAILABLE.
  absl::StatusOr<v1::ModelFiles> GetConfig(const RequestId& request_id);
  // Whether small prompts can be encoded. Errors: UNAVAILABLE.
  absl::Status CheckReady(absl::Duration timeout, const RequestId& request_id);

  // For metrics.
  bool service_is_up() const { return service_is_up_; }
  bool has_copy() { return copy() != nullptr; }

 private:
  using Copy = std::shared_ptr<const TokenizerCopy>;

  Copy copy();
  void Use(Copy copy);
  template <typename Request, typename Response>
  absl::StatusOr<Response> Answer(
      const Request& request, const RequestId& request_id,
      absl::StatusOr<Response> (TokenizerCopy::*here)(const Request&) const,
      absl::StatusOr<Response> (TokenizerClient::*there)(const Request&, const RequestId&));

  // Waits for a place among those that are answered here: more at once than there are cores would
  // only hold one another up, and the answers that are being sent.
  void EnterHere();
  void LeaveHere();

  // Looks at the service from time to time until the end.
  void Follow();
  // One look. Returns when to look again.
  absl::Duration Look();
  void CopyIfNew(const v1::TokenizerInfo& info);
  absl::StatusOr<Copy> MakeCopy(const v1::TokenizerInfo& info);

  const PromptTokenizerOptions options_;
  const absl::Duration patience_;
  TokenizerClient client_;
  RemoteVocabulary vocabulary_;
  std::atomic<bool> service_is_up_{false};
  absl::Status last_copy_error_;         // the follower's
  std::optional<std::string> unusable_;  // files that there can be no copy of; the follower's

  Mutex turns_mu_;
  CondVar turn_free_;
  int running_here_ ABSL_GUARDED_BY(turns_mu_) = 0;

  Mutex mu_;
  CondVar wake_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  Copy copy_ ABSL_GUARDED_BY(mu_);

  Mutex config_mu_;
  v1::ModelFiles config_ ABSL_GUARDED_BY(config_mu_);  // of a service that there is no copy of
  std::string config_fingerprint_ ABSL_GUARDED_BY(config_mu_);

  std::thread follower_;
};

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_PROMPT_TOKENIZER_H_
