#include "tokenizer_service/template/json_value.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/strings.h"
#include "nlohmann/json.hpp"

namespace vallm::tokenizer {
namespace {

constexpr size_t kMaxDepth = 200;

// nlohmann's callback interface; false ends the parse.
class ValueBuilder {
 public:
  using number_integer_t = nlohmann::json::number_integer_t;
  using number_unsigned_t = nlohmann::json::number_unsigned_t;
  using number_float_t = nlohmann::json::number_float_t;
  using string_t = nlohmann::json::string_t;
  using binary_t = nlohmann::json::binary_t;

  bool null() { return Add(Value()); }
  bool boolean(bool value) { return Add(Value::Bool(value)); }
  bool number_integer(number_integer_t value) { return Add(Value::Int(value)); }
  bool number_unsigned(number_unsigned_t value) {
    if (value <= static_cast<number_unsigned_t>(INT64_MAX)) {
      return Add(Value::Int(static_cast<int64_t>(value)));
    }
    return Add(Value::Int(BigInt::FromDigits(std::to_string(value), 10)));
  }
  // Integers beyond 64 bits arrive here too, with their spelling.
  bool number_float(number_float_t value, const string_t& spelling) {
    if (spelling.find_first_of(".eE") != string_t::npos) return Add(Value::Float(value));
    const bool negative = spelling[0] == '-';
    if (spelling.size() > BigInt::kMaxDigits) {
      return Stop(absl::StrCat("integer has more than ", BigInt::kMaxDigits, " digits"));
    }
    const BigInt integer =
        BigInt::FromDigits(std::string_view(spelling).substr(negative ? 1 : 0), 10);
    return Add(Value::Int(negative ? integer.Negated() : integer));
  }
  bool string(string_t& value) { return Add(Value::Str(std::move(value))); }
  bool binary(binary_t&) { return Stop("binary data"); }

  bool start_object(size_t) { return Open(/*is_object=*/true); }
  bool start_array(size_t) { return Open(/*is_object=*/false); }
  bool key(string_t& value) {
    open_.back().key = Value::Str(std::move(value));
    return true;
  }
  bool end_object() {
    Value value = Value::Dict(open_.back().members.release());
    open_.pop_back();
    return Add(std::move(value));
  }
  bool end_array() {
    Value value = Value::List(std::move(open_.back().items));
    open_.pop_back();
    return Add(std::move(value));
  }
  bool parse_error(size_t position, const std::string& token,
                   const nlohmann::json::exception& error) {
    const std::string_view message = error.what();
    if (message.find("surrogate") != std::string_view::npos) {
      return Stop(absl::StrCat("lone surrogate in a string at byte ", position));
    }
    if (message.find("ill-formed UTF-8") != std::string_view::npos) {
      return Stop(absl::StrCat("not UTF-8 at byte ", position));
    }
    return Stop(absl::StrCat("malformed JSON at byte ", position));
  }

  const std::string& problem() const { return problem_; }
  Value Take() { return std::move(result_); }

 private:
  struct Container {
    std::unique_ptr<DictCell> members;  // null: an array
    std::vector<Value> items;
    Value key;
  };

  bool Stop(std::string problem) {
    if (problem_.empty()) problem_ = std::move(problem);
    return false;
  }

  bool Open(bool is_object) {
    if (open_.size() >= kMaxDepth) {
      return Stop(absl::StrCat("nested more than ", kMaxDepth, " levels deep"));
    }
    open_.emplace_back();
    if (is_object) open_.back().members = std::make_unique<DictCell>();
    return true;
  }

  bool Add(Value value) {
    if (open_.empty()) {
      result_ = std::move(value);
    } else if (open_.back().members != nullptr) {
      open_.back().members->Set(open_.back().key, std::move(value));
    } else {
      open_.back().items.push_back(std::move(value));
    }
    return true;
  }

  std::vector<Container> open_;
  Value result_;
  std::string problem_;
};

}  // namespace

absl::StatusOr<Value> ParseJson(std::string_view text, std::string_view what) {
  ValueBuilder builder;
  if (!nlohmann::json::sax_parse(text.begin(), text.end(), &builder)) {
    return absl::InvalidArgumentError(absl::StrCat(ToAbsl(what), ": ", builder.problem()));
  }
  return builder.Take();
}

}  // namespace vallm::tokenizer
