#include "gateway/access/key_ring.h"

#include <map>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/status_macros.h"

namespace vallm::gateway {
namespace {

absl::StatusOr<std::vector<ApiKey>> FlagKeys(const KeyRingOptions& options) {
  std::vector<ApiKey> keys;
  for (const std::string& text : options.keys) {
    if (!IsFitKey(text)) {
      return absl::InvalidArgumentError(absl::StrCat(
          options.keys_flag, " must be printable ASCII without spaces, and not empty"));
    }
    ApiKey key;
    key.name = absl::StrCat("flag#", keys.size() + 1);  // no key of a file can be called so
    key.hash = HashKey(text, NewSalt());
    keys.push_back(std::move(key));
  }
  return keys;
}

}  // namespace

absl::StatusOr<std::unique_ptr<KeyRing>> KeyRing::Create(KeyRingOptions options) {
  VALLM_ASSIGN_OR_RETURN(std::vector<ApiKey> flag_keys, FlagKeys(options));
  for (std::string& key : options.keys) WipeKey(key);
  auto ring = std::unique_ptr<KeyRing>(new KeyRing(std::move(options), std::move(flag_keys)));
  const std::string& file = ring->options_.file;
  if (!file.empty()) {
    // Watched before it is read: no change goes unseen.
    ring->watcher_ = std::make_unique<FileWatcher>(
        std::vector<std::string>{file}, ring->options_.reload_interval,
        [ring = ring.get()] { ring->options_.on_reload(ring->Load()); });
  }
  VALLM_RETURN_IF_ERROR(ring->Load());
  return ring;
}

KeyRing::KeyRing(KeyRingOptions options, std::vector<ApiKey> flag_keys)
    : options_(std::move(options)),
      required_(!flag_keys.empty() || !options_.file.empty()),
      flag_keys_(std::move(flag_keys)),
      keys_(std::make_shared<Keys>()) {}

std::shared_ptr<const KeyRing::Keys> KeyRing::keys() const {
  MutexLock lock(mu_);
  return keys_;
}

absl::Status KeyRing::Load() {
  std::vector<ApiKey> configured = flag_keys_;
  if (!options_.file.empty()) {
    VALLM_ASSIGN_OR_RETURN(const std::string text, ReadFile(options_.file_flag, options_.file));
    absl::StatusOr<std::vector<ApiKey>> file_keys = ParseKeyFile(text);
    if (!file_keys.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(options_.file_flag, ": ", options_.file, ": ",
                                                     file_keys.status().message()));
    }
    for (ApiKey& key : *file_keys) configured.push_back(std::move(key));
  }
  const absl::Time now = absl::Now();
  MutexLock lock(mu_);
  std::map<std::string, std::shared_ptr<KeyMeter>> meters;
  for (const auto& old : *keys_) meters[old->key.name] = old->meter;
  auto keys = std::make_shared<Keys>();
  for (ApiKey& key : configured) {
    std::shared_ptr<KeyMeter>& meter = meters[key.name];
    if (meter == nullptr) {
      meter = std::make_shared<KeyMeter>(key.limits);
    } else {
      meter->SetLimits(key.limits, now);
    }
    keys->push_back(std::make_shared<const RingKey>(RingKey{std::move(key), meter}));
  }
  keys_ = std::move(keys);
  return absl::OkStatus();
}

std::shared_ptr<const RingKey> KeyRing::Find(std::string_view given) const {
  std::shared_ptr<const RingKey> found;
  const std::shared_ptr<const Keys> ring = keys();
  for (const auto& candidate : *ring) {
    const KeyHash hash = HashKey(given, candidate->key.hash.salt);
    if (DigestsEqual(hash.digest, candidate->key.hash.digest)) found = candidate;
  }
  return found;
}

}  // namespace vallm::gateway
