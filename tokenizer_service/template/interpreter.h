// Stage 4: walks a resolved syntax tree and prints. One Interpreter is one render, on one thread.
#ifndef VALLM_TOKENIZER_SERVICE_TEMPLATE_INTERPRETER_H_
#define VALLM_TOKENIZER_SERVICE_TEMPLATE_INTERPRETER_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tokenizer_service/template/ast.h"
#include "tokenizer_service/template/object.h"
#include "tokenizer_service/template/runtime.h"
#include "tokenizer_service/template/source.h"

namespace vallm::tokenizer {

class LoopObject;

// The variables of one call of a function of the template. `parent` is the function around it.
struct Frame {
  Frame(int size, std::shared_ptr<Frame> outer)
      : slots(static_cast<size_t>(size), Value::Missing()), parent(std::move(outer)) {}
  std::vector<Value> slots;
  std::shared_ptr<Frame> parent;
};

class Interpreter {
 public:
  // All must outlive the interpreter. `context` is a dict.
  Interpreter(const Source& source, const TemplateAst& ast, Runtime& runtime, const Value& context);
  ~Interpreter();
  Interpreter(const Interpreter&) = delete;
  Interpreter& operator=(const Interpreter&) = delete;

  // Renders the template. Call once.
  absl::StatusOr<std::string> Run();

  // For the callable objects a template makes (interpreter_objects.h).
  // Calls a macro whose surroundings are `closure`; returns what it prints.
  absl::StatusOr<Value> CallMacro(const MacroDef& def, const std::shared_ptr<Frame>& closure,
                                  CallArgs args);
  // Runs a recursive loop over `iterable`; returns what it prints.
  absl::StatusOr<Value> CallLoop(const ForStmt& stmt, const std::shared_ptr<Frame>& closure,
                                 const Value& iterable, int depth);
  // The block of that name, or null; and what it prints, seeing the template's own variables.
  const BlockStmt* FindBlock(std::string_view name) const;
  absl::StatusOr<Value> CallBlock(const BlockStmt& stmt);
  // Does `item` pass the loop's test? `frame` holds the variables of the test.
  absl::StatusOr<bool> PassesTest(const ForStmt& stmt, const std::shared_ptr<Frame>& frame,
                                  const Value& item);

 private:
  enum class Flow { kNext, kBreak, kContinue };
  class NestedCall;

  // Statements (interpreter.cc).
  absl::Status Exec(const StmtList& body);
  absl::Status ExecStmt(const Stmt& stmt);
  absl::Status DispatchStmt(const Stmt& stmt);
  absl::Status ExecOutput(const OutputStmt& stmt);
  absl::Status ExecSet(const SetStmt& stmt);
  absl::Status ExecSetBlock(const SetBlockStmt& stmt);
  absl::Status ExecIf(const IfStmt& stmt);
  absl::Status ExecFor(const ForStmt& stmt);
  absl::Status RunLoop(const ForStmt& stmt, const Value& iterable, int depth);
  absl::Status LoopOver(const ForStmt& stmt, LoopObject* loop, bool* ran);
  absl::Status ExecWith(const WithStmt& stmt);
  absl::Status ExecScope(const ScopeStmt& stmt);
  absl::Status ExecMacro(const MacroStmt& stmt);
  absl::Status ExecCallBlock(const CallBlockStmt& stmt);
  absl::Status ExecFilterBlock(const FilterBlockStmt& stmt);
  absl::Status ExecBlock(const BlockStmt& stmt);
  absl::StatusOr<std::string> RenderBlock(const BlockStmt& stmt);
  absl::StatusOr<Value> Capture(const StmtList& body);
  absl::Status Print(const Value& value);
  absl::Status PrintText(const Value& value);
  absl::Status CheckOutput();
  absl::Status Assign(const Expr& target, const Value& value);
  absl::Status Unpack(const ListExpr& targets, const Value& value);
  void Export(const Expr& target);
  absl::Status BindMacroArguments(const MacroDef& def, CallArgs args, Frame* frame);

  // Expressions (evaluator.cc).
  absl::StatusOr<Value> Eval(const Expr& expr);
  absl::StatusOr<Value> DispatchExpr(const Expr& expr);
  Value EvalName(const NameExpr& expr);
  absl::StatusOr<Value> EvalSequence(const ListExpr& expr);
  absl::StatusOr<Value> EvalDict(const ListExpr& expr);
  absl::StatusOr<Value> EvalConditional(const ListExpr& expr);
  absl::StatusOr<Value> EvalBinary(const BinaryExpr& expr);
  absl::StatusOr<Value> EvalLogic(const ListExpr& expr, bool stop_at);
  absl::StatusOr<Value> EvalNot(const ListExpr& expr);
  absl::StatusOr<Value> EvalSign(const SignExpr& expr);
  absl::StatusOr<Value> EvalCompare(const CompareExpr& expr);
  absl::StatusOr<Value> EvalConcat(const ListExpr& expr);
  absl::StatusOr<Value> EvalAttribute(const AttributeExpr& expr);
  absl::StatusOr<Value> EvalItem(const ListExpr& expr);
  absl::StatusOr<Value> EvalSlice(const ListExpr& expr);
  absl::StatusOr<Value> EvalCall(const CallExpr& expr, const Value* caller);
  absl::StatusOr<Value> EvalApply(const ApplyExpr& expr);
  absl::StatusOr<Value> EvalOrNone(const ExprPtr& expr);
  absl::Status EvalArguments(const Arguments& args, CallArgs* out);

  // Variables.
  Value& Slot(const VarRef& ref);
  void EnterScope(const ScopeLoads& loads);
  Value FromContext(const Value& name);

  const Source& source_;
  const TemplateAst& ast_;
  Runtime& runtime_;
  const Value context_;
  std::string* out_ = nullptr;
  std::shared_ptr<Frame> frame_;
  Flow flow_ = Flow::kNext;
  int eval_depth_ = 0;
  int call_depth_ = 0;
  bool autoescape_ = false;
  // What a {% filter %} or filtered {% set %} applies its innermost filter to.
  Value captured_ = Value::Missing();
  // Top-level variables, for blocks; null when the template has none.
  std::unique_ptr<DictCell> exports_;
  // Frames that something may still refer to when their call is over; emptied at the end.
  std::vector<std::shared_ptr<Frame>> kept_frames_;
};

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_TEMPLATE_INTERPRETER_H_
