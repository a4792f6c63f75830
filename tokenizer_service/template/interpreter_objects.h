// Objects that a template makes while it runs: macros, loops, namespaces and `self`.
#ifndef VALLM_TOKENIZER_SERVICE_TEMPLATE_INTERPRETER_OBJECTS_H_
#define VALLM_TOKENIZER_SERVICE_TEMPLATE_INTERPRETER_OBJECTS_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "tokenizer_service/template/interpreter.h"
#include "tokenizer_service/template/object.h"

namespace vallm::tokenizer {

class MacroObject : public Object {
 public:
  // `interpreter` and `def` must outlive the render.
  MacroObject(Interpreter& interpreter, const MacroDef& def, std::shared_ptr<Frame> closure)
      : interpreter_(interpreter), def_(def), closure_(std::move(closure)) {}
  std::string_view TypeName() const override { return "Macro"; }
  void AppendRepr(size_t limit, std::string* out) const override;
  bool callable() const override { return true; }
  absl::StatusOr<Value> Call(Runtime& runtime, CallArgs args) override;
  absl::StatusOr<Value> GetAttr(Runtime& runtime, std::string_view name) override;

 private:
  Interpreter& interpreter_;
  const MacroDef& def_;
  const std::shared_ptr<Frame> closure_;
};

// The variable `loop`, and the cursor that drives a loop. Items are tested only when they are
// reached, so that a test sees what the body before it did.
class LoopObject : public Object {
 public:
  // `items` is a list or tuple. `frame` holds the loop's variables; the loop keeps it until Finish.
  LoopObject(Interpreter& interpreter, const ForStmt& stmt, std::shared_ptr<Frame> frame,
             Value items, int depth)
      : interpreter_(interpreter),
        stmt_(stmt),
        frame_(std::move(frame)),
        items_(std::move(items)),
        depth_(depth) {}

  // Moves to the next item. Missing: there is none.
  absl::StatusOr<Value> Advance();
  // The loop has ended: only what was already known stays available.
  void Finish();

  std::string_view TypeName() const override { return "LoopContext"; }
  void AppendRepr(size_t limit, std::string* out) const override;
  bool callable() const override { return true; }
  absl::StatusOr<Value> Call(Runtime& runtime, CallArgs args) override;
  absl::StatusOr<Value> GetAttr(Runtime& runtime, std::string_view name) override;
  bool Changed(Value values);
  int64_t index0() const { return index0_; }

 private:
  absl::StatusOr<Value> Pull();
  absl::StatusOr<Value> Peek();
  absl::StatusOr<int64_t> CountItems();

  Interpreter& interpreter_;
  const ForStmt& stmt_;
  std::shared_ptr<Frame> frame_;
  const Value items_;
  const int depth_;
  size_t next_ = 0;
  int64_t index0_ = -1;
  std::optional<int64_t> length_;
  // Items that were tested ahead of their turn.
  std::vector<Value> ahead_;
  size_t ahead_next_ = 0;
  Value current_ = Value::Missing();
  Value before_ = Value::Missing();
  Value last_changed_ = Value::Missing();
};

// namespace(...): the one object whose members a template may assign.
class NamespaceObject : public Object {
 public:
  explicit NamespaceObject(const DictCell& members);
  std::string_view TypeName() const override { return "Namespace"; }
  void AppendRepr(size_t limit, std::string* out) const override;
  absl::StatusOr<Value> GetAttr(Runtime& runtime, std::string_view name) override;
  absl::Status SetAttr(Runtime& runtime, std::string_view name, Value value);
  int depth() const override { return depth_; }
  void Clear() override;

 private:
  std::unique_ptr<DictCell> members_;
  int depth_;
  mutable bool printing_ = false;
};

// The variable `self`: its members are the template's blocks, to be called.
class SelfObject : public Object {
 public:
  explicit SelfObject(Interpreter& interpreter) : interpreter_(interpreter) {}
  std::string_view TypeName() const override { return "TemplateReference"; }
  void AppendRepr(size_t limit, std::string* out) const override;
  absl::StatusOr<Value> GetAttr(Runtime& runtime, std::string_view name) override;

 private:
  Interpreter& interpreter_;
};

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_TEMPLATE_INTERPRETER_OBJECTS_H_
