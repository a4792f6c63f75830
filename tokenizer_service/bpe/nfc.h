// Unicode normalisation form C in linear time: text that is NFC already (nearly all text is) is
// only scanned; otherwise just the stretches around composing characters are rewritten.
#ifndef VALLM_TOKENIZER_SERVICE_BPE_NFC_H_
#define VALLM_TOKENIZER_SERVICE_BPE_NFC_H_

#include <string>
#include <string_view>

namespace vallm::tokenizer {

// The NFC of `text`: `text` itself when nothing changes hands, else a view of `*storage`, which is
// overwritten. REQUIRES: `text` is valid UTF-8 and not a view of `*storage`. Thread-safe.
std::string_view ToNfc(std::string_view text, std::string* storage);

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_BPE_NFC_H_
