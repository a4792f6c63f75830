// The operations of the CPU device: how each is cut into tasks for the thread pool. The arithmetic
// is in the kernels. Contracts: device.h, with buffers as plain pointers.
#ifndef VALLM_ENGINE_SERVICE_DEVICE_CPU_CPU_OPS_H_
#define VALLM_ENGINE_SERVICE_DEVICE_CPU_CPU_OPS_H_

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine_service/device/cpu/kernels.h"
#include "engine_service/device/cpu/panels.h"
#include "engine_service/device/cpu/thread_pool.h"
#include "engine_service/device/cpu/tile_matrix.h"
#include "engine_service/device/device.h"

namespace vallm::engine {

// Cuts the tiles of a matrix into runs, one task each, of whole kTilesPerRun (but for the last) and
// of `most` tiles or, if that is less, kTilesPerRun at most: long ones first, as reading a stretch
// of memory takes a while to begin, and short ones last, so that no thread waits long for another
// (guided self-scheduling, Polychronopoulos and Kuck 1987).
class TileRuns {
 public:
  void Cut(int32_t tiles, int32_t threads, int32_t most) {
    begins_.assign(1, 0);
    for (int32_t begin = 0; begin < tiles; begins_.push_back(begin)) {
      const int32_t share = (tiles - begin) / (2 * threads);
      const int32_t run =
          std::max(kTilesPerRun, std::min(share / kTilesPerRun * kTilesPerRun, most));
      begin = std::min(begin + run, tiles);
    }
  }
  int64_t count() const { return static_cast<int64_t>(begins_.size()) - 1; }
  int32_t begin(int64_t run) const { return begins_[run]; }
  int32_t tiles(int64_t run) const { return begins_[run + 1] - begins_[run]; }
  int32_t longest() const { return tiles(0); }

 private:
  std::vector<int32_t> begins_;
};

// Memory that operations use and forget; grows to what the largest step needs and stays.
struct CpuScratch {
  explicit CpuScratch(int32_t thread_count) : threads(thread_count), partial(thread_count) {}

  TileRuns runs;
  PanelSet panels;
  PanelSet gated;                           // MoE: input of down
  std::vector<ScratchMemory> threads;       // for the kernels, per thread
  std::vector<float> spans;                 // attention: [span][row][PartialWidth]
  std::vector<int32_t> pair_order;          // MoE: pairs (row, choice) by expert
  std::vector<int32_t> pair_rows;           // MoE: the row of each pair, in that order
  std::vector<float> pair_weights;          // MoE: the weight of each pair, in that order
  std::vector<int32_t> expert_begin;        // MoE: first pair of each expert, and the end
  std::vector<float> gate_up;               // MoE: [pairs, 2 * inter]
  std::vector<std::vector<float>> partial;  // MoE: per thread [rows][groups][tile columns]
};

struct CpuContext {
  ThreadPool& pool;
  const Kernels& kernels;
  CpuScratch& scratch;
};

// Room for the kernels to work in, on every thread.
inline void ReserveKernelScratch(CpuContext& cpu, int64_t bytes) {
  for (ScratchMemory& memory : cpu.scratch.threads) memory.Reserve(bytes);
}

// A loop with fewer multiply-adds than this runs on one thread: about what waking others costs.
inline constexpr int64_t kParallelWork = 1 << 17;

// matmul.cc
void CpuMatMul(CpuContext& cpu, const float* x, int64_t rows, const TileMatrix& w, float* out);

// attention.cc. Cache layouts: K [block][kv_head][head_dim][16], V [block][kv_head][16][head_dim].
void CpuNormRopeHeads(CpuContext& cpu, float* qkv, int64_t rows, const HeadLayout& heads,
                      const float* q_weight, const float* k_weight, float eps,
                      const float* cos_sin);
void CpuStoreKv(CpuContext& cpu, const float* qkv, const HeadLayout& heads, KvType type,
                std::span<const int32_t> slots, std::byte* k_cache, std::byte* v_cache);
void CpuAttention(CpuContext& cpu, const float* qkv, const HeadLayout& heads, KvType type,
                  std::span<const AttentionChunk> chunks, std::span<const int32_t> block_ids,
                  const std::byte* k_cache, const std::byte* v_cache, float* out);
inline int64_t KvElementBytes(KvType type) {
  return type == KvType::kF32 ? 4 : type == KvType::kBf16 ? 2 : 1;
}

// moe.cc
struct TileExpert {
  TileMatrix gate_up;  // gate's features, then up's
  TileMatrix down;
};
void CpuMoeRoute(CpuContext& cpu, const float* logits, int64_t rows, int32_t experts, int32_t top_k,
                 bool normalize, int32_t* ids, float* weights);
void CpuMoeExperts(CpuContext& cpu, const float* x, int64_t rows, const int32_t* ids,
                   const float* weights, int32_t top_k, std::span<const TileExpert> experts,
                   float* out);

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_DEVICE_CPU_CPU_OPS_H_
