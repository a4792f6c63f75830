#include "tools/eval/data/decompress.h"

#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace vallm::eval {
namespace {

absl::Status Malformed(const char* codec) {
  return absl::InvalidArgumentError(absl::StrCat("malformed ", codec, " data"));
}

// https://github.com/google/snappy/blob/main/format_description.txt
class Snappy {
 public:
  explicit Snappy(std::string_view data) : data_(data) {}

  absl::StatusOr<std::string> Run(size_t size) {
    uint64_t promised = 0;
    for (int shift = 0;; shift += 7) {
      if (at_ >= data_.size() || shift > 28) return Malformed("Snappy");
      const uint8_t byte = static_cast<uint8_t>(data_[at_++]);
      promised |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if ((byte & 0x80) == 0) break;
    }
    if (promised != size) return Malformed("Snappy");
    out_.reserve(size);
    while (at_ < data_.size()) {
      const uint8_t tag = static_cast<uint8_t>(data_[at_++]);
      if (!((tag & 3) == 0 ? Literal(tag >> 2) : Copy(tag)) || out_.size() > size) {
        return Malformed("Snappy");
      }
    }
    if (out_.size() != size) return Malformed("Snappy");
    return std::move(out_);
  }

 private:
  // A little-endian number of `bytes` bytes.
  bool Take(size_t bytes, size_t* value) {
    if (data_.size() - at_ < bytes) return false;
    *value = 0;
    for (size_t i = 0; i < bytes; ++i) {
      *value |= static_cast<size_t>(static_cast<uint8_t>(data_[at_++])) << (8 * i);
    }
    return true;
  }

  bool Literal(size_t length) {
    if (length >= 60 && !Take(length - 59, &length)) return false;
    ++length;
    if (data_.size() - at_ < length) return false;
    out_.append(data_.substr(at_, length));
    at_ += length;
    return true;
  }

  bool Copy(uint8_t tag) {
    size_t length = (tag >> 2) + 1;
    size_t offset = 0;
    if ((tag & 3) == 1) {
      length = ((tag >> 2) & 7) + 4;
      if (!Take(1, &offset)) return false;
      offset |= static_cast<size_t>(tag >> 5) << 8;
    } else if (!Take((tag & 3) == 2 ? 2 : 4, &offset)) {
      return false;
    }
    if (offset == 0 || offset > out_.size()) return false;
    for (size_t i = 0; i < length; ++i) out_.push_back(out_[out_.size() - offset]);
    return true;
  }

  const std::string_view data_;
  size_t at_ = 0;
  std::string out_;
};

absl::StatusOr<std::string> Zstd(std::string_view data, size_t size) {
  std::string out(size, '\0');
  const size_t got = ZSTD_decompress(out.data(), size, data.data(), data.size());
  if (ZSTD_isError(got) != 0 || got != size) return Malformed("zstd");
  return out;
}

}  // namespace

absl::StatusOr<std::string> Inflate(std::string_view data, size_t limit) {
  z_stream stream = {};
  constexpr int kZlibOrGzip = 32 + MAX_WBITS;
  if (inflateInit2(&stream, kZlibOrGzip) != Z_OK) return absl::ResourceExhaustedError("zlib");
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));
  stream.avail_in = static_cast<uInt>(data.size());
  std::string out;
  char buffer[64 << 10];
  int result = Z_OK;
  while (result == Z_OK && out.size() <= limit) {
    stream.next_out = reinterpret_cast<Bytef*>(buffer);
    stream.avail_out = sizeof(buffer);
    result = inflate(&stream, Z_NO_FLUSH);
    out.append(buffer, sizeof(buffer) - stream.avail_out);
    if (stream.avail_in == 0 && stream.avail_out != 0 && result == Z_OK) break;  // cut off
  }
  inflateEnd(&stream);
  if (out.size() > limit) {
    return absl::InvalidArgumentError(absl::StrCat("more than ", limit, " bytes when inflated"));
  }
  if (result != Z_STREAM_END) return Malformed("zlib");
  return out;
}

absl::StatusOr<std::string> Decompress(Codec codec, std::string_view data, size_t size) {
  switch (codec) {
    case Codec::kNone:
      if (data.size() != size) return absl::InvalidArgumentError("a page has another size");
      return std::string(data);
    case Codec::kSnappy:
      return Snappy(data).Run(size);
    case Codec::kGzip: {
      VALLM_ASSIGN_OR_RETURN(std::string out, Inflate(data, size));
      if (out.size() != size) return Malformed("gzip");
      return out;
    }
    case Codec::kZstd:
      return Zstd(data, size);
  }
  return absl::UnimplementedError(
      absl::StrCat("compression codec ", static_cast<int64_t>(codec),
                   " is not read (uncompressed, Snappy, gzip and zstd are): write the file anew, "
                   "for example as JSON Lines"));
}

}  // namespace vallm::eval
