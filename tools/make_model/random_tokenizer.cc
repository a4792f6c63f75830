#include "tools/make_model/random_tokenizer.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace vallm::tools {
namespace {

using nlohmann::ordered_json;

constexpr int64_t kByteTokens = 256;
// Rows of Qwen3's embedding from the first added token on; most of them are padding.
constexpr int64_t kRowsBehindMerges = 293;

struct AddedToken {
  const char* text;
  bool special;
};

// Qwen3's, in the order of their ids.
constexpr AddedToken kAddedTokens[] = {{"<|endoftext|>", true},      {"<|im_start|>", true},
                                       {"<|im_end|>", true},         {"<|object_ref_start|>", true},
                                       {"<|object_ref_end|>", true}, {"<|box_start|>", true},
                                       {"<|box_end|>", true},        {"<|quad_start|>", true},
                                       {"<|quad_end|>", true},       {"<|vision_start|>", true},
                                       {"<|vision_end|>", true},     {"<|vision_pad|>", true},
                                       {"<|image_pad|>", true},      {"<|video_pad|>", true},
                                       {"<tool_call>", false},       {"</tool_call>", false},
                                       {"<|fim_prefix|>", false},    {"<|fim_middle|>", false},
                                       {"<|fim_suffix|>", false},    {"<|fim_pad|>", false},
                                       {"<|repo_name|>", false},     {"<|file_sep|>", false},
                                       {"<tool_response>", false},   {"</tool_response>", false},
                                       {"<think>", false},           {"</think>", false}};

constexpr char kPretokenizerPattern[] =
    R"re((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)re";

constexpr char kChatTemplate[] =
    R"({%- if tools %}
    {{- '<|im_start|>system\n' }}
    {%- if messages[0].role == 'system' %}{{- messages[0].content + '\n\n' }}{%- endif %}
    {{- 'Functions you may call:\n<tools>\n' }}
    {%- for tool in tools %}{{- tool | tojson }}{{- '\n' }}{%- endfor %}
    {{- '</tools>\nCall one so:\n<tool_call>\n{"name": NAME, "arguments": OBJECT}\n</tool_call><|im_end|>\n' }}
{%- elif messages[0].role == 'system' %}
    {{- '<|im_start|>system\n' + messages[0].content + '<|im_end|>\n' }}
{%- endif %}
{%- for message in messages %}
    {%- if message.role == 'tool' %}
        {{- '<|im_start|>user\n<tool_response>\n' + message.content + '\n</tool_response><|im_end|>\n' }}
    {%- elif message.role != 'system' or not loop.first %}
        {{- '<|im_start|>' + message.role + '\n' }}
        {%- if message.content %}{{- message.content }}{%- endif %}
        {%- for call in message.tool_calls or [] %}
            {%- set call = call.function or call %}
            {{- '\n<tool_call>\n{"name": "' + call.name + '", "arguments": ' }}
            {%- if call.arguments is string %}{{- call.arguments }}{%- else %}{{- call.arguments | tojson }}{%- endif %}
            {{- '}\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\n\n</think>\n\n' }}
    {%- endif %}
{%- endif %})";

// The byte-level alphabet of GPT-2, in the order of its ids: printable bytes of Latin-1 as
// themselves, then the others as characters from U+0100 on.
std::vector<std::string> ByteTokens() {
  std::vector<std::string> printable;
  std::vector<std::string> others;
  const auto spelling = [](unsigned code_point) {
    if (code_point < 0x80) return std::string(1, static_cast<char>(code_point));
    return std::string{static_cast<char>(0xC0 | code_point >> 6),
                       static_cast<char>(0x80 | (code_point & 0x3F))};
  };
  for (unsigned byte = 0; byte < kByteTokens; ++byte) {
    const bool shows = (byte > ' ' && byte < 0x7F) || (byte > 0xA0 && byte != 0xAD);
    if (shows) {
      printable.push_back(spelling(byte));
    } else {
      others.push_back(spelling(0x100 + static_cast<unsigned>(others.size())));
    }
  }
  printable.insert(printable.end(), others.begin(), others.end());
  return printable;
}

using Merges = std::vector<std::pair<std::string, std::string>>;

// Pairs of letters first, then what pairs make up: every token is the result of one merge, and its
// parts come before it.
Merges MakeMerges(int64_t count) {
  const std::string space = "\u0120";  // in the byte-level alphabet
  std::vector<std::string> letters;
  for (char c = 'a'; c <= 'z'; ++c) letters.emplace_back(1, c);
  Merges merges;
  const auto full = [&] { return static_cast<int64_t>(merges.size()) >= count; };
  const auto join_all = [&](const std::vector<std::string>& left,
                            const std::vector<std::string>& right) {
    std::vector<std::string> joined;
    for (const std::string& l : left) {
      for (const std::string& r : right) {
        if (full()) return joined;
        merges.emplace_back(l, r);
        joined.push_back(l + r);
      }
    }
    return joined;
  };
  const std::vector<std::string> pairs = join_all(letters, letters);
  join_all({space}, letters);
  join_all({space}, pairs);
  const std::vector<std::string> triples = join_all(pairs, letters);
  join_all({space}, triples);
  const std::vector<std::string> quadruples = join_all(pairs, pairs);
  join_all(quadruples, letters);
  return merges;
}

std::string ToJson(const ordered_json& value, int indent = -1) {
  return value.dump(indent, ' ', /*ensure_ascii=*/false) + "\n";
}

ordered_json TokenizerJson(const ordered_json& vocab, const std::vector<std::string>& merges,
                           int64_t first_added) {
  ordered_json added = ordered_json::array();
  for (const AddedToken& token : kAddedTokens) {
    added.push_back({{"id", first_added + static_cast<int64_t>(added.size())},
                     {"content", token.text},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", token.special}});
  }
  const ordered_json byte_level = {{"type", "ByteLevel"},
                                   {"add_prefix_space", false},
                                   {"trim_offsets", false},
                                   {"use_regex", false}};
  const ordered_json split = {{"type", "Split"},
                              {"pattern", {{"Regex", kPretokenizerPattern}}},
                              {"behavior", "Isolated"},
                              {"invert", false}};
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", added},
          {"normalizer", {{"type", "NFC"}}},
          {"pre_tokenizer",
           {{"type", "Sequence"}, {"pretokenizers", ordered_json::array({split, byte_level})}}},
          {"post_processor", byte_level},
          {"decoder", byte_level},
          {"model",
           {{"type", "BPE"},
            {"dropout", nullptr},
            {"unk_token", nullptr},
            {"continuing_subword_prefix", ""},
            {"end_of_word_suffix", ""},
            {"fuse_unk", false},
            {"byte_fallback", false},
            {"ignore_merges", false},
            {"vocab", vocab},
            {"merges", merges}}}};
}

ordered_json TokenizerConfigJson(int64_t first_added, int64_t max_positions) {
  ordered_json decoder = ordered_json::object();
  ordered_json special = ordered_json::array();
  for (const AddedToken& token : kAddedTokens) {
    const int64_t id = first_added + static_cast<int64_t>(decoder.size());
    decoder[absl::StrCat(id)] = {{"content", token.text}, {"lstrip", false},
                                 {"normalized", false},   {"rstrip", false},
                                 {"single_word", false},  {"special", token.special}};
    if (token.special && id != first_added) special.push_back(token.text);
  }
  return {{"add_bos_token", false},
          {"add_prefix_space", false},
          {"added_tokens_decoder", decoder},
          {"additional_special_tokens", special},
          {"bos_token", nullptr},
          {"chat_template", kChatTemplate},
          {"clean_up_tokenization_spaces", false},
          {"eos_token", "<|im_end|>"},
          {"errors", "replace"},
          {"model_max_length", max_positions},
          {"pad_token", "<|endoftext|>"},
          {"split_special_tokens", false},
          {"tokenizer_class", "Qwen2Tokenizer"},
          {"unk_token", nullptr}};
}

}  // namespace

absl::StatusOr<TextFiles> MakeTokenizerFiles(int64_t vocab_size, int64_t max_positions) {
  constexpr auto kAdded = static_cast<int64_t>(std::size(kAddedTokens));
  if (vocab_size < kByteTokens + kAdded) {
    return absl::InvalidArgumentError(absl::StrCat("the vocabulary has ", vocab_size,
                                                   " rows; 256 bytes and ", kAdded,
                                                   " added tokens need ", kByteTokens + kAdded));
  }
  const int64_t wanted = std::max<int64_t>(0, vocab_size - kRowsBehindMerges - kByteTokens);
  ordered_json vocab = ordered_json::object();
  const auto add = [&](const std::string& token) {
    // operator[] would search all that is there.
    auto& entries = vocab.get_ref<ordered_json::object_t&>();
    entries.emplace_back(token, entries.size());
  };
  for (const std::string& token : ByteTokens()) add(token);
  std::vector<std::string> merges;
  for (const auto& [left, right] : MakeMerges(wanted)) {
    merges.push_back(absl::StrCat(left, " ", right));
    add(left + right);
  }
  std::string merges_text = "#version: 0.2\n";
  for (const std::string& merge : merges) absl::StrAppend(&merges_text, merge, "\n");
  const auto first_added = static_cast<int64_t>(vocab.size());
  return TextFiles{
      {"tokenizer.json", ToJson(TokenizerJson(vocab, merges, first_added))},
      {"tokenizer_config.json", ToJson(TokenizerConfigJson(first_added, max_positions), 2)},
      {"vocab.json", ToJson(vocab)},
      {"merges.txt", std::move(merges_text)}};
}

}  // namespace vallm::tools
