// Makes the Kernels table of one instruction set out of the loops before it.
// No include guard: compiled once per instruction set. VALLM_KERNEL_SHAPES(X) lists X(R, T): the
// panel sizes, descending to 1, each with the tiles its registers hold.

namespace vallm::engine {
namespace {

#define VALLM_SIZE(R, T) R,
constexpr Kernels kTable = {
    .panel_sizes = {VALLM_KERNEL_SHAPES(VALLM_SIZE)},
    .panel_bytes = PanelBytes,
    .pack_panel = PackPanel,
    .tiles_per_call = kTilesPerCall,
    .panel_bytes_per_call = kPanelBytesPerCall,
    .scratch_bytes = ScratchBytes,
    .matmul = Matmul,
    .matmul_accumulate = MatmulAccumulate,
    .join_groups = JoinGroups,
    .attention_rows = 64,
    .attention_scratch_bytes = AttentionScratchBytes,
    .attend = Attend,
    .join_spans = JoinSpans,
    .rms_norm = RmsNorm,
    .rope = RotateHead,
    .silu_mul = SiluMul,
    .exp_shifted = ExpShifted,
};
#undef VALLM_SIZE

}  // namespace
}  // namespace vallm::engine
