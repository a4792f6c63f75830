#include "tools/eval/code/pickled_text.h"

#include <cstdint>

#include "absl/strings/str_cat.h"

namespace vallm::eval {

absl::StatusOr<std::string> PickledText(std::string_view pickle) {
  // Opcodes of Python's pickletools, protocols 2 to 5.
  constexpr unsigned char kProto = 0x80, kFrame = 0x95, kShortUnicode = 0x8C, kUnicode = 'X',
                          kUnicode8 = 0x8D, kMemoize = 0x94, kBinPut = 'q', kLongBinPut = 'r',
                          kStop = '.';
  const absl::Status malformed = absl::InvalidArgumentError("is no pickled text");
  size_t at = 0;
  std::string text;
  bool found = false;
  // Takes a little-endian number of `bytes` bytes.
  const auto take = [&](size_t bytes, uint64_t* value) {
    if (pickle.size() - at < bytes) return false;
    *value = 0;
    for (size_t i = 0; i < bytes; ++i) {
      *value |= static_cast<uint64_t>(static_cast<unsigned char>(pickle[at++])) << (8 * i);
    }
    return true;
  };
  while (at < pickle.size()) {
    const auto opcode = static_cast<unsigned char>(pickle[at++]);
    uint64_t value = 0;
    switch (opcode) {
      case kProto:
      case kBinPut:
        if (!take(1, &value)) return malformed;
        break;
      case kLongBinPut:
        if (!take(4, &value)) return malformed;
        break;
      case kFrame:
        if (!take(8, &value)) return malformed;
        break;
      case kMemoize:
        break;
      case kShortUnicode:
      case kUnicode:
      case kUnicode8:
        if (found ||
            !take(opcode == kShortUnicode ? 1
                  : opcode == kUnicode    ? 4
                                          : 8,
                  &value) ||
            value > pickle.size() - at) {
          return malformed;
        }
        text = std::string(pickle.substr(at, value));
        at += value;
        found = true;
        break;
      case kStop:
        if (!found) return malformed;
        return text;
      default:
        return malformed;
    }
  }
  return malformed;
}

}  // namespace vallm::eval
