// Makes the Kernels table of one instruction set out of the loops before it.
// No include guard: compiled once per instruction set. VALLM_KERNEL_SHAPES(X) lists X(R, T): the
// panel sizes, descending to 1, each with the tiles its registers hold.

namespace vallm::engine {
namespace {

void MatmulPanel(const TileView& w, int32_t tile, int32_t tiles, PanelView x, float* const* out) {
  switch (x.rows) {
#define VALLM_CASE(R, T) \
  case R:                \
    return MatmulRows<R, T>(w, tile, tiles, x.data, out);
    VALLM_KERNEL_SHAPES(VALLM_CASE)
#undef VALLM_CASE
  }
  __builtin_trap();  // not one of panel_sizes
}

void AccumulatePanel(const TileView& w, int32_t tile, int32_t tiles, PanelView x,
                     const float* row_weights, float* const* partial) {
  switch (x.rows) {
#define VALLM_CASE(R, T) \
  case R:                \
    return AccumulateRows<R, T>(w, tile, tiles, x.data, row_weights, partial);
    VALLM_KERNEL_SHAPES(VALLM_CASE)
#undef VALLM_CASE
  }
  __builtin_trap();  // not one of panel_sizes
}

#define VALLM_SIZE(R, T) R,
constexpr Kernels kTable = {
    .panel_sizes = {VALLM_KERNEL_SHAPES(VALLM_SIZE)},
    .matmul = MatmulPanel,
    .matmul_accumulate = AccumulatePanel,
    .join_groups = JoinGroups,
    .attend = Attend,
    .rms_norm = RmsNorm,
    .rope = RotateHead,
    .silu_mul = SiluMul,
    .exp_shifted = ExpShifted,
};
#undef VALLM_SIZE

}  // namespace
}  // namespace vallm::engine
