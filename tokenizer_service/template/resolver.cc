#include "tokenizer_service/template/resolver.h"

#include <algorithm>
#include <functional>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "tokenizer_service/template/names.h"
#include "tokenizer_service/template/symbols.h"

namespace vallm::tokenizer {
namespace {

// First pass over a scope: meets its names in the order of the text, without entering inner scopes.
class NameMeeter {
 public:
  explicit NameMeeter(Symbols* symbols) : symbols_(symbols) {}

  void Meet(const StmtList& body) {
    for (const StmtPtr& stmt : body) MeetStmt(*stmt);
  }

  void MeetUse(const ExprPtr& expr) {
    if (expr == nullptr) return;
    VisitNames(*expr, [this](const Value& name) { symbols_->Load(std::string(name.text())); });
  }

  void MeetTarget(const Expr& target) {
    VisitTargets(target, [this](const Expr& leaf) {
      if (leaf.kind == ExprKind::kName) {
        symbols_->Store(std::string(static_cast<const NameExpr&>(leaf).name.text()));
      } else {
        symbols_->Load(std::string(static_cast<const NamespaceRefExpr&>(leaf).name.text()));
      }
    });
  }

  void DeclareTarget(const Expr& target) {
    VisitTargets(target, [this](const Expr& leaf) {
      symbols_->DeclareParameter(std::string(static_cast<const NameExpr&>(leaf).name.text()));
    });
  }

 private:
  void MeetIf(const IfStmt& stmt, size_t branch) {
    MeetUse(stmt.branches[branch].first);
    Symbols* const all = symbols_;
    std::vector<Symbols> copies(3, *all);
    symbols_ = &copies[0];
    Meet(stmt.branches[branch].second);
    if (branch == 0) {
      symbols_ = &copies[1];
      for (size_t i = 1; i < stmt.branches.size(); ++i) MeetIf(stmt, i);
      symbols_ = &copies[2];
      Meet(stmt.otherwise);
    }
    symbols_ = all;
    symbols_->Merge(copies);
  }

  void MeetStmt(const Stmt& stmt) {
    switch (stmt.kind) {
      case StmtKind::kOutput:
        for (const ExprPtr& item : static_cast<const OutputStmt&>(stmt).items) MeetUse(item);
        return;
      case StmtKind::kSet:
        MeetUse(static_cast<const SetStmt&>(stmt).value);
        MeetTarget(*static_cast<const SetStmt&>(stmt).target);
        return;
      case StmtKind::kSetBlock:
        MeetTarget(*static_cast<const SetBlockStmt&>(stmt).target);
        return;
      case StmtKind::kIf:
        MeetIf(static_cast<const IfStmt&>(stmt), 0);
        return;
      case StmtKind::kFor:
        MeetUse(static_cast<const ForStmt&>(stmt).iterable);
        return;
      case StmtKind::kWith:
        for (const auto& binding : static_cast<const WithStmt&>(stmt).bindings) {
          MeetUse(binding.second);
        }
        return;
      case StmtKind::kMacro:
        symbols_->Store(static_cast<const MacroStmt&>(stmt).def.name);
        return;
      case StmtKind::kCallBlock:
        if (const auto& call = static_cast<const CallBlockStmt&>(stmt).call) {
          VisitNames(*call,
                     [this](const Value& name) { symbols_->Load(std::string(name.text())); });
        }
        return;
      case StmtKind::kFilterBlock:
        MeetUse(static_cast<const FilterBlockStmt&>(stmt).filter);
        return;
      case StmtKind::kUnavailable:
        for (const std::string& name : static_cast<const UnavailableStmt&>(stmt).names) {
          symbols_->Store(name);
        }
        return;
      case StmtKind::kBreak:
      case StmtKind::kContinue:
      case StmtKind::kScope:
      case StmtKind::kBlock:
        return;
    }
  }

  Symbols* symbols_;
};

// Where code is bound: its scope, its function, and two facts about its place.
struct Place {
  const Symbols& symbols;
  FunctionScope& function;
  bool top_level = false;  // the template's own scope
  bool guarded = false;    // inside an if: an unknown filter is an error only when reached
};

// Second pass: enters inner scopes and writes slots into the tree.
class Binder {
 public:
  explicit Binder(const Source& source) : source_(source) {}

  absl::Status BindTemplate(TemplateAst* ast) {
    FunctionScope function(nullptr);
    SlotMap slots(&function);
    Symbols symbols(nullptr, &slots);
    NameMeeter(&symbols).Meet(ast->body);
    VALLM_RETURN_IF_ERROR(Bind(ast->body, {symbols, function, /*top_level=*/true}));
    ast->loads = symbols.Loads();
    ast->frame_slots = function.slots;
    return absl::OkStatus();
  }

 private:
  absl::Status Bind(StmtList& body, const Place& place) {
    for (StmtPtr& stmt : body) VALLM_RETURN_IF_ERROR(BindStmt(*stmt, place));
    return absl::OkStatus();
  }

  absl::Status BindExpr(Expr* expr, const Place& place) {
    if (expr == nullptr) return absl::OkStatus();
    switch (expr->kind) {
      case ExprKind::kName: {
        auto& name = static_cast<NameExpr&>(*expr);
        name.ref = place.symbols.RefFrom(std::string(name.name.text()), place.function);
        return absl::OkStatus();
      }
      case ExprKind::kNamespaceRef: {
        auto& name = static_cast<NamespaceRefExpr&>(*expr);
        name.ref = place.symbols.RefFrom(std::string(name.name.text()), place.function);
        return absl::OkStatus();
      }
      case ExprKind::kFilter:
      case ExprKind::kTest: {
        const auto& apply = static_cast<const ApplyExpr&>(*expr);
        if (apply.builtin == nullptr && !place.guarded) {
          return source_.Locate(UnknownBuiltin(apply), apply.offset);
        }
        break;
      }
      default:
        break;
    }
    Place inner = place;
    if (expr->kind == ExprKind::kConditional) inner.guarded = true;
    absl::Status status;
    VisitChildren(*expr, [&](ExprPtr& child) {
      if (status.ok()) status = BindExpr(child.get(), inner);
    });
    return status;
  }

  absl::Status BindStmt(Stmt& stmt, const Place& place) {
    switch (stmt.kind) {
      case StmtKind::kOutput:
        for (ExprPtr& item : static_cast<OutputStmt&>(stmt).items) {
          VALLM_RETURN_IF_ERROR(BindExpr(item.get(), place));
        }
        return absl::OkStatus();
      case StmtKind::kSet: {
        auto& set = static_cast<SetStmt&>(stmt);
        set.top_level = place.top_level;
        VALLM_RETURN_IF_ERROR(BindExpr(set.value.get(), place));
        return BindExpr(set.target.get(), place);
      }
      case StmtKind::kSetBlock:
        return BindSetBlock(static_cast<SetBlockStmt&>(stmt), place);
      case StmtKind::kIf:
        return BindIf(static_cast<IfStmt&>(stmt), place);
      case StmtKind::kFor:
        return BindFor(static_cast<ForStmt&>(stmt), place);
      case StmtKind::kWith:
        return BindWith(static_cast<WithStmt&>(stmt), place);
      case StmtKind::kScope:
        return BindScope(static_cast<ScopeStmt&>(stmt), place);
      case StmtKind::kMacro: {
        auto& macro = static_cast<MacroStmt&>(stmt);
        macro.top_level = place.top_level;
        macro.ref = place.symbols.RefFrom(macro.def.name, place.function);
        return BindMacro(macro.def, stmt.offset, place);
      }
      case StmtKind::kCallBlock: {
        auto& call = static_cast<CallBlockStmt&>(stmt);
        VALLM_RETURN_IF_ERROR(BindMacro(call.def, stmt.offset, place));
        return BindExpr(call.call.get(), place);
      }
      case StmtKind::kFilterBlock:
        return BindFilterBlock(static_cast<FilterBlockStmt&>(stmt), place);
      case StmtKind::kBlock:
        return BindBlock(static_cast<BlockStmt&>(stmt), place);
      case StmtKind::kBreak:
      case StmtKind::kContinue:
      case StmtKind::kUnavailable:
        return absl::OkStatus();
    }
    return absl::OkStatus();
  }

  absl::Status BindIf(IfStmt& stmt, const Place& place) {
    Place guarded = place;
    guarded.guarded = true;
    for (auto& [test, body] : stmt.branches) {
      VALLM_RETURN_IF_ERROR(BindExpr(test.get(), guarded));
      VALLM_RETURN_IF_ERROR(Bind(body, guarded));
    }
    return Bind(stmt.otherwise, guarded);
  }

  absl::Status BindSetBlock(SetBlockStmt& stmt, const Place& place) {
    stmt.top_level = place.top_level;
    Symbols symbols(&place.symbols, place.symbols.slots());
    NameMeeter meeter(&symbols);
    meeter.Meet(stmt.body);
    meeter.MeetUse(stmt.filter);
    VALLM_RETURN_IF_ERROR(Bind(stmt.body, {symbols, place.function}));
    VALLM_RETURN_IF_ERROR(BindExpr(stmt.filter.get(), {symbols, place.function}));
    stmt.loads = symbols.Loads();
    return BindExpr(stmt.target.get(), place);
  }

  absl::Status BindFilterBlock(FilterBlockStmt& stmt, const Place& place) {
    Symbols symbols(&place.symbols, place.symbols.slots());
    NameMeeter meeter(&symbols);
    meeter.Meet(stmt.body);
    meeter.MeetUse(stmt.filter);
    VALLM_RETURN_IF_ERROR(Bind(stmt.body, {symbols, place.function}));
    VALLM_RETURN_IF_ERROR(BindExpr(stmt.filter.get(), {symbols, place.function}));
    stmt.loads = symbols.Loads();
    return absl::OkStatus();
  }

  absl::Status BindWith(WithStmt& stmt, const Place& place) {
    Symbols symbols(&place.symbols, place.symbols.slots());
    NameMeeter meeter(&symbols);
    for (const auto& binding : stmt.bindings) meeter.DeclareTarget(*binding.first);
    meeter.Meet(stmt.body);
    for (auto& [target, value] : stmt.bindings) {
      VALLM_RETURN_IF_ERROR(BindExpr(target.get(), {symbols, place.function}));
      VALLM_RETURN_IF_ERROR(BindExpr(value.get(), place));
    }
    VALLM_RETURN_IF_ERROR(Bind(stmt.body, {symbols, place.function}));
    stmt.loads = symbols.Loads();
    return absl::OkStatus();
  }

  absl::Status BindScope(ScopeStmt& stmt, const Place& place) {
    Symbols symbols(&place.symbols, place.symbols.slots());
    NameMeeter meeter(&symbols);
    meeter.MeetUse(stmt.autoescape);
    meeter.Meet(stmt.body);
    VALLM_RETURN_IF_ERROR(BindExpr(stmt.autoescape.get(), {symbols, place.function}));
    VALLM_RETURN_IF_ERROR(Bind(stmt.body, {symbols, place.function}));
    stmt.loads = symbols.Loads();
    return absl::OkStatus();
  }

  absl::Status BindFor(ForStmt& stmt, const Place& place) {
    VALLM_RETURN_IF_ERROR(BindExpr(stmt.iterable.get(), place));
    if (!stmt.recursive) return BindLoop(stmt, place.function, place.symbols.slots(), place);
    FunctionScope function(&place.function);
    SlotMap slots(&function);
    VALLM_RETURN_IF_ERROR(BindLoop(stmt, function, &slots, place));
    stmt.frame_slots = function.slots;
    return absl::OkStatus();
  }

  absl::Status BindLoop(ForStmt& stmt, FunctionScope& function, SlotMap* slots,
                        const Place& place) {
    Symbols body(&place.symbols, slots);
    if (stmt.recursive || UsesUndeclared(stmt.body, "loop") || HasScopedBlock(stmt.body)) {
      body.DeclareParameter("loop");
      stmt.loop_slot = body.Ref("loop").slot;
    }
    NameMeeter(&body).DeclareTarget(*stmt.target);
    NameMeeter(&body).Meet(stmt.body);
    VALLM_RETURN_IF_ERROR(BindExpr(stmt.target.get(), {body, function}));
    VALLM_RETURN_IF_ERROR(Bind(stmt.body, {body, function}));
    stmt.body_loads = body.Loads();
    if (stmt.test != nullptr) {
      SlotMap test_slots(&function);
      Symbols test(&place.symbols, &test_slots);
      NameMeeter(&test).DeclareTarget(*stmt.test_target);
      NameMeeter(&test).MeetUse(stmt.test);
      VALLM_RETURN_IF_ERROR(BindExpr(stmt.test_target.get(), {test, function}));
      VALLM_RETURN_IF_ERROR(BindExpr(stmt.test.get(), {test, function}));
      stmt.test_loads = test.Loads();
    }
    Symbols otherwise(&place.symbols, slots);
    NameMeeter(&otherwise).Meet(stmt.otherwise);
    VALLM_RETURN_IF_ERROR(Bind(stmt.otherwise, {otherwise, function}));
    stmt.otherwise_loads = otherwise.Loads();
    return absl::OkStatus();
  }

  absl::Status BindMacro(MacroDef& def, uint32_t offset, const Place& place) {
    FunctionScope function(&place.function);
    SlotMap slots(&function);
    Symbols symbols(&place.symbols, &slots);
    const auto has_param = [&def](const char* name) {
      return std::find(def.params.begin(), def.params.end(), name) != def.params.end();
    };
    for (const std::string& param : def.params) symbols.DeclareParameter(param);
    NameMeeter meeter(&symbols);
    def.uses_caller = UsesUndeclared(def.body, "caller");
    const auto implicit = [&](const char* name, int* slot) {
      symbols.DeclareParameter(name);
      *slot = symbols.Ref(name).slot;
    };
    if (def.uses_caller && !has_param("caller")) implicit("caller", &def.caller_slot);
    if (UsesUndeclared(def.body, "kwargs") && !has_param("kwargs")) {
      implicit("kwargs", &def.kwargs_slot);
    }
    if (UsesUndeclared(def.body, "varargs") && !has_param("varargs")) {
      implicit("varargs", &def.varargs_slot);
    }
    if (def.uses_caller && has_param("caller")) {
      const size_t index = static_cast<size_t>(
          std::find(def.params.begin(), def.params.end(), "caller") - def.params.begin());
      if (index + def.defaults.size() < def.params.size()) {
        return source_.Locate(
            absl::InvalidArgumentError("the special \"caller\" argument must be omitted or be "
                                       "given a default"),
            offset);
      }
    }
    for (const ExprPtr& value : def.defaults) meeter.MeetUse(value);
    meeter.Meet(def.body);
    for (const std::string& param : def.params) {
      def.param_refs.push_back(symbols.RefFrom(param, function));
    }
    for (ExprPtr& value : def.defaults) {
      VALLM_RETURN_IF_ERROR(BindExpr(value.get(), {symbols, function}));
    }
    VALLM_RETURN_IF_ERROR(Bind(def.body, {symbols, function}));
    def.loads = symbols.Loads();
    def.frame_slots = function.slots;
    return absl::OkStatus();
  }

  absl::Status BindBlock(BlockStmt& stmt, const Place& place) {
    if (stmt.scoped) {
      for (const std::string& name : place.symbols.VisibleStores()) {
        stmt.visible.emplace_back(Value::Str(name), place.symbols.RefFrom(name, place.function));
      }
    }
    FunctionScope function(nullptr);
    SlotMap slots(&function);
    Symbols symbols(nullptr, &slots);
    NameMeeter(&symbols).Meet(stmt.body);
    VALLM_RETURN_IF_ERROR(Bind(stmt.body, {symbols, function}));
    stmt.loads = symbols.Loads();
    stmt.frame_slots = function.slots;
    return absl::OkStatus();
  }

  const Source& source_;
};

}  // namespace

absl::Status ResolveVariables(const Source& source, TemplateAst* ast) {
  return Binder(source).BindTemplate(ast);
}

}  // namespace vallm::tokenizer
