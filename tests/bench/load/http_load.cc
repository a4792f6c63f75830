#include "tests/bench/load/http_load.h"

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "tests/bench/load/frame_scanner.h"
#include "tools/load_client/load_run.h"

namespace vallm::bench {
namespace {

class Counter final : public tools::LoadHandler {
 public:
  Counter(const LoadPlan& plan, const HttpTarget& target, const std::vector<double>& due,
          const std::function<void()>& hold)
      : plan_(plan), target_(target), due_(due), hold_(hold), requests_(due.size()) {}

  tools::HttpCall MakeCall(int index) override {
    tools::HttpCall call = {.path = target_.path,
                            .headers = {{"X-Request-Id", target_.request_id(index)}},
                            .body = target_.body(index)};
    if (!target_.api_key.empty()) {
      call.headers.emplace_back("Authorization", absl::StrCat("Bearer ", target_.api_key));
    }
    return call;
  }
  void OnSent(int index, double now) override {
    At(index).since = plan_.rate > 0 ? due_[static_cast<size_t>(index)] : now;
    result_.most_at_once = std::max(result_.most_at_once, ++busy_);
  }
  void OnHead(int index, int status, const std::string& content_type) override {
    At(index).status = status;
    At(index).answer.Begin(absl::StartsWith(content_type, "text/event-stream"));
  }
  void OnBody(int index, std::string_view bytes, double now) override {
    Request& request = At(index);
    result_.bytes += static_cast<int64_t>(bytes.size());
    const bool had_frame = request.answer.frames() > 0;
    request.answer.Feed(bytes);
    if (!had_frame && request.answer.frames() > 0) ++with_frame_;
    if (!request.counted_text && request.answer.streamed() && request.answer.has_text()) {
      request.counted_text = true;
      result_.first_s.push_back(now - request.since);
      result_.first_s_of[index] = now - request.since;
    }
  }
  void OnEnd(int index, const absl::Status& status, double now) override {
    --busy_;
    if (absl::IsCancelled(status)) return;
    Request& request = At(index);
    request.answer.End();
    const std::string failure = Failure(request, status);
    if (failure.empty()) {
      ++result_.completed;
      result_.total_s.push_back(now - request.since);
      result_.tokens += request.answer.completion_tokens();
      result_.frames += request.answer.frames();
    } else {
      ++failed_;
      ++result_.failures[failure];
    }
    request.answer = {};
  }
  bool OnTick(double now) override {
    result_.seconds = now;
    if (hold_ == nullptr || with_frame_ + failed_ < plan_.requests) return true;
    hold_();
    return false;
  }

  LoadResult Take() { return std::move(result_); }

 private:
  struct Request {
    double since = 0;
    int status = 0;
    bool counted_text = false;
    FrameScanner answer;
  };

  Request& At(int index) { return requests_[static_cast<size_t>(index)]; }

  static std::string Failure(const Request& request, const absl::Status& status) {
    if (!status.ok()) return std::string(status.message());
    if (request.status != 200) return absl::StrCat("status ", request.status);
    if (request.answer.saw_error()) return "error in the stream";
    if (request.answer.streamed() && !request.answer.saw_done()) return "stream without [DONE]";
    return "";
  }

  const LoadPlan& plan_;
  const HttpTarget& target_;
  const std::vector<double>& due_;
  const std::function<void()>& hold_;
  std::vector<Request> requests_;
  LoadResult result_;
  int busy_ = 0;
  int failed_ = 0;
  int with_frame_ = 0;
};

}  // namespace

absl::StatusOr<LoadResult> RunHttpLoad(const LoadPlan& plan, const HttpTarget& target,
                                       const std::function<void()>& hold) {
  VALLM_ASSIGN_OR_RETURN(
      const tools::ServerAddress server,
      tools::ResolveServer(absl::StrCat("http://", target.host, ":", target.port)));
  const std::vector<double> due = DueTimes(plan);
  Counter counter(plan, target, due, hold);
  VALLM_RETURN_IF_ERROR(
      tools::RunLoad(server, {}, {.due_s = due, .concurrency = plan.concurrency}, counter));
  return counter.Take();
}

}  // namespace vallm::bench
