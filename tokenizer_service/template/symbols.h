// The variables a scope of a template knows. Internal to the resolver.
#ifndef VALLM_TOKENIZER_SERVICE_TEMPLATE_SYMBOLS_H_
#define VALLM_TOKENIZER_SERVICE_TEMPLATE_SYMBOLS_H_

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tokenizer_service/template/ast.h"

namespace vallm::tokenizer {

// A function of the translation: the template, a macro, a call block, a recursive loop, a block.
struct FunctionScope {
  explicit FunctionScope(const FunctionScope* p) : depth(p == nullptr ? 0 : p->depth + 1) {}
  const int depth;
  int slots = 0;
};

// A variable: where it lives.
struct Variable {
  const FunctionScope* function = nullptr;
  int slot = -1;
};

// Slots by nesting level and name. Sibling scopes share them, as they are never active together; a
// loop's test has its own set.
class SlotMap {
 public:
  explicit SlotMap(FunctionScope* f) : function(f) {}
  Variable Get(int level, const std::string& name);
  FunctionScope* const function;

 private:
  std::map<std::pair<int, std::string>, int> slots_;
};

class Symbols {
 public:
  // A scope inside `parent` (null: the outermost). Its own variables get slots of `slots`.
  Symbols(const Symbols* parent, SlotMap* slots)
      : parent_(parent), slots_(slots), level_(parent == nullptr ? 0 : parent->level_ + 1) {}

  // The three ways a name is met, in the order of the text.
  void Load(const std::string& name);
  void Store(const std::string& name);
  void DeclareParameter(const std::string& name);
  // Merges the branches of an if, each a copy of *this that met one branch.
  void Merge(const std::vector<Symbols>& branches);

  // REQUIRES: the name was met here or outside.
  Variable Ref(const std::string& name) const { return *Find(name); }
  VarRef RefFrom(const std::string& name, const FunctionScope& user) const;
  ScopeLoads Loads() const;
  // Every name that this scope or one around it assigns.
  std::set<std::string> VisibleStores() const;
  SlotMap* slots() const { return slots_; }

 private:
  struct Definition {
    Variable variable;
    bool parameter = false;
    ScopeLoad::Kind kind = ScopeLoad::Kind::kUnset;
    Variable alias;
  };

  const Variable* Find(const std::string& name) const;
  void Define(const std::string& name, Definition definition);

  const Symbols* parent_;
  SlotMap* slots_;
  int level_;
  std::map<std::string, Definition> own_;
  std::set<std::string> stores_;
};

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_TEMPLATE_SYMBOLS_H_
