#include "tools/bench/sweep_matrix.h"

#include "absl/strings/str_cat.h"

namespace vallm::tools {
namespace {

std::string WhyTooLarge(const SweepMatrix& matrix, const SweepCell& cell) {
  const int64_t tokens = cell.input_len + cell.output_len;
  if (matrix.max_input_len > 0 && cell.input_len > matrix.max_input_len) {
    return absl::StrCat("input ", cell.input_len, " > ", matrix.max_input_len);
  }
  if (matrix.max_model_len > 0 && tokens > matrix.max_model_len) {
    return absl::StrCat(tokens, " tokens > ", matrix.max_model_len, " of a request");
  }
  if (matrix.max_seqlen > 0) {
    const int64_t sharers = cell.concurrency % 4 == 0 ? 4 : cell.concurrency;
    const int64_t share = matrix.max_seqlen / sharers;
    if (tokens > share) {
      return absl::StrCat(tokens, " tokens > ", share, ", the share of ", matrix.max_seqlen);
    }
  }
  return "";
}

}  // namespace

std::string SweepCell::Name() const {
  return absl::StrCat("c", concurrency, "_i", input_len, "o", output_len);
}

std::vector<SweepCell> SweepCells(const SweepMatrix& matrix) {
  std::vector<int64_t> concurrencies = matrix.concurrencies;
  if (concurrencies.empty()) {
    for (int64_t n = 4 * matrix.service_num; n >= 1; n /= 2) concurrencies.push_back(n);
  }
  std::vector<SweepCell> cells;
  for (const int64_t output_len : matrix.output_lens) {
    for (const int64_t concurrency : concurrencies) {
      for (const int64_t input_len : matrix.input_lens) {
        SweepCell cell = {.concurrency = concurrency,
                          .input_len = input_len,
                          .output_len = output_len,
                          .too_large = ""};
        cell.too_large = WhyTooLarge(matrix, cell);
        cells.push_back(cell);
      }
    }
  }
  return cells;
}

}  // namespace vallm::tools
