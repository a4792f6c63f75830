#include "tools/bench/bench_run.h"

#include <time.h>

#include <algorithm>
#include <cstddef>
#include <memory>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "tools/bench/answer_stream.h"

namespace vallm::tools {
namespace {

double ProcessCpuSeconds() {
  timespec time = {};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

class Recorder final : public LoadHandler {
 public:
  Recorder(const BenchTarget& target, const std::vector<BenchPrompt>& prompts,
           const BenchTraffic& traffic, const tokenizer::Tokenizer* tokenizer,
           const std::function<void(const BenchProgress&)>& progress, const std::atomic<bool>& stop)
      : target_(target),
        prompts_(prompts),
        traffic_(traffic),
        tokenizer_(tokenizer),
        progress_(progress),
        stop_(stop),
        requests_(prompts.size()) {
    outcome_.records.resize(prompts.size());
    state_.requests = static_cast<int64_t>(prompts.size());
  }

  HttpCall MakeCall(int index) override {
    return {.path = target_.server.path + target_.path,
            .headers = target_.headers,
            .body = RequestBody(target_.request, prompts_[static_cast<size_t>(index)])};
  }

  void OnSent(int index, double now) override {
    RequestRecord& record = RecordOf(index);
    record.due_s = traffic_.schedule.due_s[static_cast<size_t>(index)];
    record.sent_s = now;
    record.since_s = traffic_.latency_from_due ? record.due_s : now;
    record.prompt_tokens = prompts_[static_cast<size_t>(index)].tokens;
    requests_[static_cast<size_t>(index)] = std::make_unique<Request>();
    ++state_.running;
  }

  void OnHead(int index, int status, const std::string& content_type) override {
    requests_[static_cast<size_t>(index)]->status = status;
  }

  void OnBody(int index, std::string_view bytes, double now) override {
    Request& request = *requests_[static_cast<size_t>(index)];
    if (request.status != 200) {
      request.refusal.append(bytes);
      return;
    }
    const int64_t before = request.answer.chunks();
    request.answer.Feed(bytes, now);
    state_.chunks += request.answer.chunks() - before;
  }

  void OnEnd(int index, const absl::Status& status, double now) override {
    std::unique_ptr<Request>& request = requests_[static_cast<size_t>(index)];
    RequestRecord& record = RecordOf(index);
    ++state_.ended;
    outcome_.duration_s = now;
    if (request == nullptr) {  // never sent
      record.cancelled = absl::IsCancelled(status);
      record.error = std::string(status.message());
      return;
    }
    --state_.running;
    Judge(*request, status, &record);
    if (!record.success && !record.cancelled) ++state_.failed;
    request.reset();
  }

  bool OnTick(double now) override {
    constexpr double kEvery = 0.1;
    if (progress_ != nullptr && (now - shown_s_ >= kEvery || state_.ended == state_.requests)) {
      shown_s_ = now;
      state_.elapsed_s = now;
      progress_(state_);
    }
    outcome_.interrupted = stop_ && state_.ended < state_.requests;
    return !outcome_.interrupted;
  }

  BenchOutcome Take() { return std::move(outcome_); }

 private:
  struct Request {
    int status = 0;
    AnswerStream answer;
    std::string refusal;  // the body of an answer that is not 200
  };

  RequestRecord& RecordOf(int index) { return outcome_.records[static_cast<size_t>(index)]; }

  void Judge(const Request& request, const absl::Status& status, RequestRecord* record) {
    const AnswerStream& answer = request.answer;
    record->cancelled = absl::IsCancelled(status);
    if (!status.ok()) {
      record->error = std::string(status.message());
    } else if (request.status != 200) {
      record->error = absl::StrCat("status ", request.status, ": ", ErrorMessage(request.refusal));
    } else if (!answer.error().empty()) {
      record->error = answer.error();
    } else if (answer.chunks() == 0) {
      record->error = "the answer has no chunk with choices: is it a stream?";
    } else {
      record->success = true;
    }
    if (!record->success) return;
    record->ttft_s = answer.first_chunk_s() - record->since_s;
    record->latency_s = answer.last_chunk_s() - record->since_s;
    record->itls_s = answer.gaps_s();
    record->server_prompt_tokens = answer.prompt_tokens();
    record->output_tokens = answer.completion_tokens();
    record->text = answer.text();
    if (record->output_tokens < 0) record->output_tokens = answer.chunks();
    if (answer.completion_tokens() < 0 && tokenizer_ != nullptr) {
      const auto ids = tokenizer_->Encode(answer.text());
      if (ids.ok()) record->output_tokens = static_cast<int64_t>(ids->size());
    }
  }

  const BenchTarget& target_;
  const std::vector<BenchPrompt>& prompts_;
  const BenchTraffic& traffic_;
  const tokenizer::Tokenizer* const tokenizer_;
  const std::function<void(const BenchProgress&)>& progress_;
  const std::atomic<bool>& stop_;
  std::vector<std::unique_ptr<Request>> requests_;
  BenchOutcome outcome_;
  BenchProgress state_;
  double shown_s_ = -1;
};

}  // namespace

absl::StatusOr<BenchOutcome> RunBench(const BenchTarget& target,
                                      const std::vector<BenchPrompt>& prompts,
                                      const BenchTraffic& traffic,
                                      const tokenizer::Tokenizer* tokenizer,
                                      const std::function<void(const BenchProgress&)>& progress,
                                      const std::atomic<bool>& stop) {
  Recorder recorder(target, prompts, traffic, tokenizer, progress, stop);
  const double cpu_before = ProcessCpuSeconds();
  VALLM_RETURN_IF_ERROR(RunLoad(target.server, target.tls, traffic.schedule, recorder));
  BenchOutcome outcome = recorder.Take();
  outcome.client_cpu_s = ProcessCpuSeconds() - cpu_before;
  return outcome;
}

}  // namespace vallm::tools
