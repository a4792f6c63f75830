// One .safetensors file, mapped into memory and checked: 8 bytes of header length, a JSON header
// {name: {dtype, shape, data_offsets}}, then the data.
//
// Nothing in a file is trusted: a header that is too long, malformed, overlapping, out of range or
// whose offsets disagree with dtype and shape is refused at Open, so views handed out are in range.
// Immutable after Open; thread-safe. Views live as long as the file object.
#ifndef VALLM_ENGINE_SERVICE_MODEL_SAFETENSORS_H_
#define VALLM_ENGINE_SERVICE_MODEL_SAFETENSORS_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace vallm::engine {

enum class DType { kF32, kF16, kBf16, kF8E4m3, kI64, kI32, kU8, kOther };

// Safetensors' own spelling, e.g. "BF16"; "other" for kOther.
std::string_view DTypeName(DType dtype);

struct TensorView {
  DType dtype = DType::kOther;
  std::vector<int64_t> shape;
  std::span<const std::byte> data;  // row-major, little-endian; may be unaligned
};

class SafetensorsFile {
 public:
  // Errors: NOT_FOUND, INVALID_ARGUMENT (not a valid safetensors file; says what and where).
  static absl::StatusOr<std::unique_ptr<SafetensorsFile>> Open(const std::string& path);
  ~SafetensorsFile();
  SafetensorsFile(const SafetensorsFile&) = delete;
  SafetensorsFile& operator=(const SafetensorsFile&) = delete;

  const std::string& path() const { return path_; }
  const std::map<std::string, TensorView, std::less<>>& tensors() const { return tensors_; }

  // Tells the kernel that the pages wholly inside `data` will not be read again soon, so that a
  // packed checkpoint does not stay in memory twice. Reading them again is correct, only slow.
  // REQUIRES: `data` lies in this file.
  void ReleasePages(std::span<const std::byte> data) const;

 private:
  SafetensorsFile(std::string path, std::span<const std::byte> mapping)
      : path_(std::move(path)), mapping_(mapping) {}
  absl::Status ParseHeader();

  const std::string path_;
  const std::span<const std::byte> mapping_;  // the whole file
  std::map<std::string, TensorView, std::less<>> tensors_;
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_MODEL_SAFETENSORS_H_
