// An in-process tokenizer service for tests of its clients: one token per byte, and the tags.
// Deterministic; thread-safe.
#ifndef VALLM_TESTS_TESTING_FAKE_TOKENIZER_H_
#define VALLM_TESTS_TESTING_FAKE_TOKENIZER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/grpc_server.h"
#include "common/mutex.h"
#include "vallm/v1/tokenizer.grpc.pb.h"

namespace vallm::testing {

// Ids 0 to 255 are bytes, these are tags; kEos is special.
inline constexpr int32_t kThink = 256;
inline constexpr int32_t kThinkEnd = 257;
inline constexpr int32_t kToolCall = 258;
inline constexpr int32_t kToolCallEnd = 259;
inline constexpr int32_t kEos = 260;

// One id per byte of `text`.
std::vector<int32_t> Ids(std::string_view text);

class FakeTokenizer final : public v1::Tokenizer::Service {
 public:
  FakeTokenizer();
  ~FakeTokenizer() override;

  const std::string& address() const { return address_; }

  // The prompt of a chat is the bytes of its messages' JSON, unless set here.
  void SetPrompt(std::vector<int32_t> ids, v1::PromptThinkState state);
  v1::RenderChatRequest last_render() const;
  // RenderChat fails with this from now on.
  void FailRender(grpc::Status status);
  void Stop() { server_->Shutdown(absl::ZeroDuration()); }
  // After Stop: serves again, at the same address.
  void Restart();

 private:
  grpc::Status Encode(grpc::ServerContext*, const v1::EncodeRequest*, v1::EncodeResponse*) override;
  grpc::Status Decode(grpc::ServerContext*, const v1::DecodeRequest*, v1::DecodeResponse*) override;
  grpc::Status GetTokenBytes(grpc::ServerContext*, const v1::GetTokenBytesRequest*,
                             v1::GetTokenBytesResponse*) override;
  grpc::Status RenderChat(grpc::ServerContext*, const v1::RenderChatRequest*,
                          v1::RenderChatResponse*) override;
  grpc::Status CountTokens(grpc::ServerContext*, const v1::CountTokensRequest*,
                           v1::CountTokensResponse*) override;
  grpc::Status GetInfo(grpc::ServerContext*, const v1::GetInfoRequest*,
                       v1::TokenizerInfo*) override;

  // Without a fingerprint in GetInfo nobody makes a copy of it.
  grpc::Status GetModelFiles(grpc::ServerContext*, const v1::GetModelFilesRequest*,
                             v1::ModelFiles*) override;

  mutable Mutex mu_;
  std::vector<int32_t> prompt_ ABSL_GUARDED_BY(mu_);
  v1::PromptThinkState think_state_ ABSL_GUARDED_BY(mu_) = v1::PROMPT_THINK_STATE_UNAWARE;
  v1::RenderChatRequest last_render_ ABSL_GUARDED_BY(mu_);
  grpc::Status render_status_ ABSL_GUARDED_BY(mu_);
  std::string address_;
  std::unique_ptr<GrpcServer> server_;
};

}  // namespace vallm::testing

#endif  // VALLM_TESTS_TESTING_FAKE_TOKENIZER_H_
