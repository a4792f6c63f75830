// A chat over vallm's RPCs, for programs that need no HTTP: a conversation becomes tokens at the
// tokenizer service, tokens become more tokens at an engine, and those become text again.
//
//   grpc_chat TOKENIZER ENGINE[,ENGINE...] MESSAGES_JSON [STOP]
//
// The answer goes to stdout as it comes, reasoning in brackets; how it ended goes to stderr. When
// an engine dies in the middle, the next one goes on with the same answer. docs/grpc.md explains.
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cstdint>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "vallm/v1/engine.grpc.pb.h"
#include "vallm/v1/tokenizer.grpc.pb.h"

namespace {

namespace v1 = vallm::v1;
using EngineStub = std::unique_ptr<v1::Engine::Stub>;

constexpr int kMaxTokens = 200;
constexpr int kMaxAttempts = 5;
constexpr int kMaxMessageBytes = 64 << 20;  // what the services accept
constexpr auto kRetryDelay = std::chrono::milliseconds(500);

std::shared_ptr<grpc::Channel> Connect(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10'000);  // notices a host that is gone
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

auto In(std::chrono::seconds time) { return std::chrono::system_clock::now() + time; }

grpc::Status Render(v1::Tokenizer::Stub& tokenizer, const std::string& messages_json,
                    v1::RenderChatResponse* prompt) {
  grpc::ClientContext context;
  context.set_deadline(In(std::chrono::seconds(10)));
  v1::RenderChatRequest request;
  request.set_messages_json(messages_json);
  return tokenizer.RenderChat(&context, request, prompt);
}

// Turns tokens into text and prints it. One ParseEvents comes back for every message but the first.
class AnswerPrinter {
 public:
  AnswerPrinter(v1::Tokenizer::Stub& tokenizer, v1::PromptThinkState state, const std::string& stop)
      : stream_(tokenizer.ParseStream(&context_)) {
    v1::ParseStreamRequest message;
    v1::ParseOptions& options = *message.mutable_open();
    options.set_reasoning_parser("qwen3");
    options.set_prompt_think_state(state);  // where the prompt left the model
    if (!stop.empty()) options.add_stop(stop);
    stream_->Write(message);
  }
  // False when a stop string ended the answer or the tokenizer is gone.
  bool Add(const google::protobuf::RepeatedField<int32_t>& token_ids) {
    v1::ParseStreamRequest message;
    *message.mutable_tokens()->mutable_token_ids() = token_ids;
    return Exchange(message) && !stopped_;
  }
  // Prints what was held back. Returns the answer's own finish reason.
  grpc::Status Finish(const std::string& engine_reason, std::string* reason) {
    v1::ParseStreamRequest message;
    message.mutable_finish()->set_finish_reason(engine_reason);
    if (Exchange(message)) stream_->WritesDone();
    std::cout << std::endl;
    *reason = reason_;
    return stream_->Finish();
  }

 private:
  bool Exchange(const v1::ParseStreamRequest& message) {
    v1::ParseEvents answer;
    if (!stream_->Write(message) || !stream_->Read(&answer)) return false;
    for (const v1::ParseEvent& event : answer.events()) {
      if (event.has_reasoning()) std::cout << "[" << event.reasoning() << "]";
      if (event.has_content()) std::cout << event.content();
      if (event.has_stop_hit()) stopped_ = true;
      if (event.has_finish()) reason_ = event.finish().finish_reason();
    }
    std::cout.flush();
    return true;
  }

  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::ParseStreamRequest, v1::ParseEvents>> stream_;
  bool stopped_ = false;
  std::string reason_;
};

// What came of a generation.
struct Outcome {
  std::vector<int32_t> token_ids;  // of all engines that worked on it
  v1::FinishReason reason = v1::FINISH_REASON_UNSPECIFIED;
  v1::Usage usage;
  bool stopped = false;  // the printer wants no more
};

// One call to one engine. Adds what comes to *outcome, also when it fails half-way.
grpc::Status GenerateOn(v1::Engine::Stub& engine, v1::GenerateRequest& request,
                        AnswerPrinter& printer, Outcome* outcome) {
  grpc::ClientContext context;
  context.set_deadline(In(std::chrono::minutes(2)));  // queueing included
  const auto stream = engine.GenerateStream(&context, request);
  for (v1::GenerateChunk chunk; stream->Read(&chunk);) {
    // Drawn by the engine: whoever goes on with this answer must draw the same numbers.
    if (chunk.has_seed()) request.mutable_sampling()->set_seed(chunk.seed());
    outcome->token_ids.insert(outcome->token_ids.end(), chunk.token_ids().begin(),
                              chunk.token_ids().end());
    if (chunk.finish_reason() != v1::FINISH_REASON_UNSPECIFIED) {
      outcome->reason = chunk.finish_reason();
      outcome->usage = chunk.usage();
    }
    if (chunk.token_ids_size() > 0 && !printer.Add(chunk.token_ids())) {
      outcome->stopped = true;
      context.TryCancel();  // frees the slot and the KV blocks at the next step
      break;
    }
  }
  const grpc::Status status = stream->Finish();
  const bool complete = outcome->stopped || outcome->reason != v1::FINISH_REASON_UNSPECIFIED;
  return complete ? grpc::Status::OK : status;
}

// Goes from engine to engine until the answer is complete.
grpc::Status Generate(const std::vector<EngineStub>& engines, v1::GenerateRequest& request,
                      AnswerPrinter& printer, Outcome* outcome) {
  for (int attempt = 1;; ++attempt) {
    // Tokens that came already are given back: the stream goes on behind them.
    *request.mutable_resume_token_ids() = {outcome->token_ids.begin(), outcome->token_ids.end()};
    const size_t index = static_cast<size_t>(attempt - 1) % engines.size();
    const grpc::Status status = GenerateOn(*engines[index], request, printer, outcome);
    // Only these two say that another instance, or a little later, may be better.
    const bool retry = status.error_code() == grpc::StatusCode::UNAVAILABLE ||
                       status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED;
    if (!retry || attempt == kMaxAttempts) return status;
    std::cerr << "engine " << index << ": " << status.error_message() << "; going on after "
              << outcome->token_ids.size() << " tokens" << std::endl;
    if (attempt % static_cast<int>(engines.size()) == 0) std::this_thread::sleep_for(kRetryDelay);
  }
}

int Fail(const char* what, const grpc::Status& status) {
  std::cerr << what << ": code " << status.error_code() << ": " << status.error_message()
            << std::endl;
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4 || argc > 5) {
    std::cerr << "usage: grpc_chat TOKENIZER ENGINE[,ENGINE...] MESSAGES_JSON [STOP]\n";
    return 2;
  }
  const auto tokenizer = v1::Tokenizer::NewStub(Connect(argv[1]));
  std::vector<EngineStub> engines;
  std::istringstream addresses(argv[2]);
  for (std::string address; std::getline(addresses, address, ',');) {
    engines.push_back(v1::Engine::NewStub(Connect(address)));
  }

  v1::RenderChatResponse prompt;
  grpc::Status status = Render(*tokenizer, argv[3], &prompt);
  if (!status.ok()) return Fail("tokenizer", status);

  v1::GenerateRequest request;
  *request.mutable_prompt_token_ids()->mutable_ids() = prompt.token_ids();
  request.mutable_sampling()->set_temperature(0.7f);
  request.mutable_sampling()->set_seed(7);
  request.mutable_stop()->set_max_tokens(kMaxTokens);
  AnswerPrinter printer(*tokenizer, prompt.prompt_think_state(), argc > 4 ? argv[4] : "");
  Outcome outcome;
  status = Generate(engines, request, printer, &outcome);
  if (!status.ok()) return Fail("engine", status);

  std::string reason;
  status = printer.Finish(outcome.reason == v1::FINISH_REASON_LENGTH ? "length" : "stop", &reason);
  if (!status.ok()) return Fail("tokenizer", status);
  std::cerr << "finish: " << reason << "; cached: " << outcome.usage.cached_token_count()
            << "; tokens:";
  for (const int32_t id : outcome.token_ids) std::cerr << " " << id;
  std::cerr << std::endl;
  return 0;
}
