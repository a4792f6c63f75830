// What lies where in the memory that an engine shares with its workers. docs/step-ring.md is the
// description; this file is the arithmetic.
//
// The engine creates it, each worker attaches to it. Who writes what is said at every field; that,
// and the order that the counters give, is all the synchronisation there is.
#ifndef VALLM_ENGINE_SERVICE_EXECUTOR_GROUP_MEMORY_H_
#define VALLM_ENGINE_SERVICE_EXECUTOR_GROUP_MEMORY_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine_service/executor/shared_counter.h"
#include "engine_service/executor/shared_memory.h"
#include "engine_service/executor/spin.h"
#include "engine_service/model/step.h"

namespace vallm::engine {

// Everything the sizes depend on.
struct GroupShape {
  int32_t ranks = 1;
  int32_t max_tokens = 0;      // of one step
  int32_t max_chunks = 0;      // of one step
  int32_t max_block_ids = 0;   // of one step, all block tables together
  int32_t max_logit_rows = 0;  // of one step
  int32_t vocab_size = 0;      // columns of the logits

  bool operator==(const GroupShape&) const = default;
};

inline constexpr uint32_t kRingSlots = 2;
// Floats that one rank hands to an all-reduce at a time; longer data goes in pieces.
inline constexpr int64_t kExchangeFloats = 32 * 1024;

// Where a worker is. Rises; the values are those of RankArea::phase.
enum class WorkerPhase : uint32_t {
  kStarting = 0,
  kLoading = 1,
  kReady = 2,   // takes steps
  kFailed = 3,  // gave up; RankArea::SetError was called before
};

// One per rank, written by that rank's worker alone.
struct RankArea {
  SharedCounter phase;
  SharedCounter finished;  // steps done
  SharedCounter arrived;   // meetings of all-reduces it has come to
  std::atomic<int64_t> load_done_bytes;
  std::atomic<int64_t> load_total_bytes;
  int64_t piece_floats[2];  // size of the piece in each half of the exchange buffer
  int32_t error_code;       // absl::StatusCode; valid in phase kFailed
  char error_text[1024];    // NUL-terminated
  // What loading took, in microseconds; written before phase kReady.
  std::atomic<int64_t> open_us;
  std::atomic<int64_t> weights_us;
  std::atomic<int64_t> kv_cache_us;

  void SetError(const absl::Status& status);
  absl::Status error() const;
};

// The head of a ring slot, written by the engine.
struct SlotHead {
  int32_t token_count;
  int32_t chunk_count;
  int32_t block_id_count;
};

class GroupMemory {
 public:
  // REQUIRES (CHECKed): every number of `shape` is at least 1. Errors: RESOURCE_EXHAUSTED.
  static absl::StatusOr<std::unique_ptr<GroupMemory>> Create(const GroupShape& shape,
                                                             const SpinLimits& spin_limits = {});
  // Takes `fd` over. Errors: INVALID_ARGUMENT (not a group's memory, or of another version).
  static absl::StatusOr<std::unique_ptr<GroupMemory>> Attach(int fd);

  int fd() const { return memory_->fd(); }
  const GroupShape& shape() const;
  const SpinLimits& spin_limits() const;

  // Steps published, written by the engine.
  SharedCounter& published() const;
  const AbortFlag& aborted() const;
  // Ends every wait of the group, in all processes. Anyone may call; cannot be taken back.
  void Abort() const;

  RankArea& rank(int32_t rank) const;

  SlotHead& slot_head(uint32_t slot) const;
  std::span<int32_t> token_ids(uint32_t slot) const;     // [max_tokens]
  std::span<SequenceChunk> chunks(uint32_t slot) const;  // [max_chunks]
  std::span<int32_t> block_ids(uint32_t slot) const;     // [max_block_ids]
  // Row-major; rank r writes its columns.
  std::span<float> logits(uint32_t slot) const;  // [max_logit_rows, vocab_size]
  // What `rank` hands to an all-reduce, two halves used in turn.
  std::span<float> exchange(int32_t rank, uint32_t half) const;  // [kExchangeFloats]

 private:
  struct Header;
  struct Layout;
  GroupMemory(std::unique_ptr<SharedMemory> memory, const GroupShape& shape);

  template <typename T>
  T* At(int64_t offset) const;
  Header& header() const;

  std::unique_ptr<SharedMemory> memory_;
  std::unique_ptr<const Layout> layout_;

 public:
  ~GroupMemory();
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_EXECUTOR_GROUP_MEMORY_H_
