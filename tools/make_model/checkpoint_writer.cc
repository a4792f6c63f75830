#include "tools/make_model/checkpoint_writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/mutex.h"
#include "common/parallel.h"
#include "common/status_macros.h"

namespace vallm::tools {
namespace {

using nlohmann::ordered_json;

constexpr int64_t kPieceBytes = 4 << 20;  // what a thread makes and writes at a time

class OutputFile {
 public:
  static absl::StatusOr<std::unique_ptr<OutputFile>> Create(const std::string& path) {
    const int fd = ::open(path.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);
    if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot create ", path));
    return std::unique_ptr<OutputFile>(new OutputFile(path, fd));
  }
  ~OutputFile() {
    if (fd_ >= 0) ::close(fd_);
  }
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  absl::Status WriteAt(int64_t offset, std::span<const std::byte> data) const {
    while (!data.empty()) {
      const ssize_t written = ::pwrite(fd_, data.data(), data.size(), offset);
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot write ", path_));
      data = data.subspan(static_cast<size_t>(written));
      offset += written;
    }
    return absl::OkStatus();
  }

  // Some file systems say only here that a write failed.
  absl::Status Close() {
    if (::close(std::exchange(fd_, -1)) == 0) return absl::OkStatus();
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot write ", path_));
  }

 private:
  OutputFile(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}

  const std::string path_;
  int fd_;
};

// The length and the header of a safetensors file; the data begins behind it, at a multiple of 8.
std::string FileHead(const CheckpointFile& file) {
  ordered_json header = {{"__metadata__", {{"format", "pt"}}}};
  int64_t offset = 0;
  for (const TensorSpec& tensor : file.tensors) {
    const ordered_json entry = {{"dtype", TypeName(tensor.type)},
                                {"shape", tensor.shape},
                                {"data_offsets", {offset, offset + tensor.bytes()}}};
    // operator[] would search all that is there.
    header.get_ref<ordered_json::object_t&>().emplace_back(tensor.name, entry);
    offset += tensor.bytes();
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  std::string head(8, '\0');
  for (size_t i = 0; i < head.size(); ++i) head[i] = static_cast<char>(text.size() >> (8 * i));
  return head + text;
}

// A stretch of one tensor.
struct Piece {
  const TensorSpec* tensor;
  const ValueTable* table;
  const OutputFile* file;
  int64_t file_offset;  // of the tensor's data
  int64_t begin;        // bytes in the tensor
  int64_t end;
};

class Writer {
 public:
  Writer(const std::vector<CheckpointFile>& files, const WriteOptions& options)
      : files_(files), options_(options) {
    for (const CheckpointFile& file : files) total_bytes_ += file.bytes;
  }

  absl::Status Write(const std::string& dir) {
    for (const CheckpointFile& file : files_) VALLM_RETURN_IF_ERROR(Begin(dir, file));
    ParallelFor(pieces_.size(), options_.threads, [&](size_t i) {
      if (!failed_) Finish(pieces_[i].end - pieces_[i].begin, WritePiece(pieces_[i]));
    });
    VALLM_RETURN_IF_ERROR(status_);
    for (const auto& file : outputs_) VALLM_RETURN_IF_ERROR(file->Close());
    return absl::OkStatus();
  }

 private:
  // Writes the head of `file` and lists its pieces.
  absl::Status Begin(const std::string& dir, const CheckpointFile& file) {
    VALLM_ASSIGN_OR_RETURN(outputs_.emplace_back(), OutputFile::Create(dir + "/" + file.name));
    const std::string head = FileHead(file);
    VALLM_RETURN_IF_ERROR(outputs_.back()->WriteAt(0, std::as_bytes(std::span(head))));
    auto offset = static_cast<int64_t>(head.size());
    for (const TensorSpec& tensor : file.tensors) {
      for (int64_t begin = 0; begin < tensor.bytes(); begin += kPieceBytes) {
        pieces_.push_back({.tensor = &tensor,
                           .table = &Table(tensor),
                           .file = outputs_.back().get(),
                           .file_offset = offset,
                           .begin = begin,
                           .end = std::min(begin + kPieceBytes, tensor.bytes())});
      }
      offset += tensor.bytes();
    }
    return absl::OkStatus();
  }

  const ValueTable& Table(const TensorSpec& tensor) {
    auto& table = tables_[{tensor.type, tensor.values}];
    if (table == nullptr) table = std::make_unique<ValueTable>(tensor.type, tensor.values);
    return *table;
  }

  absl::Status WritePiece(const Piece& piece) const {
    std::vector<std::byte> data(static_cast<size_t>(piece.end - piece.begin));
    const TensorSpec& tensor = *piece.tensor;
    const std::string& key = tensor.same_as.empty() ? tensor.name : tensor.same_as;
    piece.table->Fill(TensorKey(options_.seed, key), piece.begin / ByteWidth(tensor.type), data);
    return piece.file->WriteAt(piece.file_offset + piece.begin, data);
  }

  void Finish(int64_t bytes, const absl::Status& status) {
    const MutexLock lock(mutex_);
    if (!status.ok()) {
      failed_ = true;
      status_.Update(status);
      return;
    }
    done_bytes_ += bytes;
    if (options_.progress) options_.progress(done_bytes_, total_bytes_);
  }

  const std::vector<CheckpointFile>& files_;
  const WriteOptions& options_;
  int64_t total_bytes_ = 0;
  std::map<std::pair<TensorType, Distribution>, std::unique_ptr<const ValueTable>> tables_;
  std::vector<std::unique_ptr<OutputFile>> outputs_;
  std::vector<Piece> pieces_;
  std::atomic<bool> failed_ = false;

  Mutex mutex_;
  int64_t done_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status status_;  // written under the mutex, read when all threads are done
};

}  // namespace

std::vector<CheckpointFile> CutIntoFiles(std::vector<TensorSpec> tensors, int64_t max_file_bytes) {
  std::vector<CheckpointFile> files(1);
  for (TensorSpec& tensor : tensors) {
    const int64_t bytes = tensor.bytes();
    if (files.back().bytes > 0 && files.back().bytes + bytes > max_file_bytes) {
      files.emplace_back();
    }
    files.back().bytes += bytes;
    files.back().tensors.push_back(std::move(tensor));
  }
  for (size_t i = 0; i < files.size(); ++i) {
    files[i].name = files.size() == 1
                        ? "model.safetensors"
                        : absl::StrFormat("model-%05d-of-%05d.safetensors", i + 1, files.size());
    // Wide types first, as the safetensors library orders them: everything is aligned then.
    std::sort(files[i].tensors.begin(), files[i].tensors.end(),
              [](const TensorSpec& a, const TensorSpec& b) {
                return std::make_tuple(-ByteWidth(a.type), std::cref(a.name)) <
                       std::make_tuple(-ByteWidth(b.type), std::cref(b.name));
              });
  }
  return files;
}

std::string IndexJson(const std::vector<CheckpointFile>& files) {
  nlohmann::json map = nlohmann::json::object();
  int64_t total = 0;
  for (const CheckpointFile& file : files) {
    total += file.bytes;
    for (const TensorSpec& tensor : file.tensors) map[tensor.name] = file.name;
  }
  const ordered_json index = {{"metadata", {{"total_size", total}}}, {"weight_map", map}};
  return index.dump(2) + "\n";
}

absl::Status WriteCheckpoint(const std::string& dir, const std::vector<CheckpointFile>& files,
                             const WriteOptions& options) {
  return Writer(files, options).Write(dir);
}

}  // namespace vallm::tools
