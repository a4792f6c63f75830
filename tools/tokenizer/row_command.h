// What the subcommands of `vallm tokenizer` share: reading stdin, answering rows, the exit code.
#ifndef VALLM_TOOLS_TOKENIZER_ROW_COMMAND_H_
#define VALLM_TOOLS_TOKENIZER_ROW_COMMAND_H_

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tools/jsonl/json_row.h"

namespace vallm::tools {

using RowHandler = std::function<absl::StatusOr<nlohmann::ordered_json>(const JsonRow&)>;

// Answers the rows on stdin by `handle`, which must be thread-safe, on all cores, and says on
// stderr how many failed, if any. Returns the exit code.
int AnswerStdin(const std::string& program, const RowHandler& handle);

// Prints why the command cannot begin. Returns the exit code.
int FailCommand(const std::string& program, const absl::Status& status);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_TOKENIZER_ROW_COMMAND_H_
