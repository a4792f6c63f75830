#include "tokenizer_service/bpe/tokenizer.h"

#include <array>
#include <fstream>
#include <string>
#include <unordered_map>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "tokenizer_service/bpe/added_tokens.h"
#include "tokenizer_service/bpe/byte_level.h"
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

// The entries of the model's vocabulary: those written in the byte-level alphabet first, so that
// they win over others that have the same bytes, then the rest, which stand for their own text.
struct ModelVocab {
  std::vector<Vocab::Entry> entries;
  size_t byte_level_count = 0;
};

ModelVocab ReadModelVocab(const TokenizerSpec& spec) {
  ModelVocab vocab;
  std::vector<Vocab::Entry> others;
  vocab.entries.reserve(spec.vocab.size());
  for (const TokenizerSpec::VocabEntry& entry : spec.vocab) {
    if (auto bytes = BytesFromByteLevel(entry.text); bytes.has_value()) {
      vocab.entries.push_back({entry.id, *std::move(bytes)});
    } else {
      others.push_back({entry.id, entry.text});
    }
  }
  vocab.byte_level_count = vocab.entries.size();
  for (Vocab::Entry& entry : others) vocab.entries.push_back(std::move(entry));
  return vocab;
}

absl::StatusOr<int32_t> FindByteLevel(const Vocab& vocab, std::string_view text) {
  const std::optional<std::string> bytes = BytesFromByteLevel(text);
  const std::optional<int32_t> id = bytes ? vocab.Find(*bytes) : std::nullopt;
  if (!id.has_value()) {
    return absl::InvalidArgumentError(absl::StrCat("\"", ToAbsl(text), "\" is not in model.vocab"));
  }
  return *id;
}

absl::StatusOr<std::array<int32_t, 256>> ReadByteIds(const Vocab& vocab) {
  std::array<int32_t, 256> byte_ids;
  for (size_t byte = 0; byte < byte_ids.size(); ++byte) {
    const char character = static_cast<char>(byte);
    const std::optional<int32_t> id = vocab.Find({&character, 1});
    if (!id.has_value()) {
      return absl::InvalidArgumentError(
          absl::StrCat("model.vocab: has no entry for the byte ", byte));
    }
    byte_ids[byte] = *id;
  }
  return byte_ids;
}

absl::StatusOr<std::vector<Merges::Merge>> ReadMerges(const TokenizerSpec& spec,
                                                      const Vocab& vocab) {
  std::vector<Merges::Merge> merges;
  merges.reserve(spec.merges.size());
  for (const auto& [left, right] : spec.merges) {
    const auto left_id = FindByteLevel(vocab, left);
    const auto right_id = FindByteLevel(vocab, right);
    const auto joined_id = FindByteLevel(vocab, left + right);
    for (const auto* id : {&left_id, &right_id, &joined_id}) {
      if (id->ok()) continue;
      return absl::InvalidArgumentError(
          absl::StrCat("model.merges[", merges.size(), "]: ", id->status().message()));
    }
    merges.push_back({*left_id, *right_id, *joined_id});
  }
  return merges;
}

absl::StatusOr<PieceEncoder> BuildEncoder(const TokenizerSpec& spec, const ModelVocab& model,
                                          const Vocab& vocab) {
  VALLM_ASSIGN_OR_RETURN(const auto byte_ids, ReadByteIds(vocab));
  VALLM_ASSIGN_OR_RETURN(const auto merges, ReadMerges(spec, vocab));
  std::vector<int32_t> piece_ids;
  piece_ids.reserve(model.byte_level_count);
  for (size_t i = 0; i < model.byte_level_count; ++i) {
    const Vocab::Entry& entry = model.entries[i];
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
absl::Status CheckAddedIds(const TokenizerSpec& spec, const Vocab& model_vocab) {
  for (const AddedToken& token : spec.added_tokens) {
    const std::string what =
        absl::StrCat("added_tokens: \"", token.content, "\" has the id ", token.id);
    const std::string_view taken = model_vocab.Bytes(token.id);
    if (!taken.empty() && taken != token.content) {
      return absl::InvalidArgumentError(
          absl::StrCat(what, ", which model.vocab gives to \"", ToAbsl(taken), "\""));
    }
    const int32_t known = model_vocab.Find(token.content).value_or(token.id);
    if (known != token.id) {
      return absl::InvalidArgumentError(absl::StrCat(what, ", but ", known, " in model.vocab"));
    }
  }
  return absl::OkStatus();
}

// All ids: added tokens first, so that their text finds them.
Vocab CombineVocab(const TokenizerSpec& spec, std::vector<Vocab::Entry> model_entries) {
  std::vector<Vocab::Entry> entries;
  std::unordered_map<int32_t, bool> added;
  for (const AddedToken& token : spec.added_tokens) {
    entries.push_back({token.id, token.content});
    added[token.id] = true;
  }
  for (Vocab::Entry& entry : model_entries) {
    if (!added.contains(entry.id)) entries.push_back(std::move(entry));
  }
  return Vocab(entries);
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
  std::string text(file ? static_cast<size_t>(file.tellg()) : 0, '\0');
  if (!file || !file.seekg(0) ||
      !file.read(text.data(), static_cast<std::streamsize>(text.size()))) {
    return absl::NotFoundError(absl::StrCat("cannot read ", path));
  }
  auto tokenizer = FromJson(text);
  if (tokenizer.ok()) return tokenizer;
  return absl::Status(tokenizer.status().code(),
                      absl::StrCat(path, ": ", tokenizer.status().message()));
}

absl::StatusOr<std::unique_ptr<const Tokenizer>> Tokenizer::FromJson(
    std::string_view tokenizer_json) {
  VALLM_ASSIGN_OR_RETURN(const TokenizerSpec spec, ParseTokenizerJson(tokenizer_json));
  ModelVocab model = ReadModelVocab(spec);
  const Vocab model_vocab(model.entries);
  VALLM_RETURN_IF_ERROR(CheckAddedIds(spec, model_vocab));
  VALLM_ASSIGN_OR_RETURN(PieceEncoder encoder, BuildEncoder(spec, model, model_vocab));
  Vocab vocab = CombineVocab(spec, model.entries);
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
