// Long texts in short test data: "{{5000*x}}" in a string stands for 5000 times "x".
#ifndef VALLM_TESTS_TESTING_REPEATS_H_
#define VALLM_TESTS_TESTING_REPEATS_H_

#include <string>

#include "nlohmann/json.hpp"

namespace vallm::testing {

inline std::string ExpandRepeats(const std::string& text) {
  std::string out;
  size_t done = 0;
  for (size_t at; (at = text.find("{{", done)) != std::string::npos;) {
    const size_t star = text.find('*', at);
    const size_t end = text.find("}}", at);
    out.append(text, done, at - done);
    const std::string piece = text.substr(star + 1, end - star - 1);
    for (int n = std::stoi(text.substr(at + 2, star - at - 2)); n > 0; --n) out += piece;
    done = end + 2;
  }
  return out + text.substr(done);
}

// The same in every string of a JSON value.
inline nlohmann::ordered_json ExpandRepeats(nlohmann::ordered_json value) {
  if (value.is_string()) return ExpandRepeats(value.get<std::string>());
  if (!value.is_structured()) return value;
  for (nlohmann::ordered_json& element : value) element = ExpandRepeats(element);
  return value;
}

}  // namespace vallm::testing

#endif  // VALLM_TESTS_TESTING_REPEATS_H_
