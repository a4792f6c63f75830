// The hardware's eight tile registers, whose shapes are state of the thread.
// No include guard: compiled once, after memory_checks.h.

namespace vallm::engine {
namespace {

struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

// In effect until _tile_release or the next call.
inline void LoadTileConfig(const TileConfig& config) {
  // GCC 12's intrinsic names only the first bytes as its input.
  asm volatile("" ::"r"(&config) : "memory");
  _tile_loadconfig(&config);
}

// Before memory [rows][64] is touched by tile register T, which knows the number of rows.
template <int T>
[[gnu::always_inline]] inline void CheckTile(const void* rows) {
#ifdef VALLM_MEMORY_CHECKS
  TileConfig config;
  asm volatile("sttilecfg %0" : "=m"(config));
  CheckAccess(rows, int64_t{64} * config.rows[T]);
#endif
}

// Loads tile register T from rows of 64 bytes, one after the other. GCC 12's intrinsic does not say
// that it reads memory, so that the compiler could move stores behind it.
template <int T>
[[gnu::always_inline]] inline void LoadTile(const void* rows) {
  CheckTile<T>(rows);
  asm volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(rows), "r"(int64_t{64}), "i"(T) : "memory");
}

// Stores tile register T likewise.
template <int T>
[[gnu::always_inline]] inline void StoreTileRegister(void* rows) {
  CheckTile<T>(rows);
  asm volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(rows), "r"(int64_t{64}), "i"(T) : "memory");
}

}  // namespace
}  // namespace vallm::engine
