/* Where a VACC plug-in begins: a library that loads, shows its dies, opens and closes them, moves
 * memory, and refuses every operation by name. Fill in one operation after the other and watch
 *
 *   vallm device-conformance ./libvallm_vacc_skeleton.so --quick
 *
 * turn from FAIL to pass. Build it with nothing of vallm but the header:
 *
 *   cc -std=c11 -shared -fPIC -fvisibility=hidden -I VALLM vacc_plugin_skeleton.c \
 *      -o libvallm_vacc_skeleton.so
 *
 * "Dies" here are host memory. docs/vacc-plugin.md goes with it. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine_service/device/vacc/vallm_device_abi.h"

struct vallm_device {
  int32_t die;
};
struct vallm_buffer {
  int64_t bytes;
  void* memory;
};

static vallm_code Fail(vallm_error* error, vallm_code code, const char* text) {
  snprintf(error->message, sizeof(error->message), "%s", text);
  return code;
}

/* ---- Dies: ask your driver ------------------------------------------------------------------- */

static vallm_code DieCount(int32_t* count, vallm_error* error) {
  (void)error;
  *count = 1;
  return VALLM_OK;
}

static vallm_code DieInfo(int32_t die, vallm_die_info* info, vallm_error* error) {
  if (die != 0) return Fail(error, VALLM_NOT_FOUND, "there is one die, 0");
  vallm_die_info full;
  memset(&full, 0, sizeof(full));
  full.struct_size = info->struct_size;
  full.health = VALLM_HEALTH_OK;
  snprintf(full.name, sizeof(full.name), "skeleton");
  full.card = full.numa_node = -1;
  full.memory_total_bytes = full.memory_free_bytes = -1;
  full.temperature_celsius = full.power_watts = (double)NAN;
  /* A host of an older version has a smaller struct. */
  memcpy(info, &full, info->struct_size < sizeof(full) ? info->struct_size : sizeof(full));
  return VALLM_OK;
}

static int64_t KvBytes(const vallm_head_layout* heads, int32_t kv_type, int64_t blocks) {
  if (kv_type != VALLM_KV_BF16 && kv_type != VALLM_KV_F32) return -1;
  const int64_t element = kv_type == VALLM_KV_BF16 ? 2 : 4;
  return blocks * VALLM_KV_BLOCK_SIZE * heads->kv_heads * heads->head_dim * element;
}

static vallm_code Open(const vallm_open_options* options, vallm_device** device,
                       vallm_error* error) {
  if (options->die != 0) return Fail(error, VALLM_NOT_FOUND, "there is one die, 0");
  *device = malloc(sizeof(vallm_device));
  if (*device == NULL) return Fail(error, VALLM_RESOURCE_EXHAUSTED, "out of host memory");
  (*device)->die = options->die;
  return VALLM_OK;
}

static void Close(vallm_device* device) { free(device); }

/* ---- Memory ---------------------------------------------------------------------------------- */

static vallm_code Alloc(vallm_device* device, int64_t bytes, vallm_buffer** buffer,
                        vallm_error* error) {
  (void)device;
  if (bytes < 0 || bytes > INT64_C(1) << 40) {
    snprintf(error->message, sizeof(error->message), "%lld bytes are asked for", (long long)bytes);
    return VALLM_RESOURCE_EXHAUSTED;
  }
  vallm_buffer* made = malloc(sizeof(vallm_buffer));
  void* memory = calloc((size_t)(bytes > 0 ? bytes : 1), 1);
  if (made == NULL || memory == NULL) {
    free(made);
    free(memory);
    return Fail(error, VALLM_RESOURCE_EXHAUSTED, "out of memory");
  }
  made->bytes = bytes;
  made->memory = memory;
  *buffer = made;
  return VALLM_OK;
}

static void FreeBuffer(vallm_device* device, vallm_buffer* buffer) {
  (void)device;
  free(buffer->memory);
  free(buffer);
}

static vallm_code Upload(vallm_device* device, const void* from, int64_t bytes, vallm_buffer* to,
                         vallm_error* error) {
  (void)device;
  (void)error;
  if (bytes > 0) memcpy(to->memory, from, (size_t)bytes);
  return VALLM_OK;
}

static vallm_code Download(vallm_device* device, const vallm_buffer* from, int64_t bytes, void* to,
                           vallm_error* error) {
  (void)device;
  (void)error;
  if (bytes > 0) memcpy(to, from->memory, (size_t)bytes);
  return VALLM_OK;
}

/* ---- Two operations that are done ------------------------------------------------------------ */

static vallm_code GatherRows(vallm_device* device, const vallm_buffer* x, const int32_t* row_ids,
                             int64_t count, int64_t width, vallm_buffer* out, vallm_error* error) {
  (void)device;
  (void)error;
  for (int64_t i = 0; i < count; ++i) {
    memcpy((float*)out->memory + i * width, (const float*)x->memory + row_ids[i] * width,
           (size_t)width * sizeof(float));
  }
  return VALLM_OK;
}

static vallm_code Add(vallm_device* device, vallm_buffer* x, const vallm_buffer* y, int64_t rows,
                      int64_t width, vallm_error* error) {
  (void)device;
  (void)error;
  float* a = x->memory;
  const float* b = y->memory;
  for (int64_t i = 0; i < rows * width; ++i) a[i] += b[i];
  return VALLM_OK;
}

/* ---- And those that are not ------------------------------------------------------------------ */

#define NOT_YET(name) Fail(error, VALLM_UNIMPLEMENTED, name " is not written yet")

static vallm_code PackMatrix(vallm_device* device, const vallm_weight_slice* slices, int32_t count,
                             int32_t k_groups, vallm_matrix** matrix, vallm_error* error) {
  (void)device, (void)slices, (void)count, (void)k_groups, (void)matrix;
  return NOT_YET("pack_matrix");
}
static void FreeMatrix(vallm_device* device, vallm_matrix* matrix) { (void)device, (void)matrix; }

static vallm_code PackExperts(vallm_device* device, const vallm_expert_slices* experts,
                              int32_t count, int32_t k_groups, vallm_experts** packed,
                              vallm_error* error) {
  (void)device, (void)experts, (void)count, (void)k_groups, (void)packed;
  return NOT_YET("pack_experts");
}
static void FreeExperts(vallm_device* device, vallm_experts* e) { (void)device, (void)e; }

static vallm_code Embed(vallm_device* device, const vallm_buffer* table, int32_t table_type,
                        const int32_t* ids, int64_t rows, int64_t width, vallm_buffer* out,
                        vallm_error* error) {
  (void)device, (void)table, (void)table_type, (void)ids, (void)rows, (void)width, (void)out;
  return NOT_YET("embed");
}

static vallm_code RmsNorm(vallm_device* device, const vallm_buffer* x, const vallm_buffer* weight,
                          float eps, int64_t rows, int64_t width, vallm_buffer* out,
                          vallm_error* error) {
  (void)device, (void)x, (void)weight, (void)eps, (void)rows, (void)width, (void)out;
  return NOT_YET("rms_norm");
}

static vallm_code SiluMul(vallm_device* device, const vallm_buffer* gate_up, int64_t rows,
                          int64_t width, vallm_buffer* out, vallm_error* error) {
  (void)device, (void)gate_up, (void)rows, (void)width, (void)out;
  return NOT_YET("silu_mul");
}

static vallm_code MatMul(vallm_device* device, const vallm_buffer* x, int64_t rows,
                         const vallm_matrix* w, vallm_buffer* out, vallm_error* error) {
  (void)device, (void)x, (void)rows, (void)w, (void)out;
  return NOT_YET("mat_mul");
}

static vallm_code NormRopeHeads(vallm_device* device, vallm_buffer* qkv, int64_t rows,
                                const vallm_head_layout* heads, const vallm_buffer* q_weight,
                                const vallm_buffer* k_weight, float eps,
                                const vallm_buffer* cos_sin, vallm_error* error) {
  (void)device, (void)qkv, (void)rows, (void)heads, (void)q_weight, (void)k_weight, (void)eps;
  (void)cos_sin;
  return NOT_YET("norm_rope_heads");
}

static vallm_code StoreKv(vallm_device* device, const vallm_buffer* qkv,
                          const vallm_head_layout* heads, int32_t kv_type, const int32_t* slots,
                          int64_t rows, vallm_buffer* k_cache, vallm_buffer* v_cache,
                          vallm_error* error) {
  (void)device, (void)qkv, (void)heads, (void)kv_type, (void)slots, (void)rows, (void)k_cache;
  (void)v_cache;
  return NOT_YET("store_kv");
}

static vallm_code Attention(vallm_device* device, const vallm_buffer* qkv,
                            const vallm_head_layout* heads, int32_t kv_type,
                            const vallm_attention_chunk* chunks, int32_t chunk_count,
                            const int32_t* block_ids, int64_t block_id_count,
                            const vallm_buffer* k_cache, const vallm_buffer* v_cache,
                            vallm_buffer* out, vallm_error* error) {
  (void)device, (void)qkv, (void)heads, (void)kv_type, (void)chunks, (void)chunk_count;
  (void)block_ids, (void)block_id_count, (void)k_cache, (void)v_cache, (void)out;
  return NOT_YET("attention");
}

static vallm_code MoeRoute(vallm_device* device, const vallm_buffer* logits, int64_t rows,
                           int32_t experts, int32_t top_k, int32_t normalize, vallm_buffer* ids,
                           vallm_buffer* weights, vallm_error* error) {
  (void)device, (void)logits, (void)rows, (void)experts, (void)top_k, (void)normalize, (void)ids;
  (void)weights;
  return NOT_YET("moe_route");
}

static vallm_code MoeExperts(vallm_device* device, const vallm_buffer* x, int64_t rows,
                             const vallm_buffer* ids, const vallm_buffer* weights, int32_t top_k,
                             const vallm_experts* experts, vallm_buffer* out, vallm_error* error) {
  (void)device, (void)x, (void)rows, (void)ids, (void)weights, (void)top_k, (void)experts;
  (void)out;
  return NOT_YET("moe_experts");
}

static const vallm_vacc_api kTable = {
    .struct_size = sizeof(vallm_vacc_api),
    .abi_major = VALLM_VACC_ABI_MAJOR,
    .abi_minor = VALLM_VACC_ABI_MINOR,
    .name = "skeleton",
    .version = "0",
    .die_count = DieCount,
    .die_info = DieInfo,
    .kv_bytes = KvBytes,
    .open = Open,
    .close = Close,
    .alloc = Alloc,
    .free_buffer = FreeBuffer,
    .upload = Upload,
    .download = Download,
    .pack_matrix = PackMatrix,
    .free_matrix = FreeMatrix,
    .pack_experts = PackExperts,
    .free_experts = FreeExperts,
    .embed = Embed,
    .gather_rows = GatherRows,
    .add = Add,
    .rms_norm = RmsNorm,
    .silu_mul = SiluMul,
    .mat_mul = MatMul,
    .norm_rope_heads = NormRopeHeads,
    .store_kv = StoreKv,
    .attention = Attention,
    .moe_route = MoeRoute,
    .moe_experts = MoeExperts,
    /* all_reduce_sum: the host's; inject_fault: none */
};

const vallm_vacc_api* vallm_vacc_plugin(uint32_t host_abi_major, uint32_t host_abi_minor) {
  (void)host_abi_minor;
  return host_abi_major == VALLM_VACC_ABI_MAJOR ? &kTable : NULL;
}
