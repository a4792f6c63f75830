// The API keys of one port: those of flags and those of a file, which is read again when it
// changes. Thread-safe.
//
// A key's meter outlives a change of the file as long as the key keeps its name.
#ifndef VALLM_GATEWAY_ACCESS_KEY_RING_H_
#define VALLM_GATEWAY_ACCESS_KEY_RING_H_

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/file_watcher.h"
#include "common/mutex.h"
#include "gateway/access/api_key.h"

namespace vallm::gateway {

struct KeyRingOptions {
  std::vector<std::string> keys = {};  // as text: wipe them once the ring is made
  std::string file = {};               // empty: none
  // What errors call the two, e.g. "--api-key".
  std::string keys_flag = {};
  std::string file_flag = {};
  absl::Duration reload_interval = absl::Seconds(1);
  // Told from the watching thread after the file has changed: how reading it went. The keys stay
  // as they were after an error.
  std::function<void(const absl::Status& status)> on_reload = [](const absl::Status&) {};
};

// A key in use. Constant, but for its meter.
struct RingKey {
  ApiKey key;
  std::shared_ptr<KeyMeter> meter;
};

class KeyRing {
 public:
  // Errors: those of the file and of a key that cannot be sent in a header.
  static absl::StatusOr<std::unique_ptr<KeyRing>> Create(KeyRingOptions options);

  // Whether a key is asked for at all. A file without keys lets nobody in.
  bool required() const { return required_; }

  // The key that `given` is, expired or not; null if it is none. Takes the same time whichever it
  // is, and about half a microsecond for each.
  std::shared_ptr<const RingKey> Find(std::string_view given) const;

 private:
  using Keys = std::vector<std::shared_ptr<const RingKey>>;

  KeyRing(KeyRingOptions options, std::vector<ApiKey> flag_keys);
  absl::Status Load();
  std::shared_ptr<const Keys> keys() const;

  const KeyRingOptions options_;  // without the texts
  const bool required_;
  const std::vector<ApiKey> flag_keys_;
  mutable Mutex mu_;
  std::shared_ptr<const Keys> keys_ ABSL_GUARDED_BY(mu_);
  std::unique_ptr<FileWatcher> watcher_;  // last: stops before the rest goes
};

// A request's use of a key: counts as one of its requests until destroyed.
class KeyLease {
 public:
  // The meter has let the request in.
  explicit KeyLease(std::shared_ptr<const RingKey> key) : key_(std::move(key)) {}
  ~KeyLease() { key_->meter->Leave(); }
  KeyLease(const KeyLease&) = delete;
  KeyLease& operator=(const KeyLease&) = delete;

  const ApiKey& key() const { return key_->key; }
  KeyMeter& meter() const { return *key_->meter; }

 private:
  const std::shared_ptr<const RingKey> key_;
};

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_ACCESS_KEY_RING_H_
