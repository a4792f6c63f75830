// The Tokenizer service of tokenizer.proto over a loaded model: translates, calls, answers. Holds
// no state between RPCs.
//
// Thread-safe. Reactions compute in gRPC's threads: the work is bounded by the size of a message
// and the template's limits, and nothing in it waits.
#ifndef VALLM_TOKENIZER_SERVICE_TOKENIZER_SERVER_H_
#define VALLM_TOKENIZER_SERVICE_TOKENIZER_SERVER_H_

#include "tokenizer_service/served_model.h"
#include "vallm/v1/tokenizer.grpc.pb.h"

namespace vallm::tokenizer {

class TokenizerServer final : public v1::Tokenizer::CallbackService {
 public:
  // `model` must outlive the gRPC server that this is registered with.
  explicit TokenizerServer(const ServedModel& model) : model_(model) {}

  grpc::ServerUnaryReactor* Encode(grpc::CallbackServerContext* context,
                                   const v1::EncodeRequest* request,
                                   v1::EncodeResponse* response) override;
  grpc::ServerUnaryReactor* Decode(grpc::CallbackServerContext* context,
                                   const v1::DecodeRequest* request,
                                   v1::DecodeResponse* response) override;
  grpc::ServerUnaryReactor* GetTokenBytes(grpc::CallbackServerContext* context,
                                          const v1::GetTokenBytesRequest* request,
                                          v1::GetTokenBytesResponse* response) override;
  grpc::ServerUnaryReactor* RenderChat(grpc::CallbackServerContext* context,
                                       const v1::RenderChatRequest* request,
                                       v1::RenderChatResponse* response) override;
  grpc::ServerBidiReactor<v1::ParseStreamRequest, v1::ParseEvents>* ParseStream(
      grpc::CallbackServerContext* context) override;
  grpc::ServerUnaryReactor* Parse(grpc::CallbackServerContext* context,
                                  const v1::ParseRequest* request,
                                  v1::ParseResponse* response) override;
  grpc::ServerUnaryReactor* GetInfo(grpc::CallbackServerContext* context,
                                    const v1::GetInfoRequest* request,
                                    v1::TokenizerInfo* response) override;

 private:
  // Each fills the response and adds the tokens it handled to *token_count.
  absl::Status DoEncode(const v1::EncodeRequest& request, v1::EncodeResponse* response,
                        int64_t* token_count) const;
  absl::Status DoRenderChat(const v1::RenderChatRequest& request, v1::RenderChatResponse* response,
                            int64_t* token_count) const;
  absl::Status DoParse(const v1::ParseRequest& request, v1::ParseResponse* response,
                       int64_t* token_count) const;

  const ServedModel& model_;
};

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_TOKENIZER_SERVER_H_
