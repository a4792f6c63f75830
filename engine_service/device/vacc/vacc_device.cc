#include "engine_service/device/vacc/vacc_device.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "engine_service/device/vacc/abi_convert.h"

namespace vallm::engine {
namespace {

// Shared by a device and what was made on it. The caller keeps the order of destruction.
struct OpenDie {
  std::shared_ptr<const VaccPlugin> plugin;
  vallm_device* device = nullptr;
  std::string name;  // in front of errors

  const vallm_vacc_api& api() const { return plugin->api(); }
};

class VaccBuffer final : public Buffer {
 public:
  VaccBuffer(const OpenDie& die, vallm_buffer* handle, int64_t bytes)
      : die_(die), handle_(handle), bytes_(bytes) {}
  ~VaccBuffer() override { die_.api().free_buffer(die_.device, handle_); }
  int64_t size_bytes() const override { return bytes_; }
  vallm_buffer* handle() const { return handle_; }

 private:
  const OpenDie& die_;
  vallm_buffer* const handle_;
  const int64_t bytes_;
};

class VaccMatrix final : public PackedMatrix {
 public:
  VaccMatrix(const OpenDie& die, vallm_matrix* handle, int64_t n, int64_t k)
      : die_(die), handle_(handle), n_(n), k_(k) {}
  ~VaccMatrix() override { die_.api().free_matrix(die_.device, handle_); }
  int64_t n() const override { return n_; }
  int64_t k() const override { return k_; }
  vallm_matrix* handle() const { return handle_; }

 private:
  const OpenDie& die_;
  vallm_matrix* const handle_;
  const int64_t n_, k_;
};

class VaccExperts final : public PackedExperts {
 public:
  VaccExperts(const OpenDie& die, vallm_experts* handle) : die_(die), handle_(handle) {}
  ~VaccExperts() override { die_.api().free_experts(die_.device, handle_); }
  vallm_experts* handle() const { return handle_; }

 private:
  const OpenDie& die_;
  vallm_experts* const handle_;
};

// Every handle that reaches a device was made by it.
vallm_buffer* Handle(Buffer& buffer) { return static_cast<VaccBuffer&>(buffer).handle(); }
const vallm_buffer* Handle(const Buffer& buffer) {
  return static_cast<const VaccBuffer&>(buffer).handle();
}

// The collective of the host as a plug-in calls it; keeps the status that a code cannot carry.
class CollectiveBridge {
 public:
  explicit CollectiveBridge(Collective& collective)
      : collective_(collective),
        abi_{.struct_size = sizeof(vallm_collective),
             .rank = collective.rank(),
             .ranks = collective.size(),
             .reserved = 0,
             .context = this,
             .all_reduce_sum = &CollectiveBridge::AllReduceSum} {}

  const vallm_collective* abi() const { return &abi_; }
  const absl::Status& status() const { return status_; }

 private:
  static vallm_code AllReduceSum(void* context, float* data, int64_t count) {
    auto& self = *static_cast<CollectiveBridge*>(context);
    self.status_ = self.collective_.AllReduceSum({data, static_cast<size_t>(count)});
    vallm_error unused;
    return StatusToAbi(self.status_, &unused);
  }

  Collective& collective_;
  const vallm_collective abi_;
  absl::Status status_;
};

class VaccDeviceImpl final : public VaccDevice {
 public:
  explicit VaccDeviceImpl(OpenDie die) : die_(std::move(die)) {}
  ~VaccDeviceImpl() override { api().close(die_.device); }

  std::string Numerics() const override { return die_.plugin->Numerics(); }

  absl::StatusOr<std::unique_ptr<Buffer>> Allocate(int64_t bytes) override {
    vallm_buffer* handle = nullptr;
    VALLM_RETURN_IF_ERROR(
        Call([&](vallm_error* e) { return api().alloc(die_.device, bytes, &handle, e); }));
    return std::make_unique<VaccBuffer>(die_, handle, bytes);
  }

  absl::Status Upload(std::span<const std::byte> from, Buffer& to) override {
    return Call([&](vallm_error* e) {
      return api().upload(die_.device, from.data(), Size(from), Handle(to), e);
    });
  }

  absl::Status Download(const Buffer& from, std::span<std::byte> to) override {
    return Call([&](vallm_error* e) {
      return api().download(die_.device, Handle(from), Size(to), to.data(), e);
    });
  }

  absl::StatusOr<std::unique_ptr<PackedMatrix>> PackMatrix(std::span<const WeightSlice> stacked,
                                                           int32_t k_groups) override {
    std::vector<vallm_weight_slice> slices;
    int64_t n = 0;
    for (const WeightSlice& slice : stacked) {
      slices.push_back(SliceToAbi(slice));
      n += slice.row_count;
    }
    vallm_matrix* handle = nullptr;
    VALLM_RETURN_IF_ERROR(Call([&](vallm_error* e) {
      return api().pack_matrix(die_.device, slices.data(), static_cast<int32_t>(slices.size()),
                               k_groups, &handle, e);
    }));
    return std::make_unique<VaccMatrix>(die_, handle, n,
                                        stacked.empty() ? 0 : stacked[0].col_count);
  }

  absl::StatusOr<std::unique_ptr<PackedExperts>> PackExperts(std::span<const ExpertSlices> experts,
                                                             int32_t k_groups) override {
    std::vector<vallm_expert_slices> slices;
    for (const ExpertSlices& expert : experts) {
      slices.push_back({SliceToAbi(expert.gate), SliceToAbi(expert.up), SliceToAbi(expert.down)});
    }
    vallm_experts* handle = nullptr;
    VALLM_RETURN_IF_ERROR(Call([&](vallm_error* e) {
      return api().pack_experts(die_.device, slices.data(), static_cast<int32_t>(slices.size()),
                                k_groups, &handle, e);
    }));
    return std::make_unique<VaccExperts>(die_, handle);
  }

  absl::Status Embed(const Buffer& table, WeightType type, std::span<const int32_t> ids,
                     int64_t width, Buffer& out) override {
    return Call([&](vallm_error* e) {
      return api().embed(die_.device, Handle(table), WeightTypeToAbi(type), ids.data(), Size(ids),
                         width, Handle(out), e);
    });
  }

  absl::Status GatherRows(const Buffer& x, std::span<const int32_t> row_ids, int64_t width,
                          Buffer& out) override {
    return Call([&](vallm_error* e) {
      return api().gather_rows(die_.device, Handle(x), row_ids.data(), Size(row_ids), width,
                               Handle(out), e);
    });
  }

  absl::Status Add(Buffer& x, const Buffer& y, int64_t rows, int64_t width) override {
    return Call([&](vallm_error* e) {
      return api().add(die_.device, Handle(x), Handle(y), rows, width, e);
    });
  }

  absl::Status RmsNorm(const Buffer& x, const Buffer& weight, float eps, int64_t rows,
                       int64_t width, Buffer& out) override {
    return Call([&](vallm_error* e) {
      return api().rms_norm(die_.device, Handle(x), Handle(weight), eps, rows, width, Handle(out),
                            e);
    });
  }

  absl::Status SiluMul(const Buffer& gate_up, int64_t rows, int64_t width, Buffer& out) override {
    return Call([&](vallm_error* e) {
      return api().silu_mul(die_.device, Handle(gate_up), rows, width, Handle(out), e);
    });
  }

  absl::Status MatMul(const Buffer& x, int64_t rows, const PackedMatrix& w, Buffer& out) override {
    return Call([&](vallm_error* e) {
      return api().mat_mul(die_.device, Handle(x), rows, static_cast<const VaccMatrix&>(w).handle(),
                           Handle(out), e);
    });
  }

  int64_t KvBytes(const HeadLayout& heads, KvType type, int64_t num_blocks) const override {
    return die_.plugin->KvBytes(heads, type, num_blocks);
  }

  absl::Status NormRopeHeads(Buffer& qkv, int64_t rows, const HeadLayout& heads,
                             const Buffer& q_weight, const Buffer& k_weight, float eps,
                             const Buffer& cos_sin) override {
    const vallm_head_layout layout = HeadsToAbi(heads);
    return Call([&](vallm_error* e) {
      return api().norm_rope_heads(die_.device, Handle(qkv), rows, &layout, Handle(q_weight),
                                   Handle(k_weight), eps, Handle(cos_sin), e);
    });
  }

  absl::Status StoreKv(const Buffer& qkv, const HeadLayout& heads, KvType type,
                       std::span<const int32_t> slots, Buffer& k_cache, Buffer& v_cache) override {
    const vallm_head_layout layout = HeadsToAbi(heads);
    return Call([&](vallm_error* e) {
      return api().store_kv(die_.device, Handle(qkv), &layout, KvTypeToAbi(type), slots.data(),
                            Size(slots), Handle(k_cache), Handle(v_cache), e);
    });
  }

  absl::Status Attention(const Buffer& qkv, const HeadLayout& heads, KvType type,
                         std::span<const AttentionChunk> chunks, std::span<const int32_t> block_ids,
                         const Buffer& k_cache, const Buffer& v_cache, Buffer& out) override {
    const vallm_head_layout layout = HeadsToAbi(heads);
    return Call([&](vallm_error* e) {
      return api().attention(die_.device, Handle(qkv), &layout, KvTypeToAbi(type),
                             ChunksToAbi(chunks), static_cast<int32_t>(chunks.size()),
                             block_ids.data(), Size(block_ids), Handle(k_cache), Handle(v_cache),
                             Handle(out), e);
    });
  }

  absl::Status MoeRoute(const Buffer& logits, int64_t rows, int32_t experts, int32_t top_k,
                        bool normalize, Buffer& ids, Buffer& weights) override {
    return Call([&](vallm_error* e) {
      return api().moe_route(die_.device, Handle(logits), rows, experts, top_k, normalize ? 1 : 0,
                             Handle(ids), Handle(weights), e);
    });
  }

  absl::Status MoeExperts(const Buffer& x, int64_t rows, const Buffer& ids, const Buffer& weights,
                          int32_t top_k, const PackedExperts& experts, Buffer& out) override {
    return Call([&](vallm_error* e) {
      return api().moe_experts(die_.device, Handle(x), rows, Handle(ids), Handle(weights), top_k,
                               static_cast<const VaccExperts&>(experts).handle(), Handle(out), e);
    });
  }

  absl::Status AllReduceSum(Buffer& data, int64_t count, Collective& collective) override {
    if (api().all_reduce_sum == nullptr) return AllReduceOnHost(data, count, collective);
    CollectiveBridge bridge(collective);
    const absl::Status status = Call([&](vallm_error* e) {
      return api().all_reduce_sum(die_.device, Handle(data), count, bridge.abi(), e);
    });
    return bridge.status().ok() ? status : bridge.status();
  }

  absl::Status InjectFault(int32_t fault, int64_t after) override {
    if (api().inject_fault == nullptr) {
      return absl::UnimplementedError(absl::StrCat(die_.name, ": no inject_fault"));
    }
    return Call([&](vallm_error* e) { return api().inject_fault(die_.device, fault, after, e); });
  }

 private:
  const vallm_vacc_api& api() const { return die_.api(); }

  template <typename Values>
  static int64_t Size(const Values& values) {
    return static_cast<int64_t>(values.size());
  }

  // One call of the plug-in. The first error after which the device is of no use stays.
  template <typename Function>
  absl::Status Call(Function call) {
    if (!lost_.ok()) return lost_;
    vallm_error error;
    error.message[0] = '\0';
    const vallm_code code = call(&error);
    if (code == VALLM_OK) return absl::OkStatus();
    absl::Status status = StatusFromAbi(code, error, die_.name);
    if (absl::IsUnavailable(status) || absl::IsInternal(status)) lost_ = status;
    return status;
  }

  absl::Status AllReduceOnHost(Buffer& data, int64_t count, Collective& collective) {
    if (collective.size() == 1) return absl::OkStatus();
    staging_.resize(static_cast<size_t>(count));
    VALLM_RETURN_IF_ERROR(Download(data, std::as_writable_bytes(std::span(staging_))));
    VALLM_RETURN_IF_ERROR(collective.AllReduceSum(staging_));
    return Upload(std::as_bytes(std::span(staging_)), data);
  }

  const OpenDie die_;
  absl::Status lost_;
  std::vector<float> staging_;  // of AllReduceOnHost
};

}  // namespace

absl::StatusOr<std::unique_ptr<VaccDevice>> OpenVaccDevice(std::shared_ptr<const VaccPlugin> plugin,
                                                           const VaccDeviceOptions& options) {
  if (options.rank < 0 || options.rank >= static_cast<int32_t>(options.dies.size()) ||
      options.host_threads < 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "vacc device of rank ", options.rank, " of ", options.dies.size(), " dies with ",
        options.host_threads, " host threads; want a rank that has a die and at least 1 thread"));
  }
  const int32_t die = options.dies[static_cast<size_t>(options.rank)];
  const vallm_open_options open = {.struct_size = sizeof(vallm_open_options),
                                   .die = die,
                                   .rank = options.rank,
                                   .ranks = static_cast<int32_t>(options.dies.size()),
                                   .dies = options.dies.data(),
                                   .host_threads = options.host_threads,
                                   .reserved = 0};
  OpenDie opened = {.plugin = std::move(plugin),
                    .device = nullptr,
                    .name = std::string(absl::StrCat("vacc die ", die))};
  vallm_error error = {};
  VALLM_RETURN_IF_ERROR(
      StatusFromAbi(opened.api().open(&open, &opened.device, &error), error, opened.name));
  return std::make_unique<VaccDeviceImpl>(std::move(opened));
}

}  // namespace vallm::engine
