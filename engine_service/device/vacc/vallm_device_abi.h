/* What a plug-in provides so that vallm can run models on its dies: one exported function, which
 * returns a table of functions over opaque handles. Pure C11; also valid C++.
 *
 * A plug-in is a shared library, libvallm_vacc.so or the file that VALLM_VACC_PLUGIN names. How
 * to write, test and debug one: docs/vacc-plugin.md. `vallm device-conformance PLUGIN.so` tells
 * whether it keeps what this header asks. engine_service/device/vacc/reference is a whole one.
 *
 * Versions
 *   A change that breaks plug-ins raises VALLM_VACC_ABI_MAJOR, and vallm refuses plug-ins of
 *   another major version. What is added raises VALLM_VACC_ABI_MINOR: functions at the end of the
 *   table, fields at the end of structs that begin with struct_size, values at the end of
 *   enumerations. Of a struct with struct_size, neither side touches what lies beyond the size
 *   that the other side gave it. Structs without one do not change within a major version.
 *   Enumerations travel as int32_t; a plug-in answers a value it does not know with
 *   VALLM_UNIMPLEMENTED.
 *
 * Errors
 *   Functions return a vallm_code. On failure they may leave a line of text in *error, which the
 *   host shows to whoever has to deal with it: name the value and the limit ("die 3 has 512 MiB
 *   free; 2 GiB are asked for"), not the source line. `error` is never NULL and arrives empty.
 *   VALLM_UNAVAILABLE and VALLM_INTERNAL mean that the device is of no use any more: the host
 *   calls nothing more on it but the free functions and close, and ends the process. All other
 *   failures leave the device and everything on it as it was before the call.
 *
 * Threads
 *   die_count, die_info, kv_bytes, open and close may be called at any time from any thread. One
 *   thread at a time uses a device and what belongs to it, not always the same one. Several
 *   devices may be open in one process, each used by a thread of its own. A plug-in may start
 *   threads; it must not install signal handlers, change the locale or the floating-point
 *   environment, call exit or let a C++ exception or longjmp out of a function. It may print to
 *   stderr, never to stdout. It stays loaded until its process ends.
 *
 * Order and time
 *   Operations of one device take effect in the order of the calls. They may return before they
 *   are done; download and all_reduce_sum wait for what they read, and an operation that failed
 *   after it returned is reported by any later call. Host memory that a call is given, handles
 *   and arrays included, is read before the call returns.
 *
 * Data
 *   Buffers are plain device memory that the host fills with the arrays named below: float means
 *   IEEE binary32, int32 two's complement, little-endian, row-major, no padding, from the start
 *   of the buffer. `rows` counts the leading dimension and may be smaller than what the buffer
 *   has room for: what lies behind the rows is not touched and must not matter, NaN included.
 *   rows == 0 (or count == 0) is a success that does nothing. Outputs never alias inputs unless
 *   it says "in place". All activations are float; subnormal ones may be taken as zero. Sizes and
 * indices that the host passes are valid; what a plug-in has to check is said where it matters
 * (alloc, pack_matrix, pack_experts, open).
 *
 * What must be exact
 *   vallm promises that a request's tokens do not depend on other requests, on how its prompt was
 *   cut, or on the number of dies. Of a plug-in this asks:
 *     E1  The bits of an output row depend on the inputs of that row alone: never on `rows`, on
 *         the row's place, on other rows, on time or on chance.
 *     E2  mat_mul and moe_experts sum a K that is cut into k_groups within each group on its own
 *         and join the groups by the balanced tree ((g0+g1)+(g2+g3))+((g4+g5)+(g6+g7)) in float,
 *         so that a rank's shard is a subtree. Within a group the order is free, but fixed: the
 *         bits of a group's sum depend on the group's K inputs and weights alone, not on how many
 *         groups the matrix has, where in a matrix the slice was taken from, or what it is
 *         stacked with.
 *     E3  all_reduce_sum adds the ranks along the same tree, in rank order, in float.
 *     E4  attention gives a row the same bits however its sequence was cut into chunks and
 *         whichever blocks its positions are kept in.
 *     E5  The sum over a token's experts is made inside each K group, in ascending order of
 *         experts, and joined by the tree only then.
 *   docs/packed-weights.md says how the CPU kernels keep these rules, and why. Equal bits on
 *   another kind of device are not asked for; closeness to exact arithmetic is
 *   (docs/vacc-plugin.md). */
#ifndef VALLM_ENGINE_SERVICE_DEVICE_VACC_VALLM_DEVICE_ABI_H_
#define VALLM_ENGINE_SERVICE_DEVICE_VACC_VALLM_DEVICE_ABI_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define VALLM_VACC_ABI_MAJOR 1
#define VALLM_VACC_ABI_MINOR 0

/* The name of the exported function, as dlsym takes it. */
#define VALLM_VACC_ENTRY_POINT "vallm_vacc_plugin"

/* Positions in a block of the KV cache. */
#define VALLM_KV_BLOCK_SIZE 16

typedef int32_t vallm_code;
enum {
  VALLM_OK = 0,
  VALLM_INVALID_ARGUMENT = 3,   /* what the caller gave cannot work, here or elsewhere */
  VALLM_NOT_FOUND = 5,          /* no such die */
  VALLM_RESOURCE_EXHAUSTED = 8, /* device memory, or a die that another process uses */
  VALLM_UNIMPLEMENTED = 12,     /* a type or size this device does not have */
  VALLM_INTERNAL = 13,          /* a bug: the device is of no use any more */
  VALLM_UNAVAILABLE = 14        /* the die is lost, or a peer of a collective: no use any more */
};

/* Text of a failure: UTF-8, one line, NUL-terminated. */
typedef struct vallm_error {
  char message[512];
} vallm_error;

typedef struct vallm_device vallm_device;   /* an open die */
typedef struct vallm_buffer vallm_buffer;   /* device memory */
typedef struct vallm_matrix vallm_matrix;   /* packed weights of a matrix */
typedef struct vallm_experts vallm_experts; /* packed weights of all experts of a layer */

/* ---- Dies ------------------------------------------------------------------------------------ */

enum {
  VALLM_HEALTH_UNKNOWN = 0,
  VALLM_HEALTH_OK = 1,
  VALLM_HEALTH_WARNING = 2,
  VALLM_HEALTH_FAILED = 3
};

typedef struct vallm_die_info {
  uint32_t struct_size;       /* set by the host */
  int32_t health;             /* VALLM_HEALTH_... */
  char name[64];              /* product, e.g. "VA16" */
  char uuid[64];              /* of the card or die; may be empty */
  char health_text[128];      /* why the health is what it is; may be empty */
  int32_t card;               /* cards count from 0; -1: unknown */
  int32_t numa_node;          /* of the host, that the card is attached to; -1: unknown */
  int64_t memory_total_bytes; /* -1: unknown */
  int64_t memory_free_bytes;  /* -1: unknown */
  double temperature_celsius; /* NaN: unknown */
  double power_watts;         /* of the die, or of its card; NaN: unknown */
} vallm_die_info;

typedef struct vallm_open_options {
  uint32_t struct_size; /* set by the host */
  int32_t die;          /* 0 .. die_count - 1 */
  int32_t rank;         /* of this device in its tensor-parallel group, 0 .. ranks - 1 */
  int32_t ranks;        /* 1, 2, 4, 8 or 16 */
  /* [ranks] the dies of the whole group, dies[rank] == die. No die belongs to two groups at a time,
   * so the list also names the group. */
  const int32_t* dies;
  int32_t
      host_threads; /* host threads that the device may keep busy, the caller's included; >= 1 */
  int32_t reserved; /* 0 */
} vallm_open_options;

/* ---- Weights --------------------------------------------------------------------------------- */

enum {
  VALLM_WEIGHT_BF16 = 0, /* required */
  VALLM_WEIGHT_F16 = 1,
  VALLM_WEIGHT_F8_E4M3 = 2, /* required. Bias 7, no infinity, 0x7f and 0xff are NaN. One byte */
  VALLM_WEIGHT_UINT4 = 3,   /* 0 .. 15. One byte each: unpacked */
  VALLM_WEIGHT_UINT8 = 4    /* 0 .. 255. One byte */
};

/* A window of a weight matrix as it lies in a checkpoint: host memory, at any address, aligned or
 * not. The window may begin and end anywhere, also inside a quantisation block. The element (r, c)
 * of the matrix, in rows (output features) and columns (input features) of the whole matrix, is,
 * with b = [r / block_rows, c / block_cols]: BF16, F16      data[r, c]; the fields for scales are 0
 *   F8_E4M3        data[r, c] * scales[b]
 *   UINT4, UINT8   (data[r, c] - zeros[b]) * scales[b] */
typedef struct vallm_weight_slice {
  int32_t type;       /* VALLM_WEIGHT_... */
  int32_t block_rows; /* of the scales, e.g. 128, or 1 */
  int32_t block_cols; /* e.g. 128 */
  int32_t reserved;   /* 0 */
  const void* data;   /* the whole matrix, [*, matrix_cols] */
  int64_t matrix_cols;
  int64_t row_begin, row_count; /* the window */
  int64_t col_begin, col_count;
  const float* scales;  /* [*, scale_cols], of the whole matrix */
  const int16_t* zeros; /* [*, scale_cols], 0 .. 256; UINT4 and UINT8 only, else NULL */
  int64_t scale_cols;
} vallm_weight_slice;

/* The three matrices of an expert, this rank's slices. */
typedef struct vallm_expert_slices {
  vallm_weight_slice gate; /* [inter, hidden] */
  vallm_weight_slice up;   /* [inter, hidden] */
  vallm_weight_slice down; /* [hidden, inter] */
} vallm_expert_slices;

/* ---- Attention ------------------------------------------------------------------------------- */

/* How keys and values are kept. */
enum {
  VALLM_KV_BF16 = 0, /* required. Rounded to nearest, ties to even */
  VALLM_KV_F32 = 1,  /* as they were computed; what --kv-cache-dtype auto asks for */
  /* Rounded to e4m3 without a scale, to nearest, ties to even. Beyond +-448, infinities included,
   * it is +-448; NaN stays NaN. */
  VALLM_KV_F8_E4M3 = 2
};

/* Where the heads of a rank lie in a row of fused projections:
 * [q_heads * head_dim | kv_heads * head_dim (K) | kv_heads * head_dim (V)], "row_width" floats. */
typedef struct vallm_head_layout {
  int32_t q_heads; /* a multiple of kv_heads; query head h reads KV head h / (q_heads / kv_heads) */
  int32_t kv_heads; /* >= 1 */
  int32_t head_dim; /* a multiple of 32, at most 256 */
} vallm_head_layout;

/* A run of rows that belong to one sequence. */
typedef struct vallm_attention_chunk {
  int32_t row_begin;      /* first row in the fused projections */
  int32_t row_count;      /* >= 1 */
  int32_t start_position; /* of the first row in its sequence; the others follow it */
  int32_t block_begin;    /* index in block_ids of the sequence's block table */
} vallm_attention_chunk;

/* ---- Between ranks --------------------------------------------------------------------------- */

/* The host's way to sum over the ranks of the group, through shared memory of the machine. */
typedef struct vallm_collective {
  uint32_t struct_size; /* set by the host */
  int32_t rank;
  int32_t ranks; /* a power of two */
  int32_t reserved;
  void* context; /* for the function below */
  /* data[i], host memory, becomes the sum of data[i] over all ranks by rule E3, the same bits on
   * every rank. Blocks until all ranks have called it with the same count. VALLM_UNAVAILABLE when
   * a peer is gone: hand it on. */
  vallm_code (*all_reduce_sum)(void* context, float* data, int64_t count);
} vallm_collective;

/* Failures on demand, for tests. */
enum {
  VALLM_FAULT_OUT_OF_MEMORY = 0, /* alloc and pack fail as soon as they want more than `after` bytes
                                    in all, counted from now; what is freed is given back */
  VALLM_FAULT_DEVICE_LOST = 1    /* `after` more calls on the device succeed, then all fail with
                                    VALLM_UNAVAILABLE */
};

/* ---- The table ------------------------------------------------------------------------------- */

typedef struct vallm_vacc_api {
  uint32_t struct_size; /* sizeof(vallm_vacc_api) as the plug-in was compiled */
  uint32_t abi_major;   /* VALLM_VACC_ABI_MAJOR and _MINOR as the plug-in was compiled */
  uint32_t abi_minor;
  uint32_t reserved;
  /* What the plug-in is and which version, for people and logs; constant. A version must change
   * whenever results may: an answer that lost its instance goes on only where both are the same. */
  const char* name;
  const char* version;

  /* -- Dies. No device needs to be open. */

  /* *count = dies of this machine that the driver knows, failed ones included. Dies are numbered as
   * the machine has them (/dev/vacc<N>): VACC_VISIBLE_DEVICES is the host's to apply, which has
   * read it before it loads a plug-in. A plug-in over a runtime that reads the variable removes it
   * from the environment in its entry point. No driver or no die: 0, not an error. */
  vallm_code (*die_count)(int32_t* count, vallm_error* error);
  /* Fills what info->struct_size has room for. Quick (milliseconds) and harmless while other
   * processes use the die. NOT_FOUND: no such die. */
  vallm_code (*die_info)(int32_t die, vallm_die_info* info, vallm_error* error);
  /* Bytes of one layer's K (or, the same, V) for `blocks` blocks: the size of the buffers that
   * store_kv and attention take. Their layout is the plug-in's own. Proportional to `blocks`.
   * Negative: this layout or KV type is not supported. */
  int64_t (*kv_bytes)(const vallm_head_layout* heads, int32_t kv_type, int64_t blocks);

  /* -- Life. */

  /* Opens a die for one rank. It may be opened again after it was closed or its process ended,
   * however that ended. NOT_FOUND: no such die; RESOURCE_EXHAUSTED: in use; UNAVAILABLE: lost or
   * unhealthy. */
  vallm_code (*open)(const vallm_open_options* options, vallm_device** device, vallm_error* error);
  /* The host has freed everything of the device by then. */
  void (*close)(vallm_device* device);

  /* -- Memory. */

  /* `bytes` of device memory, zeroed, aligned for every operation. bytes == 0 is allowed.
   * RESOURCE_EXHAUSTED: not enough, or bytes < 0. */
  vallm_code (*alloc)(vallm_device* device, int64_t bytes, vallm_buffer** buffer,
                      vallm_error* error);
  void (*free_buffer)(vallm_device* device, vallm_buffer* buffer);
  /* Host to device and back, from byte 0 of the buffer; bytes <= its size. */
  vallm_code (*upload)(vallm_device* device, const void* from, int64_t bytes, vallm_buffer* to,
                       vallm_error* error);
  vallm_code (*download)(vallm_device* device, const vallm_buffer* from, int64_t bytes, void* to,
                         vallm_error* error);

  /* Packs `count` slices, stacked by output feature in the order given, as one matrix w of
   * n = sum of row_count output features and k = col_count input features, in a layout of the
   * plug-in's own. The slices have one type and the same col_begin, col_count and block_cols. k is
   * cut into k_groups equal groups (rule E2). Check: INVALID_ARGUMENT if slices do not fit
   * together, are empty or reach outside their matrix, k_groups is not 1, 2, 4 or 8 or does not
   * divide k, scales or zeros are missing, or an F8_E4M3 element is NaN. UNIMPLEMENTED: a type that
   * is not required. RESOURCE_EXHAUSTED: device memory. */
  vallm_code (*pack_matrix)(vallm_device* device, const vallm_weight_slice* slices, int32_t count,
                            int32_t k_groups, vallm_matrix** matrix, vallm_error* error);
  void (*free_matrix)(vallm_device* device, vallm_matrix* matrix);
  /* The same for all experts of a layer, in expert order. k_groups cuts the K of `down`; gate and
   * up have one group. All experts have the same shapes: INVALID_ARGUMENT otherwise, or for count
   * < 1. */
  vallm_code (*pack_experts)(vallm_device* device, const vallm_expert_slices* experts,
                             int32_t count, int32_t k_groups, vallm_experts** packed,
                             vallm_error* error);
  void (*free_experts)(vallm_device* device, vallm_experts* experts);

  /* -- Rows. */

  /* out[r, :] = table[ids[r], :].  table [vocab, width] of table_type (VALLM_WEIGHT_BF16, required,
   * or _F16), ids host int32 [rows], out float [rows, width]. Exact. */
  vallm_code (*embed)(vallm_device* device, const vallm_buffer* table, int32_t table_type,
                      const int32_t* ids, int64_t rows, int64_t width, vallm_buffer* out,
                      vallm_error* error);
  /* out[i, :] = x[row_ids[i], :].  x float [*, width], row_ids host [count], out float. Exact. */
  vallm_code (*gather_rows)(vallm_device* device, const vallm_buffer* x, const int32_t* row_ids,
                            int64_t count, int64_t width, vallm_buffer* out, vallm_error* error);
  /* x += y, both float [rows, width]. In place. Rounded once. */
  vallm_code (*add)(vallm_device* device, vallm_buffer* x, const vallm_buffer* y, int64_t rows,
                    int64_t width, vallm_error* error);
  /* out[r, i] = x[r, i] / sqrt(mean_i(x[r, i]^2) + eps) * weight[i].  x, out float [rows, width],
   * weight float [width], width % 16 == 0. out may be x. */
  vallm_code (*rms_norm)(vallm_device* device, const vallm_buffer* x, const vallm_buffer* weight,
                         float eps, int64_t rows, int64_t width, vallm_buffer* out,
                         vallm_error* error);
  /* out[r, i] = silu(gate_up[r, i]) * gate_up[r, width + i], silu(a) = a / (1 + exp(-a)).
   * gate_up float [rows, 2 * width], out float [rows, width]. */
  vallm_code (*silu_mul)(vallm_device* device, const vallm_buffer* gate_up, int64_t rows,
                         int64_t width, vallm_buffer* out, vallm_error* error);

  /* -- Matrices. */

  /* out[r, n] = sum_k x[r, k] * w[n, k].  x float [rows, k], out float [rows, n]. Sums in float;
   * x may be rounded to bf16 first, element by element, if the device multiplies nothing else. */
  vallm_code (*mat_mul)(vallm_device* device, const vallm_buffer* x, int64_t rows,
                        const vallm_matrix* w, vallm_buffer* out, vallm_error* error);

  /* -- Attention. */

  /* For every query and key head of every row, in place: RMS norm over head_dim with q_weight or
   * k_weight (float [head_dim]), then rotation of the pair (i, i + head_dim / 2) by the angle whose
   * cosine and sine are cos_sin[r, i] and cos_sin[r, head_dim / 2 + i]:
   *   (a, b) becomes (a * cos - b * sin, b * cos + a * sin).
   * qkv float [rows, row_width], cos_sin float [rows, head_dim]. The V part is not touched. */
  vallm_code (*norm_rope_heads)(vallm_device* device, vallm_buffer* qkv, int64_t rows,
                                const vallm_head_layout* heads, const vallm_buffer* q_weight,
                                const vallm_buffer* k_weight, float eps,
                                const vallm_buffer* cos_sin, vallm_error* error);
  /* Writes K and V of row r, rounded to kv_type, to slot slots[r] of the cache, slot = block id *
   * VALLM_KV_BLOCK_SIZE + position in the block. The slots of a call differ from each other.
   * slots host [rows]. Rounding is exact: what attention reads are the rounded values. */
  vallm_code (*store_kv)(vallm_device* device, const vallm_buffer* qkv,
                         const vallm_head_layout* heads, int32_t kv_type, const int32_t* slots,
                         int64_t rows, vallm_buffer* k_cache, vallm_buffer* v_cache,
                         vallm_error* error);
  /* out[r, h, :] = sum_j softmax_j(q[r, h] . k[j] / sqrt(head_dim)) v[j], j over positions 0 .. p
   * of the row's sequence, p the row's own position. K and V of all of them, the row's own
   * included, are in the cache: position j in block block_ids[chunk.block_begin + j /
   * VALLM_KV_BLOCK_SIZE]. Slots beyond p may hold anything, NaN included. Chunks cover different
   * rows; rows without a chunk are not touched. chunks host [chunk_count], block_ids host
   * [block_id_count], out float [rows, q_heads * head_dim]. Sums, maxima and exponentials in float;
   * queries and softmax weights may be rounded to bf16 first, if the device multiplies nothing
   * else.
   */
  vallm_code (*attention)(vallm_device* device, const vallm_buffer* qkv,
                          const vallm_head_layout* heads, int32_t kv_type,
                          const vallm_attention_chunk* chunks, int32_t chunk_count,
                          const int32_t* block_ids, int64_t block_id_count,
                          const vallm_buffer* k_cache, const vallm_buffer* v_cache,
                          vallm_buffer* out, vallm_error* error);

  /* -- Mixture of experts. */

  /* Softmax over the `experts` logits of a row, then the top_k most probable, ties to the lower
   * index, most probable first; with `normalize` != 0 their weights are divided by their sum.
   * logits float [rows, experts], ids int32 [rows, top_k], weights float [rows, top_k]. In float:
   * logits that differ are not made equal. top_k <= experts. */
  vallm_code (*moe_route)(vallm_device* device, const vallm_buffer* logits, int64_t rows,
                          int32_t experts, int32_t top_k, int32_t normalize, vallm_buffer* ids,
                          vallm_buffer* weights, vallm_error* error);
  /* out[r, :] = sum_j weights[r, j] * down_e(silu(gate_e(x[r])) * up_e(x[r])), e = ids[r, j], by
   * rules E2 and E5. ids (different within a row, in any order) and weights as from moe_route; x,
   * out float [rows, hidden]. Products as in mat_mul. */
  vallm_code (*moe_experts)(vallm_device* device, const vallm_buffer* x, int64_t rows,
                            const vallm_buffer* ids, const vallm_buffer* weights, int32_t top_k,
                            const vallm_experts* experts, vallm_buffer* out, vallm_error* error);

  /* -- Between ranks. */

  /* The first `count` floats of `data` become their sums over all ranks (rule E3). May be NULL: the
   * host then downloads, sums and uploads, which is right and costs two copies. A plug-in may hand
   * memory that host and device share to host->all_reduce_sum, or sum over its own fabric: open
   * told it the dies of the group, and all ranks make the same calls in the same order. Once a peer
   * is gone it may wait forever; the host ends the process. `host` is valid during the call. */
  vallm_code (*all_reduce_sum)(vallm_device* device, vallm_buffer* data, int64_t count,
                               const vallm_collective* host, vallm_error* error);

  /* -- Tests. */

  /* Makes the device fail (VALLM_FAULT_...). May be NULL: the conformance suite then skips the
   * checks that need it. */
  vallm_code (*inject_fault)(vallm_device* device, int32_t fault, int64_t after,
                             vallm_error* error);
} vallm_vacc_api;

/* The one symbol that a plug-in exports. Called before anything else, with the version of the
 * host's header, possibly more than once and from any thread. Returns a table that lives as long as
 * the process, of the host's major version if the plug-in has several; NULL if it can do nothing
 * with that host. Must be quick and touch no device. */
typedef const vallm_vacc_api* (*vallm_vacc_entry_point)(uint32_t host_abi_major,
                                                        uint32_t host_abi_minor);

#define VALLM_VACC_EXPORT __attribute__((visibility("default")))
VALLM_VACC_EXPORT const vallm_vacc_api* vallm_vacc_plugin(uint32_t host_abi_major,
                                                          uint32_t host_abi_minor);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* VALLM_ENGINE_SERVICE_DEVICE_VACC_VALLM_DEVICE_ABI_H_ */
