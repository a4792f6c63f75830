#include "tokenizer_service/parse_stream.h"

#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/grpc_status.h"
#include "common/status_macros.h"
#include "tokenizer_service/call_status.h"
#include "tokenizer_service/convert.h"
#include "tokenizer_service/output/output_parser.h"
#include "tokenizer_service/request_log.h"

namespace vallm::tokenizer {
namespace {

// Bytes of an answer that a parser may hold back: far above any tool call that is meant, far below
// what thousands of streams could not afford.
constexpr int64_t kMaxHeldBytes = int64_t{4} << 20;

// Reactions form one chain (read, write, read, ...), so no two of them run at once and the members
// need no lock. Cancellation needs no reaction of its own: it fails the operation in flight.
class ParseStreamReactor final
    : public grpc::ServerBidiReactor<v1::ParseStreamRequest, v1::ParseEvents> {
 public:
  ParseStreamReactor(const Tokenizer& tokenizer, ServiceMetrics& metrics,
                     grpc::CallbackServerContext* context)
      : tokenizer_(tokenizer),
        metrics_(metrics),
        context_(*context),
        log_("ParseStream", TokenUse::kDecoded, *context, metrics) {
    metrics_.OnStreamBegin();
    StartRead(&request_);
  }

 private:
  void OnReadDone(bool ok) override {
    if (!ok) {
      End(context_.IsCancelled() ? GoneStatus()
                                 : absl::InvalidArgumentError("the stream ended before `finish`"));
      return;
    }
    response_.Clear();
    const absl::Status status = Handle();
    if (!status.ok()) {
      End(status);
    } else if (request_.has_open()) {
      StartRead(&request_);
    } else if (request_.has_finish()) {
      StartWriteAndFinish(&response_, grpc::WriteOptions(), grpc::Status::OK);
    } else {
      StartWrite(&response_);
    }
  }

  void OnWriteDone(bool ok) override {
    if (ok) {
      StartRead(&request_);
    } else {
      End(GoneStatus());
    }
  }

  void OnDone() override {
    log_.Write(status_, token_count_);
    metrics_.OnStreamEnd();
    delete this;
  }

  // Takes one message in and puts its answer in response_.
  absl::Status Handle() {
    switch (request_.step_case()) {
      case v1::ParseStreamRequest::kOpen:
        return Open(request_.open());
      case v1::ParseStreamRequest::kTokens:
        return Feed(TokenIdsOf(request_.tokens()));
      case v1::ParseStreamRequest::kFinish:
        return Finish(request_.finish().finish_reason());
      case v1::ParseStreamRequest::STEP_NOT_SET:
        break;
    }
    return absl::InvalidArgumentError("step: one of open, tokens and finish is needed");
  }

  absl::Status Open(const v1::ParseOptions& options) {
    if (parser_ != nullptr) return absl::InvalidArgumentError("open: was sent before");
    VALLM_ASSIGN_OR_RETURN(OutputOptions output_options, OutputOptionsFromProto(options));
    VALLM_ASSIGN_OR_RETURN(parser_, OutputParser::Create(&tokenizer_, std::move(output_options)));
    return absl::OkStatus();
  }

  absl::Status Feed(std::span<const int32_t> ids) {
    if (parser_ == nullptr) return absl::InvalidArgumentError("tokens: `open` must come first");
    token_count_ += static_cast<int64_t>(ids.size());
    std::vector<Event> events;
    parser_->FeedTokens(ids, &events);
    if (parser_->held_bytes() > kMaxHeldBytes) {
      return absl::ResourceExhaustedError(
          absl::StrCat("tokens: ", parser_->held_bytes(),
                       " bytes of the answer wait for the end of a tool call or a line; limit is ",
                       kMaxHeldBytes));
    }
    AppendEvents(events, parser_->reasoning_token_count(), &response_);
    return absl::OkStatus();
  }

  absl::Status Finish(const std::string& reason) {
    if (parser_ == nullptr) return absl::InvalidArgumentError("finish: `open` must come first");
    VALLM_RETURN_IF_ERROR(CheckFinishReason(reason, "finish.finish_reason"));
    std::vector<Event> events;
    parser_->Finish(reason, &events);
    AppendEvents(events, parser_->reasoning_token_count(), &response_);
    return absl::OkStatus();
  }

  absl::Status GoneStatus() const {
    // A write can fail before the context knows why.
    const absl::Status gone = CheckWanted(context_);
    return gone.ok() ? absl::CancelledError("the client is gone") : gone;
  }

  void End(const absl::Status& status) {
    status_ = status;
    ServerBidiReactor::Finish(ToGrpc(status));
  }

  const Tokenizer& tokenizer_;
  ServiceMetrics& metrics_;
  const grpc::CallbackServerContext& context_;
  const RequestLog log_;
  std::unique_ptr<OutputParser> parser_;  // null until `open`
  v1::ParseStreamRequest request_;        // of the read in flight
  v1::ParseEvents response_;              // of the write in flight
  absl::Status status_;
  int64_t token_count_ = 0;
};

}  // namespace

grpc::ServerBidiReactor<v1::ParseStreamRequest, v1::ParseEvents>* ServeParseStream(
    const Tokenizer& tokenizer, ServiceMetrics& metrics, grpc::CallbackServerContext* context) {
  return new ParseStreamReactor(tokenizer, metrics, context);
}

}  // namespace vallm::tokenizer
