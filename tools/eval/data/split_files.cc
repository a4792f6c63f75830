#include "tools/eval/data/split_files.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/status_macros.h"
#include "common/strings.h"

namespace vallm::eval {
namespace {

namespace fs = std::filesystem;

// The files that `name` below `folder` stands for; a * at its end matches anything but a slash.
std::vector<std::string> FilesNamed(const std::string& folder, const std::string& name,
                                    std::string_view end) {
  std::error_code error;
  if (!absl::EndsWith(name, "*")) {
    const std::string path = absl::StrCat(folder, "/", name, ToAbsl(end));
    return fs::is_regular_file(path, error) ? std::vector<std::string>{path}
                                            : std::vector<std::string>{};
  }
  const fs::path pattern = fs::path(folder) / name.substr(0, name.size() - 1);
  std::vector<std::string> files;
  for (const auto& entry : fs::directory_iterator(pattern.parent_path(), error)) {
    const std::string file = entry.path().filename().string();
    if (absl::StartsWith(file, pattern.filename().string()) && absl::EndsWith(file, ToAbsl(end))) {
      files.push_back(entry.path().string());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

absl::StatusOr<Rows> LoadSplit(const std::string& local_path, std::string_view subset,
                               const Split& split, const std::vector<std::string>& more) {
  std::error_code error;
  if (fs::is_regular_file(local_path, error)) return LoadRows(local_path);
  if (!fs::is_directory(local_path, error)) {
    return absl::NotFoundError(absl::StrCat("local_path ", local_path, " does not exist"));
  }
  std::vector<std::string> names = more;
  for (const char* name :
       {"{subset}_{split}", "{split}/{subset}_{split}", "{subset}/{split}", "{subset}/{split}-*",
        "data/{split}-*", "{split}-*", "{split}", "{subset}"}) {
    names.emplace_back(name);
  }
  std::string tried;
  for (const std::string& name : names) {
    if (!split.unnamed && !absl::StrContains(name, "{split}")) continue;
    if (subset != "default" && !absl::StrContains(name, "{subset}")) continue;
    const std::string filled =
        absl::StrReplaceAll(name, {{"{subset}", ToAbsl(subset)}, {"{split}", split.name}});
    for (const std::string_view end : kRowFileEnds) {
      const std::vector<std::string> files = FilesNamed(local_path, filled, end);
      if (files.empty()) continue;
      Rows rows;
      for (const std::string& file : files) {
        VALLM_ASSIGN_OR_RETURN(Rows part, LoadRows(file));
        rows.insert(rows.end(), part.begin(), part.end());
      }
      return rows;
    }
    absl::StrAppend(&tried, tried.empty() ? "" : ", ", filled);
  }
  return absl::NotFoundError(absl::StrCat(local_path, " has no file of split '", split.name,
                                          "' (subset '", ToAbsl(subset), "'): looked for ", tried,
                                          " as .jsonl, .json, .csv, .parquet"));
}

}  // namespace vallm::eval
