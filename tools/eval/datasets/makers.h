// The makers of the data sets, for the registry.
#ifndef VALLM_TOOLS_EVAL_DATASETS_MAKERS_H_
#define VALLM_TOOLS_EVAL_DATASETS_MAKERS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/eval/data/split_files.h"
#include "tools/eval/datasets/dataset.h"

namespace vallm::eval {

using DatasetOr = absl::StatusOr<std::unique_ptr<Dataset>>;

DatasetOr MakeGeneralMcq(const DatasetArgs& args, int64_t seed);
DatasetOr MakeGeneralQa(const DatasetArgs& args, int64_t seed);
DatasetOr MakeMmluPro(const DatasetArgs& args, int64_t seed);
DatasetOr MakeCeval(const DatasetArgs& args, int64_t seed);
DatasetOr MakeGpqa(const DatasetArgs& args, int64_t seed);
DatasetOr MakeMath500(const DatasetArgs& args, int64_t seed);
DatasetOr MakeAime24(const DatasetArgs& args, int64_t seed);
DatasetOr MakeDrop(const DatasetArgs& args, int64_t seed);
DatasetOr MakeIfeval(const DatasetArgs& args, int64_t seed);
DatasetOr MakeLiveCodeBench(const DatasetArgs& args, int64_t seed);

// The subjects of C-Eval with their Chinese names, in the data set's order.
const std::vector<std::pair<std::string, std::string>>& CevalSubjects();

// "row 3 of subset 'law': ...".
absl::Status RowError(const std::string& subset, size_t index, const std::string& what);
absl::Status RowError(const std::string& subset, size_t index, const absl::Status& status);

// The split that is asked: eval_split, else the `usual` one, which files without a split in their
// name hold.
Split EvalSplit(const DatasetArgs& args, const std::string& usual);

// The rows that few-shot examples come from: of train_split, else of the `usual` one. Errors: those
// of LoadSplit; INVALID_ARGUMENT where local_path is a file, which holds the questions themselves.
absl::StatusOr<Rows> LoadExamples(const DatasetArgs& args, std::string_view subset,
                                  const std::string& usual,
                                  const std::vector<std::string>& more = {});

}  // namespace vallm::eval

#endif  // VALLM_TOOLS_EVAL_DATASETS_MAKERS_H_
