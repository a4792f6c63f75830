#include "gateway/generation/notice_queue.h"

#include <utility>

namespace vallm::gateway {

void NoticeQueue::Push(Notice notice) {
  MutexLock lock(mu_);
  if (!closed_) notices_.push_back(std::move(notice));
}

void NoticeQueue::Deliver() {
  mu_.Lock();
  // Whoever is at work already looks again when done.
  if (notices_.empty() || !waiting_ || deputised_) return mu_.Unlock();
  Verdict verdict = deputy_ == nullptr ? Verdict::kNotMine : Verdict::kDone;
  deputised_ = true;
  while (verdict == Verdict::kDone && waiting_ && !notices_.empty()) {
    std::vector<Notice> batch = std::exchange(notices_, {});
    // Nobody replaces the deputy meanwhile: the thread is in Take.
    const Deputy& deputy = deputy_;
    mu_.Unlock();
    verdict = deputy(batch);
    mu_.Lock();
    if (verdict != Verdict::kNotMine) continue;
    for (Notice& later : notices_) batch.push_back(std::move(later));
    notices_ = std::move(batch);
  }
  deputised_ = false;
  // The thread may have come to the end of its wait as well, and wait for the deputy.
  if (verdict != Verdict::kDone || !waiting_) arrived_.NotifyOne();
  mu_.Unlock();
}

void NoticeQueue::SetDeputy(Deputy deputy) {
  MutexLock lock(mu_);
  deputy_ = std::move(deputy);
}

void NoticeQueue::Wake() {
  MutexLock lock(mu_);
  woken_ = true;
  arrived_.NotifyOne();
}

bool NoticeQueue::WasWoken() {
  MutexLock lock(mu_);
  return std::exchange(woken_, false);
}

std::vector<Notice> NoticeQueue::Take(std::chrono::nanoseconds timeout) {
  MutexLock lock(mu_);
  if (notices_.empty() && !woken_) {
    waiting_ = true;
    arrived_.WaitFor(mu_, timeout);
    waiting_ = false;
    while (deputised_) arrived_.Wait(mu_);
  }
  return std::exchange(notices_, {});
}

void NoticeQueue::Close() {
  std::vector<Notice> dropped;  // destroyed without the lock: a lease settles the router's queue
  MutexLock lock(mu_);
  closed_ = true;
  dropped = std::exchange(notices_, {});
}

}  // namespace vallm::gateway
