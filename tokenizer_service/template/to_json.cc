#include "tokenizer_service/template/to_json.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "tokenizer_service/template/operators.h"
#include "tokenizer_service/template/repr.h"
#include "tokenizer_service/template/unicode.h"

namespace vallm::tokenizer {
namespace {

using Kind = Value::Kind;

class JsonWriter {
 public:
  JsonWriter(Runtime& runtime, const JsonOptions& options) : runtime_(runtime), options_(options) {}

  absl::Status Write(const Value& value) {
    VALLM_RETURN_IF_ERROR(runtime_.CheckStringSize(static_cast<double>(out_.size())));
    VALLM_RETURN_IF_ERROR(runtime_.Charge(1));
    switch (value.kind()) {
      case Kind::kStr:
        WriteString(value.text());
        return absl::OkStatus();
      case Kind::kList:
      case Kind::kTuple:
        return WriteList(value.items());
      case Kind::kDict:
        return WriteDict(value.dict());
      case Kind::kNone:
      case Kind::kBool:
      case Kind::kInt:
      case Kind::kBigInt:
      case Kind::kFloat:
        out_ += Scalar(value);
        return absl::OkStatus();
      default:
        return TemplateError("Object of type ", ToAbsl(value.TypeName()),
                             " is not JSON serializable");
    }
  }

  std::string Take() { return std::move(out_); }

 private:
  static std::string Scalar(const Value& value) {
    if (value.is_none()) return "null";
    if (value.is_bool()) return value.bool_value() ? "true" : "false";
    if (value.kind() == Kind::kFloat && !std::isfinite(value.float_value())) {
      if (std::isnan(value.float_value())) return "NaN";
      return value.float_value() < 0 ? "-Infinity" : "Infinity";
    }
    std::string text;
    AppendStr(value, SIZE_MAX, &text);
    return text;
  }

  void AppendEscape(char32_t c) {
    if (c >= 0x10000) {
      const uint32_t rest = static_cast<uint32_t>(c) - 0x10000;
      absl::StrAppendFormat(&out_, "\\u%04x\\u%04x", 0xD800 + (rest >> 10),
                            0xDC00 + (rest & 0x3FF));
    } else {
      absl::StrAppendFormat(&out_, "\\u%04x", static_cast<uint32_t>(c));
    }
  }

  void WriteString(std::string_view text) {
    static constexpr std::string_view kPlain = "\"\\\n\r\t\b\f";
    static constexpr std::string_view kLetters = "\"\\nrtbf";
    out_.push_back('"');
    for (size_t pos = 0; pos < text.size();) {
      const size_t begin = pos;
      const char32_t c = NextCodePoint(text, &pos);
      const size_t named = c < 0x80 ? kPlain.find(static_cast<char>(c)) : std::string_view::npos;
      if (named != std::string_view::npos) {
        out_.push_back('\\');
        out_.push_back(kLetters[named]);
      } else if (c < 0x20 || (options_.ascii && c > 0x7E)) {
        AppendEscape(c);
      } else {
        out_.append(text.substr(begin, pos - begin));
      }
    }
    out_.push_back('"');
  }

  void NewLine() {
    if (!options_.indent) return;
    out_.push_back('\n');
    for (int i = 0; i < level_; ++i) out_ += *options_.indent;
  }

  void Separate(bool first) {
    if (!first) out_ += options_.item_separator;
    NewLine();
  }

  absl::Status WriteList(const std::vector<Value>& items) {
    if (items.empty()) {
      out_ += "[]";
      return absl::OkStatus();
    }
    out_.push_back('[');
    ++level_;
    for (size_t i = 0; i < items.size(); ++i) {
      Separate(i == 0);
      VALLM_RETURN_IF_ERROR(Write(items[i]));
    }
    --level_;
    NewLine();
    out_.push_back(']');
    return absl::OkStatus();
  }

  absl::Status WriteKey(const Value& key) {
    if (key.is_str()) {
      WriteString(key.text());
    } else if (key.is_number() || key.is_none()) {
      WriteString(Scalar(key));
    } else {
      return TemplateError("keys must be str, int, float, bool or None, not ",
                           ToAbsl(key.TypeName()));
    }
    out_ += options_.key_separator;
    return absl::OkStatus();
  }

  absl::Status WriteDict(const DictCell& dict) {
    if (dict.size() == 0) {
      out_ += "{}";
      return absl::OkStatus();
    }
    std::vector<size_t> order(dict.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    if (options_.sort_keys) {
      std::vector<Value> keys;
      for (const auto& entry : dict.entries()) keys.push_back(entry.first);
      VALLM_RETURN_IF_ERROR(SortByKeys(runtime_, keys, /*reverse=*/false, &order));
    }
    out_.push_back('{');
    ++level_;
    for (size_t i = 0; i < order.size(); ++i) {
      const auto& [key, value] = dict.entries()[order[i]];
      Separate(i == 0);
      VALLM_RETURN_IF_ERROR(WriteKey(key));
      VALLM_RETURN_IF_ERROR(Write(value));
    }
    --level_;
    NewLine();
    out_.push_back('}');
    return absl::OkStatus();
  }

  Runtime& runtime_;
  const JsonOptions& options_;
  std::string out_;
  int level_ = 0;
};

}  // namespace

absl::StatusOr<std::string> DumpJson(Runtime& runtime, const Value& value,
                                     const JsonOptions& options) {
  JsonWriter writer(runtime, options);
  VALLM_RETURN_IF_ERROR(writer.Write(value));
  return writer.Take();
}

}  // namespace vallm::tokenizer
