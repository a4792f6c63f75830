// Reads the JSON Lines files of tests/data: UTF-8, one object per line, split on '\n' only (strings
// may hold U+2028 or CR), key order kept.
#ifndef VALLM_TESTS_TESTING_JSONL_H_
#define VALLM_TESTS_TESTING_JSONL_H_

#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "nlohmann/json.hpp"

namespace vallm::testing {

// Throws std::runtime_error if `path` cannot be read or a line is not JSON: a test without its data
// must fail.
inline std::vector<nlohmann::ordered_json> ReadJsonl(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot open " + path);
  std::vector<nlohmann::ordered_json> rows;
  for (std::string line; std::getline(file, line, '\n');) {
    if (!line.empty()) rows.push_back(nlohmann::ordered_json::parse(line));
  }
  if (rows.empty()) throw std::runtime_error("no rows in " + path);
  return rows;
}

}  // namespace vallm::testing

#endif  // VALLM_TESTS_TESTING_JSONL_H_
