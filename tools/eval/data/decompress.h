// The compressions of Parquet pages. Input is untrusted.
#ifndef VALLM_TOOLS_EVAL_DATA_DECOMPRESS_H_
#define VALLM_TOOLS_EVAL_DATA_DECOMPRESS_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace vallm::eval {

// Parquet's numbers of codecs.
enum class Codec : int64_t { kNone = 0, kSnappy = 1, kGzip = 2, kZstd = 6 };

// `data` decompressed; it must come to `size` bytes. Errors: INVALID_ARGUMENT when it is malformed
// or of another size, UNIMPLEMENTED for another codec.
absl::StatusOr<std::string> Decompress(Codec codec, std::string_view data, size_t size);

// A zlib or gzip stream of any size up to `limit`.
absl::StatusOr<std::string> Inflate(std::string_view data, size_t limit);

}  // namespace vallm::eval

#endif  // VALLM_TOOLS_EVAL_DATA_DECOMPRESS_H_
