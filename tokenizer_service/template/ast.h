// The syntax tree of a template. Built by the parser, annotated with variable slots by the resolver
// (resolver.h), then immutable and shared by all renders.
#ifndef VALLM_TOKENIZER_SERVICE_TEMPLATE_AST_H_
#define VALLM_TOKENIZER_SERVICE_TEMPLATE_AST_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tokenizer_service/template/builtin.h"
#include "tokenizer_service/template/operators.h"
#include "tokenizer_service/template/value.h"

namespace vallm::tokenizer {

// Where a variable lives: slot `slot` of the frame `hops` functions out.
struct VarRef {
  int hops = 0;
  int slot = -1;
};

// What happens to a variable when its scope is entered.
struct ScopeLoad {
  enum class Kind { kUnset, kContext, kAlias };
  Kind kind = Kind::kUnset;
  int slot = -1;
  Value name;    // kContext: the context variable to fetch
  VarRef alias;  // kAlias: the outer variable to copy
};
using ScopeLoads = std::vector<ScopeLoad>;

enum class ExprKind {
  kConst,
  kName,
  kNamespaceRef,
  kTuple,
  kList,
  kDict,
  kConditional,
  kBinary,
  kAnd,
  kOr,
  kNot,
  kSign,
  kCompare,
  kConcat,
  kAttribute,
  kItem,
  kSlice,
  kCall,
  kFilter,
  kTest,
};

struct Expr {
  Expr(ExprKind k, uint32_t at) : kind(k), offset(at) {}
  virtual ~Expr() = default;
  const ExprKind kind;
  const uint32_t offset;
  int height = 1;  // levels of nodes below and including this one
};
using ExprPtr = std::unique_ptr<Expr>;

struct ConstExpr : Expr {
  ConstExpr(uint32_t at, Value v) : Expr(ExprKind::kConst, at), value(std::move(v)) {}
  Value value;
};

struct NameExpr : Expr {
  NameExpr(uint32_t at, Value n) : Expr(ExprKind::kName, at), name(std::move(n)) {}
  Value name;
  VarRef ref;
};

// `name.attribute` as the target of an assignment.
struct NamespaceRefExpr : Expr {
  NamespaceRefExpr(uint32_t at, Value n, std::string a)
      : Expr(ExprKind::kNamespaceRef, at), name(std::move(n)), attribute(std::move(a)) {}
  Value name;
  std::string attribute;
  VarRef ref;
};

// kTuple, kList, kConcat, kAnd, kOr, kNot, kConditional (then, test, else or null),
// kDict (key, value, key, value, ...), kItem (object, key), kSlice (object, start, stop, step; null
// where open).
struct ListExpr : Expr {
  using Expr::Expr;
  std::vector<ExprPtr> items;
};

struct BinaryExpr : Expr {
  BinaryExpr(uint32_t at, BinaryOp o) : Expr(ExprKind::kBinary, at), op(o) {}
  BinaryOp op;
  ExprPtr left;
  ExprPtr right;
};

struct SignExpr : Expr {
  SignExpr(uint32_t at, bool n) : Expr(ExprKind::kSign, at), negative(n) {}
  bool negative;
  ExprPtr operand;
};

struct CompareExpr : Expr {
  explicit CompareExpr(uint32_t at) : Expr(ExprKind::kCompare, at) {}
  ExprPtr first;
  std::vector<std::pair<CompareOp, ExprPtr>> rest;
};

struct AttributeExpr : Expr {
  AttributeExpr(uint32_t at, Value n) : Expr(ExprKind::kAttribute, at), name(std::move(n)) {}
  ExprPtr object;
  Value name;
};

struct Arguments {
  std::vector<ExprPtr> positional;
  std::vector<std::pair<std::string, ExprPtr>> keyword;
  ExprPtr star;       // *args
  ExprPtr star_star;  // **kwargs
};

struct CallExpr : Expr {
  explicit CallExpr(uint32_t at) : Expr(ExprKind::kCall, at) {}
  ExprPtr callee;
  Arguments args;
};

// kFilter, kTest. `operand` is null for the body of a filter block.
struct ApplyExpr : Expr {
  using Expr::Expr;
  ExprPtr operand;
  std::string name;
  const Builtin* builtin = nullptr;  // null: unknown, an error if it is ever evaluated
  Arguments args;
};

enum class StmtKind {
  kOutput,
  kSet,
  kSetBlock,
  kIf,
  kFor,
  kBreak,
  kContinue,
  kWith,
  kScope,
  kMacro,
  kCallBlock,
  kFilterBlock,
  kBlock,
  kUnavailable,
};

struct Stmt {
  Stmt(StmtKind k, uint32_t at) : kind(k), offset(at) {}
  virtual ~Stmt() = default;
  const StmtKind kind;
  const uint32_t offset;
};
using StmtPtr = std::unique_ptr<Stmt>;
using StmtList = std::vector<StmtPtr>;

// Text and expressions in the order they print. Text is a kConst.
struct OutputStmt : Stmt {
  explicit OutputStmt(uint32_t at) : Stmt(StmtKind::kOutput, at) {}
  std::vector<ExprPtr> items;
};

struct SetStmt : Stmt {
  explicit SetStmt(uint32_t at) : Stmt(StmtKind::kSet, at) {}
  ExprPtr target;
  ExprPtr value;
  bool top_level = false;
};

struct SetBlockStmt : Stmt {
  explicit SetBlockStmt(uint32_t at) : Stmt(StmtKind::kSetBlock, at) {}
  ExprPtr target;
  ExprPtr filter;  // may be null; innermost operand is null
  StmtList body;
  ScopeLoads loads;
  bool top_level = false;
};

struct IfStmt : Stmt {
  explicit IfStmt(uint32_t at) : Stmt(StmtKind::kIf, at) {}
  // if, elif, elif, ...; then the else body.
  std::vector<std::pair<ExprPtr, StmtList>> branches;
  StmtList otherwise;
};

struct ForStmt : Stmt {
  explicit ForStmt(uint32_t at) : Stmt(StmtKind::kFor, at) {}
  ExprPtr target;
  ExprPtr iterable;
  ExprPtr test;  // may be null
  // The target again, as the test sees it: its variables are its own.
  ExprPtr test_target;
  bool recursive = false;
  StmtList body;
  StmtList otherwise;
  ScopeLoads body_loads;
  ScopeLoads test_loads;
  ScopeLoads otherwise_loads;
  int loop_slot = -1;   // slot of `loop`
  int frame_slots = 0;  // recursive: size of the frame of one call
};

struct WithStmt : Stmt {
  explicit WithStmt(uint32_t at) : Stmt(StmtKind::kWith, at) {}
  std::vector<std::pair<ExprPtr, ExprPtr>> bindings;  // target, value
  StmtList body;
  ScopeLoads loads;
};

// generation (no escaping change) and autoescape.
struct ScopeStmt : Stmt {
  explicit ScopeStmt(uint32_t at) : Stmt(StmtKind::kScope, at) {}
  ExprPtr autoescape;
  StmtList body;
  ScopeLoads loads;
};

// A function of the template: macro, or the body of a call block.
struct MacroDef {
  std::string name;  // "caller" for a call block
  std::vector<std::string> params;
  std::vector<VarRef> param_refs;
  std::vector<ExprPtr> defaults;  // of the last parameters
  StmtList body;
  ScopeLoads loads;
  int frame_slots = 0;
  // Slots of the implicit parameters, or -1 where the body does not use them.
  int caller_slot = -1;
  int kwargs_slot = -1;
  int varargs_slot = -1;
  bool uses_caller = false;
};

struct MacroStmt : Stmt {
  explicit MacroStmt(uint32_t at) : Stmt(StmtKind::kMacro, at) {}
  MacroDef def;
  Value name;
  VarRef ref;
  bool top_level = false;
};

struct CallBlockStmt : Stmt {
  explicit CallBlockStmt(uint32_t at) : Stmt(StmtKind::kCallBlock, at) {}
  MacroDef def;
  std::unique_ptr<CallExpr> call;
};

struct FilterBlockStmt : Stmt {
  explicit FilterBlockStmt(uint32_t at) : Stmt(StmtKind::kFilterBlock, at) {}
  ExprPtr filter;  // innermost operand is null
  StmtList body;
  ScopeLoads loads;
};

// {% block %}: prints in place, seeing the context and the template's top-level variables.
struct BlockStmt : Stmt {
  explicit BlockStmt(uint32_t at) : Stmt(StmtKind::kBlock, at) {}
  std::string name;
  bool scoped = false;
  bool required = false;
  StmtList body;
  ScopeLoads loads;
  int frame_slots = 0;
  std::vector<std::pair<Value, VarRef>> visible;  // scoped: the variables it sees
};

// include, import, from and extends: there are no other templates.
struct UnavailableStmt : Stmt {
  UnavailableStmt(uint32_t at, std::string t)
      : Stmt(StmtKind::kUnavailable, at), tag(std::move(t)) {}
  std::string tag;
  std::vector<std::string> names;  // variables it would set
};

struct TemplateAst {
  StmtList body;
  ScopeLoads loads;
  int frame_slots = 0;
  std::map<std::string, const BlockStmt*> blocks;  // those in `body`, by name
};

// A readable form of an expression, fully parenthesised: for tests of precedence.
std::string Dump(const Expr& expr);

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_TEMPLATE_AST_H_
