#include "tokenizer_service/template/interpreter_objects.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "tokenizer_service/template/builtin.h"
#include "tokenizer_service/template/repr.h"

namespace vallm::tokenizer {
namespace {

absl::StatusOr<Value> LoopCycle(Runtime& runtime, CallArgs& args) {
  const int64_t index = args.positional[0].ObjectAs<LoopObject>()->index0();
  const size_t count = args.positional.size() - 1;
  if (count == 0) return TemplateError("no items for cycling given");
  return args.positional[1 + static_cast<size_t>(index) % count];
}

absl::StatusOr<Value> LoopChanged(Runtime& runtime, CallArgs& args) {
  auto* loop = args.positional[0].ObjectAs<LoopObject>();
  args.positional.erase(args.positional.begin());
  VALLM_ASSIGN_OR_RETURN(Value values, runtime.MakeTuple(std::move(args.positional)));
  return Value::Bool(loop->Changed(std::move(values)));
}

const Builtin& CycleBuiltin() {
  static const Builtin builtin{"cycle", &LoopCycle, Builtin::kVariadic, {}};
  return builtin;
}

const Builtin& ChangedBuiltin() {
  static const Builtin builtin{"changed", &LoopChanged, Builtin::kVariadic, {}};
  return builtin;
}

// A block as a function.
class BlockObject : public Object {
 public:
  BlockObject(Interpreter& interpreter, const BlockStmt& stmt)
      : interpreter_(interpreter), stmt_(stmt) {}
  std::string_view TypeName() const override { return "BlockReference"; }
  bool callable() const override { return true; }
  absl::StatusOr<Value> Call(Runtime& runtime, CallArgs args) override {
    if (!args.positional.empty() || !args.keyword.empty()) {
      return TemplateError("block '", stmt_.name, "' takes no arguments");
    }
    return interpreter_.CallBlock(stmt_);
  }

 private:
  Interpreter& interpreter_;
  const BlockStmt& stmt_;
};

}  // namespace

void MacroObject::AppendRepr(size_t limit, std::string* out) const {
  absl::StrAppend(out, "<Macro '", def_.name, "'>");
}

absl::StatusOr<Value> MacroObject::Call(Runtime& runtime, CallArgs args) {
  return interpreter_.CallMacro(def_, closure_, std::move(args));
}

absl::StatusOr<Value> MacroObject::GetAttr(Runtime& runtime, std::string_view name) {
  if (name == "name") return runtime.MakeStr(def_.name);
  if (name == "arguments") {
    std::vector<Value> params;
    for (const std::string& param : def_.params) params.push_back(Value::Str(param));
    return runtime.MakeTuple(std::move(params));
  }
  if (name == "caller") return Value::Bool(def_.uses_caller);
  if (name == "catch_kwargs") return Value::Bool(def_.kwargs_slot >= 0);
  if (name == "catch_varargs") return Value::Bool(def_.varargs_slot >= 0);
  return Value::Missing();
}

absl::StatusOr<Value> LoopObject::Pull() {
  while (next_ < items_.items().size()) {
    const Value& item = items_.items()[next_++];
    if (stmt_.test == nullptr) return item;
    if (frame_ == nullptr) break;
    VALLM_ASSIGN_OR_RETURN(const bool passes, interpreter_.PassesTest(stmt_, frame_, item));
    if (passes) return item;
  }
  return Value::Missing();
}

absl::StatusOr<Value> LoopObject::Peek() {
  if (ahead_next_ < ahead_.size()) return ahead_[ahead_next_];
  VALLM_ASSIGN_OR_RETURN(Value item, Pull());
  if (!item.is_missing()) ahead_.push_back(item);
  return item;
}

absl::StatusOr<int64_t> LoopObject::CountItems() {
  if (length_) return *length_;
  if (stmt_.test == nullptr) {
    length_ = static_cast<int64_t>(items_.items().size());
    return *length_;
  }
  while (true) {
    VALLM_ASSIGN_OR_RETURN(Value item, Pull());
    if (item.is_missing()) break;
    ahead_.push_back(std::move(item));
  }
  length_ = index0_ + 1 + static_cast<int64_t>(ahead_.size() - ahead_next_);
  return *length_;
}

absl::StatusOr<Value> LoopObject::Advance() {
  Value item;
  if (ahead_next_ < ahead_.size()) {
    item = ahead_[ahead_next_++];
  } else {
    VALLM_ASSIGN_OR_RETURN(item, Pull());
  }
  if (item.is_missing()) return item;
  ++index0_;
  before_ = std::move(current_);
  current_ = item;
  return item;
}

void LoopObject::Finish() { frame_ = nullptr; }

bool LoopObject::Changed(Value values) {
  if (!last_changed_.is_missing() && Equals(last_changed_, values)) return false;
  last_changed_ = std::move(values);
  return true;
}

void LoopObject::AppendRepr(size_t limit, std::string* out) const {
  absl::StrAppend(out, "<LoopContext ", index0_ + 1, "/",
                  length_.value_or(static_cast<int64_t>(items_.items().size())), ">");
}

absl::StatusOr<Value> LoopObject::Call(Runtime& runtime, CallArgs args) {
  if (!stmt_.recursive) {
    return TemplateError("the loop must have the 'recursive' marker to be called recursively");
  }
  if (args.positional.size() != 1 || !args.keyword.empty() || frame_ == nullptr) {
    return TemplateError("loop() takes one iterable, while the loop runs");
  }
  return interpreter_.CallLoop(stmt_, frame_->parent, args.positional[0], depth_ + 1);
}

absl::StatusOr<Value> LoopObject::GetAttr(Runtime& runtime, std::string_view name) {
  if (name == "index") return Value::Int(index0_ + 1);
  if (name == "index0") return Value::Int(index0_);
  if (name == "first") return Value::Bool(index0_ == 0);
  if (name == "depth") return Value::Int(depth_ + 1);
  if (name == "depth0") return Value::Int(depth_);
  if (name == "last" || name == "nextitem") {
    VALLM_ASSIGN_OR_RETURN(Value next, Peek());
    if (name == "last") return Value::Bool(next.is_missing());
    return next.is_missing() ? Value::UndefinedHint("there is no next item") : next;
  }
  if (name == "previtem") {
    return index0_ == 0 ? Value::UndefinedHint("there is no previous item") : before_;
  }
  if (name == "length" || name == "revindex" || name == "revindex0") {
    VALLM_ASSIGN_OR_RETURN(const int64_t length, CountItems());
    if (name == "length") return Value::Int(length);
    return Value::Int(length - index0_ - (name == "revindex" ? 0 : 1));
  }
  const bool cycle = name == "cycle";
  if (!cycle && name != "changed") return Value::Missing();
  return Value::FromObject(
      new MethodObject(Value::FromObject(this), cycle ? CycleBuiltin() : ChangedBuiltin()));
}

NamespaceObject::NamespaceObject(const DictCell& members)
    : members_(std::make_unique<DictCell>()), depth_(1 + members.depth()) {
  for (const auto& [key, value] : members.entries()) members_->Set(key, value);
}

void NamespaceObject::AppendRepr(size_t limit, std::string* out) const {
  // Namespaces may hold each other in a circle.
  if (printing_) {
    out->append("<Namespace>");
    return;
  }
  printing_ = true;
  out->append("<Namespace {");
  bool first = true;
  for (const auto& [key, value] : members_->entries()) {
    if (out->size() > limit) break;
    if (!first) out->append(", ");
    first = false;
    vallm::tokenizer::AppendRepr(key, limit, out);
    out->append(": ");
    vallm::tokenizer::AppendRepr(value, limit, out);
  }
  out->append("}>");
  printing_ = false;
}

absl::StatusOr<Value> NamespaceObject::GetAttr(Runtime& runtime, std::string_view name) {
  const Value* found = members_->Find(name);
  return found == nullptr ? Value::Missing() : *found;
}

absl::Status NamespaceObject::SetAttr(Runtime& runtime, std::string_view name, Value value) {
  depth_ = std::max(depth_, 1 + value.Depth());
  if (depth_ > runtime.limits().max_value_depth) {
    return TemplateError("value is nested ", depth_, " levels deep; limit is ",
                         runtime.limits().max_value_depth);
  }
  VALLM_RETURN_IF_ERROR(runtime.Charge(2));
  members_->Set(name, std::move(value));
  return absl::OkStatus();
}

void NamespaceObject::Clear() {
  auto members = std::move(members_);
  members_ = std::make_unique<DictCell>();
}

void SelfObject::AppendRepr(size_t limit, std::string* out) const {
  out->append("<TemplateReference None>");
}

absl::StatusOr<Value> SelfObject::GetAttr(Runtime& runtime, std::string_view name) {
  const BlockStmt* block = interpreter_.FindBlock(name);
  if (block == nullptr) return Value::Missing();
  return Value::FromObject(new BlockObject(interpreter_, *block));
}

}  // namespace vallm::tokenizer
