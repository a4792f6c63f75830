#include "gateway/openai/duplicate_keys.h"

#include <set>
#include <vector>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

namespace vallm::gateway {
namespace {

using Json = nlohmann::ordered_json;

// Hears of every value and key in order, and stops at the first duplicate.
class Finder final : public nlohmann::json_sax<Json> {
 public:
  bool null() override { return Value(); }
  bool boolean(bool) override { return Value(); }
  bool number_integer(Json::number_integer_t) override { return Value(); }
  bool number_unsigned(Json::number_unsigned_t) override { return Value(); }
  bool number_float(Json::number_float_t, const std::string&) override { return Value(); }
  bool string(std::string&) override { return Value(); }
  bool binary(Json::binary_t&) override { return Value(); }
  bool start_object(size_t) override { return Open(/*is_array=*/false); }
  bool start_array(size_t) override { return Open(/*is_array=*/true); }
  bool end_object() override { return Close(); }
  bool end_array() override { return Close(); }
  bool key(std::string& name) override {
    levels_.back().key = name;
    if (levels_.back().names.insert(name).second) return true;
    found = Path();
    return false;
  }
  bool parse_error(size_t, const std::string&, const Json::exception&) override { return false; }

  std::optional<std::string> found;

 private:
  struct Level {
    bool is_array = false;
    size_t index = 0;             // of an array's next value
    std::string key;              // of an object's value
    std::set<std::string> names;  // so far
  };

  bool Value() {
    if (!levels_.empty()) ++levels_.back().index;
    return true;
  }
  bool Open(bool is_array) {
    levels_.push_back({.is_array = is_array, .index = 0, .key = {}, .names = {}});
    return true;
  }
  bool Close() {
    levels_.pop_back();
    return Value();
  }
  std::string Path() const {
    std::string path;
    for (const Level& level : levels_) {
      if (level.is_array) {
        absl::StrAppend(&path, "[", level.index, "]");
      } else {
        absl::StrAppend(&path, path.empty() ? "" : ".", level.key);
      }
    }
    return path;
  }

  std::vector<Level> levels_;
};

}  // namespace

std::optional<std::string> FirstDuplicateKey(std::string_view json) {
  Finder finder;
  Json::sax_parse(json, &finder);
  return std::move(finder.found);
}

}  // namespace vallm::gateway
