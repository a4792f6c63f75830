// The byte-level alphabet of GPT-2: vocabulary files write each of the 256 bytes as one printable
// character ("Ġ" is the space).
#ifndef VALLM_TOKENIZER_SERVICE_BPE_BYTE_LEVEL_H_
#define VALLM_TOKENIZER_SERVICE_BPE_BYTE_LEVEL_H_

#include <string>
#include <string_view>

namespace vallm::tokenizer {

// Appends the bytes that `text` (valid UTF-8) writes in the byte-level alphabet. False, with
// nothing appended, if one of its characters is not of that alphabet. Thread-safe.
bool AppendByteLevelBytes(std::string_view text, std::string* bytes);

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_BPE_BYTE_LEVEL_H_
