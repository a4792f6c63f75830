// The weights of a model directory: one model.safetensors, or several with an index.
//
// Finds tensors by name; knows nothing of layers or shards. Thread-safe. Views live as long as the
// checkpoint.
#ifndef VALLM_ENGINE_SERVICE_MODEL_CHECKPOINT_H_
#define VALLM_ENGINE_SERVICE_MODEL_CHECKPOINT_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "engine_service/model/safetensors.h"

namespace vallm::engine {

class Checkpoint {
 public:
  // Opens model.safetensors.index.json and the files it names, or else model.safetensors.
  // Errors: NOT_FOUND (neither), INVALID_ARGUMENT (bad file; an index that names a tensor its file
  // lacks; a tensor in two files; a file name that leaves the directory).
  static absl::StatusOr<std::unique_ptr<Checkpoint>> Open(const std::string& model_dir);

  bool Contains(std::string_view name) const { return tensors_.find(name) != tensors_.end(); }
  // Errors: NOT_FOUND.
  absl::StatusOr<TensorView> Find(std::string_view name) const;
  // Calls `visit` for every tensor, in the order of names.
  void ForEach(const std::function<void(const std::string&, const TensorView&)>& visit) const;
  // The bytes of all tensors.
  int64_t total_bytes() const { return total_bytes_; }
  // SafetensorsFile::ReleasePages of the named tensor; nothing if there is none.
  void ReleasePages(std::string_view name) const;

 private:
  struct Entry {
    TensorView view;
    const SafetensorsFile* file;
  };
  Checkpoint() = default;
  absl::Status AddFile(const std::string& path);

  std::vector<std::unique_ptr<SafetensorsFile>> files_;
  std::map<std::string, Entry, std::less<>> tensors_;
  int64_t total_bytes_ = 0;
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_MODEL_CHECKPOINT_H_
