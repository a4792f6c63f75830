#include "engine_service/model/safetensors.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/strings.h"

namespace vallm::engine {
namespace {

using nlohmann::json;

// The reference implementation's own limit.
constexpr uint64_t kMaxHeaderBytes = 100'000'000;

struct DTypeInfo {
  DType dtype;
  std::string_view name;
  int64_t bytes;
};
constexpr std::array<DTypeInfo, 7> kDTypes = {{{DType::kF32, "F32", 4},
                                               {DType::kF16, "F16", 2},
                                               {DType::kBf16, "BF16", 2},
                                               {DType::kF8E4m3, "F8_E4M3", 1},
                                               {DType::kI64, "I64", 8},
                                               {DType::kI32, "I32", 4},
                                               {DType::kU8, "U8", 1}}};

// A JSON value as a size that fits an int64; false otherwise.
bool ReadSize(const json& value, int64_t& out) {
  if (!value.is_number_unsigned() || value.get<uint64_t>() > uint64_t{INT64_MAX}) return false;
  out = value.get<int64_t>();
  return true;
}

// Bytes that `shape` takes; false if that overflows.
bool ByteCount(const std::vector<int64_t>& shape, int64_t element_bytes, int64_t& out) {
  out = element_bytes;
  for (const int64_t dim : shape) {
    if (__builtin_mul_overflow(out, dim, &out)) return false;
  }
  return true;
}

// Parses one entry of the header. `data` is everything behind the header.
absl::StatusOr<TensorView> ParseTensor(const json& entry, std::span<const std::byte> data) {
  const auto bad = [](auto... parts) { return absl::InvalidArgumentError(absl::StrCat(parts...)); };
  if (!entry.is_object() || !entry.contains("dtype") || !entry.contains("shape") ||
      !entry.contains("data_offsets")) {
    return bad("has no dtype, shape or data_offsets");
  }
  TensorView view;
  int64_t element_bytes = 0;
  if (!entry["dtype"].is_string()) return bad("dtype is not a string");
  const std::string dtype = entry["dtype"].get<std::string>();
  for (const DTypeInfo& info : kDTypes) {
    if (info.name != dtype) continue;
    view.dtype = info.dtype;
    element_bytes = info.bytes;
  }
  if (!entry["shape"].is_array()) return bad("shape is not a list");
  for (const json& dim : entry["shape"]) {
    int64_t size = 0;
    if (!ReadSize(dim, size)) return bad("shape has a dimension that is not a size");
    view.shape.push_back(size);
  }
  const json& offsets = entry["data_offsets"];
  int64_t begin = 0, end = 0;
  if (!offsets.is_array() || offsets.size() != 2 || !ReadSize(offsets[0], begin) ||
      !ReadSize(offsets[1], end) || begin > end || end > static_cast<int64_t>(data.size())) {
    return bad("data_offsets are not a range within the file's ", data.size(), " bytes of data");
  }
  int64_t want_bytes = 0;
  if (view.dtype != DType::kOther &&
      (!ByteCount(view.shape, element_bytes, want_bytes) || want_bytes != end - begin)) {
    return bad("data_offsets span ", end - begin, " bytes, which is not what dtype ", dtype,
               " and the shape need");
  }
  view.data = data.subspan(begin, end - begin);
  return view;
}

}  // namespace

std::string_view DTypeName(DType dtype) {
  for (const DTypeInfo& info : kDTypes) {
    if (info.dtype == dtype) return info.name;
  }
  return "other";
}

absl::StatusOr<std::unique_ptr<SafetensorsFile>> SafetensorsFile::Open(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return absl::NotFoundError(absl::StrCat("cannot open ", path, ": ", std::strerror(errno)));
  }
  struct stat info = {};
  if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    close(fd);
    return absl::InvalidArgumentError(absl::StrCat(path, ": not a regular file"));
  }
  const size_t size = static_cast<size_t>(info.st_size);
  if (size < 8) {
    close(fd);
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", size, " bytes; too short"));
  }
  void* mapping = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
  const int map_error = errno;
  close(fd);
  if (mapping == MAP_FAILED) {
    return absl::ResourceExhaustedError(
        absl::StrCat("cannot map ", path, ": ", std::strerror(map_error)));
  }
  std::unique_ptr<SafetensorsFile> file(
      new SafetensorsFile(path, {static_cast<const std::byte*>(mapping), size}));
  VALLM_RETURN_IF_ERROR(file->ParseHeader());
  return file;
}

SafetensorsFile::~SafetensorsFile() {
  munmap(const_cast<std::byte*>(mapping_.data()), mapping_.size());
}

absl::Status SafetensorsFile::ParseHeader() {
  const auto bad = [this](auto... parts) {
    return absl::InvalidArgumentError(absl::StrCat(path_, ": ", parts...));
  };
  uint64_t header_bytes = 0;  // little-endian, like every machine we run on
  std::memcpy(&header_bytes, mapping_.data(), sizeof(header_bytes));
  if (header_bytes > kMaxHeaderBytes || header_bytes > mapping_.size() - 8) {
    return bad("header of ", header_bytes, " bytes does not fit a file of ", mapping_.size());
  }
  const char* text = reinterpret_cast<const char*>(mapping_.data()) + 8;
  const json header = json::parse(text, text + header_bytes, nullptr, /*allow_exceptions=*/false);
  if (!header.is_object()) return bad("header is not a JSON object");
  const std::span<const std::byte> data = mapping_.subspan(8 + header_bytes);
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") continue;
    absl::StatusOr<TensorView> view = ParseTensor(entry, data);
    if (!view.ok()) return bad("tensor '", name, "': ", view.status().message());
    tensors_.emplace(name, *std::move(view));
  }
  // Overlap would let one tensor's bytes be read as another's.
  std::vector<std::pair<std::span<const std::byte>, const std::string*>> ranges;
  for (const auto& [name, view] : tensors_) {
    if (!view.data.empty()) ranges.emplace_back(view.data, &name);
  }
  std::sort(ranges.begin(), ranges.end(),
            [](const auto& a, const auto& b) { return a.first.data() < b.first.data(); });
  for (size_t i = 1; i < ranges.size(); ++i) {
    const std::span<const std::byte> before = ranges[i - 1].first;
    if (before.data() + before.size() > ranges[i].first.data()) {
      return bad("tensors '", *ranges[i - 1].second, "' and '", *ranges[i].second, "' overlap");
    }
  }
  return absl::OkStatus();
}

void SafetensorsFile::ReleasePages(std::span<const std::byte> data) const {
  static const uintptr_t page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const uintptr_t begin = (reinterpret_cast<uintptr_t>(data.data()) + page - 1) / page * page;
  const uintptr_t end = reinterpret_cast<uintptr_t>(data.data() + data.size()) / page * page;
  // Best effort: a kernel that declines only keeps the pages longer.
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

}  // namespace vallm::engine
