#include "tools/tokenizer/row_command.h"

#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "common/usable_cores.h"
#include "tools/jsonl/row_io.h"

namespace vallm::tools {

int AnswerStdin(const std::string& program, const RowHandler& handle) {
  std::ios::sync_with_stdio(false);
  const RowCounts counts = AnswerRows(std::cin, std::cout, UsableCores(), handle);
  if (counts.failed > 0) {
    std::fprintf(stderr, "%s: %lld of %lld rows failed; see their \"error\"\n", program.c_str(),
                 static_cast<long long>(counts.failed), static_cast<long long>(counts.rows));
  }
  if (!std::cout) {
    std::fprintf(stderr, "%s: cannot write to stdout\n", program.c_str());
    return 1;
  }
  return 0;
}

int FailCommand(const std::string& program, const absl::Status& status) {
  std::fprintf(stderr, "%s: %s\n", program.c_str(), std::string(status.message()).c_str());
  return 1;
}

}  // namespace vallm::tools
