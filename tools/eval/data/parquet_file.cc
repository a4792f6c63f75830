#include "tools/eval/data/parquet_file.h"

#include <cstring>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "tools/eval/data/parquet_pages.h"
#include "tools/eval/data/thrift_compact.h"

namespace vallm::eval {
namespace {

using nlohmann::ordered_json;

constexpr std::string_view kMagic = "PAR1";
constexpr int kMaxDepth = 32;

enum Repetition { kRequired = 0, kOptional = 1, kRepeated = 2 };
constexpr int64_t kConvertedList = 3;

// A node of the schema.
struct SchemaNode {
  std::string name;
  int repetition = kRequired;
  bool list = false;  // a group that stands for a list
  ParquetLeaf leaf;   // of a node without children
  std::vector<SchemaNode> children;
};

// The schema is stored depth first, each element with its number of children.
class SchemaReader {
 public:
  explicit SchemaReader(const std::vector<ThriftValue>& elements) : elements_(elements) {}

  absl::StatusOr<SchemaNode> Node(int depth, int max_repetition, int max_definition) {
    if (at_ >= elements_.size() || depth > kMaxDepth) {
      return absl::InvalidArgumentError("the schema is broken");
    }
    const ThriftValue& element = elements_[at_++];
    SchemaNode node{.name = element[4].bytes,
                    .repetition = depth == 0 ? static_cast<int>(kRequired)
                                             : static_cast<int>(element[3].number),
                    .list = element[6].number == kConvertedList || element[10].Has(3),
                    .leaf = {},
                    .children = {}};
    if (node.repetition < kRequired || node.repetition > kRepeated) {
      return absl::InvalidArgumentError("the schema is broken");
    }
    max_repetition += node.repetition == kRepeated ? 1 : 0;
    max_definition += node.repetition == kRequired ? 0 : 1;
    node.leaf = {.type = element[1].number,
                 .type_length = element[2].number,
                 .max_repetition = max_repetition,
                 .max_definition = max_definition};
    for (int64_t i = 0; i < element[5].number; ++i) {
      VALLM_ASSIGN_OR_RETURN(SchemaNode child, Node(depth + 1, max_repetition, max_definition));
      node.children.push_back(std::move(child));
    }
    return node;
  }

 private:
  const std::vector<ThriftValue>& elements_;
  size_t at_ = 0;
};

using Path = std::vector<const SchemaNode*>;

void CollectLeaves(const SchemaNode& node, Path* path, std::vector<Path>* leaves) {
  if (node.children.empty()) leaves->push_back(*path);
  for (const SchemaNode& child : node.children) {
    path->push_back(&child);
    CollectLeaves(child, path, leaves);
    path->pop_back();
  }
}

// Puts one entry of a column into its row: objects for groups, arrays for what is repeated.
struct Entry {
  int repetition = 0;
  int definition = 0;
  ordered_json* value = nullptr;  // where the definition level is the highest
};

void Insert(const Path& path, size_t depth, int repetition, int definition, const Entry& entry,
            ordered_json* parent) {
  const SchemaNode& node = *path[depth];
  ordered_json* slot = &(*parent)[node.name];
  if (node.repetition == kOptional && entry.definition < ++definition) return;  // null
  if (node.repetition == kRepeated) {
    if (!slot->is_array()) *slot = ordered_json::array();
    if (entry.definition < ++definition) return;  // an empty list
    ++repetition;
    // A higher level of the entry goes on within the last element; else it begins a new one.
    if (entry.repetition <= repetition || slot->empty()) slot->emplace_back();
    slot = &slot->back();
  }
  if (depth + 1 == path.size()) {
    *slot = std::move(*entry.value);
    return;
  }
  if (!slot->is_object()) *slot = ordered_json::object();
  Insert(path, depth + 1, repetition, definition, entry, slot);
}

// Puts together what the columns of a row say; they agree on its groups and lists.
void Merge(ordered_json from, ordered_json* into) {
  if (into->is_object() && from.is_object()) {
    for (auto& [name, value] : from.items()) Merge(std::move(value), &(*into)[name]);
  } else if (into->is_array() && from.is_array() && into->size() == from.size()) {
    for (size_t i = 0; i < from.size(); ++i) Merge(std::move(from[i]), &(*into)[i]);
  } else if (into->is_null()) {
    *into = std::move(from);
  }
}

// A list is stored as a group of a repeated group of one element: {"list": [{"element": x}]}.
ordered_json WithPlainLists(const SchemaNode& node, ordered_json value, bool inside_repeated) {
  if (node.repetition == kRepeated && !inside_repeated) {
    ordered_json array = ordered_json::array();
    for (ordered_json& element : value) {
      array.push_back(WithPlainLists(node, std::move(element), /*inside_repeated=*/true));
    }
    return array;
  }
  if (!value.is_object()) return value;
  if (node.list && node.children.size() == 1 && node.children[0].repetition == kRepeated) {
    const SchemaNode& repeated = node.children[0];
    ordered_json elements = WithPlainLists(repeated, std::move(value[repeated.name]), false);
    if (repeated.children.size() == 1) {
      for (ordered_json& element : elements) {
        if (element.is_object()) element = ordered_json(element[repeated.children[0].name]);
      }
    }
    return elements;
  }
  for (const SchemaNode& child : node.children) {
    value[child.name] = WithPlainLists(child, std::move(value[child.name]), false);
  }
  return value;
}

absl::Status ReadRowGroup(std::string_view file, const ThriftValue& group,
                          const std::vector<Path>& leaves, std::vector<ordered_json>* rows) {
  const size_t first = rows->size();
  if (group[3].number < 0 || group[3].number > static_cast<int64_t>(file.size()) * 8) {
    return absl::InvalidArgumentError("a row group has an impossible number of rows");
  }
  rows->resize(first + static_cast<size_t>(group[3].number), ordered_json::object());
  if (group[1].list.size() != leaves.size()) {
    return absl::InvalidArgumentError("a row group has other columns than the schema");
  }
  for (size_t c = 0; c < leaves.size(); ++c) {
    const ParquetLeaf& leaf = leaves[c].back()->leaf;
    auto column = ReadColumnChunk(file, group[1].list[c][3], leaf);
    if (!column.ok()) {
      return absl::Status(column.status().code(), absl::StrCat("column ", leaves[c].front()->name,
                                                               ": ", column.status().message()));
    }
    size_t row = first, value = 0;
    ordered_json built = ordered_json::object();
    const auto finish = [&] {
      if (row < rows->size()) Merge(std::move(built), &(*rows)[row]);
      built = ordered_json::object();
    };
    for (size_t i = 0; i < column->definition.size(); ++i) {
      if (i > 0 && column->repetition[i] == 0) {
        finish();
        ++row;
      }
      const bool present = column->definition[i] == leaf.max_definition;
      Insert(leaves[c], 0, 0, 0,
             {.repetition = column->repetition[i],
              .definition = column->definition[i],
              .value = present ? &column->values[value++] : nullptr},
             &built);
    }
    finish();
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Rows> ParseParquet(std::string_view file) {
  if (file.size() < 12 || file.substr(0, 4) != kMagic || file.substr(file.size() - 4) != kMagic) {
    return absl::InvalidArgumentError("is not a Parquet file, or an encrypted one");
  }
  uint32_t footer_size = 0;
  std::memcpy(&footer_size, file.data() + file.size() - 8, 4);
  if (footer_size > file.size() - 12) return absl::InvalidArgumentError("the footer is broken");
  size_t size = 0;
  VALLM_ASSIGN_OR_RETURN(
      const ThriftValue footer,
      ParseThriftStruct(file.substr(file.size() - 8 - footer_size, footer_size), &size));
  VALLM_ASSIGN_OR_RETURN(const SchemaNode root, SchemaReader(footer[2].list).Node(0, 0, 0));
  std::vector<Path> leaves;
  Path path;
  if (!root.children.empty()) CollectLeaves(root, &path, &leaves);
  std::vector<ordered_json> built;
  for (const ThriftValue& group : footer[4].list) {
    VALLM_RETURN_IF_ERROR(ReadRowGroup(file, group, leaves, &built));
  }
  Rows rows;
  for (ordered_json& row : built) {
    rows.push_back(ShareJson(WithPlainLists(root, std::move(row), /*inside_repeated=*/false)));
  }
  return rows;
}

}  // namespace vallm::eval
