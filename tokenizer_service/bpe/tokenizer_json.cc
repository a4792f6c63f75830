#include "tokenizer_service/bpe/tokenizer_json.h"

#include <optional>
#include <unordered_set>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "nlohmann/json.hpp"
#include "tokenizer_service/bpe/json_cursor.h"
#include "tokenizer_service/bpe/pretokenizer.h"
#include "tokenizer_service/bpe/utf8.h"

namespace vallm::tokenizer {
namespace {

using nlohmann::json;

// Far above any vocabulary in use; Merges holds ids in 22 bits and ranks in 20.
constexpr int64_t kMaxId = (1 << 22) - 2;
constexpr size_t kMaxMerges = 1 << 20;
constexpr int kMaxNormalizerDepth = 8;

absl::Status Malformed(const std::string& field, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": ", what));
}

// `value` with what is nested more than `levels` deep left out: how deep a file nests is not for
// the stack to find out.
json Shallow(const json& value, int levels) {
  if (!value.is_structured()) return value;
  json copy = value.is_array() ? json::array() : json::object();
  if (levels == 0) return copy;
  for (const auto& [key, member] : value.items()) {
    json shallow = Shallow(member, levels - 1);
    if (value.is_array()) {
      copy.push_back(std::move(shallow));
    } else {
      copy[key] = std::move(shallow);
    }
  }
  return copy;
}

// A short rendering of a refused value.
std::string Excerpt(const json& value) {
  std::string text =
      Shallow(value, /*levels=*/2).dump(-1, ' ', false, json::error_handler_t::replace);
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

// Null, {"type":"NFC"}, or a sequence of them, which may hold sequences.
absl::Status ParseNormalizer(const json& value, const std::string& path, bool* nfc, int depth = 0) {
  if (depth > kMaxNormalizerDepth) return Malformed(path, "is nested too deep");
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
        ParseNormalizer(members[i], absl::StrCat(path, ".normalizers[", i, "]"), nfc, depth + 1));
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

// A sequence of a split of the Qwen families and ByteLevel without a split of its own.
absl::StatusOr<SplitRules> ParsePreTokenizer(const json& value) {
  const std::string path = "pre_tokenizer";
  const json& steps = Member(value, "pretokenizers");
  if (!IsType(value, "Sequence") || !steps.is_array() || steps.size() != 2) {
    return Unsupported(path, value, "a sequence of Split and ByteLevel");
  }
  const std::string split_path = path + ".pretokenizers[0]";
  const json& split = steps[0];
  if (!IsType(split, "Split")) return Unsupported(split_path, split, "a Split step");
  const json& regex = Member(Member(split, "pattern"), "Regex");
  const auto rules = regex.is_string() ? FindSplitRules(regex.get_ref<const std::string&>())
                                       : std::optional<SplitRules>();
  if (!rules) {
    return Unsupported(split_path + ".pattern", Member(split, "pattern"),
                       "an expression of the Qwen families");
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
  return *rules;
}

// The parts of the file that are not data.
absl::Status CheckPipeline(const json& root) {
  VALLM_RETURN_IF_ERROR(ExpectOnly(root, "tokenizer.json", "truncation", nullptr));
  VALLM_RETURN_IF_ERROR(ExpectOnly(root, "tokenizer.json", "padding", nullptr));
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

absl::Status Truncated(const char* field) { return Malformed(field, "is not JSON"); }

// What stands at `begin`, by nlohmann; discarded if it is no JSON.
json ParseValue(JsonCursor begin) {
  begin.Peek();
  const JsonCursor start = begin;
  if (!begin.SkipValue()) return json(json::value_t::discarded);
  return json::parse(start.TextUpTo(begin), nullptr, /*allow_exceptions=*/false);
}

// Reads the member at the cursor.
absl::Status ParseVocab(JsonCursor* cursor, TokenizerSpec* spec) {
  if (!cursor->Consume('{')) return Malformed("model.vocab", "is not an object");
  std::vector<bool> ids;
  TokenizerSpec::VocabEntry entry;
  for (bool first = true; !cursor->Consume('}'); first = false) {
    if (!first && !cursor->Consume(',')) return Truncated("model.vocab");
    if (!cursor->ReadString(&entry.text, &spec->storage) || !cursor->Consume(':')) {
      return Truncated("model.vocab");
    }
    const JsonCursor value = *cursor;
    if (!cursor->ReadSmallInt(&entry.id) || entry.id > kMaxId) {
      return ParseId(ParseValue(value), "model.vocab").status();
    }
    const auto index = static_cast<size_t>(entry.id);
    if (ids.size() <= index) ids.resize(index + 1);
    if (ids[index]) {
      return Malformed("model.vocab", absl::StrCat("two entries have the id ", entry.id));
    }
    ids[index] = true;
    spec->vocab.push_back(entry);
  }
  return absl::OkStatus();
}

// One merge: ["a", "b"], or the older "a b" (the byte-level alphabet has no space).
bool ReadMerge(JsonCursor* cursor, std::deque<std::string>* storage, TokenizerSpec::Merge* merge) {
  if (cursor->Consume('[')) {
    return cursor->ReadString(&merge->left, storage) && cursor->Consume(',') &&
           cursor->ReadString(&merge->right, storage) && cursor->Consume(']');
  }
  std::string_view text;
  if (!cursor->ReadString(&text, storage)) return false;
  const size_t space = text.find(' ');
  if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos) return false;
  *merge = {text.substr(0, space), text.substr(space + 1)};
  return true;
}

// Reads the member at the cursor.
absl::Status ParseMerges(JsonCursor* cursor, TokenizerSpec* spec) {
  if (!cursor->Consume('[')) return Malformed("model.merges", "is not a list");
  TokenizerSpec::Merge merge;
  for (bool first = true; !cursor->Consume(']'); first = false) {
    if (!first && !cursor->Consume(',')) return Truncated("model.merges");
    if (spec->merges.size() == kMaxMerges) {
      return Malformed("model.merges", absl::StrCat("has more than ", kMaxMerges, " entries"));
    }
    const JsonCursor value = *cursor;
    if (!ReadMerge(cursor, &spec->storage, &merge)) {
      return Malformed(absl::StrCat("model.merges[", spec->merges.size(), "]"),
                       absl::StrCat(Excerpt(ParseValue(value)), " is not a pair of tokens"));
    }
    spec->merges.push_back(merge);
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

// Goes through the object that comes next, calling on_member(key) at every value. The callback
// moves the cursor over it. False if something is no JSON.
template <typename OnMember>
bool ForEachMember(JsonCursor* cursor, const OnMember& on_member) {
  if (!cursor->Consume('{')) return false;
  if (cursor->Consume('}')) return true;
  std::string key;
  do {
    if (!cursor->ReadString(&key) || !cursor->Consume(':') || !on_member(key)) return false;
  } while (cursor->Consume(','));
  return cursor->Consume('}');
}

// A large member of the file, read on the way.
struct LargeMember {
  absl::Status (*parse)(JsonCursor*, TokenizerSpec*);
  absl::Status status;
  bool seen = false;
};

// Reads the vocabulary and the merges into `spec`, and returns the rest of the file, with null in
// their places; nullopt if it is no JSON.
std::optional<std::string> ReadLargeMembers(std::string_view text, LargeMember* vocab,
                                            LargeMember* merges, TokenizerSpec* spec) {
  std::string rest;
  size_t copied = 0;
  JsonCursor cursor(text);
  const auto read = [&](LargeMember* member) {
    member->seen = true;
    cursor.Peek();
    rest.append(text, copied, cursor.offset() - copied);
    rest.append("null");
    JsonCursor value = cursor;
    member->status = member->parse(&value, spec);
    // What is no vocabulary may belong to another kind of model, which is said instead.
    if (member->status.ok()) {
      cursor = value;
    } else if (!cursor.SkipValue()) {
      return false;
    }
    copied = cursor.offset();
    return true;
  };
  const auto on_model_member = [&](const std::string& key) {
    if (key == "vocab" && !vocab->seen) return read(vocab);
    if (key == "merges" && !merges->seen) return read(merges);
    return cursor.SkipValue();
  };
  const auto on_member = [&](const std::string& key) {
    if (key == "model" && cursor.Peek() == '{') return ForEachMember(&cursor, on_model_member);
    return cursor.SkipValue();
  };
  if (!ForEachMember(&cursor, on_member)) return std::nullopt;
  rest.append(text.substr(copied));
  return rest;
}

}  // namespace

absl::StatusOr<TokenizerSpec> ParseTokenizerJson(std::string_view text) {
  if (const auto offset = FirstInvalidUtf8(text)) {
    return absl::InvalidArgumentError(absl::StrCat("not UTF-8 at byte offset ", *offset));
  }
  if (const char first = JsonCursor(text).Peek(); first != '{' && json::accept(text)) {
    return absl::InvalidArgumentError("not a JSON object");
  }
  TokenizerSpec spec;
  // An entry and a merge take 75 bytes of a file together: more room than that is never touched.
  spec.vocab.reserve(text.size() / 64);
  spec.merges.reserve(text.size() / 64);
  LargeMember vocab = {ParseVocab, Malformed("model.vocab", "is not an object")};
  LargeMember merges = {ParseMerges, Malformed("model.merges", "is not a list")};
  const std::optional<std::string> rest = ReadLargeMembers(text, &vocab, &merges, &spec);
  if (!rest) return absl::InvalidArgumentError("not JSON");
  const json root = json::parse(*rest, nullptr, /*allow_exceptions=*/false);
  if (root.is_discarded()) return absl::InvalidArgumentError("not JSON");
  const json& model = Member(root, "model");
  VALLM_RETURN_IF_ERROR(CheckModel(model));
  VALLM_RETURN_IF_ERROR(CheckPipeline(root));
  VALLM_ASSIGN_OR_RETURN(spec.split_rules, ParsePreTokenizer(Member(root, "pre_tokenizer")));
  VALLM_RETURN_IF_ERROR(ParseNormalizer(Member(root, "normalizer"), "normalizer", &spec.nfc));
  VALLM_ASSIGN_OR_RETURN(spec.ignore_merges, ParseBool(model, "model", "ignore_merges"));
  VALLM_RETURN_IF_ERROR(vocab.status);
  VALLM_RETURN_IF_ERROR(merges.status);
  VALLM_RETURN_IF_ERROR(ParseAddedTokens(Member(root, "added_tokens"), &spec));
  return spec;
}

}  // namespace vallm::tokenizer
