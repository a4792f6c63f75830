#include "engine_service/device/cpu/kernels.h"
#include "engine_service/device/cpu/vec16_avx512.h"
#define VALLM_KERNEL_SHAPES(X) X(5, 4) X(4, 4) X(3, 4) X(2, 4) X(1, 4)
// The order matters: each builds on the ones before it.
// clang-format off
#include "engine_service/device/cpu/pointwise-inl.h"
#include "engine_service/device/cpu/tiles-inl.h"
#include "engine_service/device/cpu/tile_registers_amx-inl.h"
#include "engine_service/device/cpu/tile_operands_amx-inl.h"
#include "engine_service/device/cpu/matmul_amx-inl.h"
#include "engine_service/device/cpu/attention-inl.h"
#include "engine_service/device/cpu/attention_staging_amx-inl.h"
#include "engine_service/device/cpu/attention_amx-inl.h"
#include "engine_service/device/cpu/kernel_table-inl.h"
// clang-format on

namespace vallm::engine {
namespace {

static_assert(kTable.panel_sizes[0] == kPanelRows);

constexpr Kernels AmxTable() {
  Kernels table = kTable;
  table.attention_rows = kMaxAttentionRows;
  table.attention_scratch_bytes = AmxScratchBytes;
  table.attend = AttendAmx;
  return table;
}

}  // namespace

const Kernels kAmxKernels = AmxTable();

}  // namespace vallm::engine
