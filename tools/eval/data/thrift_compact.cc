#include "tools/eval/data/thrift_compact.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace vallm::eval {
namespace {

constexpr int kMaxDepth = 32;

enum Kind {
  kStop = 0,
  kTrue = 1,
  kFalse = 2,
  kByte = 3,
  kI16 = 4,
  kI32 = 5,
  kI64 = 6,
  kDouble = 7,
  kBinary = 8,
  kList = 9,
  kSet = 10,
  kMap = 11,
  kStruct = 12,
};

class Reader {
 public:
  explicit Reader(std::string_view data) : data_(data) {}

  size_t at() const { return at_; }

  absl::StatusOr<ThriftValue> Struct(int depth) {
    if (depth > kMaxDepth) return absl::InvalidArgumentError("metadata is nested too deep");
    ThriftValue value;
    int field = 0;
    while (true) {
      VALLM_ASSIGN_OR_RETURN(const uint8_t head, Byte());
      const int kind = head & 0x0F;
      if (kind == kStop) return value;
      if ((head >> 4) != 0) {
        field += head >> 4;
      } else {
        VALLM_ASSIGN_OR_RETURN(const int64_t number, Zigzag());
        field = static_cast<int>(number);
      }
      if (kind == kTrue || kind == kFalse) {
        value.fields[field].number = kind == kTrue ? 1 : 0;
        continue;
      }
      VALLM_ASSIGN_OR_RETURN(ThriftValue member, Value(kind, depth));
      value.fields[field] = std::move(member);
    }
  }

 private:
  absl::StatusOr<uint8_t> Byte() {
    if (at_ >= data_.size()) return absl::InvalidArgumentError("metadata ends too early");
    return static_cast<uint8_t>(data_[at_++]);
  }

  absl::StatusOr<uint64_t> Varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      VALLM_ASSIGN_OR_RETURN(const uint8_t byte, Byte());
      value |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if ((byte & 0x80) == 0) return value;
    }
    return absl::InvalidArgumentError("metadata has a number of more than 64 bits");
  }

  absl::StatusOr<int64_t> Zigzag() {
    VALLM_ASSIGN_OR_RETURN(const uint64_t value, Varint());
    return static_cast<int64_t>(value >> 1) ^ -static_cast<int64_t>(value & 1);
  }

  absl::StatusOr<std::string> Bytes(uint64_t size) {
    if (size > data_.size() - at_) return absl::InvalidArgumentError("metadata ends too early");
    std::string bytes(data_.substr(at_, size));
    at_ += size;
    return bytes;
  }

  absl::StatusOr<ThriftValue> Value(int kind, int depth) {
    ThriftValue value;
    switch (kind) {
      case kTrue:
      case kFalse:
      case kByte: {
        VALLM_ASSIGN_OR_RETURN(const uint8_t byte, Byte());
        value.number = kind == kByte ? static_cast<int8_t>(byte) : byte == kTrue ? 1 : 0;
        return value;
      }
      case kI16:
      case kI32:
      case kI64: {
        VALLM_ASSIGN_OR_RETURN(value.number, Zigzag());
        return value;
      }
      case kDouble: {
        VALLM_ASSIGN_OR_RETURN(value.bytes, Bytes(8));
        return value;
      }
      case kBinary: {
        VALLM_ASSIGN_OR_RETURN(const uint64_t size, Varint());
        VALLM_ASSIGN_OR_RETURN(value.bytes, Bytes(size));
        return value;
      }
      case kList:
      case kSet:
        return List(depth);
      case kStruct:
        return Struct(depth + 1);
      default:
        return absl::InvalidArgumentError(absl::StrCat("metadata has a value of kind ", kind));
    }
  }

  absl::StatusOr<ThriftValue> List(int depth) {
    if (depth > kMaxDepth) return absl::InvalidArgumentError("metadata is nested too deep");
    VALLM_ASSIGN_OR_RETURN(const uint8_t head, Byte());
    uint64_t size = head >> 4;
    if (size == 15) {
      VALLM_ASSIGN_OR_RETURN(size, Varint());
    }
    if (size > data_.size() - at_) return absl::InvalidArgumentError("metadata ends too early");
    ThriftValue value;
    for (uint64_t i = 0; i < size; ++i) {
      VALLM_ASSIGN_OR_RETURN(ThriftValue element, Value(head & 0x0F, depth + 1));
      value.list.push_back(std::move(element));
    }
    return value;
  }

  const std::string_view data_;
  size_t at_ = 0;
};

}  // namespace

const ThriftValue& ThriftValue::operator[](int field) const {
  static const ThriftValue& none = *new ThriftValue;
  const auto found = fields.find(field);
  return found == fields.end() ? none : found->second;
}

absl::StatusOr<ThriftValue> ParseThriftStruct(std::string_view data, size_t* size) {
  Reader reader(data);
  auto value = reader.Struct(/*depth=*/0);
  *size = reader.at();
  return value;
}

}  // namespace vallm::eval
