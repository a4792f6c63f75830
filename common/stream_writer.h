// The server side of an RPC that streams to the client, once for all services: one write in flight,
// the rest parked, Finish exactly once.
//
// Derive, call Send() and Finish() from any thread, and drop every reference to the object when
// OnCancelled() or OnEnd() says so. The object deletes itself after OnEnd().
#ifndef VALLM_COMMON_STREAM_WRITER_H_
#define VALLM_COMMON_STREAM_WRITER_H_

#include <grpcpp/support/server_callback.h>

#include <cstddef>
#include <deque>
#include <optional>
#include <utility>

#include "common/mutex.h"

namespace vallm {

// `Reactor` is gRPC's: for a bidirectional RPC derive with its ServerBidiReactor and read beside.
template <typename Message, typename Reactor = grpc::ServerWriteReactor<Message>>
class StreamWriter : public Reactor {
 public:
  // Messages are merged up to so many bytes; what comes then is a message of its own. 0: no bound.
  explicit StreamWriter(size_t max_merged_bytes = 0) : max_merged_bytes_(max_merged_bytes) {}

  // Sends `message`, or merges it into the one that waits behind the write in flight. Ignored after
  // Finish() or cancellation.
  void Send(Message message) {
    MutexLock lock(mu_);
    if (final_.has_value() || cancelled_) return;
    ParkLocked(std::move(message));
    if (!writing_) StartLocked();
  }

  // Keeps `message` back until Flush, the next Send, or the end of a write in flight; ignored when
  // Send would be. What belongs together leaves together that way.
  void Park(Message message) {
    MutexLock lock(mu_);
    if (!final_.has_value() && !cancelled_) ParkLocked(std::move(message));
  }
  // Sends what is parked, if nothing is in flight: it follows by itself then.
  void Flush() {
    MutexLock lock(mu_);
    if (!writing_ && !final_.has_value() && !parked_.empty()) StartLocked();
  }

  // Ends the stream with `status` after what is parked has been sent. Later calls are ignored.
  void Finish(grpc::Status status) {
    {
      MutexLock lock(mu_);
      if (final_.has_value()) return;
      final_ = std::move(status);
    }
    FinishIfIdle();
  }

  // Sends `last`, merged into what is parked, and ends the stream with `status`. Both leave
  // together, so that no deadline of the reader's passes in between.
  void FinishWith(Message last, grpc::Status status) {
    {
      MutexLock lock(mu_);
      if (final_.has_value()) return;
      if (!cancelled_) ParkLocked(std::move(last));
      final_ = std::move(status);
    }
    FinishIfIdle();
  }

  bool cancelled() const {
    MutexLock lock(mu_);
    return cancelled_;
  }

  // How many messages wait for the write in flight.
  size_t parked_count() const {
    MutexLock lock(mu_);
    return parked_.size();
  }

 protected:
  // Folds `next` into `parked`, which was not sent yet: the reader is slower than the writer. Must
  // keep the message bounded by what the stream as a whole can hold.
  virtual void Merge(Message& parked, Message next) = 0;
  // A write has ended.
  virtual void OnSent() {}
  // The client is gone or cancelled. Called at most once, from a gRPC thread; must not block.
  virtual void OnCancelled() {}
  // The stream has ended and the object is about to be deleted.
  virtual void OnEnd() {}

 private:
  void OnWriteDone(bool ok) final {
    Written(ok);
    OnSent();
    FinishIfIdle();
  }

  void Written(bool ok) {
    MutexLock lock(mu_);
    writing_ = false;
    if (!ok) parked_.clear();
    if (!parked_.empty() && !final_.has_value()) StartLocked();
  }

  void OnCancel() final {
    {
      MutexLock lock(mu_);
      cancelled_ = true;
      parked_.clear();
      if (!final_.has_value()) final_ = grpc::Status::CANCELLED;
    }
    OnCancelled();
    FinishIfIdle();
  }

  void OnDone() final {
    OnEnd();
    delete this;
  }

  void ParkLocked(Message message) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    const size_t bytes = max_merged_bytes_ > 0 ? message.ByteSizeLong() : 0;
    if (!parked_.empty() && parked_.back().bytes + bytes <= max_merged_bytes_) {
      Merge(parked_.back().message, std::move(message));
      parked_.back().bytes += bytes;
    } else {
      parked_.push_back({std::move(message), bytes});
    }
  }

  // REQUIRES: something is parked and nothing in flight.
  void StartLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    TakeLocked();
    writing_ = true;
    this->StartWrite(&in_flight_);
  }

  void TakeLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    in_flight_ = std::move(parked_.front().message);
    parked_.pop_front();
  }

  // Finishes outside the lock: gRPC may run OnDone, which deletes this, before Finish returns.
  void FinishIfIdle() {
    grpc::Status status;
    bool has_last = false;
    {
      MutexLock lock(mu_);
      if (!final_.has_value() || writing_ || finished_) return;
      if (parked_.size() > 1) return StartLocked();
      finished_ = true;
      status = *final_;
      has_last = !parked_.empty();
      if (has_last) TakeLocked();
    }
    if (has_last) {
      this->StartWriteAndFinish(&in_flight_, grpc::WriteOptions(), std::move(status));
    } else {
      Reactor::Finish(std::move(status));
    }
  }

  struct Parked {
    Message message;
    size_t bytes;
  };

  const size_t max_merged_bytes_;
  mutable Mutex mu_;
  Message in_flight_;  // owned by gRPC while writing_, and once finished_
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  std::deque<Parked> parked_ ABSL_GUARDED_BY(mu_);
  std::optional<grpc::Status> final_ ABSL_GUARDED_BY(mu_);
  bool finished_ ABSL_GUARDED_BY(mu_) = false;
  bool cancelled_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace vallm

#endif  // VALLM_COMMON_STREAM_WRITER_H_
