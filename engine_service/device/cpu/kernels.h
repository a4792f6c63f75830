// The inner loops of the CPU device: a table of functions per instruction set.
//
// The loops are written once (*-inl.h) over a vector of 16 floats (vec16_*.h) and compiled once per
// instruction set (kernels_*.cc). All tables give the same bits, but for AMX's, whose products are
// added in an order of their own. Those translation units include no standard templates: an inline
// function compiled for AVX-512 must never be the copy that the linker keeps for the whole program.
// Hence plain pointers here.
//
// Functions are pure and thread-safe. Pointers may be unaligned unless said otherwise.
#ifndef VALLM_ENGINE_SERVICE_DEVICE_CPU_KERNELS_H_
#define VALLM_ENGINE_SERVICE_DEVICE_CPU_KERNELS_H_

#include <stdint.h>

#include "engine_service/device/weight_slice.h"

namespace vallm::engine {

inline constexpr int32_t kTileWidth = 16;          // output features per tile, lanes per vector
inline constexpr int32_t kMaxSegment = 128;        // input features whose sum has one scale
inline constexpr int32_t kMaxGroups = 8;           // K groups of a matrix
inline constexpr int32_t kMaxPanelRows = 12;       // rows in a panel
inline constexpr int32_t kTilesPerRun = 4;         // tiles that matmul_accumulate handles
inline constexpr int32_t kMaxAttentionRows = 256;  // rows that one attention call may handle
inline constexpr int32_t kAttentionSpan = 512;     // positions that are summed on their own
inline constexpr int32_t kMaxHeadDim = 256;

// A packed matrix; docs/packed-weights.md has the layout. Owned by TileMatrix (tile_matrix.h).
struct TileView {
  WeightType type;
  const uint8_t* data;          // [tiles][pairs of k][16][2] elements, 64-byte aligned
  const float* scales;          // [tiles][segments][scale_lanes], or null for bf16 and f16
  const float* zeros;           // [tiles][segments][16], or null for all but uint4 and uint8
  const int32_t* segment_ends;  // [segments] in k, ascending, the last is k
  const int32_t*
      segment_pairs;          // [segments] ends in pairs: a segment of odd length has half a pair
  const int32_t* group_ends;  // [groups] in segments, ascending, the last is segments
  int64_t tile_bytes;
  int32_t n;  // output features; the last tile may be partly padding
  int32_t k;
  int32_t segments;
  int32_t groups;       // 1, 2, 4 or 8
  int32_t scale_lanes;  // 16, or 1 if the lanes of every tile have one scale
};

// Rows of activations in the form that the matrix kernels read (Kernels::pack_panel).
struct PanelView {
  const void* data;  // 64-byte aligned
  int32_t rows;      // one of Kernels::panel_sizes
};

// The panels of one call; their rows are numbered through.
struct PanelList {
  const PanelView* panels;
  int32_t count;
};

// Rows (token, query head) of one sequence that share a KV head.
struct AttentionRows {
  int32_t rows;                        // 1 .. Kernels::attention_rows
  const float* q[kMaxAttentionRows];   // [head_dim] each
  float* out[kMaxAttentionRows];       // [head_dim] each
  int32_t visible[kMaxAttentionRows];  // positions the row sees, >= 1
  const int32_t* blocks;               // the sequence's block table
  const void* k;                       // this head's part of block 0: [head_dim][16]
  const void* v;                       // this head's part of block 0: [16][head_dim]
  int32_t element_bytes;               // of k and v: 4 for f32, 2 for bf16, 1 for e4m3
  int64_t block_stride;                // elements from a block to the next, K and V alike
  int32_t head_dim;
  float scale;         // of the scores
  float* partial;      // null: `out` is written. Else what one span gives is, per row
                       // [PartialWidth]: weighted values [head_dim], maximum, sum of weights; rows
                       // that see nothing of the span are left alone
  int32_t span_begin;  // of that span, a multiple of kAttentionSpan
  void* scratch;       // Kernels::attention_scratch_bytes, 64-byte aligned
};
inline constexpr int64_t PartialWidth(int32_t head_dim) { return head_dim + 16; }

struct Kernels {
  // Rows that a panel can have, descending, ending with 1, then 0.
  int32_t panel_sizes[kMaxPanelRows + 1];
  // Bytes of a panel of `rows` rows of input for w, a multiple of 64.
  int64_t (*panel_bytes)(const TileView& w, int32_t rows);
  // rows[r] has w.k floats. `panel` is 64-byte aligned.
  void (*pack_panel)(const TileView& w, const float* const* rows, int32_t count, void* panel);

  // How a product of many panels is best cut: tiles and bytes of panels per call of matmul.
  int32_t tiles_per_call;
  int64_t panel_bytes_per_call;
  // Memory that a call works in that has at most so many tiles and rows, cut into panels largest
  // first.
  int64_t (*scratch_bytes)(const TileView& w, int32_t tiles, int32_t rows);

  // out[r * out_stride + 16 * t + i] = sum over k, for tiles t in [tile, tile + tiles), groups
  // joined by the tree. Columns at or beyond n are not written.
  void (*matmul)(const TileView& w, int32_t tile, int32_t tiles, PanelList x, float* out,
                 int64_t out_stride, void* scratch);
  // partial[row_ids[r] * stride + g * 16 * kTilesPerRun + 16 * t + i] += row_weights[r] * sum over
  // group g, for tile number t of the call; one rounding (fused). tiles <= kTilesPerRun.
  // `next`: where the next call's weights begin, which may be fetched meanwhile; null if unknown.
  void (*matmul_accumulate)(const TileView& w, int32_t tile, int32_t tiles, PanelList x,
                            const float* row_weights, const int32_t* row_ids, float* partial,
                            int64_t stride, const uint8_t* next, void* scratch);
  // out[i] = the tree over g of partial[g * 16 * kTilesPerRun + i], i < n.
  void (*join_groups)(const float* partial, int32_t groups, int32_t n, float* out);

  int32_t attention_rows;  // that a call of `attend` is made for
  int64_t (*attention_scratch_bytes)(int32_t head_dim);
  void (*attend)(const AttentionRows& rows);
  // out: [head_dim] from one row's `spans` partial results, span_stride floats apart.
  void (*join_spans)(const float* partial, int64_t span_stride, int32_t spans, int32_t head_dim,
                     float* out);

  // width % 16 == 0; out may be x.
  void (*rms_norm)(const float* x, const float* weight, float eps, int32_t width, float* out);
  // cos_sin: [head_dim]; in place; head_dim % 32 == 0.
  void (*rope)(float* head, const float* cos_sin, int32_t head_dim);
  void (*silu_mul)(const float* gate, const float* up, int32_t n, float* out);
  // out[i] = exp(x[i] - shift), x[i] <= shift.
  void (*exp_shifted)(const float* x, float shift, int32_t n, float* out);
};

extern const Kernels kPortableKernels;
#if defined(__x86_64__)
extern const Kernels kAvx2Kernels;
extern const Kernels kAvx512Kernels;
extern const Kernels kAmxKernels;
#endif

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_DEVICE_CPU_KERNELS_H_
