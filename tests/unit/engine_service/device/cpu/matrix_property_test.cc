// Random matrices, cuts and batches: every row's product is what it is alone, bit for bit, and no
// kernel touches memory that is not its own.
//
// VALLM_PROPERTY_SEED and VALLM_PROPERTY_CASES choose where to begin and how long to search.
#include <sys/mman.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <random>

#include "engine_service/device/cpu/cpu_device.h"
#include "engine_service/device/cpu/kernels.h"
#include "engine_service/device/cpu/tile_matrix.h"
#include "gtest/gtest.h"
#include "tests/testing/reference_ops.h"
#include "tests/testing/status_matchers.h"

namespace vallm::engine {
namespace {

using ::vallm::testing::FromDevice;
using ::vallm::testing::HostMatrix;
using ::vallm::testing::RandomFloats;
using ::vallm::testing::RelativeError;
using ::vallm::testing::ToDevice;
using ::vallm::testing::WeightTypeName;

int64_t FromEnvironment(const char* name, int64_t otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : std::atoll(value);
}

constexpr WeightType kTypes[] = {WeightType::kBf16, WeightType::kF16, WeightType::kF8E4m3,
                                 WeightType::kUint8, WeightType::kUint4};

class Random {
 public:
  explicit Random(uint32_t seed) : engine_(seed) {}
  int64_t In(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(engine_);
  }
  template <typename T, size_t N>
  T Of(const T (&values)[N]) {
    return values[In(0, N - 1)];
  }
  bool Once(int64_t in) { return In(1, in) == 1; }
  uint32_t Seed() { return static_cast<uint32_t>(engine_()); }

 private:
  std::mt19937 engine_;
};

// Bytes that end where a page begins that nobody may touch, and begin behind one likewise. Filled
// with NaNs.
class Fenced {
 public:
  explicit Fenced(int64_t bytes, int64_t alignment = 1) : bytes_(bytes) {
    const int64_t page = sysconf(_SC_PAGESIZE);
    const int64_t inner = (bytes + alignment + page - 1) / page * page;
    mapped_ = inner + 2 * page;
    base_ = static_cast<std::byte*>(
        mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    std::memset(base_, 0xff, mapped_);
    mprotect(base_, page, PROT_NONE);
    mprotect(base_ + page + inner, page, PROT_NONE);
    data_ = base_ + page + (inner - bytes) / alignment * alignment;
  }
  template <typename T>
  explicit Fenced(const std::vector<T>& values, int64_t alignment = alignof(T))
      : Fenced(static_cast<int64_t>(values.size() * sizeof(T)), alignment) {
    if (!values.empty()) std::memcpy(data_, values.data(), values.size() * sizeof(T));
  }
  Fenced(Fenced&& other) noexcept
      : bytes_(other.bytes_), mapped_(other.mapped_), base_(other.base_), data_(other.data_) {
    other.base_ = nullptr;
  }
  ~Fenced() {
    if (base_ != nullptr) munmap(base_, mapped_);
  }
  void Poison() { std::memset(data_, 0xff, bytes_); }
  template <typename T>
  T* As() {
    return reinterpret_cast<T*>(data_);
  }

 private:
  int64_t bytes_, mapped_;
  std::byte* base_;
  std::byte* data_;
};

// A matrix with blocks of scales of any size.
HostMatrix RandomMatrix(Random& random, int64_t rows, int64_t cols, WeightType type,
                        int32_t block_rows, int32_t block_cols) {
  HostMatrix m(rows, cols, type, random.Seed());
  if (!IsScaled(type)) return m;
  m.block_rows_ = block_rows;
  m.block_cols_ = block_cols;
  m.scale_cols_ = (cols + block_cols - 1) / block_cols;
  m.scales_.clear();
  m.zeros_.clear();
  for (int64_t i = 0; i < (rows + block_rows - 1) / block_rows * m.scale_cols_; ++i) {
    m.scales_.push_back(0.0001f * static_cast<float>(random.In(1, 10000)));
    if (HasZeros(type)) {
      m.zeros_.push_back(static_cast<int16_t>(random.In(0, type == WeightType::kUint4 ? 16 : 256)));
    }
  }
  return m;
}

struct Stack {
  WeightType type = WeightType::kBf16;
  int32_t groups = 1;
  int64_t n = 0, k = 0, col_begin = 0;
  std::vector<HostMatrix> hosts;
  std::vector<int64_t> row_begins, row_counts;

  std::vector<WeightSlice> Slices() const {
    std::vector<WeightSlice> slices;
    for (size_t i = 0; i < hosts.size(); ++i) {
      slices.push_back(hosts[i].Slice(row_begins[i], row_counts[i], col_begin, k));
    }
    return slices;
  }
  // The host and the row of an output feature.
  std::pair<const HostMatrix*, int64_t> Find(int64_t feature) const {
    for (size_t i = 0;; ++i) {
      if (feature < row_counts[i]) return {&hosts[i], row_begins[i] + feature};
      feature -= row_counts[i];
    }
  }
};

Stack RandomStack(Random& random) {
  constexpr int32_t kGroups[] = {1, 1, 2, 4, 8};
  constexpr int32_t kBlockCols[] = {1, 3, 16, 31, 32, 33, 64, 96, 128, 129, 200};
  constexpr int32_t kBlockRows[] = {1, 5, 16, 16, 24, 128, 128};
  Stack s;
  s.type = random.Of(kTypes);
  s.groups = random.Of(kGroups);
  s.k = s.groups * (random.Once(2) ? random.In(1, 20) : random.In(1, 600 / s.groups));
  s.col_begin = random.Once(2) ? 0 : random.In(0, 150);
  const int64_t cols = s.col_begin + s.k + (random.Once(2) ? 0 : random.In(0, 40));
  const int32_t block_cols = random.Of(kBlockCols);
  for (int64_t slices = random.In(1, 3); slices > 0 && s.n < 200; --slices) {
    const int64_t count = random.Once(3) ? 16 * random.In(1, 9) : random.In(1, 70);
    const int64_t begin = random.Once(2) ? 0 : random.In(0, 40);
    s.hosts.push_back(RandomMatrix(random, begin + count + random.In(0, 20), cols, s.type,
                                   random.Of(kBlockRows), block_cols));
    s.row_begins.push_back(begin);
    s.row_counts.push_back(count);
    s.n += count;
  }
  return s;
}

// A packed matrix all of whose parts are fenced.
struct FencedMatrix {
  FencedMatrix(const Stack& stack, ThreadPool& pool)
      : matrix(*TileMatrix::Lay(stack.Slices(), stack.groups)) {
    AlignedMemory memory = *AlignedMemory::Allocate(matrix.bytes());
    EXPECT_OK(matrix.Fill(stack.Slices(), memory.data(), pool));
    view = matrix.view();
    const int64_t segments = int64_t{matrix.tiles()} * view.segments;
    const auto keep = [&](const auto*& part, int64_t count) {
      if (part == nullptr) return;
      using T = std::remove_cvref_t<decltype(*part)>;
      parts.emplace_back(std::vector<T>(part, part + count));
      part = parts.back().template As<T>();
    };
    parts.reserve(6);
    keep(view.data, matrix.bytes());
    keep(view.scales, segments * view.scale_lanes);
    keep(view.zeros, segments * 16);
    keep(view.segment_ends, view.segments);
    keep(view.segment_pairs, view.segments);
    keep(view.group_ends, view.groups);
  }
  TileMatrix matrix;
  TileView view;
  std::vector<Fenced> parts;
};

struct FencedPanels {
  std::vector<Fenced> memory;
  std::vector<PanelView> views;
  PanelList list() const { return {views.data(), static_cast<int32_t>(views.size())}; }
};

// Rows [begin, end) of x: as PanelSet cuts them, largest first (so that scratch_bytes suffices), or
// anyhow.
FencedPanels Pack(const Kernels& kernels, const TileView& w, const float* x, int64_t begin,
                  int64_t end, Random* anyhow) {
  FencedPanels panels;
  std::vector<int32_t> sizes;
  for (const int32_t* size = kernels.panel_sizes; *size > 0; ++size) sizes.push_back(*size);
  panels.memory.reserve(end - begin);
  while (begin < end) {
    int32_t rows = 0;
    for (const int32_t size : sizes) {
      if (size <= end - begin) {
        rows = size;
        if (anyhow == nullptr || anyhow->Once(3)) break;
      }
    }
    Fenced& memory = panels.memory.emplace_back(kernels.panel_bytes(w, rows), 64);
    std::vector<const float*> list;
    std::vector<Fenced> fenced;
    for (int32_t r = 0; r < rows; ++r) {
      fenced.emplace_back(std::vector<float>(x + (begin + r) * w.k, x + (begin + r + 1) * w.k));
      list.push_back(fenced.back().As<float>());
    }
    kernels.pack_panel(w, list.data(), rows, memory.As<void>());
    panels.views.push_back({memory.As<void>(), rows});
    begin += rows;
  }
  return panels;
}

bool SameBits(const float* a, const float* b, int64_t count) {
  return std::memcmp(a, b, count * sizeof(float)) == 0;
}

float ToBf16(float x) {
  if (std::abs(x) < std::numeric_limits<float>::min()) return 0;
  const uint32_t bits = static_cast<uint32_t>(::vallm::testing::DoubleToBf16(x)) << 16;
  float out;
  std::memcpy(&out, &bits, sizeof(out));
  return out;
}

// AMX neither reads nor writes subnormals.
float Flush(float x) { return std::abs(x) < std::numeric_limits<float>::min() ? 0 : x; }

// Group sums of one row and feature, as docs/packed-weights.md says.
std::vector<float> DocumentedGroups(const Stack& stack, const TileView& w, const float* x,
                                    int64_t feature, bool amx) {
  const auto [host, row] = stack.Find(feature);
  std::vector<float> groups;
  int32_t begin = 0, segment = 0;
  for (int32_t g = 0; g < w.groups; ++g) {
    float group = 0;
    for (; segment < w.group_ends[g]; ++segment) {
      const int32_t end = w.segment_ends[segment];
      float scale = 1;
      std::vector<float> weights;
      for (int32_t k = begin; k < end; ++k) {
        const int64_t col = stack.col_begin + k, i = row * host->cols_ + col;
        if (!IsScaled(stack.type)) {
          weights.push_back(static_cast<float>(host->At(row, col)));
          continue;
        }
        const int64_t block = row / host->block_rows_ * host->scale_cols_ + col / host->block_cols_;
        // e4m3 is read 2^8 too small, which tells where products are subnormal.
        const bool e4m3 = stack.type == WeightType::kF8E4m3;
        scale = host->scales_[block] * (e4m3 ? 256.0f : 1.0f);
        weights.push_back(
            e4m3 ? static_cast<float>(::vallm::testing::E4m3ToDouble(host->bytes_[i]) / 256)
                 : static_cast<float>(host->bytes_[i] - host->zeros_[block]));
      }
      float sum = 0;
      if (!amx) {
        for (int32_t k = begin; k < end; ++k) sum = std::fma(x[k], weights[k - begin], sum);
      } else {
        float parts[3] = {};
        for (int part = 0; part < 3; ++part) {
          for (int32_t chunk = begin; chunk < end; chunk += 32) {
            for (int split = 0; split < (stack.type == WeightType::kF16 ? 2 : 1); ++split) {
              float even = 0, odd = 0;
              for (int32_t k = chunk; k < std::min(end, chunk + 32); ++k) {
                float rest = x[k];
                for (int i = 0; i < part; ++i) rest -= ToBf16(rest);
                const float high = ToBf16(weights[k - begin]);
                const float weight = split == 0 ? high : ToBf16(weights[k - begin] - high);
                float& s = (k - chunk) % 2 == 0 ? even : odd;
                s = Flush(std::fma(ToBf16(rest), weight, s));
              }
              parts[part] = Flush(parts[part] + Flush(even + odd));
            }
          }
        }
        sum = parts[0] + (parts[1] + parts[2]);
      }
      group = IsScaled(stack.type) ? std::fma(sum, scale, group) : sum + group;
      begin = end;
    }
    groups.push_back(group);
  }
  return groups;
}

float Tree(std::vector<float> groups) {
  for (size_t width = groups.size() / 2; width >= 1; width /= 2) {
    for (size_t g = 0; g < width; ++g) groups[g] = groups[2 * g] + groups[2 * g + 1];
  }
  return groups[0];
}

const Kernels& KernelsFor(Isa isa) {
#if defined(__x86_64__)
  if (isa == Isa::kAmx) return kAmxKernels;
  if (isa == Isa::kAvx512) return kAvx512Kernels;
  if (isa == Isa::kAvx2) return kAvx2Kernels;
#endif
  return kPortableKernels;
}

// `want`: group sums [rows][n][groups].
void CheckKernels(Random& random, const Stack& stack, const FencedMatrix& packed, Isa isa,
                  const std::vector<float>& x, int64_t rows,
                  const std::vector<std::vector<float>>& want) {
  const Kernels& kernels = KernelsFor(isa);
  const TileView& w = packed.view;
  const int32_t all_tiles = packed.matrix.tiles();
  for (int attempt = 0; attempt < 6; ++attempt) {
    // A part of the rows and of the tiles, in panels of any size or of those that PanelSet cuts.
    const int64_t count = attempt == 0     ? rows
                          : random.Once(2) ? random.In(1, std::min<int64_t>(rows, 6))
                                           : random.In(1, rows);
    const int64_t begin = random.In(0, rows - count);
    const auto tile = static_cast<int32_t>(attempt == 0 ? 0 : random.In(0, all_tiles - 1));
    const auto tiles =
        static_cast<int32_t>(attempt == 0 ? all_tiles : random.In(1, all_tiles - tile));
    FencedPanels panels = Pack(kernels, w, x.data(), begin, begin + count,
                               count > 5 && random.Once(2) ? &random : nullptr);
    Fenced scratch(kernels.scratch_bytes(w, tiles, static_cast<int32_t>(count)), 64);
    const int64_t stride = w.n + random.In(0, 3);
    std::vector<float> blank(count * stride, -7.0f);
    Fenced out(blank);
    kernels.matmul(w, tile, tiles, panels.list(), out.As<float>(), stride, scratch.As<void>());
    for (int64_t r = 0; r < count; ++r) {
      for (int64_t i = 0; i < stride; ++i) {
        const bool inside = i >= tile * 16 && i < std::min<int64_t>((tile + tiles) * 16, w.n);
        const float expected = inside ? Tree(want[(begin + r) * w.n + i]) : -7.0f;
        const float got = out.As<float>()[r * stride + i];
        ASSERT_TRUE(SameBits(&got, &expected, 1))
            << "matmul row " << begin + r << " of " << begin << "+" << count << " feature " << i
            << " tiles " << tile << "+" << tiles << " got " << got << " want " << expected;
      }
    }

    const auto few = static_cast<int32_t>(std::min<int64_t>(tiles, random.In(1, kTilesPerRun)));
    Fenced small(kernels.scratch_bytes(w, few, static_cast<int32_t>(count)), 64);
    std::vector<int32_t> ids;
    std::vector<float> weights;
    for (int64_t r = 0; r < count; ++r) ids.push_back(static_cast<int32_t>(count - 1 - r));
    for (int64_t r = 0; r < count; ++r)
      weights.push_back(0.01f * static_cast<float>(random.In(1, 99)));
    Fenced fenced_ids(ids), fenced_weights(weights);
    const int64_t width = int64_t{w.groups} * kTilesPerRun * 16;
    std::vector<float> before = RandomFloats(count * width, random.Seed());
    Fenced partial(before);
    const uint8_t* const next = random.Once(2) ? nullptr : w.data + random.In(0, 10) * w.tile_bytes;
    kernels.matmul_accumulate(w, tile, few, panels.list(), fenced_weights.As<float>(),
                              fenced_ids.As<int32_t>(), partial.As<float>(), width, next,
                              small.As<void>());
    for (int64_t r = 0; r < count; ++r) {
      for (int32_t g = 0; g < w.groups; ++g) {
        for (int64_t i = 0; i < kTilesPerRun * 16; ++i) {
          const int64_t at = ids[r] * width + g * kTilesPerRun * 16 + i;
          const int64_t feature = tile * 16 + i;
          if (i < few * 16 && feature >= w.n) continue;  // padding
          const float expected =
              i < few * 16 ? std::fma(weights[r], want[(begin + r) * w.n + feature][g], before[at])
                           : before[at];
          const float got = partial.As<float>()[at];
          ASSERT_TRUE(SameBits(&got, &expected, 1))
              << "accumulate row " << r << " of " << count << " group " << g << " column " << i
              << " tiles " << tile << "+" << few;
        }
      }
    }
  }
}

TEST(MatrixProperty, RowsAreWhatTheyAreAlone) {
  const int64_t first = FromEnvironment("VALLM_PROPERTY_SEED", 1);
  const int64_t cases = FromEnvironment("VALLM_PROPERTY_CASES", 60);
  for (int64_t seed = first; seed < first + cases; ++seed) {
    Random random(static_cast<uint32_t>(seed));
    const Stack stack = RandomStack(random);
    const auto pool = *ThreadPool::Create(1, {});
    const FencedMatrix packed(stack, *pool);
    const int64_t rows = random.In(1, 40);
    std::vector<float> x = RandomFloats(rows * stack.k, random.Seed());
    if (random.Once(4)) {
      for (float& v : x) v *= random.Once(5) ? 1e-38f : random.Once(5) ? 0.0f : 1.0f;
    }
    for (const bool amx : {false, true}) {
      std::vector<std::vector<float>> want;
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t n = 0; n < stack.n; ++n) {
          want.push_back(DocumentedGroups(stack, packed.view, x.data() + r * stack.k, n, amx));
        }
      }
      for (const Isa isa : AvailableIsas()) {
        if ((isa == Isa::kAmx) != amx) continue;
        SCOPED_TRACE(::testing::Message()
                     << "seed " << seed << " " << IsaName(isa) << " " << WeightTypeName(stack.type)
                     << " n " << stack.n << " k " << stack.k << " from " << stack.col_begin
                     << " groups " << stack.groups << " segments " << packed.view.segments
                     << " rows " << rows << " scale lanes " << packed.view.scale_lanes << " slices "
                     << stack.hosts.size());
        CheckKernels(random, stack, packed, isa, x, rows, want);
        if (HasFailure()) return;
      }
    }
  }
}

std::unique_ptr<Device> MakeDevice(Isa isa, int32_t threads) {
  CpuDeviceOptions options;
  options.isa = isa;
  options.threads = threads;
  return *CreateCpuDevice(options);
}

TEST(MatrixProperty, DenseProductsAreWhatTheirRowsAreAlone) {
  const int64_t first = FromEnvironment("VALLM_PROPERTY_SEED", 1);
  const int64_t cases = FromEnvironment("VALLM_PROPERTY_CASES", 60) / 10 + 1;
  for (const Isa isa : AvailableIsas()) {
    const auto one = MakeDevice(isa, 1), three = MakeDevice(isa, 3);
    for (int64_t seed = first; seed < first + cases; ++seed) {
      Random random(static_cast<uint32_t>(seed + 1000000));
      const WeightType type = random.Of(kTypes);
      constexpr int32_t kGroups[] = {1, 2, 4, 8};
      const int32_t groups = random.Of(kGroups);
      // Large enough for threads, even one row.
      int64_t k = groups * random.In(300 / groups, 700 / groups), n = random.In(450, 1200);
      int64_t rows = random.In(1, 40);
      if (random.Once(4)) {  // several calls of panels
        k = groups * (random.In(16000, 24000) / groups);
        n = random.In(1, 100);
        rows = random.In(50, 120);
      }
      const HostMatrix m = RandomMatrix(random, n, k, type, random.Once(2) ? 128 : 20,
                                        static_cast<int32_t>(random.In(20, 200)));
      const std::vector<float> x = RandomFloats(rows * k, random.Seed());
      SCOPED_TRACE(::testing::Message()
                   << "seed " << seed << " " << IsaName(isa) << " " << WeightTypeName(type) << " n "
                   << n << " k " << k << " rows " << rows << " groups " << groups);
      std::vector<float> alone;
      const std::vector<WeightSlice> slices = {m.Whole()};
      const auto w1 = *one->PackMatrix(slices, groups), w3 = *three->PackMatrix(slices, groups);
      const auto multiply = [&](Device& device, const PackedMatrix& w, int64_t from,
                                int64_t count) {
        const auto in = ToDevice(
            device, std::vector<float>(x.begin() + from * k, x.begin() + (from + count) * k));
        const auto out = ToDevice(device, std::vector<float>(count * n, -7.0f));
        EXPECT_OK(device.MatMul(*in, count, w, *out));
        return FromDevice<float>(device, *out, count * n);
      };
      for (int64_t r = 0; r < rows; ++r) {
        const auto y = multiply(*one, *w1, r, 1);
        alone.insert(alone.end(), y.begin(), y.end());
      }
      ASSERT_TRUE(SameBits(multiply(*one, *w1, 0, rows).data(), alone.data(), rows * n));
      ASSERT_TRUE(SameBits(multiply(*three, *w3, 0, rows).data(), alone.data(), rows * n));
      const int64_t count = random.In(1, std::min<int64_t>(rows, 5)),
                    from = random.In(0, rows - count);
      ASSERT_TRUE(
          SameBits(multiply(*three, *w3, from, count).data(), alone.data() + from * n, count * n));
      ASSERT_TRUE(SameBits(multiply(*three, *w3, from, 1).data(), alone.data() + from * n, n));
    }
  }
}

TEST(MatrixProperty, ExpertsGiveARowWhatTheyGiveItAlone) {
  const int64_t first = FromEnvironment("VALLM_PROPERTY_SEED", 1);
  const int64_t cases = FromEnvironment("VALLM_PROPERTY_CASES", 60) / 10 + 1;
  for (int64_t seed = first; seed < first + cases; ++seed) {
    std::vector<float> portable;
    for (const Isa isa : AvailableIsas()) {
      const auto one = MakeDevice(isa, 1), three = MakeDevice(isa, 3);
      Random random(static_cast<uint32_t>(seed + 2000000));
      const WeightType type = random.Of(kTypes);
      constexpr int32_t kGroups[] = {1, 2, 4, 8};
      const int32_t groups = random.Of(kGroups);
      const int64_t hidden = random.In(1, 300), inter = groups * random.In(1, 300 / groups);
      const auto experts = static_cast<int32_t>(random.In(1, 7));
      const auto top_k = static_cast<int32_t>(random.In(1, experts));
      const int64_t rows = random.Once(3) ? random.In(1, 6) : random.In(1, 40);
      const auto block_cols = static_cast<int32_t>(random.In(8, 140)),
                 block_rows = random.Once(2) ? 128 : 24;
      std::vector<HostMatrix> hosts;
      for (int32_t e = 0; e < experts; ++e) {
        hosts.push_back(RandomMatrix(random, inter, hidden, type, block_rows, block_cols));
        hosts.push_back(RandomMatrix(random, inter, hidden, type, block_rows, block_cols));
        hosts.push_back(RandomMatrix(random, hidden, inter, type, block_rows, block_cols));
      }
      std::vector<ExpertSlices> slices;
      for (int32_t e = 0; e < experts; ++e) {
        slices.push_back(
            {hosts[3 * e].Whole(), hosts[3 * e + 1].Whole(), hosts[3 * e + 2].Whole()});
      }
      std::vector<float> x = RandomFloats(rows * hidden, random.Seed());
      for (float& v : x) v *= 0.05f;
      std::vector<int32_t> ids;
      std::vector<float> weights;
      for (int64_t r = 0; r < rows; ++r) {
        // Skewed: expert 0 nearly always, the others now and then.
        std::vector<int32_t> order;
        for (int32_t e = 0; e < experts; ++e) order.push_back(e);
        for (int32_t j = 0; j < top_k; ++j) {
          const int64_t pick = j == 0 && !random.Once(4) ? 0 : random.In(0, order.size() - 1);
          ids.push_back(order[pick]);
          order.erase(order.begin() + pick);
          weights.push_back(0.01f * static_cast<float>(random.In(1, 99)));
        }
      }
      SCOPED_TRACE(::testing::Message()
                   << "seed " << seed << " " << IsaName(isa) << " " << WeightTypeName(type)
                   << " hidden " << hidden << " inter " << inter << " experts " << experts
                   << " top " << top_k << " rows " << rows << " groups " << groups);
      const auto run = [&](Device& device, const PackedExperts& packed, int64_t from,
                           int64_t count) {
        const auto in = ToDevice(device, std::vector<float>(x.begin() + from * hidden,
                                                            x.begin() + (from + count) * hidden));
        const auto i = ToDevice(device, std::vector<int32_t>(ids.begin() + from * top_k,
                                                             ids.begin() + (from + count) * top_k));
        const auto w =
            ToDevice(device, std::vector<float>(weights.begin() + from * top_k,
                                                weights.begin() + (from + count) * top_k));
        const auto out = ToDevice(device, std::vector<float>(count * hidden + 1, -7.0f));
        EXPECT_OK(device.MoeExperts(*in, count, *i, *w, top_k, packed, *out));
        auto y = FromDevice<float>(device, *out, count * hidden + 1);
        EXPECT_EQ(y.back(), -7.0f);
        y.pop_back();
        return y;
      };
      const auto p1 = *one->PackExperts(slices, groups), p3 = *three->PackExperts(slices, groups);
      std::vector<float> alone;
      for (int64_t r = 0; r < rows; ++r) {
        const auto y = run(*one, *p1, r, 1);
        alone.insert(alone.end(), y.begin(), y.end());
      }
      ASSERT_TRUE(SameBits(run(*one, *p1, 0, rows).data(), alone.data(), alone.size()));
      ASSERT_TRUE(SameBits(run(*three, *p3, 0, rows).data(), alone.data(), alone.size()));
      const int64_t count = random.In(1, rows), from = random.In(0, rows - count);
      ASSERT_TRUE(SameBits(run(*three, *p3, from, count).data(), alone.data() + from * hidden,
                           count * hidden));
      for (const float v : alone) ASSERT_TRUE(std::isfinite(v));
      if (portable.empty()) portable = alone;
      if (SameNumerics(isa, Isa::kPortable)) {
        ASSERT_TRUE(SameBits(portable.data(), alone.data(), alone.size()));
      }
      std::vector<double> reference(portable.begin(), portable.end());
      ASSERT_LT(RelativeError(alone, reference), 2e-5);
    }
  }
}

}  // namespace
}  // namespace vallm::engine
