#include "engine_service/constraint/network.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "engine_service/constraint/network_analysis.h"

namespace vallm::engine {
namespace {

// Repetitions copy a part of at most this many nodes; a larger one becomes a rule.
constexpr int kMaxCopiedSize = 4;
// Expressions nest at most this deep: the construction is recursive.
constexpr int kMaxExprDepth = 1000;

class Builder {
 public:
  explicit Builder(const Grammar& grammar) : grammar_(grammar) {}

  absl::StatusOr<Network> Build() {
    for (const GrammarRule& rule : grammar_.rules) {
      rule_starts_.push_back(NewNode());
      rule_names_.push_back(rule.name);
    }
    for (size_t i = 0; i < grammar_.rules.size(); ++i) {
      BuildRule(*grammar_.rules[i].body, rule_starts_[i]);
    }
    // Building a hoisted part may hoist further ones.
    for (size_t i = 0; i < hoisted_.size(); ++i) BuildRule(*hoisted_[i].first, hoisted_[i].second);
    if (too_deep_) {
      return absl::InvalidArgumentError(
          absl::StrCat("the constraint nests deeper than ", kMaxExprDepth));
    }
    if (too_large_) {
      return absl::ResourceExhaustedError(
          absl::StrCat("the constraint needs more than ", kMaxNetworkNodes,
                       " automaton nodes; lower its repetition counts or lengths"));
    }
    network_.start = rule_starts_[grammar_.root];
    Flatten();
    VALLM_RETURN_IF_ERROR(AnalyseNetwork(rule_starts_, rule_names_, &network_));
    return std::move(network_);
  }

 private:
  using Edge = Network::Edge;
  using EdgeKind = Network::EdgeKind;

  int32_t NewNode() {
    if (edges_.size() >= kMaxNetworkNodes) {
      too_large_ = true;
      return 0;
    }
    edges_.emplace_back();
    finals_.push_back(false);
    return static_cast<int32_t>(edges_.size()) - 1;
  }

  void AddEdge(int32_t from, Edge edge) {
    if (!too_large_) edges_[from].push_back(edge);
  }
  void AddEmpty(int32_t from, int32_t to) {
    if (from != to) AddEdge(from, {.kind = EdgeKind::kEmpty, .target = to});
  }

  void BuildRule(const Expr& body, int32_t start) {
    const int32_t end = Emit(body, start);
    const int32_t final = NewNode();
    AddEmpty(end, final);
    if (!too_large_) finals_[final] = true;
  }

  // Adds what takes `expr` from the node `from` on; returns the node behind it. No edge into
  // `from` is added, so that alternatives may begin at one node.
  int32_t Emit(const Expr& expr, int32_t from) {
    if (too_large_ || too_deep_) return from;
    if (++depth_ > kMaxExprDepth) {
      too_deep_ = true;
      return from;
    }
    const int32_t end = EmitKind(expr, from);
    --depth_;
    return end;
  }

  int32_t EmitKind(const Expr& expr, int32_t from) {
    switch (expr.kind) {
      case Expr::Kind::kBytes:
        return EmitBytes(expr.text, from);
      case Expr::Kind::kChars:
        return EmitChars(expr.chars, from);
      case Expr::Kind::kSequence:
        for (const ExprPtr& part : expr.parts) from = Emit(*part, from);
        return from;
      case Expr::Kind::kChoice:
        return EmitChoice(expr, from);
      case Expr::Kind::kRepeat:
        return EmitRepeat(expr, from);
      case Expr::Kind::kRule:
        return EmitCall(rule_starts_[expr.rule], from);
      case Expr::Kind::kToken:
        return EmitToken(expr.text, from);
    }
    return from;
  }

  int32_t EmitBytes(std::string_view bytes, int32_t from) {
    for (const char c : bytes) {
      const int32_t to = NewNode();
      const auto byte = static_cast<uint8_t>(c);
      AddEdge(from, {.kind = EdgeKind::kByte, .first = byte, .last = byte, .target = to});
      from = to;
    }
    return from;
  }

  int32_t EmitCall(int32_t start, int32_t from) {
    const int32_t to = NewNode();
    AddEdge(from, {.kind = EdgeKind::kCall, .callee = start, .target = to});
    return to;
  }

  int32_t EmitToken(const std::string& content, int32_t from) {
    const auto [at, is_new] =
        token_indices_.try_emplace(content, static_cast<int32_t>(network_.tokens.size()));
    if (is_new) network_.tokens.push_back(content);
    const int32_t to = NewNode();
    AddEdge(from, {.kind = EdgeKind::kToken, .callee = at->second, .target = to});
    return to;
  }

  // Sequences with the same remainder share its nodes.
  int32_t EmitChars(const CharSet& chars, int32_t from) {
    const int32_t end = NewNode();
    std::map<std::vector<ByteRange>, int32_t> suffixes;
    suffixes[{}] = end;
    for (const std::vector<ByteRange>& sequence : Utf8Sequences(chars)) {
      int32_t next = end;
      for (size_t i = sequence.size(); i-- > 1;) {
        const std::vector<ByteRange> suffix(sequence.begin() + i, sequence.end());
        const auto [at, is_new] = suffixes.try_emplace(suffix, 0);
        if (is_new) {
          at->second = NewNode();
          AddEdge(at->second, {.kind = EdgeKind::kByte,
                               .first = sequence[i].first,
                               .last = sequence[i].last,
                               .target = next});
        }
        next = at->second;
      }
      AddEdge(from, {.kind = EdgeKind::kByte,
                     .first = sequence[0].first,
                     .last = sequence[0].last,
                     .target = next});
    }
    return end;
  }

  // Alternatives that are plain text become one trie; a choice of thousands then stays cheap.
  int32_t EmitChoice(const Expr& expr, int32_t from) {
    const int32_t end = NewNode();
    std::vector<std::string_view> texts;
    for (const ExprPtr& part : expr.parts) {
      if (part->kind == Expr::Kind::kBytes) {
        texts.push_back(part->text);
      } else {
        AddEmpty(Emit(*part, from), end);
      }
    }
    std::sort(texts.begin(), texts.end());
    texts.erase(std::unique(texts.begin(), texts.end()), texts.end());
    std::vector<int32_t> path = {from};
    std::string_view previous;
    for (const std::string_view text : texts) {
      size_t common = 0;
      while (common < previous.size() && common < text.size() && previous[common] == text[common]) {
        ++common;
      }
      path.resize(common + 1);
      for (size_t i = common; i < text.size(); ++i) {
        path.push_back(EmitBytes(text.substr(i, 1), path.back()));
      }
      AddEmpty(path.back(), end);
      previous = text;
    }
    return end;
  }

  int32_t EmitRepeat(const Expr& expr, int32_t from) {
    const Expr& part = *expr.parts[0];
    const int copies = expr.max == kUnbounded ? expr.min + 1 : expr.max;
    int32_t called = -1;
    if (copies > 1 && Size(part, kMaxCopiedSize + 1) > kMaxCopiedSize)
      called = Hoist(expr.parts[0]);
    const auto emit_part = [&](int32_t at) {
      return called >= 0 ? EmitCall(called, at) : Emit(part, at);
    };
    const int once = expr.max == kUnbounded ? std::max(expr.min - 1, 0) : expr.min;
    for (int i = 0; i < once && !too_large_; ++i) from = emit_part(from);
    if (expr.max == kUnbounded) {
      const int32_t loop = NewNode();
      AddEmpty(from, loop);
      const int32_t end = emit_part(loop);
      AddEmpty(end, loop);
      if (expr.min > 0) return end == loop ? loop : After(end);
      return After(loop);
    }
    const int32_t end = NewNode();
    for (int i = expr.min; i < expr.max && !too_large_; ++i) {
      AddEmpty(from, end);
      from = emit_part(from);
    }
    AddEmpty(from, end);
    return end;
  }

  // A fresh node behind `node`, which edges lead back to.
  int32_t After(int32_t node) {
    const int32_t next = NewNode();
    AddEmpty(node, next);
    return next;
  }

  int32_t Hoist(const ExprPtr& part) {
    const auto [at, is_new] = hoisted_starts_.try_emplace(part.get(), 0);
    if (is_new) {
      at->second = NewNode();
      rule_starts_.push_back(at->second);
      rule_names_.push_back("(repetition)");
      hoisted_.emplace_back(part, at->second);
    }
    return at->second;
  }

  // About the nodes that Emit adds for `expr`, counting to `limit` only.
  static int Size(const Expr& expr, int limit) {
    switch (expr.kind) {
      case Expr::Kind::kBytes:
        return static_cast<int>(std::min<size_t>(expr.text.size(), limit));
      case Expr::Kind::kChars:
        return expr.chars.ranges().back().last < 0x80 ? 1 : limit;
      case Expr::Kind::kRule:
      case Expr::Kind::kToken:
        return 1;
      default:
        break;
    }
    int size = 1;
    for (const ExprPtr& part : expr.parts) {
      if (size >= limit) return limit;
      size += Size(*part, limit - size);
    }
    const int64_t copies = expr.kind == Expr::Kind::kRepeat ? std::max({1, expr.min, expr.max}) : 1;
    return static_cast<int>(std::min<int64_t>(size * copies, limit));
  }

  void Flatten() {
    network_.nodes.resize(edges_.size());
    for (size_t i = 0; i < edges_.size(); ++i) {
      Network::Node& node = network_.nodes[i];
      node.first_edge = static_cast<int32_t>(network_.edges.size());
      node.edge_count = static_cast<int32_t>(edges_[i].size());
      node.final = finals_[i];
      network_.edges.insert(network_.edges.end(), edges_[i].begin(), edges_[i].end());
    }
  }

  const Grammar& grammar_;
  Network network_;
  std::vector<std::vector<Edge>> edges_;  // [node]
  std::vector<bool> finals_;              // [node]
  std::vector<int32_t> rule_starts_;      // the grammar's rules, then the hoisted ones
  std::vector<std::string> rule_names_;
  std::vector<std::pair<ExprPtr, int32_t>> hoisted_;
  std::unordered_map<const Expr*, int32_t> hoisted_starts_;
  std::unordered_map<std::string, int32_t> token_indices_;
  int depth_ = 0;
  bool too_large_ = false;
  bool too_deep_ = false;
};

}  // namespace

absl::StatusOr<Network> BuildNetwork(const Grammar& grammar) { return Builder(grammar).Build(); }

}  // namespace vallm::engine
