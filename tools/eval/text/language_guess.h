// Guesses the language of a text: by its script, and for scripts that several languages share by
// letters and by frequent words. Meant for whole answers in one language; not for a few words.
// Stateless; thread-safe.
#ifndef VALLM_TOOLS_EVAL_TEXT_LANGUAGE_GUESS_H_
#define VALLM_TOOLS_EVAL_TEXT_LANGUAGE_GUESS_H_

#include <string>
#include <string_view>

namespace vallm::eval {

// The ISO 639-1 code ("en", "zh-cn", "hi"); "" for a text without letters.
std::string GuessLanguage(std::string_view text);

}  // namespace vallm::eval

#endif  // VALLM_TOOLS_EVAL_TEXT_LANGUAGE_GUESS_H_
