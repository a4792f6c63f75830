#include "tokenizer_service/template/interpreter.h"

#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "tokenizer_service/template/globals.h"
#include "tokenizer_service/template/interpreter_objects.h"
#include "tokenizer_service/template/markup.h"
#include "tokenizer_service/template/repr.h"

namespace vallm::tokenizer {

// One call of a function of the template: its frame and its output, until it returns.
class Interpreter::NestedCall {
 public:
  NestedCall(Interpreter& interpreter, std::shared_ptr<Frame> frame)
      : interpreter_(interpreter),
        caller_frame_(std::exchange(interpreter.frame_, std::move(frame))),
        caller_out_(std::exchange(interpreter.out_, &text_)),
        caller_flow_(std::exchange(interpreter.flow_, Flow::kNext)) {
    ++interpreter.call_depth_;
  }
  ~NestedCall() {
    --interpreter_.call_depth_;
    interpreter_.flow_ = caller_flow_;
    interpreter_.out_ = caller_out_;
    std::swap(interpreter_.frame_, caller_frame_);
    if (caller_frame_.use_count() > 1) {
      interpreter_.kept_frames_.push_back(std::move(caller_frame_));
    }
  }
  NestedCall(const NestedCall&) = delete;
  NestedCall& operator=(const NestedCall&) = delete;

  std::string& text() { return text_; }

 private:
  Interpreter& interpreter_;
  std::shared_ptr<Frame> caller_frame_;
  std::string* caller_out_;
  Flow caller_flow_;
  std::string text_;
};

Interpreter::Interpreter(const Source& source, const TemplateAst& ast, Runtime& runtime,
                         const Value& context)
    : source_(source), ast_(ast), runtime_(runtime), context_(context) {
  if (!ast.blocks.empty()) exports_ = std::make_unique<DictCell>();
}

Interpreter::~Interpreter() {
  // Frames and the macros in them may hold each other; emptying every frame frees them all.
  if (frame_ != nullptr) kept_frames_.push_back(std::move(frame_));
  for (const std::shared_ptr<Frame>& frame : kept_frames_) {
    const std::vector<Value> dropped = std::exchange(frame->slots, {});
  }
}

absl::StatusOr<std::string> Interpreter::Run() {
  std::string text;
  out_ = &text;
  frame_ = std::make_shared<Frame>(ast_.frame_slots, nullptr);
  EnterScope(ast_.loads);
  VALLM_RETURN_IF_ERROR(Exec(ast_.body));
  return text;
}

Value& Interpreter::Slot(const VarRef& ref) {
  Frame* frame = frame_.get();
  for (int i = 0; i < ref.hops; ++i) frame = frame->parent.get();
  return frame->slots[static_cast<size_t>(ref.slot)];
}

Value Interpreter::FromContext(const Value& name) {
  if (exports_ != nullptr) {
    if (const Value* found = exports_->Find(name)) return *found;
  }
  if (name.text() == "self") return Value::FromObject(new SelfObject(*this));
  if (const Value* found = context_.dict().Find(name)) return *found;
  return GlobalValue(name.text());
}

void Interpreter::EnterScope(const ScopeLoads& loads) {
  for (const ScopeLoad& load : loads) {
    Value value = Value::Missing();
    if (load.kind == ScopeLoad::Kind::kContext) value = FromContext(load.name);
    if (load.kind == ScopeLoad::Kind::kAlias) value = Slot(load.alias);
    frame_->slots[static_cast<size_t>(load.slot)] = std::move(value);
  }
}

absl::Status Interpreter::Exec(const StmtList& body) {
  for (const StmtPtr& stmt : body) {
    VALLM_RETURN_IF_ERROR(ExecStmt(*stmt));
    if (flow_ != Flow::kNext) break;
  }
  return absl::OkStatus();
}

absl::Status Interpreter::ExecStmt(const Stmt& stmt) {
  absl::Status status = runtime_.Charge(1);
  if (status.ok() && ++eval_depth_ > runtime_.limits().max_eval_depth) {
    status = TemplateError("template is nested more than ", runtime_.limits().max_eval_depth,
                           " levels deep at work");
  }
  if (status.ok()) status = DispatchStmt(stmt);
  --eval_depth_;
  return status.ok() ? status : source_.Locate(status, stmt.offset);
}

absl::Status Interpreter::DispatchStmt(const Stmt& stmt) {
  switch (stmt.kind) {
    case StmtKind::kOutput:
      return ExecOutput(static_cast<const OutputStmt&>(stmt));
    case StmtKind::kSet:
      return ExecSet(static_cast<const SetStmt&>(stmt));
    case StmtKind::kSetBlock:
      return ExecSetBlock(static_cast<const SetBlockStmt&>(stmt));
    case StmtKind::kIf:
      return ExecIf(static_cast<const IfStmt&>(stmt));
    case StmtKind::kFor:
      return ExecFor(static_cast<const ForStmt&>(stmt));
    case StmtKind::kBreak:
      flow_ = Flow::kBreak;
      return absl::OkStatus();
    case StmtKind::kContinue:
      flow_ = Flow::kContinue;
      return absl::OkStatus();
    case StmtKind::kWith:
      return ExecWith(static_cast<const WithStmt&>(stmt));
    case StmtKind::kScope:
      return ExecScope(static_cast<const ScopeStmt&>(stmt));
    case StmtKind::kMacro:
      return ExecMacro(static_cast<const MacroStmt&>(stmt));
    case StmtKind::kCallBlock:
      return ExecCallBlock(static_cast<const CallBlockStmt&>(stmt));
    case StmtKind::kFilterBlock:
      return ExecFilterBlock(static_cast<const FilterBlockStmt&>(stmt));
    case StmtKind::kBlock:
      return ExecBlock(static_cast<const BlockStmt&>(stmt));
    case StmtKind::kUnavailable:
      return TemplateError("'", static_cast<const UnavailableStmt&>(stmt).tag,
                           "' is not available: there are no other templates");
  }
  return absl::OkStatus();
}

absl::Status Interpreter::CheckOutput() {
  if (out_->size() <= runtime_.limits().max_output_bytes) return absl::OkStatus();
  return TemplateError("output of ", out_->size(), " bytes is too long; limit is ",
                       runtime_.limits().max_output_bytes);
}

absl::Status Interpreter::Print(const Value& value) {
  const size_t before = out_->size();
  if (autoescape_ && value.is_str()) {
    out_->append(EscapeUnlessMarkup(value));
  } else if (autoescape_) {
    std::string text;
    AppendStr(value, runtime_.limits().max_output_bytes, &text);
    out_->append(EscapeHtml(text));
  } else {
    AppendStr(value, runtime_.limits().max_output_bytes, out_);
  }
  VALLM_RETURN_IF_ERROR(runtime_.Charge(static_cast<int64_t>((out_->size() - before) / 16)));
  return CheckOutput();
}

// What call and filter blocks yield is joined as it is, so it must be text already.
absl::Status Interpreter::PrintText(const Value& value) {
  if (value.is_str()) return Print(value);
  return TemplateError("expected str instance, ", ToAbsl(value.TypeName()), " found");
}

absl::Status Interpreter::ExecOutput(const OutputStmt& stmt) {
  for (const ExprPtr& item : stmt.items) {
    if (item->kind == ExprKind::kConst && !autoescape_) {
      VALLM_RETURN_IF_ERROR(Print(static_cast<const ConstExpr&>(*item).value));
      continue;
    }
    VALLM_ASSIGN_OR_RETURN(const Value value, Eval(*item));
    if (absl::Status status = Print(value); !status.ok()) {
      return source_.Locate(status, item->offset);
    }
  }
  return absl::OkStatus();
}

void Interpreter::Export(const Expr& target) {
  if (exports_ == nullptr) return;
  if (target.kind == ExprKind::kName) {
    const auto& name = static_cast<const NameExpr&>(target);
    exports_->Set(name.name, Slot(name.ref));
  } else if (target.kind == ExprKind::kTuple) {
    for (const ExprPtr& item : static_cast<const ListExpr&>(target).items) Export(*item);
  }
}

absl::Status Interpreter::Assign(const Expr& target, const Value& value) {
  if (target.kind == ExprKind::kName) {
    Slot(static_cast<const NameExpr&>(target).ref) = value;
    return absl::OkStatus();
  }
  if (target.kind == ExprKind::kTuple) return Unpack(static_cast<const ListExpr&>(target), value);
  const auto& member = static_cast<const NamespaceRefExpr&>(target);
  auto* space = Slot(member.ref).ObjectAs<NamespaceObject>();
  if (space == nullptr) return TemplateError("cannot assign attribute on non-namespace object");
  return space->SetAttr(runtime_, member.attribute, value);
}

absl::Status Interpreter::Unpack(const ListExpr& targets, const Value& value) {
  auto items = runtime_.Iterate(value);
  if (!items.ok()) {
    return TemplateError("cannot unpack non-iterable ", ToAbsl(value.TypeName()), " object");
  }
  const size_t expected = targets.items.size();
  const size_t got = items->items().size();
  if (got > expected) {
    return TemplateError("too many values to unpack (expected ", expected, ")");
  }
  if (got < expected) {
    return TemplateError("not enough values to unpack (expected ", expected, ", got ", got, ")");
  }
  for (size_t i = 0; i < expected; ++i) {
    VALLM_RETURN_IF_ERROR(Assign(*targets.items[i], items->items()[i]));
  }
  return absl::OkStatus();
}

absl::Status Interpreter::ExecSet(const SetStmt& stmt) {
  VALLM_ASSIGN_OR_RETURN(const Value value, Eval(*stmt.value));
  VALLM_RETURN_IF_ERROR(Assign(*stmt.target, value));
  if (stmt.top_level) Export(*stmt.target);
  return absl::OkStatus();
}

absl::StatusOr<Value> Interpreter::Capture(const StmtList& body) {
  std::string text;
  std::string* const outer = std::exchange(out_, &text);
  const absl::Status status = Exec(body);
  out_ = outer;
  VALLM_RETURN_IF_ERROR(status);
  return runtime_.MakeStr(std::move(text), autoescape_);
}

absl::Status Interpreter::ExecSetBlock(const SetBlockStmt& stmt) {
  EnterScope(stmt.loads);
  VALLM_ASSIGN_OR_RETURN(Value value, Capture(stmt.body));
  // A break or continue inside leaves the loop around the block, and the block is never assigned.
  if (flow_ != Flow::kNext) return absl::OkStatus();
  if (stmt.filter != nullptr) {
    Value outer = std::exchange(captured_, std::move(value));
    auto filtered = Eval(*stmt.filter);
    captured_ = std::move(outer);
    VALLM_RETURN_IF_ERROR(filtered.status());
    value = *std::move(filtered);
  }
  VALLM_RETURN_IF_ERROR(Assign(*stmt.target, value));
  if (stmt.top_level) Export(*stmt.target);
  return absl::OkStatus();
}

absl::Status Interpreter::ExecIf(const IfStmt& stmt) {
  for (const auto& [test, body] : stmt.branches) {
    VALLM_ASSIGN_OR_RETURN(const Value value, Eval(*test));
    if (value.Truthy()) return Exec(body);
  }
  return Exec(stmt.otherwise);
}

absl::Status Interpreter::ExecFor(const ForStmt& stmt) {
  VALLM_ASSIGN_OR_RETURN(const Value iterable, Eval(*stmt.iterable));
  if (!stmt.recursive) return RunLoop(stmt, iterable, /*depth=*/0);
  VALLM_ASSIGN_OR_RETURN(const Value text, CallLoop(stmt, frame_, iterable, /*depth=*/0));
  return Print(text);
}

absl::StatusOr<Value> Interpreter::CallLoop(const ForStmt& stmt,
                                            const std::shared_ptr<Frame>& closure,
                                            const Value& iterable, int depth) {
  if (call_depth_ >= runtime_.limits().max_call_depth) {
    return TemplateError("recursion is more than ", runtime_.limits().max_call_depth,
                         " calls deep");
  }
  VALLM_RETURN_IF_ERROR(runtime_.Charge(4 + stmt.frame_slots));
  NestedCall call(*this, std::make_shared<Frame>(stmt.frame_slots, closure));
  VALLM_RETURN_IF_ERROR(RunLoop(stmt, iterable, depth));
  return runtime_.MakeStr(std::move(call.text()), autoescape_);
}

absl::StatusOr<bool> Interpreter::PassesTest(const ForStmt& stmt,
                                             const std::shared_ptr<Frame>& frame,
                                             const Value& item) {
  const std::shared_ptr<Frame> outer = std::exchange(frame_, frame);
  const absl::Cleanup restore = [this, &outer] { frame_ = outer; };
  EnterScope(stmt.test_loads);
  VALLM_RETURN_IF_ERROR(Assign(*stmt.test_target, item));
  VALLM_ASSIGN_OR_RETURN(const Value passes, Eval(*stmt.test));
  return passes.Truthy();
}

absl::Status Interpreter::RunLoop(const ForStmt& stmt, const Value& iterable, int depth) {
  VALLM_ASSIGN_OR_RETURN(Value items, runtime_.Iterate(iterable));
  auto* loop = new LoopObject(*this, stmt, frame_, std::move(items), depth);
  const Value holder = Value::FromObject(loop);
  const absl::Cleanup finish = [loop] { loop->Finish(); };
  bool ran = false;
  if (stmt.loop_slot >= 0) {
    const VarRef loop_ref{0, stmt.loop_slot};
    Slot(loop_ref) = holder;
    VALLM_RETURN_IF_ERROR(LoopOver(stmt, loop, &ran));
    Slot(loop_ref) = Value::Missing();
  } else {
    VALLM_RETURN_IF_ERROR(LoopOver(stmt, loop, &ran));
  }
  if (ran || stmt.otherwise.empty()) return absl::OkStatus();
  EnterScope(stmt.otherwise_loads);
  return Exec(stmt.otherwise);
}

// Sets *ran when some iteration reached the end of the body: Jinja2 runs the else part even if
// iterations began but all of them ended in break or continue.
absl::Status Interpreter::LoopOver(const ForStmt& stmt, LoopObject* loop, bool* ran) {
  while (true) {
    VALLM_RETURN_IF_ERROR(runtime_.Charge(1));
    VALLM_ASSIGN_OR_RETURN(const Value item, loop->Advance());
    if (item.is_missing()) return absl::OkStatus();
    VALLM_RETURN_IF_ERROR(Assign(*stmt.target, item));
    EnterScope(stmt.body_loads);
    VALLM_RETURN_IF_ERROR(Exec(stmt.body));
    const Flow flow = std::exchange(flow_, Flow::kNext);
    if (flow == Flow::kBreak) return absl::OkStatus();
    if (flow == Flow::kNext) *ran = true;
  }
}

absl::Status Interpreter::ExecWith(const WithStmt& stmt) {
  EnterScope(stmt.loads);
  for (const auto& [target, value] : stmt.bindings) {
    VALLM_ASSIGN_OR_RETURN(const Value bound, Eval(*value));
    VALLM_RETURN_IF_ERROR(Assign(*target, bound));
  }
  return Exec(stmt.body);
}

absl::Status Interpreter::ExecScope(const ScopeStmt& stmt) {
  EnterScope(stmt.loads);
  VALLM_ASSIGN_OR_RETURN(const Value autoescape, Eval(*stmt.autoescape));
  const bool outer = std::exchange(autoescape_, autoescape.Truthy());
  const absl::Status status = Exec(stmt.body);
  autoescape_ = outer;
  return status;
}

absl::Status Interpreter::ExecMacro(const MacroStmt& stmt) {
  Value macro = Value::FromObject(new MacroObject(*this, stmt.def, frame_));
  if (stmt.top_level && exports_ != nullptr) exports_->Set(stmt.name, macro);
  Slot(stmt.ref) = std::move(macro);
  return absl::OkStatus();
}

absl::Status Interpreter::ExecCallBlock(const CallBlockStmt& stmt) {
  if (stmt.call == nullptr) {  // {% generation %}
    VALLM_ASSIGN_OR_RETURN(const Value text, CallMacro(stmt.def, frame_, {}));
    return Print(text);
  }
  const Value caller = Value::FromObject(new MacroObject(*this, stmt.def, frame_));
  VALLM_ASSIGN_OR_RETURN(const Value value, EvalCall(*stmt.call, &caller));
  return PrintText(value);
}

absl::Status Interpreter::ExecFilterBlock(const FilterBlockStmt& stmt) {
  EnterScope(stmt.loads);
  VALLM_ASSIGN_OR_RETURN(Value text, Capture(stmt.body));
  if (flow_ != Flow::kNext) return absl::OkStatus();
  Value outer = std::exchange(captured_, std::move(text));
  const auto filtered = Eval(*stmt.filter);
  captured_ = std::move(outer);
  VALLM_RETURN_IF_ERROR(filtered.status());
  return PrintText(*filtered);
}

const BlockStmt* Interpreter::FindBlock(std::string_view name) const {
  const auto it = ast_.blocks.find(std::string(name));
  return it == ast_.blocks.end() ? nullptr : it->second;
}

absl::StatusOr<std::string> Interpreter::RenderBlock(const BlockStmt& stmt) {
  if (stmt.required) return TemplateError("required block '", stmt.name, "' not found");
  if (call_depth_ >= runtime_.limits().max_call_depth) {
    return TemplateError("recursion is more than ", runtime_.limits().max_call_depth,
                         " calls deep");
  }
  VALLM_RETURN_IF_ERROR(runtime_.Charge(4 + stmt.frame_slots));
  NestedCall call(*this, std::make_shared<Frame>(stmt.frame_slots, nullptr));
  EnterScope(stmt.loads);
  VALLM_RETURN_IF_ERROR(Exec(stmt.body));
  return std::move(call.text());
}

absl::StatusOr<Value> Interpreter::CallBlock(const BlockStmt& stmt) {
  VALLM_ASSIGN_OR_RETURN(std::string text, RenderBlock(stmt));
  return runtime_.MakeStr(std::move(text), autoescape_);
}

absl::Status Interpreter::ExecBlock(const BlockStmt& stmt) {
  std::unique_ptr<DictCell> outer_exports;
  if (stmt.scoped) {
    auto exports = std::make_unique<DictCell>();
    for (const auto& [name, value] : exports_->entries()) exports->Set(name, value);
    for (const auto& [name, ref] : stmt.visible) {
      if (const Value& value = Slot(ref); !value.is_missing()) exports->Set(name, value);
    }
    outer_exports = std::exchange(exports_, std::move(exports));
  }
  const absl::StatusOr<std::string> text = RenderBlock(stmt);
  if (outer_exports != nullptr) exports_ = std::move(outer_exports);
  VALLM_RETURN_IF_ERROR(text.status());
  out_->append(*text);
  return CheckOutput();
}

absl::StatusOr<Value> Interpreter::CallMacro(const MacroDef& def,
                                             const std::shared_ptr<Frame>& closure, CallArgs args) {
  if (call_depth_ >= runtime_.limits().max_call_depth) {
    return TemplateError("recursion is more than ", runtime_.limits().max_call_depth,
                         " calls deep");
  }
  VALLM_RETURN_IF_ERROR(runtime_.Charge(4 + def.frame_slots));
  auto frame = std::make_shared<Frame>(def.frame_slots, closure);
  VALLM_RETURN_IF_ERROR(BindMacroArguments(def, std::move(args), frame.get()));
  NestedCall call(*this, std::move(frame));
  EnterScope(def.loads);
  const size_t first_default = def.params.size() - def.defaults.size();
  for (size_t i = 0; i < def.params.size(); ++i) {
    if (!Slot(def.param_refs[i]).is_missing()) continue;
    if (i < first_default) {
      Slot(def.param_refs[i]) =
          Value::UndefinedHint(absl::StrCat("parameter '", def.params[i], "' was not provided"));
      continue;
    }
    VALLM_ASSIGN_OR_RETURN(Value value, Eval(*def.defaults[i - first_default]));
    Slot(def.param_refs[i]) = std::move(value);
  }
  VALLM_RETURN_IF_ERROR(Exec(def.body));
  return runtime_.MakeStr(std::move(call.text()), autoescape_);
}

absl::Status Interpreter::BindMacroArguments(const MacroDef& def, CallArgs args, Frame* frame) {
  const auto take = [&args](std::string_view name) {
    for (auto it = args.keyword.begin(); it != args.keyword.end(); ++it) {
      if (it->first != name) continue;
      Value value = std::move(it->second);
      args.keyword.erase(it);
      return value;
    }
    return Value::Missing();
  };
  const auto slot = [frame](int index) -> Value& {
    return frame->slots[static_cast<size_t>(index)];
  };
  const size_t given = std::min(args.positional.size(), def.params.size());
  for (size_t i = 0; i < def.params.size(); ++i) {
    slot(def.param_refs[i].slot) = i < given ? args.positional[i] : take(def.params[i]);
  }
  if (def.caller_slot >= 0) {
    Value caller = take("caller");
    const bool absent = caller.is_missing() || caller.is_none();
    slot(def.caller_slot) = absent ? Value::UndefinedHint("No caller defined") : std::move(caller);
  }
  if (def.kwargs_slot >= 0) {
    auto rest = std::make_unique<DictCell>();
    for (const auto& [name, value] : args.keyword) rest->Set(name, value);
    VALLM_ASSIGN_OR_RETURN(slot(def.kwargs_slot), runtime_.MakeDict(std::move(rest)));
  } else if (!args.keyword.empty()) {
    return TemplateError("macro '", def.name, "' takes no keyword argument '",
                         args.keyword[0].first, "'");
  }
  if (def.varargs_slot >= 0) {
    args.positional.erase(args.positional.begin(),
                          args.positional.begin() + static_cast<long>(given));
    VALLM_ASSIGN_OR_RETURN(slot(def.varargs_slot), runtime_.MakeTuple(std::move(args.positional)));
  } else if (args.positional.size() > def.params.size()) {
    return TemplateError("macro '", def.name, "' takes not more than ", def.params.size(),
                         " argument(s)");
  }
  return absl::OkStatus();
}

}  // namespace vallm::tokenizer
