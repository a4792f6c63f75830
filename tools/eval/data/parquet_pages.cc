#include "tools/eval/data/parquet_pages.h"

#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "tools/eval/data/decompress.h"

namespace vallm::eval {

ColumnValues::ColumnValues() = default;
ColumnValues::~ColumnValues() = default;
ColumnValues::ColumnValues(ColumnValues&&) noexcept = default;
ColumnValues& ColumnValues::operator=(ColumnValues&&) noexcept = default;

namespace {

using nlohmann::ordered_json;

enum PhysicalType {
  kBoolean = 0,
  kInt32 = 1,
  kInt64 = 2,
  kInt96 = 3,
  kFloat = 4,
  kDouble = 5,
  kByteArray = 6,
  kFixedLenByteArray = 7
};
enum Encoding { kPlain = 0, kPlainDictionary = 2, kRle = 3, kRleDictionary = 8 };
enum PageType { kDataPage = 0, kIndexPage = 1, kDictionaryPage = 2, kDataPageV2 = 3 };

// No page of a public data set comes near it; a broken header must not take all memory.
constexpr int64_t kMaxPageBytes = int64_t{1} << 30;
constexpr int64_t kMaxPageValues = int64_t{1} << 22;

absl::Status CutOff() { return absl::InvalidArgumentError("a page ends too early"); }

// The hybrid of runs and bit-packed groups of eight: `count` numbers of `width` bits.
absl::StatusOr<std::vector<uint32_t>> HybridNumbers(std::string_view data, int width,
                                                    size_t count) {
  std::vector<uint32_t> numbers;
  if (width == 0) {
    numbers.assign(count, 0);
    return numbers;
  }
  if (width > 32) return absl::InvalidArgumentError("numbers of more than 32 bits");
  size_t at = 0;
  while (numbers.size() < count) {
    uint64_t head = 0;
    for (int shift = 0;; shift += 7) {
      if (at >= data.size() || shift > 35) return CutOff();
      const uint8_t byte = static_cast<uint8_t>(data[at++]);
      head |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if ((byte & 0x80) == 0) break;
    }
    if ((head & 1) == 0) {  // a run
      const size_t bytes = static_cast<size_t>(width + 7) / 8;
      if (data.size() - at < bytes) return CutOff();
      uint32_t value = 0;
      for (size_t i = 0; i < bytes; ++i) {
        value |= static_cast<uint32_t>(static_cast<uint8_t>(data[at++])) << (8 * i);
      }
      for (uint64_t i = 0; i < (head >> 1) && numbers.size() < count; ++i) numbers.push_back(value);
      if ((head >> 1) == 0) return absl::InvalidArgumentError("an empty run");
      continue;
    }
    const uint64_t groups = head >> 1;
    if (groups == 0 || groups > data.size()) return CutOff();
    const size_t bits_end = (at + groups * static_cast<size_t>(width)) * 8;
    for (size_t bit = at * 8; bit < bits_end && numbers.size() < count;
         bit += static_cast<size_t>(width)) {
      uint32_t value = 0;
      for (int i = 0; i < width; ++i) {
        const size_t b = bit + static_cast<size_t>(i);
        if (b / 8 >= data.size()) return CutOff();
        value |= static_cast<uint32_t>((static_cast<uint8_t>(data[b / 8]) >> (b % 8)) & 1) << i;
      }
      numbers.push_back(value);
    }
    at += groups * static_cast<size_t>(width);
  }
  return numbers;
}

template <typename T>
T LittleEndian(std::string_view data, size_t at) {
  static_assert(std::endian::native == std::endian::little);
  T value;
  std::memcpy(&value, data.data() + at, sizeof(T));
  return value;
}

// `count` values one after the other, as the type lays them out.
class PlainValues {
 public:
  PlainValues(std::string_view data, const ParquetLeaf& leaf) : data_(data), leaf_(leaf) {}

  absl::StatusOr<std::vector<ordered_json>> Read(size_t count) {
    std::vector<ordered_json> values;
    for (size_t i = 0; i < count; ++i) {
      VALLM_ASSIGN_OR_RETURN(ordered_json value, Next(i));
      values.push_back(std::move(value));
    }
    return values;
  }

 private:
  absl::StatusOr<ordered_json> Next(size_t index) {
    switch (leaf_.type) {
      case kBoolean:
        if (index / 8 >= data_.size()) return CutOff();
        return ordered_json(((static_cast<uint8_t>(data_[index / 8]) >> (index % 8)) & 1) == 1);
      case kInt32:
        return Fixed<int32_t>();
      case kInt64:
        return Fixed<int64_t>();
      case kFloat:
        return Fixed<float>();
      case kDouble:
        return Fixed<double>();
      case kByteArray: {
        if (data_.size() - at_ < 4) return CutOff();
        const uint32_t size = LittleEndian<uint32_t>(data_, at_);
        at_ += 4;
        return Bytes(size);
      }
      case kFixedLenByteArray:
        return Bytes(static_cast<size_t>(leaf_.type_length));
      default:
        return absl::UnimplementedError(absl::StrCat("values of type ", leaf_.type));
    }
  }

  template <typename T>
  absl::StatusOr<ordered_json> Fixed() {
    if (data_.size() - at_ < sizeof(T)) return CutOff();
    const T value = LittleEndian<T>(data_, at_);
    at_ += sizeof(T);
    return ordered_json(value);
  }

  absl::StatusOr<ordered_json> Bytes(size_t size) {
    if (data_.size() - at_ < size) return CutOff();
    ordered_json value = std::string(data_.substr(at_, size));
    at_ += size;
    return value;
  }

  const std::string_view data_;
  const ParquetLeaf& leaf_;
  size_t at_ = 0;
};

class ChunkReader {
 public:
  ChunkReader(const ThriftValue& metadata, const ParquetLeaf& leaf)
      : codec_(static_cast<Codec>(metadata[4].number)), leaf_(leaf) {}

  absl::StatusOr<ColumnValues> Read(std::string_view data, int64_t num_values) {
    while (static_cast<int64_t>(column_.definition.size()) < num_values) {
      size_t header_size = 0;
      VALLM_ASSIGN_OR_RETURN(const ThriftValue header, ParseThriftStruct(data, &header_size));
      data.remove_prefix(header_size);
      const int64_t size = header[3].number;
      const int64_t full_size = header[2].number;
      if (size < 0 || size > static_cast<int64_t>(data.size()) || full_size < 0 ||
          full_size > kMaxPageBytes) {
        return CutOff();
      }
      VALLM_RETURN_IF_ERROR(
          Page(header, data.substr(0, static_cast<size_t>(size)), static_cast<size_t>(full_size)));
      data.remove_prefix(static_cast<size_t>(size));
    }
    return std::move(column_);
  }

 private:
  absl::Status Page(const ThriftValue& header, std::string_view data, size_t full_size) {
    switch (header[1].number) {
      case kDictionaryPage: {
        if (header[7][1].number < 0 || header[7][1].number > kMaxPageValues) return CutOff();
        VALLM_ASSIGN_OR_RETURN(const std::string page, Decompress(codec_, data, full_size));
        VALLM_ASSIGN_OR_RETURN(
            dictionary_, PlainValues(page, leaf_).Read(static_cast<size_t>(header[7][1].number)));
        return absl::OkStatus();
      }
      case kDataPage: {
        VALLM_ASSIGN_OR_RETURN(const std::string page, Decompress(codec_, data, full_size));
        return DataPage(header[5], page);
      }
      case kDataPageV2:
        return DataPageV2(header[8], data, full_size);
      case kIndexPage:
        return absl::OkStatus();
      default:
        return absl::UnimplementedError(absl::StrCat("pages of type ", header[1].number));
    }
  }

  // Levels with their length in front.
  absl::StatusOr<std::vector<uint32_t>> LevelsV1(std::string_view* page, int max_level,
                                                 size_t count) {
    if (max_level == 0) return std::vector<uint32_t>(count, 0);
    if (page->size() < 4) return CutOff();
    const uint32_t size = LittleEndian<uint32_t>(*page, 0);
    page->remove_prefix(4);
    if (page->size() < size) return CutOff();
    const std::string_view data = page->substr(0, size);
    page->remove_prefix(size);
    return Levels(data, max_level, count);
  }

  static absl::StatusOr<std::vector<uint32_t>> Levels(std::string_view data, int max_level,
                                                      size_t count) {
    if (max_level == 0) return std::vector<uint32_t>(count, 0);
    return HybridNumbers(data, std::bit_width(static_cast<unsigned>(max_level)), count);
  }

  absl::Status DataPage(const ThriftValue& header, std::string_view page) {
    if (header[1].number < 0 || header[1].number > kMaxPageValues) return CutOff();
    const size_t count = static_cast<size_t>(header[1].number);
    VALLM_ASSIGN_OR_RETURN(const auto repetition, LevelsV1(&page, leaf_.max_repetition, count));
    VALLM_ASSIGN_OR_RETURN(const auto definition, LevelsV1(&page, leaf_.max_definition, count));
    return Values(repetition, definition, header[2].number, page);
  }

  absl::Status DataPageV2(const ThriftValue& header, std::string_view data, size_t full_size) {
    if (header[1].number < 0 || header[1].number > kMaxPageValues) return CutOff();
    const size_t count = static_cast<size_t>(header[1].number);
    const auto definition_size = static_cast<size_t>(header[5].number);
    const auto repetition_size = static_cast<size_t>(header[6].number);
    if (definition_size > data.size() || repetition_size > data.size() - definition_size ||
        full_size < definition_size + repetition_size) {
      return CutOff();
    }
    VALLM_ASSIGN_OR_RETURN(const auto repetition,
                           Levels(data.substr(0, repetition_size), leaf_.max_repetition, count));
    VALLM_ASSIGN_OR_RETURN(
        const auto definition,
        Levels(data.substr(repetition_size, definition_size), leaf_.max_definition, count));
    data.remove_prefix(repetition_size + definition_size);
    const bool compressed = !header.Has(7) || header[7].number != 0;
    VALLM_ASSIGN_OR_RETURN(const std::string values,
                           Decompress(compressed ? codec_ : Codec::kNone, data,
                                      full_size - definition_size - repetition_size));
    return Values(repetition, definition, header[4].number, values);
  }

  absl::Status Values(const std::vector<uint32_t>& repetition,
                      const std::vector<uint32_t>& definition, int64_t encoding,
                      std::string_view data) {
    size_t present = 0;
    for (size_t i = 0; i < definition.size(); ++i) {
      if (static_cast<int>(definition[i]) > leaf_.max_definition ||
          static_cast<int>(repetition[i]) > leaf_.max_repetition) {
        return absl::InvalidArgumentError("a page has levels beyond the schema's");
      }
      column_.repetition.push_back(static_cast<int>(repetition[i]));
      column_.definition.push_back(static_cast<int>(definition[i]));
      present += static_cast<int>(definition[i]) == leaf_.max_definition ? 1 : 0;
    }
    if (encoding == kPlain) {
      VALLM_ASSIGN_OR_RETURN(auto values, PlainValues(data, leaf_).Read(present));
      for (ordered_json& value : values) column_.values.push_back(std::move(value));
      return absl::OkStatus();
    }
    if (encoding == kRle && leaf_.type == kBoolean) {
      if (data.size() < 4) return CutOff();
      VALLM_ASSIGN_OR_RETURN(const auto bits, HybridNumbers(data.substr(4), 1, present));
      for (const uint32_t bit : bits) column_.values.emplace_back(bit == 1);
      return absl::OkStatus();
    }
    if (encoding != kPlainDictionary && encoding != kRleDictionary) {
      return absl::UnimplementedError(
          absl::StrCat("value encoding ", encoding, " is not read (plain and dictionary are)"));
    }
    if (present == 0) return absl::OkStatus();
    if (data.empty()) return CutOff();
    VALLM_ASSIGN_OR_RETURN(const auto indices,
                           HybridNumbers(data.substr(1), static_cast<uint8_t>(data[0]), present));
    for (const uint32_t index : indices) {
      if (index >= dictionary_.size()) return absl::InvalidArgumentError("a broken dictionary");
      column_.values.push_back(dictionary_[index]);
    }
    return absl::OkStatus();
  }

  const Codec codec_;
  const ParquetLeaf& leaf_;
  std::vector<ordered_json> dictionary_;
  ColumnValues column_;
};

}  // namespace

absl::StatusOr<ColumnValues> ReadColumnChunk(std::string_view file, const ThriftValue& metadata,
                                             const ParquetLeaf& leaf) {
  int64_t begin = metadata[9].number;
  if (metadata.Has(11) && metadata[11].number > 0) begin = std::min(begin, metadata[11].number);
  const int64_t size = metadata[7].number;
  const auto file_size = static_cast<int64_t>(file.size());
  if (begin < 0 || size < 0 || begin > file_size || size > file_size - begin) return CutOff();
  return ChunkReader(metadata, leaf)
      .Read(file.substr(static_cast<size_t>(begin), static_cast<size_t>(size)), metadata[5].number);
}

}  // namespace vallm::eval
