#include "tests/testing/fake_tokenizer.h"

#include <grpcpp/grpcpp.h>

#include <stdexcept>
#include <string_view>
#include <utility>

namespace vallm::testing {
namespace {

// Of the ids from kThink on.
constexpr std::string_view kTagTexts[] = {"<think>", "</think>", "<tool_call>", "</tool_call>",
                                          "<|im_end|>"};

}  // namespace

std::vector<int32_t> Ids(std::string_view text) {
  std::vector<int32_t> ids;
  for (const char c : text) ids.push_back(static_cast<unsigned char>(c));
  return ids;
}

FakeTokenizer::FakeTokenizer() : address_("127.0.0.1:0") {
  Restart();
  address_ = "127.0.0.1:" + std::to_string(server_->port());
}

void FakeTokenizer::Restart() {
  auto server = GrpcServer::Start(address_, {{"vallm.v1.Tokenizer", this}});
  if (!server.ok()) throw std::runtime_error(server.status().ToString());
  server_ = *std::move(server);
  server_->SetServing(true);
}

FakeTokenizer::~FakeTokenizer() { Stop(); }

void FakeTokenizer::SetPrompt(std::vector<int32_t> ids, v1::PromptThinkState state) {
  MutexLock lock(mu_);
  prompt_ = std::move(ids);
  think_state_ = state;
}

v1::RenderChatRequest FakeTokenizer::last_render() const {
  MutexLock lock(mu_);
  return last_render_;
}

void FakeTokenizer::FailRender(grpc::Status status) {
  MutexLock lock(mu_);
  render_status_ = std::move(status);
}

grpc::Status FakeTokenizer::Encode(grpc::ServerContext*, const v1::EncodeRequest* request,
                                   v1::EncodeResponse* response) {
  for (const std::string& text : request->texts()) {
    const std::vector<int32_t> ids = Ids(text);
    response->add_sequences()->mutable_token_ids()->Add(ids.begin(), ids.end());
  }
  return grpc::Status::OK;
}

grpc::Status FakeTokenizer::Decode(grpc::ServerContext*, const v1::DecodeRequest* request,
                                   v1::DecodeResponse* response) {
  for (const int32_t id : request->token_ids()) {
    if (id < 256) response->mutable_text()->push_back(static_cast<char>(id));
  }
  return grpc::Status::OK;
}

grpc::Status FakeTokenizer::GetTokenBytes(grpc::ServerContext*,
                                          const v1::GetTokenBytesRequest* request,
                                          v1::GetTokenBytesResponse* response) {
  for (const int32_t id : request->token_ids()) {
    response->add_token_bytes(id < kThink ? std::string(1, static_cast<char>(id))
                                          : std::string(kTagTexts[id - kThink]));
  }
  return grpc::Status::OK;
}

grpc::Status FakeTokenizer::RenderChat(grpc::ServerContext*, const v1::RenderChatRequest* request,
                                       v1::RenderChatResponse* response) {
  MutexLock lock(mu_);
  last_render_ = *request;
  if (!render_status_.ok()) return render_status_;
  const std::vector<int32_t> ids = prompt_.empty() ? Ids(request->messages_json()) : prompt_;
  response->mutable_token_ids()->Add(ids.begin(), ids.end());
  response->set_prompt_think_state(think_state_);
  if (request->return_text()) response->set_text(request->messages_json());
  return grpc::Status::OK;
}

grpc::Status FakeTokenizer::CountTokens(grpc::ServerContext*, const v1::CountTokensRequest* request,
                                        v1::CountTokensResponse* response) {
  MutexLock lock(mu_);
  if (!render_status_.ok()) return render_status_;
  response->set_token_count(
      static_cast<int64_t>(prompt_.empty() ? request->messages_json().size() : prompt_.size()));
  return grpc::Status::OK;
}

grpc::Status FakeTokenizer::GetInfo(grpc::ServerContext*, const v1::GetInfoRequest*,
                                    v1::TokenizerInfo* info) {
  info->set_vocab_size(kEos + 1);
  info->set_has_chat_template(true);
  info->add_special_token_ids(kEos);
  return grpc::Status::OK;
}

grpc::Status FakeTokenizer::GetModelFiles(grpc::ServerContext*, const v1::GetModelFilesRequest*,
                                          v1::ModelFiles* files) {
  files->set_chat_template("{{ messages }}");
  v1::NamedToken* eos = files->add_special_tokens();
  eos->set_name("eos_token");
  eos->set_text(std::string(kTagTexts[kEos - kThink]));
  return grpc::Status::OK;
}

}  // namespace vallm::testing
