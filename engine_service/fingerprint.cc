#include "engine_service/fingerprint.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace vallm::engine {
namespace {

constexpr int64_t kHeadBytes = 1 << 20;  // covers the header of all but huge models
constexpr int64_t kPageBytes = 4096;
constexpr int kPages = 64;

// FNV-1a, 64 bits.
class Hash {
 public:
  void Add(std::string_view bytes) {
    for (const char byte : bytes) {
      state_ = (state_ ^ static_cast<unsigned char>(byte)) * 0x100000001b3u;
    }
    // Keeps "ab" + "c" apart from "a" + "bc".
    state_ = (state_ ^ bytes.size()) * 0x100000001b3u;
  }
  uint64_t value() const { return state_; }

 private:
  uint64_t state_ = 0xcbf29ce484222325u;
};

absl::Status AddFile(const std::filesystem::path& path, Hash& hash) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) return absl::NotFoundError(absl::StrCat("cannot read ", path.string()));
  const int64_t size = file.tellg();
  hash.Add(path.filename().string());
  hash.Add(absl::StrCat(size));
  std::string buffer;
  const auto add = [&](int64_t begin, int64_t count) {
    buffer.resize(static_cast<size_t>(std::clamp<int64_t>(size - begin, 0, count)));
    file.seekg(begin);
    file.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
    hash.Add(buffer);
  };
  add(0, kHeadBytes);
  for (int page = 1; page <= kPages; ++page) {
    add(std::max<int64_t>(size - kPageBytes, 0) * page / kPages, kPageBytes);
  }
  if (!file) return absl::NotFoundError(absl::StrCat("cannot read ", path.string()));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> ModelFingerprint(const std::string& model_dir,
                                             std::string_view numerics) {
  std::vector<std::filesystem::path> paths;
  std::error_code error;
  std::filesystem::directory_iterator entry(model_dir, error);
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    const std::filesystem::path& path = entry->path();
    if (path.extension() == ".safetensors" || path.filename() == "config.json") {
      paths.push_back(path);
    }
  }
  if (error) return absl::NotFoundError(absl::StrCat("cannot list ", model_dir));
  std::sort(paths.begin(), paths.end());
  Hash hash;
  hash.Add(numerics);
  for (const auto& path : paths) VALLM_RETURN_IF_ERROR(AddFile(path, hash));
  return std::string(absl::StrCat(absl::Hex(hash.value(), absl::kZeroPad16)));
}

}  // namespace vallm::engine
