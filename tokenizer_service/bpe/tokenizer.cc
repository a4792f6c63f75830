#include "tokenizer_service/bpe/tokenizer.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/parallel.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "tokenizer_service/bpe/added_tokens.h"
#include "tokenizer_service/bpe/byte_level.h"
#include "tokenizer_service/bpe/huge_page_allocator.h"
#include "tokenizer_service/bpe/merges.h"
#include "tokenizer_service/bpe/nfc.h"
#include "tokenizer_service/bpe/piece_encoder.h"
#include "tokenizer_service/bpe/tokenizer_json.h"
#include "tokenizer_service/bpe/utf8.h"
#include "tokenizer_service/bpe/vocab.h"

namespace vallm::tokenizer {
namespace {

// Offsets inside a piece are 32 bits; no request comes near this.
constexpr size_t kMaxTextBytes = size_t{1} << 30;

// What is known of an id besides its bytes.
enum IdFlag : uint8_t {
  kAdded = 1,
  kSpecial = 2,
};

// All tokens of the file, in the order in which they win over others that have the same bytes: the
// entries of model.vocab that are written in the byte-level alphabet, then its others, which stand
// for their own text, then the added tokens that it does not have.
struct TokenList {
  explicit TokenList(const TokenizerSpec& spec);
  TokenList(const TokenList&) = delete;
  TokenList& operator=(const TokenList&) = delete;

  std::vector<Vocab::Entry> entries;
  size_t byte_level_count = 0;  // of `entries`, the first
  bool all_byte_level = false;  // the whole of model.vocab is
  std::vector<bool> in_model;   // by id
  std::string bytes;            // what the entries of the byte-level alphabet point into
};

TokenList::TokenList(const TokenizerSpec& spec) {
  size_t text_bytes = 0;
  int32_t highest = 0;
  for (const TokenizerSpec::VocabEntry& entry : spec.vocab) {
    text_bytes += entry.text.size();
    highest = std::max(highest, entry.id);
  }
  for (const AddedToken& token : spec.added_tokens) highest = std::max(highest, token.id);
  in_model.resize(static_cast<size_t>(highest) + 1);
  bytes.reserve(text_bytes);  // so that it never moves
  entries.reserve(spec.vocab.size() + spec.added_tokens.size());
  std::vector<Vocab::Entry> others;
  for (const TokenizerSpec::VocabEntry& entry : spec.vocab) {
    const size_t begin = bytes.size();
    if (AppendByteLevelBytes(entry.text, &bytes)) {
      entries.push_back({entry.id, std::string_view(bytes).substr(begin)});
    } else {
      others.push_back({entry.id, entry.text});
    }
    in_model[static_cast<size_t>(entry.id)] = !entry.text.empty();
  }
  byte_level_count = entries.size();
  all_byte_level = others.empty();
  entries.insert(entries.end(), others.begin(), others.end());
  for (const AddedToken& token : spec.added_tokens) {
    if (in_model[static_cast<size_t>(token.id)]) continue;
    entries.push_back({token.id, token.content});
  }
}

// What model.vocab calls these bytes.
std::optional<int32_t> FindInModel(const Vocab& vocab, const TokenList& list,
                                   std::string_view bytes) {
  const std::optional<int32_t> id = vocab.Find(bytes);
  return id && list.in_model[static_cast<size_t>(*id)] ? id : std::nullopt;
}

absl::StatusOr<std::array<int32_t, 256>> ReadByteIds(const Vocab& vocab, const TokenList& list) {
  std::array<int32_t, 256> byte_ids;
  for (size_t byte = 0; byte < byte_ids.size(); ++byte) {
    const char character = static_cast<char>(byte);
    const std::optional<int32_t> id = FindInModel(vocab, list, {&character, 1});
    if (!id.has_value()) {
      return absl::InvalidArgumentError(
          absl::StrCat("model.vocab: has no entry for the byte ", byte));
    }
    byte_ids[byte] = *id;
  }
  return byte_ids;
}

// The ids of one merge after the other. Where ids were given out in the order of the merges, what
// one joins is found without a search. (What is not of the byte-level alphabet may be spelled with
// the bytes of another entry.)
class MergeReader {
 public:
  MergeReader(const Vocab& vocab, const TokenList& list) : vocab_(vocab), list_(list) {}

  // False, with the missing token in `missing`, if the vocabulary lacks a part or the whole.
  bool Read(const TokenizerSpec::Merge& names, Merges::Merge* merge, std::string* missing) {
    bytes_.clear();
    const bool left_known = AppendByteLevelBytes(names.left, &bytes_);
    const size_t border = bytes_.size();
    const bool right_known = AppendByteLevelBytes(names.right, &bytes_);
    const std::string_view all = bytes_;
    const auto find = [&](bool spelled, std::string_view part) {
      return spelled ? FindInModel(vocab_, list_, part) : std::nullopt;
    };
    const auto left = find(left_known, all.substr(0, border));
    const auto right = find(right_known, all.substr(border));
    const bool known = left_known && right_known;
    const bool guessed = known && list_.all_byte_level && vocab_.Bytes(next_) == all &&
                         list_.in_model[static_cast<size_t>(next_)];
    const auto joined = guessed ? std::optional<int32_t>(next_) : find(known, all);
    if (left && right && joined) {
      *merge = {*left, *right, *joined};
      next_ = *joined + 1;
      return true;
    }
    *missing = !left    ? std::string(names.left)
               : !right ? std::string(names.right)
                        : absl::StrCat(ToAbsl(names.left), ToAbsl(names.right));
    return false;
  }

 private:
  const Vocab& vocab_;
  const TokenList& list_;
  std::string bytes_;  // of the left part, then of the right one
  int32_t next_ = -1;  // the id behind the last that was joined
};

absl::StatusOr<std::vector<Merges::Merge>> ReadMerges(const TokenizerSpec& spec, const Vocab& vocab,
                                                      const TokenList& list) {
  // Half of a large list in each of two threads.
  constexpr size_t kLargeList = 20'000;
  const size_t count = spec.merges.size();
  const size_t parts = count < kLargeList ? 1 : 2;
  std::vector<Merges::Merge> merges(count);
  std::array<std::string, 2> missing;
  std::array<size_t, 2> failed = {count, count};
  ParallelFor(parts, static_cast<int>(parts), [&](size_t part) {
    MergeReader reader(vocab, list);
    for (size_t i = part * count / parts; i < (part + 1) * count / parts; ++i) {
      if (reader.Read(spec.merges[i], &merges[i], &missing[part])) continue;
      failed[part] = i;
      return;
    }
  });
  for (size_t part = 0; part < parts; ++part) {
    if (failed[part] == count) continue;
    return absl::InvalidArgumentError(absl::StrCat("model.merges[", failed[part], "]: \"",
                                                   missing[part], "\" is not in model.vocab"));
  }
  return merges;
}

absl::StatusOr<PieceEncoder> BuildEncoder(const TokenizerSpec& spec, const TokenList& list,
                                          const Vocab& vocab) {
  VALLM_ASSIGN_OR_RETURN(const auto byte_ids, ReadByteIds(vocab, list));
  VALLM_ASSIGN_OR_RETURN(const auto merges, ReadMerges(spec, vocab, list));
  std::vector<int32_t> piece_ids;
  piece_ids.reserve(list.byte_level_count);
  for (size_t i = 0; i < list.byte_level_count; ++i) {
    const Vocab::Entry& entry = list.entries[i];
    if (!entry.bytes.empty() && vocab.Find(entry.bytes) != entry.id) {
      return absl::InvalidArgumentError(absl::StrCat("model.vocab: the ids ", entry.id, " and ",
                                                     *vocab.Find(entry.bytes),
                                                     " are spelled alike"));
    }
    piece_ids.push_back(entry.id);
  }
  return PieceEncoder(byte_ids, merges, vocab, piece_ids, spec.ignore_merges, spec.split_rules);
}

// Refuses an added token that the model knows by another id, or whose id it gives to something
// else.
absl::Status CheckAddedIds(const TokenizerSpec& spec, const Vocab& vocab) {
  for (const AddedToken& token : spec.added_tokens) {
    const std::string what =
        absl::StrCat("added_tokens: \"", token.content, "\" has the id ", token.id);
    if (const std::string_view taken = vocab.Bytes(token.id); taken != token.content) {
      return absl::InvalidArgumentError(
          absl::StrCat(what, ", which model.vocab gives to \"", ToAbsl(taken), "\""));
    }
    if (const auto known = vocab.Find(token.content); known != token.id) {
      return absl::InvalidArgumentError(absl::StrCat(what, ", but ", *known, " in model.vocab"));
    }
  }
  return absl::OkStatus();
}

std::vector<uint8_t> BuildFlags(const TokenizerSpec& spec, int32_t size) {
  std::vector<uint8_t> flags(static_cast<size_t>(size), 0);
  for (const AddedToken& token : spec.added_tokens) {
    flags[static_cast<size_t>(token.id)] |= token.special ? kAdded | kSpecial : kAdded;
  }
  return flags;
}

AddedTokenMatcher BuildMatcher(const TokenizerSpec& spec, bool normalized) {
  std::vector<AddedToken> tokens;
  for (AddedToken token : spec.added_tokens) {
    if (token.normalized != normalized) continue;
    if (normalized && spec.nfc) {
      std::string storage;
      token.content = std::string(ToNfc(token.content, &storage));
    }
    tokens.push_back(std::move(token));
  }
  return AddedTokenMatcher(std::move(tokens));
}

// Walks `text` as alternating plain stretches (never empty) and added tokens.
template <typename OnPlain, typename OnToken>
void SplitAddedTokens(const AddedTokenMatcher& matcher, std::string_view text,
                      const OnToken& on_token, const OnPlain& on_plain) {
  size_t offset = 0;  // where what is not encoded yet begins
  size_t searched = 0;
  while (const auto match = matcher.Find(text, searched, offset)) {
    if (match->begin > offset) on_plain(text.substr(offset, match->begin - offset));
    on_token(match->id);
    offset = match->end;
    searched = match->content_end;
  }
  if (offset < text.size()) on_plain(text.substr(offset));
}

absl::Status CheckText(std::string_view text) {
  if (text.size() > kMaxTextBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("text has ", text.size(), " bytes; limit is ", kMaxTextBytes));
  }
  if (const auto offset = FirstInvalidUtf8(text); offset.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat("text is not valid UTF-8 at byte offset ", *offset));
  }
  return absl::OkStatus();
}

}  // namespace

struct Tokenizer::Impl {
  Vocab vocab;
  PieceEncoder encoder;
  std::vector<uint8_t> flags;            // [vocab.size()] IdFlag
  AddedTokenMatcher raw_matcher;         // tokens looked for before normalisation
  AddedTokenMatcher normalized_matcher;  // tokens looked for after it
  bool nfc;

  bool HasFlag(int32_t id, IdFlag flag) const {
    return id >= 0 && id < vocab.size() && (flags[static_cast<size_t>(id)] & flag) != 0;
  }
};

absl::StatusOr<std::unique_ptr<const Tokenizer>> Tokenizer::FromModelDir(const std::string& dir) {
  const std::string path = dir + "/tokenizer.json";
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  const size_t size = file ? static_cast<size_t>(file.tellg()) : 0;
  const auto free = [size](char* text) { FreeHuge(text, size); };
  const std::unique_ptr<char, decltype(free)> text(static_cast<char*>(AllocateHuge(size)), free);
  if (!file || !file.seekg(0) || !file.read(text.get(), static_cast<std::streamsize>(size))) {
    return absl::NotFoundError(absl::StrCat("cannot read ", path));
  }
  auto tokenizer = FromJson({text.get(), size});
  if (tokenizer.ok()) return tokenizer;
  return absl::Status(tokenizer.status().code(),
                      absl::StrCat(path, ": ", tokenizer.status().message()));
}

absl::StatusOr<std::unique_ptr<const Tokenizer>> Tokenizer::FromJson(
    std::string_view tokenizer_json) {
  VALLM_ASSIGN_OR_RETURN(const TokenizerSpec spec, ParseTokenizerJson(tokenizer_json));
  const TokenList list(spec);
  Vocab vocab(list.entries);
  VALLM_RETURN_IF_ERROR(CheckAddedIds(spec, vocab));
  VALLM_ASSIGN_OR_RETURN(PieceEncoder encoder, BuildEncoder(spec, list, vocab));
  std::vector<uint8_t> flags = BuildFlags(spec, vocab.size());
  auto impl = std::make_unique<const Impl>(Impl{
      .vocab = std::move(vocab),
      .encoder = std::move(encoder),
      .flags = std::move(flags),
      .raw_matcher = BuildMatcher(spec, /*normalized=*/false),
      .normalized_matcher = BuildMatcher(spec, /*normalized=*/true),
      .nfc = spec.nfc,
  });
  return std::unique_ptr<const Tokenizer>(new Tokenizer(std::move(impl)));
}

Tokenizer::Tokenizer(std::unique_ptr<const Impl> impl) : impl_(std::move(impl)) {}
Tokenizer::~Tokenizer() = default;

absl::StatusOr<std::vector<int32_t>> Tokenizer::Encode(std::string_view text,
                                                       const EncodeOptions& options) const {
  VALLM_RETURN_IF_ERROR(CheckText(text));
  std::vector<int32_t> ids;
  ids.reserve(text.size() / 3 + 8);
  std::string storage;
  const auto normalize = [&](std::string_view plain) {
    return impl_->nfc ? ToNfc(plain, &storage) : plain;
  };
  const auto encode_pieces = [&](std::string_view plain) { impl_->encoder.Encode(plain, &ids); };
  if (!options.parse_special_tokens) {
    encode_pieces(normalize(text));
    return ids;
  }
  const auto add_id = [&ids](int32_t id) { ids.push_back(id); };
  const auto encode_segment = [&](std::string_view plain) {
    SplitAddedTokens(impl_->normalized_matcher, normalize(plain), add_id, encode_pieces);
  };
  if (options.is_segment) {
    encode_segment(text);
  } else {
    SplitAddedTokens(impl_->raw_matcher, text, add_id, encode_segment);
  }
  return ids;
}

absl::StatusOr<std::vector<Tokenizer::Segment>> Tokenizer::Split(std::string_view text) const {
  VALLM_RETURN_IF_ERROR(CheckText(text));
  std::vector<Segment> segments;
  SplitAddedTokens(
      impl_->raw_matcher, text,
      [&](int32_t id) {
        segments.push_back({{}, id});
      },
      [&](std::string_view plain) {
        segments.push_back({plain, -1});
      });
  return segments;
}

std::string_view Tokenizer::TokenBytes(int32_t id) const { return impl_->vocab.Bytes(id); }
bool Tokenizer::IsSpecial(int32_t id) const { return impl_->HasFlag(id, kSpecial); }
bool Tokenizer::IsAdded(int32_t id) const { return impl_->HasFlag(id, kAdded); }
std::optional<int32_t> Tokenizer::TokenId(std::string_view content) const {
  return impl_->vocab.Find(content);
}
int32_t Tokenizer::vocab_size() const { return impl_->vocab.size(); }

}  // namespace vallm::tokenizer
