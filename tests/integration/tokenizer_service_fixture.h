// The tokenizer service over real gRPC, in this process, with the demo model.
#ifndef VALLM_TESTS_INTEGRATION_TOKENIZER_SERVICE_FIXTURE_H_
#define VALLM_TESTS_INTEGRATION_TOKENIZER_SERVICE_FIXTURE_H_

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/grpc_channel.h"
#include "common/grpc_server.h"
#include "common/grpc_status.h"
#include "common/metrics.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"
#include "tokenizer_service/tokenizer_server.h"
#include "vallm/v1/tokenizer.grpc.pb.h"

namespace vallm::tokenizer {

inline constexpr char kDemoModel[] = VALLM_SOURCE_DIR "/tools/demo_model/Qwen3-Demo-MoE-FP8";

// A service, on a free port and in this machine's time zone unless told otherwise, and a client of
// it.
class Service {
 public:
  explicit Service(const ServedModelOptions& options = {.model_dir = kDemoModel},
                   const std::string& address = "127.0.0.1:0", const std::string& time_zone = "") {
    auto files = ReadModelFiles(options.model_dir, options.chat_template_path);
    EXPECT_OK(files);
    files->default_kwargs_json = options.default_kwargs_json;
    if (!time_zone.empty()) files->time_zone = time_zone;
    auto model = ServedModel::Create(*files, options.prompt_cache_bytes);
    EXPECT_OK(model);
    model_ = *std::move(model);
    facade_ = std::make_unique<TokenizerServer>(*model_, *std::move(files), metrics_);
    auto server = GrpcServer::Start(address, {{"vallm.v1.Tokenizer", facade_.get()}});
    EXPECT_OK(server);
    server_ = *std::move(server);
    server_->SetServing(true);
    channel_ = NewChannel(this->address());
    stub_ = v1::Tokenizer::NewStub(channel_);
  }

  const Tokenizer& tokenizer() const { return model_->tokenizer(); }
  GrpcServer& server() { return *server_; }
  std::string address() const { return absl::StrCat("127.0.0.1:", server_->port()); }
  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }
  v1::Tokenizer::Stub& stub() { return *stub_; }
  std::string Metrics() const { return MetricsText(*metrics_.registry()); }

  // Calls one unary method.
  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(grpc::Status (v1::Tokenizer::Stub::*method)(grpc::ClientContext*,
                                                                            const Request&,
                                                                            Response*),
                                const Request& request) {
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    Response response;
    const absl::Status status = FromGrpc((stub_.get()->*method)(&context, request, &response));
    if (!status.ok()) return status;
    return response;
  }

  absl::StatusOr<v1::EncodeResponse> Encode(const v1::EncodeRequest& request) {
    return Call(&v1::Tokenizer::Stub::Encode, request);
  }
  absl::StatusOr<v1::RenderChatResponse> RenderChat(const v1::RenderChatRequest& request) {
    return Call(&v1::Tokenizer::Stub::RenderChat, request);
  }
  absl::StatusOr<v1::ParseResponse> Parse(const v1::ParseRequest& request) {
    return Call(&v1::Tokenizer::Stub::Parse, request);
  }

 private:
  std::unique_ptr<const ServedModel> model_;
  ServiceMetrics metrics_;
  std::unique_ptr<TokenizerServer> facade_;
  std::unique_ptr<GrpcServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::Tokenizer::Stub> stub_;
};

inline Service& SharedService() {
  static Service service;
  return service;
}

inline std::vector<int32_t> Ids(const google::protobuf::RepeatedField<int32_t>& ids) {
  return {ids.begin(), ids.end()};
}

inline std::vector<int32_t> EncodeLocally(const std::string& text) {
  const auto ids = SharedService().tokenizer().Encode(text);
  EXPECT_OK(ids);
  return ids.value_or(std::vector<int32_t>{});
}

// One ParseStream call. Every step reads the answer that the contract promises.
class Stream {
 public:
  explicit Stream(Service& service, absl::Time deadline = absl::InfiniteFuture()) {
    context_.set_wait_for_ready(true);
    if (deadline < absl::InfiniteFuture()) context_.set_deadline(absl::ToChronoTime(deadline));
    stream_ = service.stub().ParseStream(&context_);
  }

  void Open(const v1::ParseOptions& options) {
    v1::ParseStreamRequest request;
    *request.mutable_open() = options;
    EXPECT_TRUE(stream_->Write(request));
  }
  // False if the stream ended instead of answering.
  bool Feed(const std::vector<int32_t>& ids) {
    v1::ParseStreamRequest request;
    request.mutable_tokens()->mutable_token_ids()->Assign(ids.begin(), ids.end());
    stream_->Write(request);
    return ReadAnswer();
  }
  bool Finish(const std::string& reason) {
    v1::ParseStreamRequest request;
    request.mutable_finish()->set_finish_reason(reason);
    stream_->Write(request);
    return ReadAnswer();
  }
  void HalfClose() { stream_->WritesDone(); }
  void Cancel() { context_.TryCancel(); }
  absl::Status End() { return FromGrpc(stream_->Finish()); }

  // What the events so far add up to, as Parse would say it.
  const v1::ParseResponse& folded() const { return folded_; }

 private:
  bool ReadAnswer() {
    v1::ParseEvents answer;
    if (!stream_->Read(&answer)) return false;
    for (const v1::ParseEvent& event : answer.events()) Fold(event);
    return true;
  }

  void Fold(const v1::ParseEvent& event) {
    for (const v1::TokenRun& run : event.token_runs()) {
      const int last = folded_.token_runs_size() - 1;
      if (last < 0 || folded_.token_runs(last).role() != run.role()) {
        *folded_.add_token_runs() = run;
      } else {
        v1::TokenRun* runs = folded_.mutable_token_runs(last);
        runs->set_token_count(runs->token_count() + run.token_count());
      }
    }
    if (event.has_reasoning()) folded_.mutable_reasoning()->append(event.reasoning());
    if (event.has_content()) folded_.mutable_content()->append(event.content());
    if (event.has_tool_call_start()) {
      EXPECT_EQ(event.tool_call_start().index(), folded_.tool_calls_size());
      folded_.add_tool_calls()->set_name(event.tool_call_start().name());
    }
    if (event.has_tool_call_arguments()) {
      ASSERT_LT(event.tool_call_arguments().index(), folded_.tool_calls_size());
      folded_.mutable_tool_calls(event.tool_call_arguments().index())
          ->mutable_arguments()
          ->append(event.tool_call_arguments().text());
    }
    if (event.has_stop_hit()) folded_.set_stop_hit(event.stop_hit().stop());
    if (event.has_finish()) {
      EXPECT_EQ(folded_.finish_reason(), "");
      folded_.set_finish_reason(event.finish().finish_reason());
      folded_.set_reasoning_token_count(event.finish().reasoning_token_count());
    }
  }

  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::ParseStreamRequest, v1::ParseEvents>> stream_;
  v1::ParseResponse folded_;
};

inline v1::ParseOptions QwenOptions() {
  v1::ParseOptions options;
  options.set_reasoning_parser("qwen3");
  options.set_tool_parser("hermes");
  options.set_tools_enabled(true);
  return options;
}

inline v1::RenderChatRequest Question() {
  v1::RenderChatRequest request;
  request.set_messages_json(R"([{"role": "user", "content": "Hi"}])");
  request.set_return_text(true);
  return request;
}

}  // namespace vallm::tokenizer

#endif  // VALLM_TESTS_INTEGRATION_TOKENIZER_SERVICE_FIXTURE_H_
