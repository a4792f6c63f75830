#include "engine_service/model/checkpoint.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "engine_service/model/json_fields.h"

namespace vallm::engine {
namespace {

using nlohmann::json;

// An index may only name files beside itself.
bool IsPlainFileName(const std::string& name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string::npos &&
         name.find('\0') == std::string::npos;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Checkpoint>> Checkpoint::Open(const std::string& model_dir) {
  std::unique_ptr<Checkpoint> checkpoint(new Checkpoint());
  const std::string index_path = model_dir + "/model.safetensors.index.json";
  std::ifstream index_file(index_path, std::ios::binary);
  if (!index_file) {
    VALLM_RETURN_IF_ERROR(checkpoint->AddFile(model_dir + "/model.safetensors"));
    return checkpoint;
  }
  std::ostringstream text;
  text << index_file.rdbuf();
  VALLM_ASSIGN_OR_RETURN(const json index, ParseJsonObject(text.str(), index_path));
  const auto bad = [&](auto... parts) {
    return absl::InvalidArgumentError(absl::StrCat(index_path, ": ", parts...));
  };
  const auto map = index.find("weight_map");
  if (map == index.end() || !map->is_object()) return bad("has no weight_map object");
  std::set<std::string> names;
  for (const auto& [tensor, file] : map->items()) {
    if (!file.is_string() || !IsPlainFileName(file.get<std::string>())) {
      return bad("tensor '", tensor, "' is not in a file of this directory");
    }
    names.insert(file.get<std::string>());
  }
  for (const std::string& name : names) {
    VALLM_RETURN_IF_ERROR(checkpoint->AddFile(model_dir + "/" + name));
  }
  for (const auto& [tensor, file] : map->items()) {
    const auto it = checkpoint->tensors_.find(tensor);
    const std::string path = model_dir + "/" + file.get<std::string>();
    if (it == checkpoint->tensors_.end() || it->second.file->path() != path) {
      return bad("tensor '", tensor, "' is not in ", file.get<std::string>());
    }
  }
  return checkpoint;
}

absl::Status Checkpoint::AddFile(const std::string& path) {
  VALLM_ASSIGN_OR_RETURN(std::unique_ptr<SafetensorsFile> file, SafetensorsFile::Open(path));
  for (const auto& [name, view] : file->tensors()) {
    const auto [it, inserted] = tensors_.emplace(name, Entry{view, file.get()});
    if (!inserted) {
      return absl::InvalidArgumentError(absl::StrCat("tensor '", name, "' is both in ",
                                                     it->second.file->path(), " and in ", path));
    }
    total_bytes_ += static_cast<int64_t>(view.data.size());
  }
  files_.push_back(std::move(file));
  return absl::OkStatus();
}

absl::StatusOr<TensorView> Checkpoint::Find(std::string_view name) const {
  const auto it = tensors_.find(name);
  if (it == tensors_.end()) {
    return absl::NotFoundError(absl::StrCat("the checkpoint has no tensor '", ToAbsl(name), "'"));
  }
  return it->second.view;
}

void Checkpoint::ForEach(
    const std::function<void(const std::string&, const TensorView&)>& visit) const {
  for (const auto& [name, entry] : tensors_) visit(name, entry.view);
}

void Checkpoint::ReleasePages(std::string_view name) const {
  const auto it = tensors_.find(name);
  if (it != tensors_.end()) it->second.file->ReleasePages(it->second.view.data);
}

}  // namespace vallm::engine
