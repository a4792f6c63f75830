// What is kept of every question: one line of records/DATASET.jsonl (docs/accuracy.md has the
// members). It holds all that judging needs but the data set itself, so that answers can be judged
// anew and two runs compared question by question.
#ifndef VALLM_TOOLS_EVAL_RUN_RECORD_H_
#define VALLM_TOOLS_EVAL_RUN_RECORD_H_

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tools/eval/datasets/dataset.h"
#include "tools/eval/run/chat_request.h"

namespace vallm::eval {

struct Record {
  std::string dataset;
  std::string subset;
  std::string id;
  int repeat = 0;   // from 0
  std::string key;  // of the request: equal for equal requests
  JsonRef messages;
  ChatReply reply;    // meaningless when `error` is set
  std::string error;  // why there is no answer
  std::string target;
  Verdict verdict;

  // The value of the metric that decides, 0 to 1.
  double score() const;
};

nlohmann::ordered_json RecordToJson(const Record& record);
// Errors: INVALID_ARGUMENT naming the member.
absl::StatusOr<Record> RecordFromJson(const nlohmann::ordered_json& json);

// The records of a file. A last line that was cut off in the middle (the process was killed) is
// left out. Errors: NOT_FOUND, INVALID_ARGUMENT with the line.
absl::StatusOr<std::vector<Record>> LoadRecords(const std::string& path);

// 16 hexadecimal digits that stand for a question (a name that is its own), the request's body and
// the number of its repetition.
std::string RequestKey(const std::string& question, const nlohmann::ordered_json& body, int repeat);

// Writes a whole file so that at no time a part of it is seen.
absl::Status WriteFileAtomically(const std::string& path, const std::string& text);

// JSON on one line; what is not UTF-8 is replaced.
std::string JsonLine(const nlohmann::ordered_json& json);

}  // namespace vallm::eval

#endif  // VALLM_TOOLS_EVAL_RUN_RECORD_H_
