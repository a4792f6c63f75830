// The two-way table between token ids and the bytes they stand for.
#ifndef VALLM_TOKENIZER_SERVICE_BPE_VOCAB_H_
#define VALLM_TOKENIZER_SERVICE_BPE_VOCAB_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vallm::tokenizer {

// Immutable, thread-safe.
class Vocab {
 public:
  struct Entry {
    int32_t id;
    std::string bytes;
  };

  // REQUIRES: ids are unique and not negative. Of two entries with the same bytes, Find() gives the
  // one listed first.
  explicit Vocab(const std::vector<Entry>& entries);

  // The id whose bytes are exactly `bytes`.
  std::optional<int32_t> Find(std::string_view bytes) const;

  // The bytes of `id`; empty if there is no such id. Lives as long as *this.
  std::string_view Bytes(int32_t id) const;

  // The highest id plus one.
  int32_t size() const { return static_cast<int32_t>(offsets_.size()) - 1; }

 private:
  struct Slot {
    uint32_t hash;
    int32_t id;  // kEmpty if the slot is free
  };
  static constexpr int32_t kEmpty = -1;

  // Bytes() without the range check.
  std::string_view Stored(int32_t id) const;
  void Insert(std::string_view bytes, int32_t id);

  std::string arena_;              // the bytes of all tokens, by id
  std::vector<uint32_t> offsets_;  // [size() + 1] where each id's bytes begin in arena_
  std::vector<Slot> slots_;        // open addressing, linear probing, at most half full
  size_t slot_mask_ = 0;
  size_t max_length_ = 0;
};

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_BPE_VOCAB_H_
