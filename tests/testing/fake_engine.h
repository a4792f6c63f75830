// An in-process engine service for tests of its clients: plays a script instead of a model.
// Thread-safe.
#ifndef VALLM_TESTS_TESTING_FAKE_ENGINE_H_
#define VALLM_TESTS_TESTING_FAKE_ENGINE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/grpc_server.h"
#include "common/mutex.h"
#include "vallm/v1/engine.grpc.pb.h"

namespace vallm::testing {

// What becomes of one request. It goes on behind the request's resume_token_ids.
struct EngineScript {
  std::vector<int32_t> tokens;  // cut to max_tokens, which makes the reason LENGTH
  int tokens_per_chunk = 1;
  absl::Duration delay = absl::ZeroDuration();  // before each chunk
  int hang_after = -1;  // chunks after which it waits to be cancelled; -1: never
  int fail_after = -1;  // chunks after which it ends with `status`; -1: never
  grpc::Status status = grpc::Status::OK;
  // How long after it has failed the id of a run is still taken.
  absl::Duration taken_for = absl::ZeroDuration();
  int fail_times = -1;   // calls that hang or fail; later ones do not; -1: all
  bool refuses = false;  // failing is a refusal
  // The token at whose place every call ends with `status`, resumed or not; -1: none.
  int dies_at_token = -1;
  v1::FinishReason finish_reason = v1::FINISH_REASON_STOP;
  std::optional<int32_t> stop_token_id = std::nullopt;
  int cached_tokens = 0;
};

class FakeEngine final : public v1::Engine::Service {
 public:
  explicit FakeEngine(int max_batch_size = 4, int max_model_len = 4096, const TlsFiles& tls = {});
  ~FakeEngine() override;

  int port() const { return server_->port(); }
  std::string address() const { return "127.0.0.1:" + std::to_string(port()); }

  void SetScript(EngineScript script);
  // The state that WatchLoad reports. Other than SERVING, requests get UNAVAILABLE.
  void SetState(v1::InstanceState state);

  // Whether it is of a time before GenerateMany.
  void SetIsOld(bool is_old);

  // What GetModelInfo says from now on.
  void SetFingerprint(const std::string& fingerprint);

  std::vector<v1::GenerateRequest> requests() const;
  // What came beside the last of them.
  using Metadata = std::map<std::string, std::string>;
  Metadata last_metadata() const;
  int running() const;
  int cancelled_count() const;
  // Waits until `count` requests have been cancelled by the client; false after `timeout`.
  bool WaitForCancelled(int count, absl::Duration timeout) const;
  // Waits until `count` requests run at once; false after `timeout`.
  bool WaitForRunning(int count, absl::Duration timeout) const;
  // Chunks that were written so far.
  int64_t written_chunks() const;

 private:
  // Who asked, on a stream of its own or on one for many.
  class Caller;
  class StreamCaller;
  class ManyCaller;

  grpc::Status GenerateStream(grpc::ServerContext* context, const v1::GenerateRequest* request,
                              grpc::ServerWriter<v1::GenerateChunk>* writer) override;
  grpc::Status GenerateMany(
      grpc::ServerContext* context,
      grpc::ServerReaderWriter<v1::GenerateEvents, v1::GenerateCommand>* stream) override;
  grpc::Status GetModelInfo(grpc::ServerContext* context, const v1::GetModelInfoRequest* request,
                            v1::ModelInfo* info) override;
  grpc::Status WatchLoad(grpc::ServerContext* context, const v1::WatchLoadRequest* request,
                         grpc::ServerWriter<v1::Load>* writer) override;

  // From the request's arrival to its end.
  grpc::Status Serve(const v1::GenerateRequest& request, Metadata metadata, Caller& caller);
  grpc::Status Play(const EngineScript& script, const v1::GenerateRequest& request, Caller& caller);
  static void AddLogprobs(int32_t token_id, const v1::GenerateRequest& request,
                          v1::GenerateChunk* chunk);
  // Sleeps in small steps; false once cancelled.
  static bool SleepUnlessCancelled(Caller& caller, absl::Duration duration);

  const int max_batch_size_;
  const int max_model_len_;
  mutable Mutex mu_;
  mutable CondVar changed_;
  EngineScript script_ ABSL_GUARDED_BY(mu_);
  bool is_old_ ABSL_GUARDED_BY(mu_) = false;
  std::map<std::string, absl::Time> taken_ ABSL_GUARDED_BY(mu_);  // until when, by request id
  std::string fingerprint_ ABSL_GUARDED_BY(mu_) = "f00d";
  v1::InstanceState state_ ABSL_GUARDED_BY(mu_) = v1::INSTANCE_STATE_SERVING;
  std::vector<v1::GenerateRequest> requests_ ABSL_GUARDED_BY(mu_);
  Metadata metadata_ ABSL_GUARDED_BY(mu_);
  int running_ ABSL_GUARDED_BY(mu_) = 0;
  int cancelled_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t written_chunks_ ABSL_GUARDED_BY(mu_) = 0;
  std::unique_ptr<GrpcServer> server_;
};

}  // namespace vallm::testing

#endif  // VALLM_TESTS_TESTING_FAKE_ENGINE_H_
