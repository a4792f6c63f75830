#include "engine_service/device/vacc/reference/cpu_plugin.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <fstream>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/version.h"
#include "engine_service/device/cpu/cpu_device.h"
#include "engine_service/device/cpu/isa.h"
#include "engine_service/device/vacc/abi_convert.h"

// The handles of the interface are these.
struct vallm_device {
  int32_t die = 0;
  std::unique_ptr<vallm::engine::Device> cpu;

  // Failures on demand; see vallm_device_abi.h. Below 0: none.
  int64_t bytes_left = -1;
  int64_t calls_left = -1;
};
struct vallm_buffer {
  std::unique_ptr<vallm::engine::Buffer> memory;
};
struct vallm_matrix {
  std::unique_ptr<vallm::engine::PackedMatrix> weights;
  int64_t bytes = 0;
};
struct vallm_experts {
  std::unique_ptr<vallm::engine::PackedExperts> weights;
  int64_t bytes = 0;
};

namespace vallm::engine {
namespace {

// ---- What all functions share ------------------------------------------------------------------

// Runs `body`, which returns a Status, and lets nothing but a code out.
template <typename Body>
vallm_code Guard(vallm_error* error, Body body) {
  try {
    return StatusToAbi(body(), error);
  } catch (const std::bad_alloc&) {
    return StatusToAbi(absl::ResourceExhaustedError("out of host memory"), error);
  } catch (const std::exception& e) {
    return StatusToAbi(absl::InternalError(e.what()), error);
  } catch (...) {
    return StatusToAbi(absl::InternalError("unknown exception"), error);
  }
}

// The same for a function of an open device, which may have been told to fail.
template <typename Body>
vallm_code OnDevice(vallm_device* device, vallm_error* error, Body body) {
  if (device->calls_left == 0) {
    return StatusToAbi(absl::UnavailableError("the device is lost (injected)"), error);
  }
  if (device->calls_left > 0) --device->calls_left;
  return Guard(error, body);
}

// Takes `bytes` of what an injected shortage has left.
absl::Status Take(vallm_device* device, int64_t bytes) {
  if (device->bytes_left < 0) return absl::OkStatus();
  if (bytes > device->bytes_left) {
    return absl::ResourceExhaustedError(absl::StrCat("die ", device->die, " has ",
                                                     device->bytes_left, " bytes free; ", bytes,
                                                     " are asked for (injected)"));
  }
  device->bytes_left -= bytes;
  return absl::OkStatus();
}
void GiveBack(vallm_device* device, int64_t bytes) {
  if (device->bytes_left >= 0) device->bytes_left += bytes;
}

template <typename T>
std::span<const T> Array(const T* values, int64_t count) {
  return {values, static_cast<size_t>(count)};
}

template <size_t N>
void SetText(const std::string& text, char (&to)[N]) {
  std::snprintf(to, N, "%s", text.c_str());
}

// ---- Dies --------------------------------------------------------------------------------------

int32_t NumDies() {
  const char* const text = std::getenv("VALLM_VACC_CPU_DIES");
  return text == nullptr ? 16 : std::clamp(std::atoi(text), 0, 1024);
}

// A line of /proc/meminfo in bytes; -1: not known.
int64_t MemoryBytes(const std::string& name) {
  std::ifstream file("/proc/meminfo");
  for (std::string word; file >> word;) {
    int64_t kib = 0;
    if (word == name + ":" && file >> kib) return kib * 1024;
  }
  return -1;
}

absl::Status CheckDie(int32_t die) {
  if (die >= 0 && die < NumDies()) return absl::OkStatus();
  return absl::NotFoundError(absl::StrCat("there is no die ", die, "; there are ", NumDies()));
}

vallm_code DieCount(int32_t* count, vallm_error* error) {
  return Guard(error, [&] {
    *count = NumDies();
    return absl::OkStatus();
  });
}

vallm_code FillDieInfo(int32_t die, vallm_die_info* info, vallm_error* error) {
  return Guard(error, [&]() -> absl::Status {
    VALLM_RETURN_IF_ERROR(CheckDie(die));
    vallm_die_info full = {};
    full.struct_size = info->struct_size;
    full.health = VALLM_HEALTH_OK;
    SetText(absl::StrCat("CPU (", std::string(IsaName(AvailableIsas().back())), ")"), full.name);
    SetText(absl::StrCat("cpu-", die), full.uuid);
    full.card = 0;
    full.numa_node = -1;
    full.memory_total_bytes = MemoryBytes("MemTotal");
    full.memory_free_bytes = MemoryBytes("MemAvailable");
    full.temperature_celsius = full.power_watts = std::numeric_limits<double>::quiet_NaN();
    std::memcpy(info, &full, std::min<size_t>(info->struct_size, sizeof(full)));
    return absl::OkStatus();
  });
}

// A small device that knows what all of them have in common; null if there can be none.
const Device* AnyDevice() {
  static const std::unique_ptr<Device> device = [] {
    auto created = CreateCpuDevice({});
    return created.ok() ? *std::move(created) : nullptr;
  }();
  return device.get();
}

int64_t CacheBytes(const vallm_head_layout* heads, int32_t kv_type, int64_t blocks) {
  const Device* const device = AnyDevice();
  const absl::StatusOr<KvType> type = KvTypeFromAbi(kv_type);
  if (device == nullptr || !type.ok() || heads->head_dim % 32 != 0 || heads->head_dim > 256) {
    return -1;
  }
  return device->KvBytes(HeadsFromAbi(*heads), *type, blocks);
}

// The version of vallm and the arithmetic of this machine's kernels.
const char* Version() {
  static const std::string version =
      absl::StrCat(kVersion, " ", AnyDevice() == nullptr ? "" : AnyDevice()->Numerics());
  return version.c_str();
}

vallm_code Open(const vallm_open_options* options, vallm_device** device, vallm_error* error) {
  return Guard(error, [&]() -> absl::Status {
    VALLM_RETURN_IF_ERROR(CheckDie(options->die));
    auto opened = std::make_unique<vallm_device>();
    opened->die = options->die;
    CpuDeviceOptions cpu;
    cpu.threads = options->host_threads;
    VALLM_ASSIGN_OR_RETURN(opened->cpu, CreateCpuDevice(cpu));
    *device = opened.release();
    return absl::OkStatus();
  });
}

void Close(vallm_device* device) { delete device; }

// ---- Memory ------------------------------------------------------------------------------------

vallm_code Alloc(vallm_device* device, int64_t bytes, vallm_buffer** buffer, vallm_error* error) {
  return OnDevice(device, error, [&]() -> absl::Status {
    VALLM_RETURN_IF_ERROR(Take(device, bytes));
    auto memory = device->cpu->Allocate(bytes);
    if (!memory.ok()) {
      GiveBack(device, bytes);
      return memory.status();
    }
    *buffer = new vallm_buffer{*std::move(memory)};
    return absl::OkStatus();
  });
}

void FreeBuffer(vallm_device* device, vallm_buffer* buffer) {
  GiveBack(device, buffer->memory->size_bytes());
  delete buffer;
}

vallm_code Upload(vallm_device* device, const void* from, int64_t bytes, vallm_buffer* to,
                  vallm_error* error) {
  return OnDevice(device, error, [&] {
    return device->cpu->Upload(Array(static_cast<const std::byte*>(from), bytes), *to->memory);
  });
}

vallm_code Download(vallm_device* device, const vallm_buffer* from, int64_t bytes, void* to,
                    vallm_error* error) {
  return OnDevice(device, error, [&] {
    return device->cpu->Download(*from->memory,
                                 {static_cast<std::byte*>(to), static_cast<size_t>(bytes)});
  });
}

// What the weights of a slice take, about.
int64_t SliceBytes(const vallm_weight_slice& slice) {
  const bool halves = slice.type == VALLM_WEIGHT_BF16 || slice.type == VALLM_WEIGHT_F16;
  return slice.row_count * slice.col_count * (halves ? 2 : 1);
}

vallm_code PackMatrix(vallm_device* device, const vallm_weight_slice* slices, int32_t count,
                      int32_t k_groups, vallm_matrix** matrix, vallm_error* error) {
  return OnDevice(device, error, [&]() -> absl::Status {
    std::vector<WeightSlice> stacked;
    auto packed = std::make_unique<vallm_matrix>();
    for (const vallm_weight_slice& slice : Array(slices, count)) {
      VALLM_ASSIGN_OR_RETURN(const WeightSlice converted, SliceFromAbi(slice));
      stacked.push_back(converted);
      packed->bytes += SliceBytes(slice);
    }
    VALLM_ASSIGN_OR_RETURN(packed->weights, device->cpu->PackMatrix(stacked, k_groups));
    VALLM_RETURN_IF_ERROR(Take(device, packed->bytes));
    *matrix = packed.release();
    return absl::OkStatus();
  });
}

void FreeMatrix(vallm_device* device, vallm_matrix* matrix) {
  GiveBack(device, matrix->bytes);
  delete matrix;
}

vallm_code PackExperts(vallm_device* device, const vallm_expert_slices* experts, int32_t count,
                       int32_t k_groups, vallm_experts** out, vallm_error* error) {
  return OnDevice(device, error, [&]() -> absl::Status {
    std::vector<ExpertSlices> converted;
    auto packed = std::make_unique<vallm_experts>();
    for (const vallm_expert_slices& expert : Array(experts, count)) {
      ExpertSlices& to = converted.emplace_back();
      VALLM_ASSIGN_OR_RETURN(to.gate, SliceFromAbi(expert.gate));
      VALLM_ASSIGN_OR_RETURN(to.up, SliceFromAbi(expert.up));
      VALLM_ASSIGN_OR_RETURN(to.down, SliceFromAbi(expert.down));
      packed->bytes += SliceBytes(expert.gate) + SliceBytes(expert.up) + SliceBytes(expert.down);
    }
    VALLM_ASSIGN_OR_RETURN(packed->weights, device->cpu->PackExperts(converted, k_groups));
    VALLM_RETURN_IF_ERROR(Take(device, packed->bytes));
    *out = packed.release();
    return absl::OkStatus();
  });
}

void FreeExperts(vallm_device* device, vallm_experts* experts) {
  GiveBack(device, experts->bytes);
  delete experts;
}

// ---- Operations --------------------------------------------------------------------------------

vallm_code Embed(vallm_device* device, const vallm_buffer* table, int32_t table_type,
                 const int32_t* ids, int64_t rows, int64_t width, vallm_buffer* out,
                 vallm_error* error) {
  return OnDevice(device, error, [&]() -> absl::Status {
    VALLM_ASSIGN_OR_RETURN(const WeightType type, WeightTypeFromAbi(table_type));
    if (IsScaled(type)) return absl::UnimplementedError("embedding tables have no scales");
    return device->cpu->Embed(*table->memory, type, Array(ids, rows), width, *out->memory);
  });
}

vallm_code GatherRows(vallm_device* device, const vallm_buffer* x, const int32_t* row_ids,
                      int64_t count, int64_t width, vallm_buffer* out, vallm_error* error) {
  return OnDevice(device, error, [&] {
    return device->cpu->GatherRows(*x->memory, Array(row_ids, count), width, *out->memory);
  });
}

vallm_code Add(vallm_device* device, vallm_buffer* x, const vallm_buffer* y, int64_t rows,
               int64_t width, vallm_error* error) {
  return OnDevice(device, error,
                  [&] { return device->cpu->Add(*x->memory, *y->memory, rows, width); });
}

vallm_code RmsNorm(vallm_device* device, const vallm_buffer* x, const vallm_buffer* weight,
                   float eps, int64_t rows, int64_t width, vallm_buffer* out, vallm_error* error) {
  return OnDevice(device, error, [&] {
    return device->cpu->RmsNorm(*x->memory, *weight->memory, eps, rows, width, *out->memory);
  });
}

vallm_code SiluMul(vallm_device* device, const vallm_buffer* gate_up, int64_t rows, int64_t width,
                   vallm_buffer* out, vallm_error* error) {
  return OnDevice(device, error, [&] {
    return device->cpu->SiluMul(*gate_up->memory, rows, width, *out->memory);
  });
}

vallm_code MatMul(vallm_device* device, const vallm_buffer* x, int64_t rows, const vallm_matrix* w,
                  vallm_buffer* out, vallm_error* error) {
  return OnDevice(device, error,
                  [&] { return device->cpu->MatMul(*x->memory, rows, *w->weights, *out->memory); });
}

vallm_code NormRopeHeads(vallm_device* device, vallm_buffer* qkv, int64_t rows,
                         const vallm_head_layout* heads, const vallm_buffer* q_weight,
                         const vallm_buffer* k_weight, float eps, const vallm_buffer* cos_sin,
                         vallm_error* error) {
  return OnDevice(device, error, [&] {
    return device->cpu->NormRopeHeads(*qkv->memory, rows, HeadsFromAbi(*heads), *q_weight->memory,
                                      *k_weight->memory, eps, *cos_sin->memory);
  });
}

vallm_code StoreKv(vallm_device* device, const vallm_buffer* qkv, const vallm_head_layout* heads,
                   int32_t kv_type, const int32_t* slots, int64_t rows, vallm_buffer* k_cache,
                   vallm_buffer* v_cache, vallm_error* error) {
  return OnDevice(device, error, [&]() -> absl::Status {
    VALLM_ASSIGN_OR_RETURN(const KvType type, KvTypeFromAbi(kv_type));
    return device->cpu->StoreKv(*qkv->memory, HeadsFromAbi(*heads), type, Array(slots, rows),
                                *k_cache->memory, *v_cache->memory);
  });
}

vallm_code Attention(vallm_device* device, const vallm_buffer* qkv, const vallm_head_layout* heads,
                     int32_t kv_type, const vallm_attention_chunk* chunks, int32_t chunk_count,
                     const int32_t* block_ids, int64_t block_id_count, const vallm_buffer* k_cache,
                     const vallm_buffer* v_cache, vallm_buffer* out, vallm_error* error) {
  return OnDevice(device, error, [&]() -> absl::Status {
    VALLM_ASSIGN_OR_RETURN(const KvType type, KvTypeFromAbi(kv_type));
    return device->cpu->Attention(
        *qkv->memory, HeadsFromAbi(*heads), type, ChunksFromAbi(chunks, chunk_count),
        Array(block_ids, block_id_count), *k_cache->memory, *v_cache->memory, *out->memory);
  });
}

vallm_code MoeRoute(vallm_device* device, const vallm_buffer* logits, int64_t rows, int32_t experts,
                    int32_t top_k, int32_t normalize, vallm_buffer* ids, vallm_buffer* weights,
                    vallm_error* error) {
  return OnDevice(device, error, [&] {
    return device->cpu->MoeRoute(*logits->memory, rows, experts, top_k, normalize != 0,
                                 *ids->memory, *weights->memory);
  });
}

vallm_code MoeExperts(vallm_device* device, const vallm_buffer* x, int64_t rows,
                      const vallm_buffer* ids, const vallm_buffer* weights, int32_t top_k,
                      const vallm_experts* experts, vallm_buffer* out, vallm_error* error) {
  return OnDevice(device, error, [&] {
    return device->cpu->MoeExperts(*x->memory, rows, *ids->memory, *weights->memory, top_k,
                                   *experts->weights, *out->memory);
  });
}

// The host's collective as the CPU device takes it.
class HostCollective final : public Collective {
 public:
  explicit HostCollective(const vallm_collective* host) : host_(host) {}
  int rank() const override { return host_->rank; }
  int size() const override { return host_->ranks; }
  absl::Status AllReduceSum(std::span<float> data) override {
    const vallm_code code =
        host_->all_reduce_sum(host_->context, data.data(), static_cast<int64_t>(data.size()));
    return StatusFromAbi(code, {}, "all-reduce");
  }

 private:
  const vallm_collective* const host_;
};

vallm_code AllReduceSum(vallm_device* device, vallm_buffer* data, int64_t count,
                        const vallm_collective* host, vallm_error* error) {
  return OnDevice(device, error, [&] {
    HostCollective collective(host);
    return device->cpu->AllReduceSum(*data->memory, count, collective);
  });
}

vallm_code InjectFault(vallm_device* device, int32_t fault, int64_t after, vallm_error* error) {
  return Guard(error, [&]() -> absl::Status {
    if (after < 0) return absl::InvalidArgumentError(absl::StrCat("after is ", after));
    if (fault == VALLM_FAULT_OUT_OF_MEMORY) {
      device->bytes_left = after;
      return absl::OkStatus();
    }
    if (fault == VALLM_FAULT_DEVICE_LOST) {
      device->calls_left = after;
      return absl::OkStatus();
    }
    return absl::UnimplementedError(absl::StrCat("unknown fault ", fault));
  });
}

}  // namespace

const vallm_vacc_api& CpuPluginTable() {
  static const vallm_vacc_api kTable = {
      .struct_size = sizeof(vallm_vacc_api),
      .abi_major = VALLM_VACC_ABI_MAJOR,
      .abi_minor = VALLM_VACC_ABI_MINOR,
      .reserved = 0,
      .name = "vallm CPU reference",
      .version = Version(),
      .die_count = DieCount,
      .die_info = FillDieInfo,
      .kv_bytes = CacheBytes,
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
      .all_reduce_sum = AllReduceSum,
      .inject_fault = InjectFault,
  };
  return kTable;
}

}  // namespace vallm::engine
