// Which KV cache blocks are free and how many block tables each of the others is in. Ids only; the
// memory they stand for is the workers', what is in it is the prefix cache's business.
//
// A block is in one of three states:
//   free    nobody uses it and nobody wants its content
//   in use  in one block table or more: it has that many references
//   idle    in no block table, but kept because its content may be wanted again
// Allocate takes free blocks first, then idle ones, the one idle longest first.
//
// Every operation takes constant time. Pure; not thread-safe. Owned by KvManager.
#ifndef VALLM_ENGINE_SERVICE_SCHEDULER_KV_BLOCK_POOL_H_
#define VALLM_ENGINE_SERVICE_SCHEDULER_KV_BLOCK_POOL_H_

#include <cstdint>
#include <optional>
#include <vector>

namespace vallm::engine {

class KvBlockPool {
 public:
  struct Allocation {
    int32_t block;
    bool was_kept;  // it was idle: its content is lost now

    bool operator==(const Allocation&) const = default;
  };

  // Blocks 0 .. num_blocks - 1, all free. REQUIRES: num_blocks >= 0.
  explicit KvBlockPool(int32_t num_blocks);

  // A block with one reference, not kept; nothing when all are in use. Of the free ones the one
  // freed last comes first: its memory is the likeliest to be in a processor's cache.
  std::optional<Allocation> Allocate();
  // One reference more. REQUIRES (CHECKed): the block is in use or idle.
  void AddReference(int32_t block);
  // One reference less; without any, the block is idle if kept, else free.
  // REQUIRES (CHECKed): the block is in use.
  void Release(int32_t block);
  // Whether the block becomes idle and not free when its last reference goes. An idle block that is
  // not kept any more is free at once. REQUIRES (CHECKed): the block is not free.
  void SetKept(int32_t block, bool kept);

  int32_t num_blocks() const { return static_cast<int32_t>(blocks_.size()); }
  // What Allocate could hand out: free and idle blocks.
  int32_t num_available() const { return static_cast<int32_t>(free_.size()) + num_idle_; }
  int32_t num_idle() const { return num_idle_; }
  int32_t references(int32_t block) const { return At(block).references; }
  bool kept(int32_t block) const { return At(block).kept; }

 private:
  struct Block {
    int32_t references = 0;
    bool kept = false;
    int32_t older = kNone;  // neighbours in the list of idle blocks
    int32_t newer = kNone;
  };
  static constexpr int32_t kNone = -1;

  const Block& At(int32_t block) const;
  Block& At(int32_t block);
  void LinkIdle(int32_t block);
  void UnlinkIdle(int32_t block);

  std::vector<Block> blocks_;
  std::vector<int32_t> free_;  // a stack
  int32_t oldest_idle_ = kNone;
  int32_t newest_idle_ = kNone;
  int32_t num_idle_ = 0;
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_SCHEDULER_KV_BLOCK_POOL_H_
