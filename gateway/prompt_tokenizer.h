// Prompts to tokens and back: small requests by a copy of what the tokenizer service serves, which
// takes a tenth of what the way to the service does, and everything else by the service.
//
// Large requests, and such with a template of their own, are the service's: it has threads for long
// work, which here would hold up the answers that are being sent, and its process is the one that a
// stranger's template may load. The copy is made anew within a second or two when the service comes
// back with other files, and goes on to be used while the service is away. Without one (at first; a
// service that hands out no files) the service answers everything.
//
// Thread-safe.
#ifndef VALLM_GATEWAY_PROMPT_TOKENIZER_H_
#define VALLM_GATEWAY_PROMPT_TOKENIZER_H_

#include <memory>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/mutex.h"
#include "common/tls_files.h"
#include "gateway/request_id.h"
#include "gateway/tokenizer_client.h"
#include "gateway/tokenizer_copy.h"

namespace vallm::gateway {

class PromptTokenizer {
 public:
  // Requests up to `local_bytes` are answered here; 0: none, and no copy is made. The rest is the
  // service's and its calls' (tokenizer_client.h).
  PromptTokenizer(const std::string& address, int local_bytes, absl::Duration patience,
                  const TlsFiles& tls = {});
  // Waits for a look at the service that is on its way: half a second at most, or until a copy is
  // made.
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
  // Of what answers, the copy or the service.
  absl::StatusOr<v1::TokenizerInfo> GetInfo(absl::Duration timeout);
  // Templates, special tokens and default variables: the files without tokenizer_json.
  absl::StatusOr<v1::ModelFiles> GetConfig();

 private:
  using Copy = std::shared_ptr<const TokenizerCopy>;

  Copy copy();
  // Null for a request that is the service's.
  template <typename Request>
  Copy CopyFor(const Request& request);

  // Looks for other files from time to time until the end.
  void Follow();
  absl::Status Refresh();
  absl::StatusOr<Copy> MakeCopy(const v1::TokenizerInfo& info);

  const size_t local_bytes_;
  TokenizerClient client_;
  Mutex mu_;
  CondVar wake_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  Copy copy_ ABSL_GUARDED_BY(mu_);
  std::thread follower_;
};

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_PROMPT_TOKENIZER_H_
