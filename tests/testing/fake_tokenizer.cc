#include "tests/testing/fake_tokenizer.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace vallm::testing {
namespace {

// How many bytes at the end of `text` begin a UTF-8 character that is not complete.
size_t IncompleteTail(const std::string& text) {
  for (size_t back = 1; back <= std::min<size_t>(3, text.size()); ++back) {
    const auto c = static_cast<unsigned char>(text[text.size() - back]);
    if ((c & 0xC0) == 0x80) continue;
    const size_t length = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : c >= 0xC0 ? 2 : 1;
    return length > back ? back : 0;
  }
  return 0;
}

// How many bytes at the end of `text` may turn out to begin one of `stops`.
size_t PossibleStop(const std::string& text, const v1::ParseOptions& options) {
  size_t held = 0;
  for (const std::string& stop : options.stop()) {
    for (size_t n = 1; n < stop.size() && n <= text.size(); ++n) {
      if (text.compare(text.size() - n, n, stop, 0, n) == 0) held = std::max(held, n);
    }
  }
  return held;
}

class Parser {
 public:
  explicit Parser(v1::ParseOptions options)
      : options_(std::move(options)),
        thinking_(options_.prompt_think_state() == v1::PROMPT_THINK_STATE_OPEN) {}

  void Feed(int32_t id, v1::ParseEvents* out) {
    if (stopped_) return;
    if (thinking_) ++reasoning_tokens_;
    const bool shows = id < kThink && !in_call_;
    unlisted_.push_back(!shows      ? v1::TOKEN_ROLE_HIDDEN
                        : thinking_ ? v1::TOKEN_ROLE_REASONING
                                    : v1::TOKEN_ROLE_CONTENT);
    switch (id) {
      case kThink:
        if (!thinking_) ++reasoning_tokens_;
        thinking_ = true;
        return;
      case kThinkEnd:
        Release(/*all=*/true, out);
        thinking_ = false;
        return;
      case kToolCall:
        Release(/*all=*/true, out);
        in_call_ = true;
        naming_ = true;
        return;
      case kToolCallEnd:
        in_call_ = false;
        return;
      case kEos:
        return;
      default:
        break;
    }
    if (in_call_) return FeedCall(static_cast<char>(id), out);
    text_ += static_cast<char>(id);
    for (const std::string& stop : options_.stop()) {
      const size_t at = text_.find(stop);
      if (at == std::string::npos) continue;
      text_.resize(options_.include_stop_str_in_output() ? at + stop.size() : at);
      Release(/*all=*/true, out);
      v1::ParseEvent& hit = *out->add_events();
      hit.mutable_stop_hit()->set_stop(stop);
      List(unlisted_.size(), &hit);
      stopped_ = true;
      return;
    }
    Release(/*all=*/false, out);
  }

  void Finish(const std::string& engine_reason, v1::ParseEvents* out) {
    Release(/*all=*/true, out);
    v1::ParseEvent& last = *out->add_events();
    if (!stopped_) List(unlisted_.size(), &last);
    auto* finish = last.mutable_finish();
    finish->set_finish_reason(next_call_ > 0 ? "tool_calls" : stopped_ ? "stop" : engine_reason);
    finish->set_reasoning_token_count(reasoning_tokens_);
  }

 private:
  void FeedCall(char c, v1::ParseEvents* out) {
    if (naming_ && c != '(') {
      name_ += c;
    } else if (naming_) {
      auto* start = out->add_events()->mutable_tool_call_start();
      start->set_index(next_call_++);
      start->set_name(std::exchange(name_, ""));
      naming_ = false;
    } else {
      auto* arguments = out->add_events()->mutable_tool_call_arguments();
      arguments->set_index(next_call_ - 1);
      arguments->set_text(std::string(1, c));
    }
  }

  void Release(bool all, v1::ParseEvents* out) {
    const size_t held = all ? 0 : std::max(IncompleteTail(text_), PossibleStop(text_, options_));
    std::string piece = text_.substr(0, text_.size() - held);
    text_.erase(0, piece.size());
    if (piece.empty()) return;
    const bool reasoning = thinking_ && !options_.reasoning_parser().empty();
    v1::ParseEvent& event = *out->add_events();
    // Up to the token of the piece's last byte.
    size_t count = 0;
    for (size_t shown = 0; shown < piece.size() && count < unlisted_.size(); ++count) {
      if (unlisted_[count] != v1::TOKEN_ROLE_HIDDEN) ++shown;
    }
    List(count, &event);
    (reasoning ? *event.mutable_reasoning() : *event.mutable_content()) = std::move(piece);
  }

  // Says that `event` shows the next `count` tokens, or that they show nowhere.
  void List(size_t count, v1::ParseEvent* event) {
    for (size_t i = 0; i < count; ++i) {
      v1::TokenRun& run = *event->add_token_runs();
      run.set_role(unlisted_[i]);
      run.set_token_count(1);
    }
    unlisted_.erase(unlisted_.begin(), unlisted_.begin() + count);
  }

  const v1::ParseOptions options_;
  bool thinking_;
  bool in_call_ = false;
  bool naming_ = false;
  bool stopped_ = false;
  std::string name_;
  std::string text_;                     // not released yet
  std::vector<v1::TokenRole> unlisted_;  // of the tokens that no event has listed yet
  int next_call_ = 0;
  int64_t reasoning_tokens_ = 0;
};

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

int64_t FakeTokenizer::parsed_tokens() const {
  MutexLock lock(mu_);
  return parsed_tokens_;
}

v1::ParseOptions FakeTokenizer::last_parse_options() const {
  MutexLock lock(mu_);
  return last_parse_options_;
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
    response->add_token_bytes(id < 256 ? std::string(1, static_cast<char>(id)) : "");
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
  return grpc::Status::OK;
}

grpc::Status FakeTokenizer::ParseStream(
    grpc::ServerContext*,
    grpc::ServerReaderWriter<v1::ParseEvents, v1::ParseStreamRequest>* stream) {
  v1::ParseStreamRequest request;
  if (!stream->Read(&request) || !request.has_open()) {
    return {grpc::StatusCode::INVALID_ARGUMENT, "the first message must open the stream"};
  }
  {
    MutexLock lock(mu_);
    last_parse_options_ = request.open();
  }
  Parser parser(request.open());
  while (stream->Read(&request)) {
    v1::ParseEvents events;
    if (request.has_finish()) {
      parser.Finish(request.finish().finish_reason(), &events);
      stream->Write(events);
      break;
    }
    for (const int32_t id : request.tokens().token_ids()) parser.Feed(id, &events);
    {
      MutexLock lock(mu_);
      parsed_tokens_ += request.tokens().token_ids_size();
    }
    stream->Write(events);
  }
  return grpc::Status::OK;
}

grpc::Status FakeTokenizer::GetInfo(grpc::ServerContext*, const v1::GetInfoRequest*,
                                    v1::TokenizerInfo* info) {
  info->set_vocab_size(kEos + 1);
  info->set_has_chat_template(true);
  return grpc::Status::OK;
}

}  // namespace vallm::testing
