// Where the files of a split lie: the layouts in which data sets are published.
#ifndef VALLM_TOOLS_EVAL_DATA_SPLIT_FILES_H_
#define VALLM_TOOLS_EVAL_DATA_SPLIT_FILES_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/eval/data/rows.h"

namespace vallm::eval {

struct Split {
  std::string name;
  // Whether files that have no split in their name hold it.
  bool unnamed = true;
};

// The rows of a split. `local_path` is a file, which then is the split, or a folder, in which are
// tried, in this order, with each end of kRowFileEnds:
//   the names of `more` with {subset} and {split} filled in, SUBSET_SPLIT, SPLIT/SUBSET_SPLIT,
//   SUBSET/SPLIT, SUBSET/SPLIT-*, data/SPLIT-*, SPLIT-*, SPLIT, SUBSET.
// Names without the split count where it may be unnamed, names without the subset for "default".
// A name with * is all files of that form (Hugging Face's SPLIT-00000-of-00002), in order.
// Errors: NOT_FOUND listing the names that were tried.
absl::StatusOr<Rows> LoadSplit(const std::string& local_path, std::string_view subset,
                               const Split& split, const std::vector<std::string>& more = {});

}  // namespace vallm::eval

#endif  // VALLM_TOOLS_EVAL_DATA_SPLIT_FILES_H_
