// The shapes of the hardware's eight tile registers, which are state of the thread.
// No include guard: compiled once.

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

}  // namespace
}  // namespace vallm::engine
