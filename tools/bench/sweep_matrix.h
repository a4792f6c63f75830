// The cells of a sweep: concurrency × input length × output length, as the vendor's benchmark.sh
// has them, and which of them fit.
#ifndef VALLM_TOOLS_BENCH_SWEEP_MATRIX_H_
#define VALLM_TOOLS_BENCH_SWEEP_MATRIX_H_

#include <cstdint>
#include <string>
#include <vector>

namespace vallm::tools {

struct SweepMatrix {
  int64_t service_num = 1;             // instances; concurrencies are 4 * this, halved down to 1
  std::vector<int64_t> concurrencies;  // empty: as service_num says
  std::vector<int64_t> input_lens = {128,  256,   512,   1024,  2048, 4096,
                                     8192, 16384, 32768, 54272, 65536};
  std::vector<int64_t> output_lens = {1024, 8192};
  int64_t max_model_len = 0;      // most tokens of a request, both lengths; 0: no limit
  int64_t max_input_len = 56320;  // the vendor's MAX_PER_REQUEST; 0: no limit
  // The vendor's MAX_SEQLEN: tokens that the requests of an instance share (four at a time where
  // the concurrency is a multiple of four). 0: each may have max_model_len.
  int64_t max_seqlen = 0;
};

struct SweepCell {
  int64_t concurrency = 0;
  int64_t input_len = 0;
  int64_t output_len = 0;
  std::string too_large;  // why it does not fit; empty: it does

  // "c4_i128o1024": the name of its files, as the vendor's end.
  std::string Name() const;
};

// All cells in the vendor's order: by output length, then concurrency from high to low, then input.
std::vector<SweepCell> SweepCells(const SweepMatrix& matrix);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_BENCH_SWEEP_MATRIX_H_
