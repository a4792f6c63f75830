#include "tokenizer_service/bpe/unicode_table.h"

#include <utf8proc.h>

#include <cstddef>
#include <span>

namespace vallm::tokenizer {
namespace {

constexpr char32_t kCodePoints = 0x110000;
// Unicode assigns nothing between these: planes 4 to 13. All of it is kOther, as is the private use
// behind kAssignedEnd.
constexpr char32_t kUnassignedBegin = 0x40000;
constexpr char32_t kUnassignedEnd = 0xE0000;
constexpr char32_t kAssignedEnd = 0xF0000;
constexpr char32_t kHangulBegin = 0xAC00;
constexpr char32_t kHangulEnd = 0xD7A4;

CharClass Classify(char32_t codepoint) {
  if (codepoint == '\r' || codepoint == '\n') return CharClass::kNewline;
  // White_Space beyond the separator categories: the C0 controls and NEL.
  if ((codepoint >= 0x09 && codepoint <= 0x0D) || codepoint == 0x85) return CharClass::kSpace;
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(codepoint))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
      return CharClass::kLetter;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
      return CharClass::kNumber;
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
      return CharClass::kSpace;
    default:
      return CharClass::kOther;
  }
}

// The full canonical decomposition of `codepoint`; empty if it is its own.
std::span<const utf8proc_int32_t> Decompose(char32_t codepoint,
                                            std::span<utf8proc_int32_t> buffer) {
  const auto* property = utf8proc_get_property(static_cast<utf8proc_int32_t>(codepoint));
  if (property->decomp_type != 0 || property->decomp_seqindex == UINT16_MAX) return {};
  int last_boundclass = 0;
  const utf8proc_ssize_t length = utf8proc_decompose_char(
      static_cast<utf8proc_int32_t>(codepoint), buffer.data(),
      static_cast<utf8proc_ssize_t>(buffer.size()),
      static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE | UTF8PROC_STABLE), &last_boundclass);
  if (length <= 0 || static_cast<size_t>(length) > buffer.size()) return {};
  return buffer.first(static_cast<size_t>(length));
}

// Calls visit(codepoint) for all that can have a property of their own.
template <typename Visit>
void ForEachAssigned(const Visit& visit) {
  for (char32_t codepoint = 0; codepoint < kUnassignedBegin; ++codepoint) visit(codepoint);
  for (char32_t codepoint = kUnassignedEnd; codepoint < kAssignedEnd; ++codepoint) visit(codepoint);
}

bool IsMarkCategory(char32_t codepoint) {
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(codepoint));
  return category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_MC ||
         category == UTF8PROC_CATEGORY_ME;
}

bool IsIn(char32_t codepoint, char32_t first, char32_t last) {
  return codepoint >= first && codepoint <= last;
}

}  // namespace

const UnicodeTable& UnicodeTable::Get() {
  static const UnicodeTable table;
  return table;
}

UnicodeTable::UnicodeTable() : entries_(kCodePoints, static_cast<uint8_t>(CharClass::kOther)) {
  ForEachAssigned([this](char32_t codepoint) {
    entries_[codepoint] = static_cast<uint8_t>(Classify(codepoint));
    if (IsMarkCategory(codepoint)) entries_[codepoint] |= kMark;
  });
  MarkNfcActive();
}

void UnicodeTable::MarkNfcActive() {
  utf8proc_int32_t buffer[32];
  // Anything behind the first place of a decomposition can be the second half of a composition.
  ForEachAssigned([&](char32_t codepoint) {
    if (utf8proc_get_property(static_cast<utf8proc_int32_t>(codepoint))->combining_class != 0) {
      entries_[codepoint] |= kNfcActive;
    }
    if (IsIn(codepoint, kHangulBegin, kHangulEnd - 1)) return;
    const auto parts = Decompose(codepoint, buffer);
    for (size_t i = 1; i < parts.size(); ++i) entries_[parts[i]] |= kNfcActive;
  });
  // Hangul is composed by arithmetic: vowels and trailing consonants attach to what precedes.
  for (char32_t vowel = 0x1161; vowel <= 0x1175; ++vowel) entries_[vowel] |= kNfcActive;
  for (char32_t trail = 0x11A8; trail <= 0x11C2; ++trail) entries_[trail] |= kNfcActive;
  // A character that does not come back from its decomposition, or begins with an active one.
  ForEachAssigned([&](char32_t codepoint) {
    if (IsIn(codepoint, kHangulBegin, kHangulEnd - 1)) return;
    const auto parts = Decompose(codepoint, buffer);
    if (parts.empty()) return;
    const bool active_start = (entries_[parts[0]] & kNfcActive) != 0;
    const utf8proc_ssize_t length = utf8proc_normalize_utf32(
        buffer, static_cast<utf8proc_ssize_t>(parts.size()),
        static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE));
    const bool returns = length == 1 && buffer[0] == static_cast<utf8proc_int32_t>(codepoint);
    if (active_start || !returns) entries_[codepoint] |= kNfcActive;
  });
}

bool IsWordCharacter(char32_t codepoint) {
  if (codepoint == 0x200C || codepoint == 0x200D) return true;  // Join_Control
  // Other_Alphabetic that is not a mark: circled, squared and parenthesised Latin letters.
  if (IsIn(codepoint, 0x24B6, 0x24E9) || IsIn(codepoint, 0x1F130, 0x1F149) ||
      IsIn(codepoint, 0x1F150, 0x1F169) || IsIn(codepoint, 0x1F170, 0x1F189)) {
    return true;
  }
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(codepoint))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
      return true;
    default:
      return false;
  }
}

}  // namespace vallm::tokenizer
