// The operations the forward pass is written over, and the memory they work on: what a kind of
// accelerator has to provide to run a model. device/cpu implements it; nothing here is specific to
// a CPU, and every call maps to one C function (opaque handles, plain arrays, sizes): device/vacc
// is what a plug-in implements behind a C ABI.
//
// Conventions
//   * Activations are f32, row-major, tightly packed from the start of their buffer. `rows` counts
//     the leading dimension and may be smaller than what the buffer has room for.
//   * Spans are host memory and are read before the call returns.
//   * Operations of one device take effect in call order. They may run asynchronously; Download and
//     AllReduceSum wait for what they read.
//   * Output buffers may not alias input buffers unless the operation says "in place".
//   * REQUIRES are the caller's to keep; a device may crash on a breach. Sizes that come from files
//     are checked where memory is allocated or packed, and those calls return a Status.
//
// Exactness: the bits of an output row depend on that row's inputs alone, never on `rows`, on the
// other rows, or on the number of threads. docs/packed-weights.md fixes the order of every sum.
//
// Errors: operations return INTERNAL or UNAVAILABLE when the device itself fails; the device is
// unusable from then on. A CPU does not fail.
//
// One thread at a time uses a device. Buffers and weights must not outlive it.
#ifndef VALLM_ENGINE_SERVICE_DEVICE_DEVICE_H_
#define VALLM_ENGINE_SERVICE_DEVICE_DEVICE_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine_service/device/collective.h"
#include "engine_service/device/weight_slice.h"

namespace vallm::engine {

// Positions in one KV cache block: the page size of paged attention.
inline constexpr int32_t kKvBlockSize = 16;

// How keys and values are kept: rounded to bf16, as they were computed, or rounded to e4m3 (without
// a scale; beyond +-448, infinities included, it is +-448; NaN stays NaN).
enum class KvType { kBf16, kF32, kF8E4m3 };

// Device memory. Freed by its destructor.
class Buffer {
 public:
  virtual ~Buffer() = default;
  virtual int64_t size_bytes() const = 0;
};

// Weights of one matrix in the device's own layout. Freed by its destructor.
class PackedMatrix {
 public:
  virtual ~PackedMatrix() = default;
  virtual int64_t n() const = 0;  // output features
  virtual int64_t k() const = 0;  // input features
};

// Weights of all experts of one MoE layer in the device's own layout. Freed by its destructor.
class PackedExperts {
 public:
  virtual ~PackedExperts() = default;
};

// One expert's three matrices, this rank's slices.
struct ExpertSlices {
  WeightSlice gate;  // [inter, hidden]
  WeightSlice up;    // [inter, hidden]
  WeightSlice down;  // [hidden, inter]
};

// Where the heads of one rank lie in a row of fused projections:
// [q_heads * head_dim | kv_heads * head_dim (K) | kv_heads * head_dim (V)].
struct HeadLayout {
  int32_t q_heads;  // a multiple of kv_heads; query head h reads KV head h / (q_heads / kv_heads)
  int32_t kv_heads;
  int32_t head_dim;  // a multiple of 32, at most 256
  int64_t row_width() const { return int64_t{q_heads + 2 * kv_heads} * head_dim; }
};

// A run of rows that belong to one sequence, for attention.
struct AttentionChunk {
  int32_t row_begin;       // first row in the fused projections
  int32_t row_count;       // >= 1
  int32_t start_position;  // position of the first row in its sequence; the others follow it
  int32_t block_begin;     // index in block_ids of the sequence's block table
};

// What is known of a kind of device before one is opened.
class DeviceKind {
 public:
  virtual ~DeviceKind() = default;

  // Names the arithmetic: devices that say the same give the same bits, so that a request may move
  // from one to another in the middle of its answer.
  virtual std::string Numerics() const = 0;

  // Bytes of one layer's K (or, the same, V) for `num_blocks` blocks of this rank's heads: the
  // size of the buffers that StoreKv and Attention take. Their layout is the device's own.
  // Negative: the device keeps no cache of that type or these heads.
  virtual int64_t KvBytes(const HeadLayout& heads, KvType type, int64_t num_blocks) const = 0;
};

class Device : public DeviceKind {
 public:
  // ---- Memory ------------------------------------------------------------------------------

  // `bytes` of device memory, zeroed. Errors: RESOURCE_EXHAUSTED.
  virtual absl::StatusOr<std::unique_ptr<Buffer>> Allocate(int64_t bytes) = 0;
  // Host to device and back, from byte 0. REQUIRES: the buffer is at least as large as the span.
  virtual absl::Status Upload(std::span<const std::byte> from, Buffer& to) = 0;
  virtual absl::Status Download(const Buffer& from, std::span<std::byte> to) = 0;

  // Packs the slices, stacked by output feature in the order given, as one matrix. All slices have
  // the same columns and dtype. K is cut into `k_groups` equal groups that are summed separately
  // and joined by a balanced tree. The host memory is no longer needed when the call returns.
  // Errors: INVALID_ARGUMENT (slices that do not fit together, K not divisible by k_groups or
  // k_groups not one of 1, 2, 4, 8), RESOURCE_EXHAUSTED.
  virtual absl::StatusOr<std::unique_ptr<PackedMatrix>> PackMatrix(
      std::span<const WeightSlice> stacked, int32_t k_groups) = 0;
  // The same for the experts of an MoE layer, in expert order. `k_groups` cuts the K of `down`.
  virtual absl::StatusOr<std::unique_ptr<PackedExperts>> PackExperts(
      std::span<const ExpertSlices> experts, int32_t k_groups) = 0;

  // ---- Rows ----------------------------------------------------------------------------------

  // out[r, :] = table[ids[r], :].  table [vocab, width] of `type`, out f32 [ids.size(), width].
  // REQUIRES: every id is in [0, vocab); type is kBf16 or kF16.
  virtual absl::Status Embed(const Buffer& table, WeightType type, std::span<const int32_t> ids,
                             int64_t width, Buffer& out) = 0;
  // out[i, :] = x[row_ids[i], :].  x f32 [*, width], out f32 [row_ids.size(), width].
  virtual absl::Status GatherRows(const Buffer& x, std::span<const int32_t> row_ids, int64_t width,
                                  Buffer& out) = 0;
  // x += y, both f32 [rows, width]. In place.
  virtual absl::Status Add(Buffer& x, const Buffer& y, int64_t rows, int64_t width) = 0;
  // out[r, i] = x[r, i] / sqrt(mean_i(x[r, i]^2) + eps) * weight[i].  x, out f32 [rows, width],
  // weight f32 [width]. In place allowed. REQUIRES: width % 16 == 0.
  virtual absl::Status RmsNorm(const Buffer& x, const Buffer& weight, float eps, int64_t rows,
                               int64_t width, Buffer& out) = 0;
  // out[r, i] = silu(gate_up[r, i]) * gate_up[r, width + i], silu(a) = a / (1 + exp(-a)).
  // gate_up f32 [rows, 2 * width], out f32 [rows, width].
  virtual absl::Status SiluMul(const Buffer& gate_up, int64_t rows, int64_t width, Buffer& out) = 0;

  // ---- Matrices ------------------------------------------------------------------------------

  // out[r, n] = sum_k x[r, k] * w[n, k].  x f32 [rows, w.k()], out f32 [rows, w.n()].
  virtual absl::Status MatMul(const Buffer& x, int64_t rows, const PackedMatrix& w,
                              Buffer& out) = 0;

  // ---- Attention -----------------------------------------------------------------------------

  // For every query and key head of every row, in place: RMS norm over head_dim with q_weight or
  // k_weight (f32 [head_dim]), then rotation of the pair (i, i + head_dim / 2) by the angle whose
  // cosine and sine are cos_sin[r, i] and cos_sin[r, head_dim / 2 + i].
  // qkv f32 [rows, heads.row_width()], cos_sin f32 [rows, head_dim].
  virtual absl::Status NormRopeHeads(Buffer& qkv, int64_t rows, const HeadLayout& heads,
                                     const Buffer& q_weight, const Buffer& k_weight, float eps,
                                     const Buffer& cos_sin) = 0;
  // Writes K and V of every row, rounded to the nearest `type` (ties to even), to slot slots[r] of
  // the cache, slot = block id * kKvBlockSize + position in the block.  qkv as above.
  virtual absl::Status StoreKv(const Buffer& qkv, const HeadLayout& heads, KvType type,
                               std::span<const int32_t> slots, Buffer& k_cache,
                               Buffer& v_cache) = 0;
  // out[r, h, :] = sum_j softmax_j(q[r, h] . k[j] / sqrt(head_dim)) v[j], j over positions 0..p of
  // the row's sequence, where p is the row's own position. K and V of all of them, the row's own
  // included, are read from the cache: position j is in block block_ids[block_begin + j / 16].
  // Blocks are walked in position order with one running softmax per row and head.
  // qkv as above, out f32 [rows, q_heads * head_dim].
  virtual absl::Status Attention(const Buffer& qkv, const HeadLayout& heads, KvType type,
                                 std::span<const AttentionChunk> chunks,
                                 std::span<const int32_t> block_ids, const Buffer& k_cache,
                                 const Buffer& v_cache, Buffer& out) = 0;

  // ---- Mixture of experts ----------------------------------------------------------------------

  // Softmax over all `experts` logits of a row, then the `top_k` most probable, ties to the lower
  // index. With `normalize` their weights are divided by their sum.
  // logits f32 [rows, experts]; ids int32 [rows, top_k] and weights f32 [rows, top_k], most
  // probable first. REQUIRES: top_k <= experts.
  virtual absl::Status MoeRoute(const Buffer& logits, int64_t rows, int32_t experts, int32_t top_k,
                                bool normalize, Buffer& ids, Buffer& weights) = 0;
  // out[r, :] = sum_j weights[r, j] * down_e(silu(gate_e(x[r])) * up_e(x[r])), e = ids[r, j].
  // Within each K group of `down` the experts are summed in ascending order, before the tree over
  // groups. Each expert's weights are read once. x, out f32 [rows, hidden].
  virtual absl::Status MoeExperts(const Buffer& x, int64_t rows, const Buffer& ids,
                                  const Buffer& weights, int32_t top_k,
                                  const PackedExperts& experts, Buffer& out) = 0;

  // ---- Between ranks ---------------------------------------------------------------------------

  // Collective::AllReduceSum over the first `count` floats of `data`. Errors: as the collective's.
  virtual absl::Status AllReduceSum(Buffer& data, int64_t count, Collective& collective) = 0;
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_DEVICE_DEVICE_H_
