// The CPU reference plug-in, broken on purpose: libvallm_vacc_faulty.so. What is wrong with it is
// read from VALLM_VACC_FAULT whenever the plug-in is asked for its table, as words split by blanks:
//
//   major=N table_size=N no_table no_name missing=FUNCTION     the table itself
//   failed_die=N                                               its health
//   refuse_open                                                open: UNAVAILABLE
//   out_of_memory=BYTES device_lost=CALLS [marker=FILE]        inject_fault when a die is opened;
//   with
//                                                              a marker only if it can delete the
//                                                              file
//   no_all_reduce no_inject_fault                              optional functions left out
//   wrong=LAW                                                  see kWrongs below
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "engine_service/device/vacc/reference/cpu_plugin.h"

namespace vallm::engine {
namespace {

std::map<std::string, std::string> ReadFaults() {
  std::map<std::string, std::string> faults;
  const char* const text = std::getenv("VALLM_VACC_FAULT");
  std::istringstream words(text == nullptr ? "" : text);
  for (std::string word; words >> word;) {
    const size_t equals = word.find('=');
    faults[word.substr(0, equals)] = equals == std::string::npos ? "" : word.substr(equals + 1);
  }
  return faults;
}

std::map<std::string, std::string>& Faults() {
  static std::map<std::string, std::string> faults = ReadFaults();
  return faults;
}

int64_t Number(const std::string& name) { return std::atoll(Faults().at(name).c_str()); }

const vallm_vacc_api& Good() { return CpuPluginTable(); }

vallm_code Open(const vallm_open_options* options, vallm_device** device, vallm_error* error) {
  if (Faults().count("refuse_open") != 0) {
    std::snprintf(error->message, sizeof(error->message), "die %d does not answer", options->die);
    return VALLM_UNAVAILABLE;
  }
  const vallm_code code = Good().open(options, device, error);
  if (code != VALLM_OK) return code;
  if (Faults().count("marker") != 0 && unlink(Faults().at("marker").c_str()) != 0) return VALLM_OK;
  if (Faults().count("out_of_memory") != 0) {
    return Good().inject_fault(*device, VALLM_FAULT_OUT_OF_MEMORY, Number("out_of_memory"), error);
  }
  if (Faults().count("device_lost") != 0) {
    return Good().inject_fault(*device, VALLM_FAULT_DEVICE_LOST, Number("device_lost"), error);
  }
  return VALLM_OK;
}

vallm_code DieInfoOf(int32_t die, vallm_die_info* info, vallm_error* error) {
  const vallm_code code = Good().die_info(die, info, error);
  if (code == VALLM_OK && die == Number("failed_die")) {
    info->health = VALLM_HEALTH_FAILED;
    std::snprintf(info->health_text, sizeof(info->health_text), "uncorrectable ECC errors");
  }
  return code;
}

// ---- Laws broken -------------------------------------------------------------------------------

// Reads, changes and writes back the first `count` floats of a buffer.
template <typename Change>
vallm_code Edit(vallm_device* device, vallm_buffer* buffer, int64_t count, Change change,
                vallm_error* error) {
  std::vector<float> values(static_cast<size_t>(count));
  vallm_code code = Good().download(device, buffer, count * 4, values.data(), error);
  if (code != VALLM_OK) return code;
  change(values);
  return Good().upload(device, values.data(), count * 4, buffer, error);
}

// Adds a little that depends on how many rows there are.
vallm_code RowsMatterNorm(vallm_device* device, const vallm_buffer* x, const vallm_buffer* weight,
                          float eps, int64_t rows, int64_t width, vallm_buffer* out,
                          vallm_error* error) {
  const vallm_code code = Good().rms_norm(device, x, weight, eps, rows, width, out, error);
  if (code != VALLM_OK || rows < 2) return code;
  return Edit(
      device, out, rows * width, [](auto& v) { v[0] += v[0] * 1e-7f; }, error);
}

// Leaves the eps out.
vallm_code NoEpsNorm(vallm_device* device, const vallm_buffer* x, const vallm_buffer* weight,
                     float /*eps*/, int64_t rows, int64_t width, vallm_buffer* out,
                     vallm_error* error) {
  return Good().rms_norm(device, x, weight, 0.0f, rows, width, out, error);
}

// Calls every K one group, so that shards do not join along the tree.
vallm_code OneGroupPack(vallm_device* device, const vallm_weight_slice* slices, int32_t count,
                        int32_t k_groups, vallm_matrix** matrix, vallm_error* error) {
  if (k_groups == 8 && count > 0 && slices[0].col_count % 8 == 0) k_groups = 1;
  return Good().pack_matrix(device, slices, count, k_groups, matrix, error);
}

// Takes scales from the slice's own corner instead of the whole matrix.
vallm_code LocalScalesPack(vallm_device* device, const vallm_weight_slice* slices, int32_t count,
                           int32_t k_groups, vallm_matrix** matrix, vallm_error* error) {
  std::vector<vallm_weight_slice> local(slices, slices + count);
  for (vallm_weight_slice& slice : local) {
    if (slice.scales == nullptr || slice.block_rows < 1 || slice.data == nullptr) continue;
    const int64_t size = 1;  // bytes of a scaled element
    slice.data = static_cast<const char*>(slice.data) + slice.row_begin * slice.matrix_cols * size;
    slice.row_begin = 0;
  }
  return Good().pack_matrix(device, local.data(), count, k_groups, matrix, error);
}

// Accepts whatever it is given.
vallm_code CarelessPack(vallm_device* device, const vallm_weight_slice* slices, int32_t count,
                        int32_t k_groups, vallm_matrix** matrix, vallm_error* error) {
  const vallm_code code = Good().pack_matrix(device, slices, count, k_groups, matrix, error);
  if (code != VALLM_INVALID_ARGUMENT || count < 1) return code;
  static const uint16_t kZeros[16] = {};
  vallm_weight_slice dummy = {};
  dummy.data = kZeros;
  dummy.matrix_cols = dummy.col_count = 16;
  dummy.row_count = 1;
  return Good().pack_matrix(device, &dummy, 1, 1, matrix, error);
}

// Lets rows see one position too many.
vallm_code PeekingAttention(vallm_device* device, const vallm_buffer* qkv,
                            const vallm_head_layout* heads, int32_t kv_type,
                            const vallm_attention_chunk* chunks, int32_t chunk_count,
                            const int32_t* block_ids, int64_t block_id_count,
                            const vallm_buffer* k_cache, const vallm_buffer* v_cache,
                            vallm_buffer* out, vallm_error* error) {
  std::vector<vallm_attention_chunk> later(chunks, chunks + chunk_count);
  for (vallm_attention_chunk& chunk : later) {
    if ((chunk.start_position + chunk.row_count) % VALLM_KV_BLOCK_SIZE != 0) ++chunk.start_position;
  }
  return Good().attention(device, qkv, heads, kv_type, later.data(), chunk_count, block_ids,
                          block_id_count, k_cache, v_cache, out, error);
}

// Rounds keys and values to bf16 by cutting the low bits off.
vallm_code TruncatingStore(vallm_device* device, const vallm_buffer* qkv,
                           const vallm_head_layout* heads, int32_t kv_type, const int32_t* slots,
                           int64_t rows, vallm_buffer* k_cache, vallm_buffer* v_cache,
                           vallm_error* error) {
  const int64_t floats = rows * (heads->q_heads + 2 * heads->kv_heads) * heads->head_dim;
  const auto truncate = [&](std::vector<float>& values) {
    if (kv_type != VALLM_KV_BF16) return;
    for (float& value : values) {
      uint32_t bits = 0;
      std::memcpy(&bits, &value, sizeof(bits));
      bits &= 0xffff0000u;
      std::memcpy(&value, &bits, sizeof(bits));
    }
  };
  const vallm_code code = Edit(device, const_cast<vallm_buffer*>(qkv), floats, truncate, error);
  if (code != VALLM_OK) return code;
  return Good().store_kv(device, qkv, heads, kv_type, slots, rows, k_cache, v_cache, error);
}

// Breaks ties towards the higher expert, by routing the mirrored logits.
vallm_code HighTiesRoute(vallm_device* device, const vallm_buffer* logits, int64_t rows,
                         int32_t experts, int32_t top_k, int32_t normalize, vallm_buffer* ids,
                         vallm_buffer* weights, vallm_error* error) {
  const auto mirror = [&](std::vector<float>& values) {
    for (int64_t row = 0; row < rows; ++row) {
      std::reverse(values.begin() + row * experts, values.begin() + (row + 1) * experts);
    }
  };
  auto* const mutable_logits = const_cast<vallm_buffer*>(logits);
  vallm_code code = Edit(device, mutable_logits, rows * experts, mirror, error);
  if (code != VALLM_OK) return code;
  code = Good().moe_route(device, logits, rows, experts, top_k, normalize, ids, weights, error);
  if (code != VALLM_OK) return code;
  code = Edit(device, mutable_logits, rows * experts, mirror, error);
  if (code != VALLM_OK) return code;
  return Edit(
      device, ids, rows * top_k,
      [&](std::vector<float>& values) {
        for (float& value : values) {
          int32_t id = 0;
          std::memcpy(&id, &value, sizeof(id));
          id = experts - 1 - id;
          std::memcpy(&value, &id, sizeof(id));
        }
      },
      error);
}

// Gives the last row's experts one weight too much.
vallm_code HeavyExperts(vallm_device* device, const vallm_buffer* x, int64_t rows,
                        const vallm_buffer* ids, const vallm_buffer* weights, int32_t top_k,
                        const vallm_experts* experts, vallm_buffer* out, vallm_error* error) {
  if (rows > 0) {
    const vallm_code code = Edit(
        device, const_cast<vallm_buffer*>(weights), rows * top_k,
        [](auto& values) { values.back() *= 1.01f; }, error);
    if (code != VALLM_OK) return code;
  }
  return Good().moe_experts(device, x, rows, ids, weights, top_k, experts, out, error);
}

// Sums twice.
vallm_code DoubleReduce(vallm_device* device, vallm_buffer* data, int64_t count,
                        const vallm_collective* host, vallm_error* error) {
  const vallm_code code = Good().all_reduce_sum(device, data, count, host, error);
  if (code != VALLM_OK || host->ranks == 1) return code;
  return Edit(
      device, data, count, [](auto& values) { values[0] += 1; }, error);
}

// Gives memory out with what was in it.
vallm_code DirtyAlloc(vallm_device* device, int64_t bytes, vallm_buffer** buffer,
                      vallm_error* error) {
  const vallm_code code = Good().alloc(device, bytes, buffer, error);
  if (code != VALLM_OK || bytes < 4) return code;
  return Edit(
      device, *buffer, 1, [](auto& values) { values[0] = 1; }, error);
}

struct Wrong {
  const char* name;
  void (*apply)(vallm_vacc_api& api);
};
constexpr Wrong kWrongs[] = {
    {"rows_matter", [](vallm_vacc_api& api) { api.rms_norm = RowsMatterNorm; }},
    {"no_eps", [](vallm_vacc_api& api) { api.rms_norm = NoEpsNorm; }},
    {"one_group", [](vallm_vacc_api& api) { api.pack_matrix = OneGroupPack; }},
    {"local_scales", [](vallm_vacc_api& api) { api.pack_matrix = LocalScalesPack; }},
    {"careless_pack", [](vallm_vacc_api& api) { api.pack_matrix = CarelessPack; }},
    {"peeking_attention", [](vallm_vacc_api& api) { api.attention = PeekingAttention; }},
    {"truncating_store", [](vallm_vacc_api& api) { api.store_kv = TruncatingStore; }},
    {"high_ties", [](vallm_vacc_api& api) { api.moe_route = HighTiesRoute; }},
    {"heavy_experts", [](vallm_vacc_api& api) { api.moe_experts = HeavyExperts; }},
    {"double_reduce", [](vallm_vacc_api& api) { api.all_reduce_sum = DoubleReduce; }},
    {"dirty_alloc", [](vallm_vacc_api& api) { api.alloc = DirtyAlloc; }},
};

template <typename Function>
void Leave(vallm_vacc_api& api, Function vallm_vacc_api::*member, const char* name) {
  if (Faults().count("missing") != 0 && Faults().at("missing") == name) api.*member = nullptr;
}

void ApplyFaults(vallm_vacc_api& api) {
  const auto& faults = Faults();
  api = Good();
  api.name = "faulty";
  api.open = Open;
  if (faults.count("major") != 0) api.abi_major = static_cast<uint32_t>(Number("major"));
  if (faults.count("table_size") != 0)
    api.struct_size = static_cast<uint32_t>(Number("table_size"));
  if (faults.count("no_name") != 0) api.name = nullptr;
  if (faults.count("failed_die") != 0) api.die_info = DieInfoOf;
  if (faults.count("no_all_reduce") != 0) api.all_reduce_sum = nullptr;
  if (faults.count("no_inject_fault") != 0) api.inject_fault = nullptr;
  Leave(api, &vallm_vacc_api::kv_bytes, "kv_bytes");
  Leave(api, &vallm_vacc_api::mat_mul, "mat_mul");
  Leave(api, &vallm_vacc_api::moe_experts, "moe_experts");
  if (faults.count("wrong") == 0) return;
  for (const Wrong& wrong : kWrongs) {
    if (faults.at("wrong") == wrong.name) wrong.apply(api);
  }
}

}  // namespace
}  // namespace vallm::engine

const vallm_vacc_api* vallm_vacc_plugin(uint32_t /*host_abi_major*/, uint32_t /*host_abi_minor*/) {
  static vallm_vacc_api table;
  // Read again each time, so that one process can see several faults.
  vallm::engine::Faults() = vallm::engine::ReadFaults();
  if (vallm::engine::Faults().count("no_table") != 0) return nullptr;
  vallm::engine::ApplyFaults(table);
  return &table;
}
