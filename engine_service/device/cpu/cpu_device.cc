#include "engine_service/device/cpu/cpu_device.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "engine_service/device/cpu/cpu_ops.h"
#include "engine_service/device/half.h"

namespace vallm::engine {
namespace {

class CpuBuffer final : public Buffer {
 public:
  explicit CpuBuffer(AlignedMemory memory) : memory_(std::move(memory)) {}
  int64_t size_bytes() const override { return memory_.bytes(); }
  std::byte* data() const { return memory_.data(); }

 private:
  const AlignedMemory memory_;
};

class CpuMatrix final : public PackedMatrix {
 public:
  explicit CpuMatrix(TileMatrix tiles) : tiles_(std::move(tiles)) {}
  int64_t n() const override { return tiles_.n(); }
  int64_t k() const override { return tiles_.k(); }
  const TileMatrix& tiles() const { return tiles_; }

 private:
  const TileMatrix tiles_;
};

class CpuExperts final : public PackedExperts {
 public:
  CpuExperts(AlignedMemory memory, std::vector<TileExpert> experts)
      : memory_(std::move(memory)), experts_(std::move(experts)) {}
  std::span<const TileExpert> experts() const { return experts_; }

 private:
  const AlignedMemory memory_;  // of all experts' weights
  const std::vector<TileExpert> experts_;
};

int64_t RoundUp64(int64_t bytes) { return (bytes + 63) / 64 * 64; }

// Every handle that reaches a CpuDevice was made by one.
template <typename T>
T* Data(Buffer& buffer) {
  return reinterpret_cast<T*>(static_cast<CpuBuffer&>(buffer).data());
}
template <typename T>
const T* Data(const Buffer& buffer) {
  return reinterpret_cast<const T*>(static_cast<const CpuBuffer&>(buffer).data());
}

const Kernels& KernelsFor(Isa isa) {
#if defined(__x86_64__)
  if (isa == Isa::kAmx) return kAmxKernels;
  if (isa == Isa::kAvx512) return kAvx512Kernels;
  if (isa == Isa::kAvx2) return kAvx2Kernels;
#endif
  return kPortableKernels;
}

class CpuDevice final : public Device {
 public:
  CpuDevice(std::unique_ptr<ThreadPool> pool, Isa isa)
      : pool_(std::move(pool)), isa_(isa), kernels_(KernelsFor(isa)), scratch_(pool_->threads()) {}

  // A number behind the name counts changes of its sums.
  std::string Numerics() const override { return isa_ == Isa::kAmx ? "cpu amx 2" : "cpu fma"; }

  absl::StatusOr<std::unique_ptr<Buffer>> Allocate(int64_t bytes) override {
    VALLM_ASSIGN_OR_RETURN(AlignedMemory memory, AlignedMemory::Allocate(bytes));
    return std::make_unique<CpuBuffer>(std::move(memory));
  }

  absl::Status Upload(std::span<const std::byte> from, Buffer& to) override {
    if (!from.empty()) std::memcpy(Data<std::byte>(to), from.data(), from.size());
    return absl::OkStatus();
  }

  absl::Status Download(const Buffer& from, std::span<std::byte> to) override {
    if (!to.empty()) std::memcpy(to.data(), Data<std::byte>(from), to.size());
    return absl::OkStatus();
  }

  absl::StatusOr<std::unique_ptr<PackedMatrix>> PackMatrix(std::span<const WeightSlice> stacked,
                                                           int32_t k_groups) override {
    VALLM_ASSIGN_OR_RETURN(TileMatrix tiles, TileMatrix::Pack(stacked, k_groups, *pool_));
    return std::make_unique<CpuMatrix>(std::move(tiles));
  }

  absl::StatusOr<std::unique_ptr<PackedExperts>> PackExperts(std::span<const ExpertSlices> experts,
                                                             int32_t k_groups) override {
    if (experts.empty()) return absl::InvalidArgumentError("no experts to pack");
    std::vector<TileExpert> tiles;
    int64_t bytes = 0;
    for (const ExpertSlices& expert : experts) {
      const WeightSlice gate_up[] = {expert.gate, expert.up};
      TileExpert& laid = tiles.emplace_back();
      VALLM_ASSIGN_OR_RETURN(laid.gate_up, TileMatrix::Lay(gate_up, /*k_groups=*/1));
      VALLM_ASSIGN_OR_RETURN(laid.down, TileMatrix::Lay({&expert.down, 1}, k_groups));
      const TileExpert& first = tiles.front();
      if (expert.gate.row_count != laid.down.k() || expert.up.row_count != laid.down.k() ||
          laid.gate_up.k() != laid.down.n() || laid.down.k() != first.down.k() ||
          laid.down.n() != first.down.n()) {
        return absl::InvalidArgumentError(
            absl::StrCat("expert ", tiles.size() - 1, ": gate, up and down do not fit together"));
      }
      bytes += RoundUp64(laid.gate_up.bytes()) + RoundUp64(laid.down.bytes());
    }
    // One piece of memory for all experts of a layer: alone, most are too small for huge pages.
    VALLM_ASSIGN_OR_RETURN(AlignedMemory memory, AlignedMemory::Allocate(bytes));
    std::byte* at = memory.data();
    for (size_t e = 0; e < experts.size(); ++e) {
      const WeightSlice gate_up[] = {experts[e].gate, experts[e].up};
      VALLM_RETURN_IF_ERROR(tiles[e].gate_up.Fill(gate_up, at, *pool_));
      at += RoundUp64(tiles[e].gate_up.bytes());
      VALLM_RETURN_IF_ERROR(tiles[e].down.Fill({&experts[e].down, 1}, at, *pool_));
      at += RoundUp64(tiles[e].down.bytes());
    }
    return std::make_unique<CpuExperts>(std::move(memory), std::move(tiles));
  }

  absl::Status Embed(const Buffer& table, WeightType type, std::span<const int32_t> ids,
                     int64_t width, Buffer& out) override {
    float* to = Data<float>(out);
    for (const int32_t id : ids) {
      const uint16_t* row = Data<uint16_t>(table) + id * width;
      for (int64_t i = 0; i < width; ++i) {
        // bf16 is the upper half of a float.
        to[i] = type == WeightType::kF16 ? HalfToFloat(row[i])
                                         : std::bit_cast<float>(uint32_t{row[i]} << 16);
      }
      to += width;
    }
    return absl::OkStatus();
  }

  absl::Status GatherRows(const Buffer& x, std::span<const int32_t> row_ids, int64_t width,
                          Buffer& out) override {
    float* to = Data<float>(out);
    for (const int32_t row : row_ids) {
      to = std::copy_n(Data<float>(x) + row * width, width, to);
    }
    return absl::OkStatus();
  }

  absl::Status Add(Buffer& x, const Buffer& y, int64_t rows, int64_t width) override {
    float* a = Data<float>(x);
    const float* b = Data<float>(y);
    for (int64_t i = 0; i < rows * width; ++i) a[i] += b[i];
    return absl::OkStatus();
  }

  absl::Status RmsNorm(const Buffer& x, const Buffer& weight, float eps, int64_t rows,
                       int64_t width, Buffer& out) override {
    const float* from = Data<float>(x);
    float* to = Data<float>(out);
    pool_->Run(rows, rows * width * 4 > kParallelWork, [&](int64_t row, int32_t) {
      kernels_.rms_norm(from + row * width, Data<float>(weight), eps, static_cast<int32_t>(width),
                        to + row * width);
    });
    return absl::OkStatus();
  }

  absl::Status SiluMul(const Buffer& gate_up, int64_t rows, int64_t width, Buffer& out) override {
    const float* from = Data<float>(gate_up);
    float* to = Data<float>(out);
    pool_->Run(rows, rows * width * 16 > kParallelWork, [&](int64_t row, int32_t) {
      const float* gate = from + row * 2 * width;
      kernels_.silu_mul(gate, gate + width, static_cast<int32_t>(width), to + row * width);
    });
    return absl::OkStatus();
  }

  absl::Status MatMul(const Buffer& x, int64_t rows, const PackedMatrix& w, Buffer& out) override {
    CpuContext cpu = context();
    CpuMatMul(cpu, Data<float>(x), rows, static_cast<const CpuMatrix&>(w).tiles(),
              Data<float>(out));
    return absl::OkStatus();
  }

  int64_t KvBytes(const HeadLayout& heads, KvType type, int64_t num_blocks) const override {
    return num_blocks * kKvBlockSize * heads.kv_heads * heads.head_dim * KvElementBytes(type);
  }

  absl::Status NormRopeHeads(Buffer& qkv, int64_t rows, const HeadLayout& heads,
                             const Buffer& q_weight, const Buffer& k_weight, float eps,
                             const Buffer& cos_sin) override {
    CpuContext cpu = context();
    CpuNormRopeHeads(cpu, Data<float>(qkv), rows, heads, Data<float>(q_weight),
                     Data<float>(k_weight), eps, Data<float>(cos_sin));
    return absl::OkStatus();
  }

  absl::Status StoreKv(const Buffer& qkv, const HeadLayout& heads, KvType type,
                       std::span<const int32_t> slots, Buffer& k_cache, Buffer& v_cache) override {
    CpuContext cpu = context();
    CpuStoreKv(cpu, Data<float>(qkv), heads, type, slots, Data<std::byte>(k_cache),
               Data<std::byte>(v_cache));
    return absl::OkStatus();
  }

  absl::Status Attention(const Buffer& qkv, const HeadLayout& heads, KvType type,
                         std::span<const AttentionChunk> chunks, std::span<const int32_t> block_ids,
                         const Buffer& k_cache, const Buffer& v_cache, Buffer& out) override {
    CpuContext cpu = context();
    CpuAttention(cpu, Data<float>(qkv), heads, type, chunks, block_ids, Data<std::byte>(k_cache),
                 Data<std::byte>(v_cache), Data<float>(out));
    return absl::OkStatus();
  }

  absl::Status MoeRoute(const Buffer& logits, int64_t rows, int32_t experts, int32_t top_k,
                        bool normalize, Buffer& ids, Buffer& weights) override {
    CpuContext cpu = context();
    CpuMoeRoute(cpu, Data<float>(logits), rows, experts, top_k, normalize, Data<int32_t>(ids),
                Data<float>(weights));
    return absl::OkStatus();
  }

  absl::Status MoeExperts(const Buffer& x, int64_t rows, const Buffer& ids, const Buffer& weights,
                          int32_t top_k, const PackedExperts& experts, Buffer& out) override {
    CpuContext cpu = context();
    CpuMoeExperts(cpu, Data<float>(x), rows, Data<int32_t>(ids), Data<float>(weights), top_k,
                  static_cast<const CpuExperts&>(experts).experts(), Data<float>(out));
    return absl::OkStatus();
  }

  absl::Status AllReduceSum(Buffer& data, int64_t count, Collective& collective) override {
    return collective.AllReduceSum({Data<float>(data), static_cast<size_t>(count)});
  }

 private:
  CpuContext context() { return {*pool_, kernels_, scratch_}; }

  const std::unique_ptr<ThreadPool> pool_;
  const Isa isa_;
  const Kernels& kernels_;
  CpuScratch scratch_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Device>> CreateCpuDevice(const CpuDeviceOptions& options) {
  const std::vector<Isa> available = AvailableIsas();
  const Isa isa = options.isa.value_or(available.back());
  if (std::find(available.begin(), available.end(), isa) == available.end()) {
    std::string names;
    for (const Isa has : available)
      absl::StrAppend(&names, names.empty() ? "" : ", ", ToAbsl(IsaName(has)));
    return absl::UnimplementedError(absl::StrCat("this machine or build has no ",
                                                 ToAbsl(IsaName(isa)), " kernels; it has ", names));
  }
  VALLM_ASSIGN_OR_RETURN(std::unique_ptr<ThreadPool> pool,
                         ThreadPool::Create(options.threads, options.pin_to));
  return std::make_unique<CpuDevice>(std::move(pool), isa);
}

}  // namespace vallm::engine
