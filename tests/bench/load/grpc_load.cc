#include "tests/bench/load/grpc_load.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/mutex.h"

namespace vallm::bench {
namespace {

using Clock = std::chrono::steady_clock;

class GrpcLoad {
 public:
  GrpcLoad(const LoadPlan& plan, const std::string& address,
           const std::function<v1::GenerateRequest(int)>& request)
      : plan_(plan),
        request_(request),
        stub_(
            v1::Engine::NewStub(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()))) {
  }

  LoadResult Run() {
    const std::vector<double> due = DueTimes(plan_);
    start_ = Clock::now();
    for (int i = 0; i < plan_.requests; ++i) {
      std::this_thread::sleep_until(
          start_ + std::chrono::duration_cast<Clock::duration>(
                       std::chrono::duration<double>(due[static_cast<size_t>(i)])));
      MutexLock lock(mu_);
      while (running_ >= plan_.concurrency) changed_.Wait(mu_);
      result_.most_at_once = std::max(result_.most_at_once, ++running_);
      const double since = plan_.rate > 0 ? due[static_cast<size_t>(i)] : Now();
      (new Call(this, i, request_(i), since))->Begin();
    }
    MutexLock lock(mu_);
    while (running_ > 0) changed_.Wait(mu_);
    result_.seconds = Now();
    return std::move(result_);
  }

 private:
  // Deletes itself when it is done.
  class Call final : public grpc::ClientReadReactor<v1::GenerateChunk> {
   public:
    Call(GrpcLoad* load, int index, v1::GenerateRequest request, double since)
        : load_(load), index_(index), request_(std::move(request)), since_(since) {}

    void Begin() {
      load_->stub_->async()->GenerateStream(&context_, &request_, this);
      StartRead(&chunk_);
      StartCall();
    }

    void OnReadDone(bool ok) override {
      if (!ok) return;
      if (frames_ == 0) first_ = load_->Now() - since_;
      ++frames_;
      tokens_ += chunk_.token_ids_size();
      bytes_ += static_cast<int64_t>(chunk_.ByteSizeLong());
      StartRead(&chunk_);
    }

    void OnDone(const grpc::Status& status) override {
      load_->Finish(*this, status);
      delete this;
    }

   private:
    friend class GrpcLoad;
    GrpcLoad* const load_;
    const int index_;
    const v1::GenerateRequest request_;
    const double since_;
    grpc::ClientContext context_;
    v1::GenerateChunk chunk_;
    double first_ = 0;
    int64_t frames_ = 0;
    int64_t tokens_ = 0;
    int64_t bytes_ = 0;
  };

  double Now() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

  void Finish(const Call& call, const grpc::Status& status) {
    const MutexLock lock(mu_);
    if (status.ok()) {
      ++result_.completed;
      result_.first_s.push_back(call.first_);
      result_.first_s_of[call.index_] = call.first_;
      result_.total_s.push_back(Now() - call.since_);
      result_.tokens += call.tokens_;
      result_.frames += call.frames_;
      result_.bytes += call.bytes_;
    } else {
      ++result_.failures[absl::StrCat(status.error_code(), ": ", status.error_message())];
    }
    --running_;
    changed_.NotifyAll();
  }

  const LoadPlan plan_;
  const std::function<v1::GenerateRequest(int)> request_;
  const std::unique_ptr<v1::Engine::Stub> stub_;
  Clock::time_point start_;
  Mutex mu_;
  CondVar changed_;
  int running_ ABSL_GUARDED_BY(mu_) = 0;
  LoadResult result_ ABSL_GUARDED_BY(mu_);
};

}  // namespace

LoadResult RunGrpcLoad(const LoadPlan& plan, const std::string& address,
                       const std::function<v1::GenerateRequest(int)>& request) {
  return GrpcLoad(plan, address, request).Run();
}

}  // namespace vallm::bench
