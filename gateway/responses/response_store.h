// The responses that clients may come back to: read them, delete them, go on from them. In memory
// only, within bounds; what has not been used for longest goes first.
//
// A stored response is complete in itself: it has the whole conversation that it answered, so it
// does not matter what becomes of the responses before it. Whoever stores a response is its owner;
// to everybody else it does not exist. Thread-safe.
#ifndef VALLM_GATEWAY_RESPONSES_RESPONSE_STORE_H_
#define VALLM_GATEWAY_RESPONSES_RESPONSE_STORE_H_

#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/mutex.h"

namespace vallm::gateway {

// An item of a conversation: a message, a thought, a call or its result.
struct ResponseItem {
  std::string id;
  std::string json;  // the whole item, with the id
};

struct StoredResponse {
  std::string id;
  std::string body;                  // the response as JSON
  std::vector<ResponseItem> input;   // of this response and, before it, of those it goes on from
  std::vector<ResponseItem> output;  // what the model made
};

class ResponseStore {
 public:
  // With either limit 0 nothing is kept.
  ResponseStore(int64_t max_responses, int64_t max_bytes)
      : max_responses_(max_responses), max_bytes_(max_bytes) {}

  bool enabled() const { return max_responses_ > 0 && max_bytes_ > 0; }

  // One that is larger than the store is not kept.
  void Put(const std::string& owner, StoredResponse response);

  // Null when there is none, or it is somebody else's.
  std::shared_ptr<const StoredResponse> Get(const std::string& owner, const std::string& id);

  // False when there is none, or it is somebody else's.
  bool Erase(const std::string& owner, const std::string& id);

  // The item of that id that a response of the owner's has as its output.
  std::optional<ResponseItem> FindItem(const std::string& owner, const std::string& item_id);

  int64_t bytes() const;

 private:
  struct Entry {
    std::string owner;
    std::shared_ptr<const StoredResponse> response;
    int64_t bytes = 0;
  };
  using Entries = std::list<Entry>;

  // Finds an entry of the owner's and makes it the latest used.
  Entries::iterator UseLocked(const std::string& owner, const std::string& id)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void RemoveLocked(Entries::iterator entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const int64_t max_responses_;
  const int64_t max_bytes_;
  mutable Mutex mu_;
  Entries entries_ ABSL_GUARDED_BY(mu_);  // the latest used first
  std::unordered_map<std::string, Entries::iterator> by_id_ ABSL_GUARDED_BY(mu_);
  std::unordered_map<std::string, std::string> response_of_item_ ABSL_GUARDED_BY(mu_);
  int64_t bytes_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_RESPONSES_RESPONSE_STORE_H_
