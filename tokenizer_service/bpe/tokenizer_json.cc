#include "tokenizer_service/bpe/tokenizer_json.h"

#include <unordered_set>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "nlohmann/json.hpp"
#include "tokenizer_service/bpe/pretokenizer.h"

namespace vallm::tokenizer {
namespace {

using nlohmann::json;

// Far above any vocabulary in use; Merges holds ids in 22 bits and ranks in 20.
constexpr int64_t kMaxId = (1 << 22) - 2;
constexpr size_t kMaxMerges = 1 << 20;

absl::Status Malformed(const std::string& field, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": ", what));
}

// A short rendering of a refused value.
std::string Excerpt(const json& value) {
  std::string text = value.dump(-1, ' ', false, json::error_handler_t::replace);
  if (text.size() > 120) text = text.substr(0, 117) + "...";
  return text;
}

absl::Status Unsupported(const std::string& field, const json& value, const std::string& wanted) {
  return absl::UnimplementedError(
      absl::StrCat(field, ": ", Excerpt(value), " is not supported; expected ", wanted));
}

// The member `name` of `object`, or null if it has none.
const json& Member(const json& object, const char* name) {
  static const json null;
  if (!object.is_object()) return null;
  const auto it = object.find(name);
  return it == object.end() ? null : *it;
}

bool IsType(const json& value, const char* type) { return Member(value, "type") == type; }

// Fails unless the member is absent, null or equal to `only`.
absl::Status ExpectOnly(const json& object, const std::string& path, const char* name,
                        const json& only) {
  const json& value = Member(object, name);
  if (value.is_null() || value == only) return absl::OkStatus();
  return Unsupported(path + "." + name, value, absl::StrCat(only.dump(), " or null"));
}

absl::StatusOr<bool> ParseBool(const json& object, const std::string& path, const char* name) {
  const json& value = Member(object, name);
  if (value.is_null()) return false;
  if (!value.is_boolean()) return Malformed(path + "." + name, "is not true or false");
  return value.get<bool>();
}

absl::StatusOr<int32_t> ParseId(const json& value, const std::string& path) {
  if (!value.is_number_integer() || value < 0 || value > kMaxId) {
    return Malformed(path, absl::StrCat(Excerpt(value), " is not a token id (0 to ", kMaxId, ")"));
  }
  return value.get<int32_t>();
}

// Null, {"type":"NFC"}, or a sequence of them.
absl::Status ParseNormalizer(const json& value, const std::string& path, bool* nfc) {
  if (value.is_null()) return absl::OkStatus();
  if (IsType(value, "NFC")) {
    *nfc = true;
    return absl::OkStatus();
  }
  const json& members = Member(value, "normalizers");
  if (!IsType(value, "Sequence") || !members.is_array()) {
    return Unsupported(path, value, "NFC or null");
  }
  for (size_t i = 0; i < members.size(); ++i) {
    VALLM_RETURN_IF_ERROR(
        ParseNormalizer(members[i], absl::StrCat(path, ".normalizers[", i, "]"), nfc));
  }
  return absl::OkStatus();
}

absl::Status CheckByteLevel(const json& value, const std::string& path) {
  if (!IsType(value, "ByteLevel")) return Unsupported(path, value, "a ByteLevel step");
  if (Member(value, "add_prefix_space") != false) {
    return Unsupported(path + ".add_prefix_space", Member(value, "add_prefix_space"), "false");
  }
  return absl::OkStatus();
}

// A sequence of the Qwen split and ByteLevel without a split of its own.
absl::Status CheckPreTokenizer(const json& value) {
  const std::string path = "pre_tokenizer";
  const json& steps = Member(value, "pretokenizers");
  if (!IsType(value, "Sequence") || !steps.is_array() || steps.size() != 2) {
    return Unsupported(path, value, "a sequence of Split and ByteLevel");
  }
  const std::string split_path = path + ".pretokenizers[0]";
  const json& split = steps[0];
  if (!IsType(split, "Split")) return Unsupported(split_path, split, "a Split step");
  const json& regex = Member(Member(split, "pattern"), "Regex");
  if (regex != std::string(kQwenSplitPattern)) {
    return Unsupported(split_path + ".pattern", Member(split, "pattern"),
                       "the expression of Qwen2 and Qwen3");
  }
  if (Member(split, "behavior") != "Isolated") {
    return Unsupported(split_path + ".behavior", Member(split, "behavior"), "\"Isolated\"");
  }
  VALLM_RETURN_IF_ERROR(ExpectOnly(split, split_path, "invert", false));
  const std::string bytes_path = path + ".pretokenizers[1]";
  VALLM_RETURN_IF_ERROR(CheckByteLevel(steps[1], bytes_path));
  if (Member(steps[1], "use_regex") != false) {
    return Unsupported(bytes_path + ".use_regex", Member(steps[1], "use_regex"), "false");
  }
  return absl::OkStatus();
}

// The parts of the file that are not data.
absl::Status CheckPipeline(const json& root) {
  VALLM_RETURN_IF_ERROR(ExpectOnly(root, "tokenizer.json", "truncation", nullptr));
  VALLM_RETURN_IF_ERROR(ExpectOnly(root, "tokenizer.json", "padding", nullptr));
  VALLM_RETURN_IF_ERROR(CheckPreTokenizer(Member(root, "pre_tokenizer")));
  const json& post_processor = Member(root, "post_processor");
  // ByteLevel as a post-processor moves offsets only; any other adds tokens.
  if (!post_processor.is_null() && !IsType(post_processor, "ByteLevel")) {
    return Unsupported("post_processor", post_processor, "ByteLevel or null");
  }
  const json& decoder = Member(root, "decoder");
  if (!IsType(decoder, "ByteLevel")) return Unsupported("decoder", decoder, "ByteLevel");
  return absl::OkStatus();
}

absl::Status CheckModel(const json& model) {
  if (!IsType(model, "BPE")) return Unsupported("model.type", Member(model, "type"), "\"BPE\"");
  VALLM_RETURN_IF_ERROR(ExpectOnly(model, "model", "dropout", 0.0));
  VALLM_RETURN_IF_ERROR(ExpectOnly(model, "model", "unk_token", nullptr));
  VALLM_RETURN_IF_ERROR(ExpectOnly(model, "model", "continuing_subword_prefix", ""));
  VALLM_RETURN_IF_ERROR(ExpectOnly(model, "model", "end_of_word_suffix", ""));
  return ExpectOnly(model, "model", "byte_fallback", false);
}

absl::Status ParseVocab(const json& vocab, TokenizerSpec* spec) {
  if (!vocab.is_object()) return Malformed("model.vocab", "is not an object");
  spec->vocab.reserve(vocab.size());
  std::unordered_set<int32_t> ids;
  ids.reserve(vocab.size());
  for (const auto& [text, value] : vocab.items()) {
    VALLM_ASSIGN_OR_RETURN(const int32_t id, ParseId(value, "model.vocab"));
    if (!ids.insert(id).second) {
      return Malformed("model.vocab", absl::StrCat("two entries have the id ", id));
    }
    spec->vocab.push_back({text, id});
  }
  return absl::OkStatus();
}

// One merge: ["a", "b"], or the older "a b" (the byte-level alphabet has no space).
absl::StatusOr<std::pair<std::string, std::string>> ParseMerge(const json& value, size_t rank) {
  if (value.is_array() && value.size() == 2 && value[0].is_string() && value[1].is_string()) {
    return std::make_pair(value[0].get<std::string>(), value[1].get<std::string>());
  }
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    const size_t space = text.find(' ');
    if (space != std::string::npos && text.find(' ', space + 1) == std::string::npos) {
      return std::make_pair(text.substr(0, space), text.substr(space + 1));
    }
  }
  return Malformed(absl::StrCat("model.merges[", rank, "]"),
                   absl::StrCat(Excerpt(value), " is not a pair of tokens"));
}

absl::Status ParseMerges(const json& merges, TokenizerSpec* spec) {
  if (!merges.is_array()) return Malformed("model.merges", "is not a list");
  if (merges.size() > kMaxMerges) {
    return Malformed("model.merges",
                     absl::StrCat("has ", merges.size(), " entries; limit is ", kMaxMerges));
  }
  spec->merges.reserve(merges.size());
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    VALLM_ASSIGN_OR_RETURN(auto merge, ParseMerge(merges[rank], rank));
    spec->merges.push_back(std::move(merge));
  }
  return absl::OkStatus();
}

absl::StatusOr<AddedToken> ParseAddedToken(const json& value, const std::string& path) {
  AddedToken token;
  VALLM_ASSIGN_OR_RETURN(token.id, ParseId(Member(value, "id"), path + ".id"));
  const json& content = Member(value, "content");
  if (!content.is_string() || content.get_ref<const std::string&>().empty()) {
    return Malformed(path + ".content", "is not a non-empty string");
  }
  token.content = content.get<std::string>();
  VALLM_ASSIGN_OR_RETURN(token.single_word, ParseBool(value, path, "single_word"));
  VALLM_ASSIGN_OR_RETURN(token.lstrip, ParseBool(value, path, "lstrip"));
  VALLM_ASSIGN_OR_RETURN(token.rstrip, ParseBool(value, path, "rstrip"));
  VALLM_ASSIGN_OR_RETURN(token.normalized, ParseBool(value, path, "normalized"));
  VALLM_ASSIGN_OR_RETURN(token.special, ParseBool(value, path, "special"));
  return token;
}

absl::Status ParseAddedTokens(const json& tokens, TokenizerSpec* spec) {
  if (tokens.is_null()) return absl::OkStatus();
  if (!tokens.is_array()) return Malformed("added_tokens", "is not a list");
  std::unordered_set<std::string> contents;
  std::unordered_set<int32_t> ids;
  for (size_t i = 0; i < tokens.size(); ++i) {
    const std::string path = absl::StrCat("added_tokens[", i, "]");
    VALLM_ASSIGN_OR_RETURN(AddedToken token, ParseAddedToken(tokens[i], path));
    if (!contents.insert(token.content).second || !ids.insert(token.id).second) {
      return Malformed(path, "repeats the id or the content of another added token");
    }
    spec->added_tokens.push_back(std::move(token));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<TokenizerSpec> ParseTokenizerJson(std::string_view text) {
  const json root = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (root.is_discarded()) return absl::InvalidArgumentError("not JSON");
  if (!root.is_object()) return absl::InvalidArgumentError("not a JSON object");
  const json& model = Member(root, "model");
  TokenizerSpec spec;
  VALLM_RETURN_IF_ERROR(CheckModel(model));
  VALLM_RETURN_IF_ERROR(CheckPipeline(root));
  VALLM_RETURN_IF_ERROR(ParseNormalizer(Member(root, "normalizer"), "normalizer", &spec.nfc));
  VALLM_ASSIGN_OR_RETURN(spec.ignore_merges, ParseBool(model, "model", "ignore_merges"));
  VALLM_RETURN_IF_ERROR(ParseVocab(Member(model, "vocab"), &spec));
  VALLM_RETURN_IF_ERROR(ParseMerges(Member(model, "merges"), &spec));
  VALLM_RETURN_IF_ERROR(ParseAddedTokens(Member(root, "added_tokens"), &spec));
  return spec;
}

}  // namespace vallm::tokenizer
