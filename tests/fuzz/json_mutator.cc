#include "tests/fuzz/json_mutator.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <random>
#include <utility>
#include <vector>

#include "nlohmann/json.hpp"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace vallm {
namespace {

using nlohmann::ordered_json;

constexpr size_t kMaxStringGrowth = 64;

class TreeMutator {
 public:
  TreeMutator(ordered_json* root, std::span<const std::string_view> words, uint32_t seed)
      : root_(*root), words_(words), random_(seed) {}

  void Change() {
    nodes_.clear();
    Collect();
    ordered_json& node = *nodes_[Draw(nodes_.size())];
    switch (Draw(8)) {
      case 0:
        node = Word();
        break;
      case 1: {
        ordered_json copy = *nodes_[Draw(nodes_.size())];
        node = std::move(copy);
        break;
      }
      case 2:
        Wrap(&node);
        break;
      case 3:
      case 4:
        Grow(&node);
        break;
      case 5:
        Shrink(&node);
        break;
      default:
        Alter(&node);
    }
  }

 private:
  size_t Draw(size_t bound) { return random_() % bound; }

  void Collect() {
    nodes_.push_back(&root_);
    for (size_t i = 0; i < nodes_.size(); ++i) {
      if (!nodes_[i]->is_structured()) continue;
      for (ordered_json& child : *nodes_[i]) nodes_.push_back(&child);
    }
  }

  ordered_json Word() {
    static const ordered_json kPlain = ordered_json::parse(
        R"([null, true, false, 0, 1, -1, 1.5, 1e300, 2147483648, -9223372036854775808,
            18446744073709551615, "", "a", "\u0000", "é", "\u0301", "😀", " ", [], {}])");
    const size_t pick = Draw(kPlain.size() + 2 * words_.size());
    if (pick < kPlain.size()) return kPlain[pick];
    return ordered_json::parse(words_[(pick - kPlain.size()) / 2], nullptr, false);
  }

  std::string Key() {
    const ordered_json word = Word();
    return word.is_string() ? word.get<std::string>() : "k" + std::to_string(Draw(4));
  }

  void Wrap(ordered_json* node) {
    ordered_json inner = std::move(*node);
    if (Draw(2) == 0) {
      *node = ordered_json::array({std::move(inner)});
    } else {
      *node = ordered_json::object();
      (*node)[Key()] = std::move(inner);
    }
  }

  // A new member, or one that is there once more.
  void Grow(ordered_json* node) {
    const bool copy = node->is_structured() && !node->empty() && Draw(2) == 0;
    ordered_json value = copy ? Child(node) : Word();
    if (node->is_object()) {
      (*node)[Key()] = std::move(value);
    } else if (node->is_array()) {
      const auto at = std::next(node->begin(), static_cast<std::ptrdiff_t>(Draw(node->size() + 1)));
      node->insert(at, std::move(value));
    } else {
      Alter(node);
    }
  }

  void Shrink(ordered_json* node) {
    if (!node->is_structured() || node->empty()) return Alter(node);
    if (node->size() > 1 && Draw(3) == 0) {
      std::swap(Child(node), Child(node));
    } else {
      node->erase(std::next(node->begin(), static_cast<std::ptrdiff_t>(Draw(node->size()))));
    }
  }

  ordered_json& Child(ordered_json* node) {
    return *std::next(node->begin(), static_cast<std::ptrdiff_t>(Draw(node->size())));
  }

  void Alter(ordered_json* node) {
    if (node->is_string()) {
      const auto& text = node->get_ref<const std::string&>();
      *node = MutateBytes(text, text.size() + kMaxStringGrowth);
    } else if (node->is_number_integer()) {
      *node = node->get<int64_t>() % 100'000 + static_cast<int64_t>(Draw(9)) - 4;
    } else if (node->is_boolean()) {
      *node = !node->get<bool>();
    } else {
      *node = Word();
    }
  }

  ordered_json& root_;
  const std::span<const std::string_view> words_;
  std::minstd_rand random_;
  std::vector<ordered_json*> nodes_;
};

}  // namespace

std::string MutateJson(std::string_view json, std::span<const std::string_view> words,
                       uint32_t seed) {
  ordered_json root = ordered_json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (root.is_discarded()) return MutateBytes(json, json.size() + kMaxStringGrowth);
  TreeMutator mutator(&root, words, seed);
  for (uint32_t i = 0; i <= seed % 3; ++i) mutator.Change();
  return root.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

std::string MutateBytes(std::string_view bytes, size_t max_size) {
  std::string buffer(bytes);
  buffer.resize(std::max(max_size, bytes.size()) + 1);
  buffer.resize(
      LLVMFuzzerMutate(reinterpret_cast<uint8_t*>(buffer.data()), bytes.size(), buffer.size()));
  return buffer;
}

size_t JoinAtNul(std::string_view head, std::string_view tail, uint8_t* data, size_t max_size) {
  std::string joined(head);
  joined += '\0';
  joined += tail;
  const size_t size = std::min(joined.size(), max_size);
  std::memcpy(data, joined.data(), size);
  return size;
}

}  // namespace vallm
