#include "tokenizer_service/template/names.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"

namespace vallm::tokenizer {
namespace {

using Visit = std::function<void(ExprPtr&)>;

void VisitIf(ExprPtr& expr, const Visit& visit) {
  if (expr != nullptr) visit(expr);
}

void VisitArguments(Arguments& args, const Visit& visit) {
  for (ExprPtr& arg : args.positional) visit(arg);
  for (auto& [unused, arg] : args.keyword) visit(arg);
  VisitIf(args.star, visit);
  VisitIf(args.star_star, visit);
}

// Looks for one name through a body in the order of the text.
class UndeclaredFinder {
 public:
  explicit UndeclaredFinder(std::string_view name) : name_(name) {}
  bool found() const { return found_; }

  void Visit(const StmtList& body) {
    for (const StmtPtr& stmt : body) {
      if (found_ || declared_) return;
      VisitStmt(*stmt);
    }
  }

 private:
  void Use(const Expr* expr) {
    if (expr == nullptr || found_ || declared_) return;
    VisitNames(*expr, [this](const Value& name) {
      if (name.text() == name_) found_ = true;
    });
  }
  void Use(const ExprPtr& expr) { Use(expr.get()); }

  void Declare(std::string_view name) {
    if (!found_ && name == name_) declared_ = true;
  }

  void Target(const Expr& target) {
    VisitTargets(target, [this](const Expr& leaf) {
      if (leaf.kind == ExprKind::kName) Declare(static_cast<const NameExpr&>(leaf).name.text());
    });
  }

  void VisitMacro(const MacroDef& def) {
    for (const std::string& param : def.params) Declare(param);
    for (const ExprPtr& value : def.defaults) Use(value);
    Visit(def.body);
  }

  void VisitStmt(const Stmt& stmt) {
    switch (stmt.kind) {
      case StmtKind::kOutput:
        for (const ExprPtr& item : static_cast<const OutputStmt&>(stmt).items) Use(item);
        return;
      case StmtKind::kSet:
        Target(*static_cast<const SetStmt&>(stmt).target);
        return Use(static_cast<const SetStmt&>(stmt).value);
      case StmtKind::kSetBlock:
        Target(*static_cast<const SetBlockStmt&>(stmt).target);
        Use(static_cast<const SetBlockStmt&>(stmt).filter);
        return Visit(static_cast<const SetBlockStmt&>(stmt).body);
      case StmtKind::kIf:
        for (const auto& [test, body] : static_cast<const IfStmt&>(stmt).branches) {
          Use(test);
          Visit(body);
        }
        return Visit(static_cast<const IfStmt&>(stmt).otherwise);
      case StmtKind::kFor: {
        const auto& loop = static_cast<const ForStmt&>(stmt);
        Target(*loop.target);
        Use(loop.iterable);
        Visit(loop.body);
        Visit(loop.otherwise);
        return Use(loop.test);
      }
      case StmtKind::kWith: {
        const auto& with = static_cast<const WithStmt&>(stmt);
        for (const auto& binding : with.bindings) Target(*binding.first);
        for (const auto& binding : with.bindings) Use(binding.second);
        return Visit(with.body);
      }
      case StmtKind::kScope:
        Use(static_cast<const ScopeStmt&>(stmt).autoescape);
        return Visit(static_cast<const ScopeStmt&>(stmt).body);
      case StmtKind::kMacro:
        return VisitMacro(static_cast<const MacroStmt&>(stmt).def);
      case StmtKind::kCallBlock:
        Use(static_cast<const CallBlockStmt&>(stmt).call.get());
        return VisitMacro(static_cast<const CallBlockStmt&>(stmt).def);
      case StmtKind::kFilterBlock:
        Visit(static_cast<const FilterBlockStmt&>(stmt).body);
        return Use(static_cast<const FilterBlockStmt&>(stmt).filter);
      case StmtKind::kBreak:
      case StmtKind::kContinue:
      case StmtKind::kBlock:
      case StmtKind::kUnavailable:
        return;
    }
  }

  const std::string_view name_;
  bool found_ = false;
  bool declared_ = false;
};

}  // namespace

void VisitChildren(Expr& expr, const Visit& visit) {
  switch (expr.kind) {
    case ExprKind::kConst:
    case ExprKind::kName:
    case ExprKind::kNamespaceRef:
      return;
    case ExprKind::kBinary:
      visit(static_cast<BinaryExpr&>(expr).left);
      return visit(static_cast<BinaryExpr&>(expr).right);
    case ExprKind::kSign:
      return visit(static_cast<SignExpr&>(expr).operand);
    case ExprKind::kCompare:
      visit(static_cast<CompareExpr&>(expr).first);
      for (auto& operand : static_cast<CompareExpr&>(expr).rest) visit(operand.second);
      return;
    case ExprKind::kAttribute:
      return visit(static_cast<AttributeExpr&>(expr).object);
    case ExprKind::kCall:
      VisitIf(static_cast<CallExpr&>(expr).callee, visit);
      return VisitArguments(static_cast<CallExpr&>(expr).args, visit);
    case ExprKind::kFilter:
    case ExprKind::kTest:
      VisitIf(static_cast<ApplyExpr&>(expr).operand, visit);
      return VisitArguments(static_cast<ApplyExpr&>(expr).args, visit);
    default:
      for (ExprPtr& item : static_cast<ListExpr&>(expr).items) VisitIf(item, visit);
  }
}

void VisitNames(const Expr& expr, const std::function<void(const Value&)>& visit) {
  if (expr.kind == ExprKind::kName) return visit(static_cast<const NameExpr&>(expr).name);
  // The walk itself changes nothing; only VisitChildren's other user does.
  VisitChildren(const_cast<Expr&>(expr), [&visit](ExprPtr& child) { VisitNames(*child, visit); });
}

void VisitTargets(const Expr& target, const std::function<void(const Expr&)>& visit) {
  if (target.kind != ExprKind::kTuple) return visit(target);
  for (const ExprPtr& item : static_cast<const ListExpr&>(target).items) VisitTargets(*item, visit);
}

bool UsesUndeclared(const StmtList& body, std::string_view name) {
  UndeclaredFinder finder(name);
  finder.Visit(body);
  return finder.found();
}

bool HasScopedBlock(const StmtList& body) {
  return std::any_of(body.begin(), body.end(), [](const StmtPtr& stmt) {
    switch (stmt->kind) {
      case StmtKind::kBlock: {
        const auto& block = static_cast<const BlockStmt&>(*stmt);
        return block.scoped || HasScopedBlock(block.body);
      }
      case StmtKind::kIf: {
        const auto& node = static_cast<const IfStmt&>(*stmt);
        return HasScopedBlock(node.otherwise) ||
               std::any_of(node.branches.begin(), node.branches.end(),
                           [](const auto& branch) { return HasScopedBlock(branch.second); });
      }
      case StmtKind::kWith:
        return HasScopedBlock(static_cast<const WithStmt&>(*stmt).body);
      case StmtKind::kFor:
        return HasScopedBlock(static_cast<const ForStmt&>(*stmt).body) ||
               HasScopedBlock(static_cast<const ForStmt&>(*stmt).otherwise);
      case StmtKind::kFilterBlock:
        return HasScopedBlock(static_cast<const FilterBlockStmt&>(*stmt).body);
      case StmtKind::kSetBlock:
        return HasScopedBlock(static_cast<const SetBlockStmt&>(*stmt).body);
      case StmtKind::kScope:
        return HasScopedBlock(static_cast<const ScopeStmt&>(*stmt).body);
      case StmtKind::kCallBlock:
        return HasScopedBlock(static_cast<const CallBlockStmt&>(*stmt).def.body);
      case StmtKind::kMacro:
        return HasScopedBlock(static_cast<const MacroStmt&>(*stmt).def.body);
      default:
        return false;
    }
  });
}

absl::Status UnknownBuiltin(const ApplyExpr& expr) {
  return absl::InvalidArgumentError(absl::StrCat(
      "no ", expr.kind == ExprKind::kFilter ? "filter" : "test", " named '", expr.name, "'"));
}

}  // namespace vallm::tokenizer
