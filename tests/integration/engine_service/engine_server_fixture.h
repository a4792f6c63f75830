// An engine of the demo model behind its RPCs, and a client of them.
#ifndef VALLM_TESTS_INTEGRATION_ENGINE_SERVICE_ENGINE_SERVER_FIXTURE_H_
#define VALLM_TESTS_INTEGRATION_ENGINE_SERVICE_ENGINE_SERVER_FIXTURE_H_

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "common/grpc_channel.h"
#include "common/grpc_status.h"
#include "engine_service/engine_metrics.h"
#include "engine_service/engine_server.h"
#include "gtest/gtest.h"
#include "tests/integration/engine_service/demo_engine.h"
#include "tests/testing/status_matchers.h"
#include "vallm/v1/engine.grpc.pb.h"

namespace vallm::engine {

struct Answer {
  grpc::Status status;
  v1::GenerateChunk all;  // the chunks, merged
  int chunk_count = 0;
  int final_chunk_count = 0;  // those with a finish reason
};

class EngineServerTest : public ::testing::Test {
 protected:
  void Start(const EngineOptions& options) {
    engine_ = ServingEngine(options);
    server_ = EngineServer::Start("127.0.0.1:0", *engine_, metrics_, tokenizer_.get()).value();
    channel_ = NewChannel("127.0.0.1:" + std::to_string(server_->port()));
    stub_ = v1::Engine::NewStub(channel_);
  }

  // Runs until it is stopped, one way or another.
  static v1::GenerateRequest Endless() {
    v1::GenerateRequest request;
    for (const int32_t id : {1, 2, 3}) request.mutable_prompt_token_ids()->add_ids(id);
    request.mutable_sampling()->set_temperature(1);
    request.mutable_sampling()->set_seed(4);
    request.mutable_stop()->set_eos_mode(v1::EOS_MODE_IGNORE);
    return request;
  }
  static v1::GenerateRequest Short(int max_tokens = 5) {
    v1::GenerateRequest request = Endless();
    request.mutable_stop()->set_max_tokens(max_tokens);
    return request;
  }

  Answer Stream(const v1::GenerateRequest& request) {
    grpc::ClientContext context;
    return ReadAll(*stub_->GenerateStream(&context, request));
  }
  static Answer ReadAll(grpc::ClientReader<v1::GenerateChunk>& reader) {
    Answer answer;
    for (v1::GenerateChunk chunk; reader.Read(&chunk);) {
      ++answer.chunk_count;
      answer.final_chunk_count += chunk.finish_reason() != v1::FINISH_REASON_UNSPECIFIED;
      answer.all.MergeFrom(chunk);
    }
    answer.status = reader.Finish();
    return answer;
  }
  absl::Status Refusal(const v1::GenerateRequest& request) {
    grpc::ClientContext context;
    v1::GenerateResponse response;
    const absl::Status unary = FromGrpc(stub_->Generate(&context, request, &response));
    const Answer streamed = Stream(request);
    EXPECT_EQ(FromGrpc(streamed.status), unary) << "both RPCs refuse alike";
    EXPECT_EQ(streamed.chunk_count, 0);
    return unary;
  }
  // Waits for a state of the load that `is_right`.
  template <typename Predicate>
  v1::Load WatchUntil(const Predicate& is_right) {
    grpc::ClientContext context;
    auto reader = stub_->WatchLoad(&context, {});
    v1::Load load;
    while (reader->Read(&load)) {
      if (is_right(load)) {
        context.TryCancel();
        return load;
      }
    }
    ADD_FAILURE() << "the watch ended: " << reader->Finish().error_message();
    return load;
  }

  std::unique_ptr<const tokenizer::Tokenizer> tokenizer_ =
      tokenizer::Tokenizer::FromModelDir(kDemoModel).value();
  EngineMetrics metrics_{"demo"};
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<EngineServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::Engine::Stub> stub_;
};

}  // namespace vallm::engine

#endif  // VALLM_TESTS_INTEGRATION_ENGINE_SERVICE_ENGINE_SERVER_FIXTURE_H_
