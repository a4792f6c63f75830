// The instruction sets that the CPU kernels are compiled for, and which of them this machine runs.
#ifndef VALLM_ENGINE_SERVICE_DEVICE_CPU_ISA_H_
#define VALLM_ENGINE_SERVICE_DEVICE_CPU_ISA_H_

#include <string_view>
#include <vector>

namespace vallm::engine {

enum class Isa {
  kPortable,  // plain C++; exact, slow where the baseline has no fused multiply-add
  kAvx2,      // x86: AVX2, FMA, F16C
  kAvx512,    // x86: AVX-512 F, BW, DQ, VL
  kAmx,       // x86: AVX-512 with BF16, and AMX tiles of BF16; has bits of its own
};

std::string_view IsaName(Isa isa);

// Whether two instruction sets give the same bits: all but AMX add in one order.
inline bool SameNumerics(Isa a, Isa b) { return (a == Isa::kAmx) == (b == Isa::kAmx); }

// What this build and this machine both have, best last; never empty.
std::vector<Isa> AvailableIsas();

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_DEVICE_CPU_ISA_H_
