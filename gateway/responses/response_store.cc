#include "gateway/responses/response_store.h"

#include <utility>

namespace vallm::gateway {
namespace {

// What the containers take for a response and for an item, roughly, beside the texts.
constexpr int64_t kEntryBytes = 512;
constexpr int64_t kItemBytes = 192;

int64_t BytesOf(const std::string& owner, const StoredResponse& response) {
  size_t text = owner.size() + response.id.size() + response.body.size();
  for (const auto* items : {&response.input, &response.output}) {
    for (const ResponseItem& item : *items) text += item.id.size() + item.json.size();
  }
  const auto items = static_cast<int64_t>(response.input.size() + response.output.size());
  return static_cast<int64_t>(text) + kEntryBytes + items * kItemBytes;
}

}  // namespace

void ResponseStore::Put(const std::string& owner, StoredResponse response) {
  const int64_t bytes = BytesOf(owner, response);
  if (!enabled() || bytes > max_bytes_) return;
  MutexLock lock(mu_);
  if (const auto old = by_id_.find(response.id); old != by_id_.end()) RemoveLocked(old->second);
  const auto kept = std::make_shared<const StoredResponse>(std::move(response));
  entries_.push_front({.owner = owner, .response = kept, .bytes = bytes});
  by_id_[kept->id] = entries_.begin();
  for (const ResponseItem& item : kept->output) response_of_item_[item.id] = kept->id;
  bytes_ += bytes;
  while (bytes_ > max_bytes_ || static_cast<int64_t>(entries_.size()) > max_responses_) {
    RemoveLocked(std::prev(entries_.end()));
  }
}

std::shared_ptr<const StoredResponse> ResponseStore::Get(const std::string& owner,
                                                         const std::string& id) {
  MutexLock lock(mu_);
  const auto entry = UseLocked(owner, id);
  return entry == entries_.end() ? nullptr : entry->response;
}

bool ResponseStore::Erase(const std::string& owner, const std::string& id) {
  MutexLock lock(mu_);
  const auto entry = UseLocked(owner, id);
  if (entry == entries_.end()) return false;
  RemoveLocked(entry);
  return true;
}

std::optional<ResponseItem> ResponseStore::FindItem(const std::string& owner,
                                                    const std::string& item_id) {
  MutexLock lock(mu_);
  const auto response = response_of_item_.find(item_id);
  if (response == response_of_item_.end()) return std::nullopt;
  const auto entry = UseLocked(owner, response->second);
  if (entry == entries_.end()) return std::nullopt;
  for (const ResponseItem& item : entry->response->output) {
    if (item.id == item_id) return item;
  }
  return std::nullopt;
}

int64_t ResponseStore::bytes() const {
  MutexLock lock(mu_);
  return bytes_;
}

ResponseStore::Entries::iterator ResponseStore::UseLocked(const std::string& owner,
                                                          const std::string& id) {
  const auto found = by_id_.find(id);
  if (found == by_id_.end() || found->second->owner != owner) return entries_.end();
  entries_.splice(entries_.begin(), entries_, found->second);
  return found->second;
}

void ResponseStore::RemoveLocked(Entries::iterator entry) {
  for (const ResponseItem& item : entry->response->output) response_of_item_.erase(item.id);
  bytes_ -= entry->bytes;
  by_id_.erase(entry->response->id);
  entries_.erase(entry);
}

}  // namespace vallm::gateway
