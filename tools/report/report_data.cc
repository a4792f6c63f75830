#include "tools/report/report_data.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "tools/report/report_kind.h"

namespace vallm::tools {
namespace {

using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

// Larger files are data, not results.
constexpr uintmax_t kMostBytes = 512u << 20;

std::vector<fs::path> JsonFiles(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder, fs::directory_options::skip_permission_denied,
                                           error);
       !error && it != fs::recursive_directory_iterator(); it.increment(error)) {
    if (it->path().filename().string().starts_with('.')) {
      if (it->is_directory(error)) it.disable_recursion_pending();
      continue;
    }
    if (it->path().extension() == ".json" && it->is_regular_file(error) &&
        it->file_size(error) <= kMostBytes) {
      files.push_back(it->path());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

absl::StatusOr<Json> CollectReportData(const std::string& folder) {
  if (!fs::is_directory(folder)) {
    return absl::NotFoundError(absl::StrCat(folder, " is not a folder"));
  }
  static const std::array<const ReportKind*, 2> kKinds = {&kBenchKind, &kEvalKind};
  Json kinds = Json::object();
  Json broken = Json::array();
  int64_t others = 0;
  for (const ReportKind* kind : kKinds) kinds[kind->name] = Json::array();
  for (const fs::path& path : JsonFiles(folder)) {
    std::ifstream file(path, std::ios::binary);
    const std::string text(std::istreambuf_iterator<char>(file), {});
    const Json result = Json::parse(text, nullptr, /*allow_exceptions=*/false);
    const std::string name = path.lexically_relative(folder).generic_string();
    if (result.is_discarded()) {
      broken.push_back(name);
      continue;
    }
    const auto kind = std::find_if(kKinds.begin(), kKinds.end(), [&](const ReportKind* k) {
      return result.is_object() && k->recognises(result);
    });
    if (kind == kKinds.end()) {
      ++others;
      continue;
    }
    Json entry = {{"file", name}};
    entry.update((*kind)->summary(result));
    kinds[(*kind)->name].push_back(std::move(entry));
  }
  return Json{{"folder", fs::weakly_canonical(folder).filename().string()},
              {"kinds", std::move(kinds)},
              {"broken", std::move(broken)},
              {"others", others}};
}

}  // namespace vallm::tools
