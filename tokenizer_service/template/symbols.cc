#include "tokenizer_service/template/symbols.h"

namespace vallm::tokenizer {

Variable SlotMap::Get(int level, const std::string& name) {
  const auto [it, added] = slots_.try_emplace({level, name}, function->slots);
  if (added) ++function->slots;
  return {function, it->second};
}

const Variable* Symbols::Find(const std::string& name) const {
  const auto it = own_.find(name);
  if (it != own_.end()) return &it->second.variable;
  return parent_ == nullptr ? nullptr : parent_->Find(name);
}

void Symbols::Define(const std::string& name, Definition definition) {
  definition.variable = slots_->Get(level_, name);
  own_[name] = definition;
}

void Symbols::Load(const std::string& name) {
  if (Find(name) != nullptr) return;
  Definition definition;
  definition.kind = ScopeLoad::Kind::kContext;
  Define(name, definition);
}

void Symbols::Store(const std::string& name) {
  stores_.insert(name);
  if (own_.count(name) != 0) return;
  const Variable* outer = parent_ == nullptr ? nullptr : parent_->Find(name);
  Definition definition;
  if (outer != nullptr) {
    definition.kind = ScopeLoad::Kind::kAlias;
    definition.alias = *outer;
  }
  Define(name, definition);
}

void Symbols::DeclareParameter(const std::string& name) {
  stores_.insert(name);
  Definition definition;
  definition.parameter = true;
  Define(name, definition);
}

void Symbols::Merge(const std::vector<Symbols>& branches) {
  std::set<std::string> added;
  for (const Symbols& branch : branches) {
    for (const std::string& name : branch.stores_) {
      if (stores_.count(name) == 0) added.insert(name);
    }
  }
  for (const Symbols& branch : branches) {
    for (const auto& [name, definition] : branch.own_) own_[name] = definition;
    stores_.insert(branch.stores_.begin(), branch.stores_.end());
  }
  // Some branch may not assign it, so it starts as what the name meant before.
  for (const std::string& name : added) {
    Definition& definition = own_[name];
    const Variable* outer = parent_ == nullptr ? nullptr : parent_->Find(name);
    definition.parameter = false;
    definition.kind = outer == nullptr ? ScopeLoad::Kind::kContext : ScopeLoad::Kind::kAlias;
    if (outer != nullptr) definition.alias = *outer;
  }
}

VarRef Symbols::RefFrom(const std::string& name, const FunctionScope& user) const {
  const Variable variable = Ref(name);
  return {user.depth - variable.function->depth, variable.slot};
}

ScopeLoads Symbols::Loads() const {
  ScopeLoads loads;
  for (const auto& [name, definition] : own_) {
    if (definition.parameter) continue;
    ScopeLoad load;
    load.kind = definition.kind;
    load.slot = definition.variable.slot;
    load.name = Value::Str(name);
    if (load.kind == ScopeLoad::Kind::kAlias) {
      load.alias = {slots_->function->depth - definition.alias.function->depth,
                    definition.alias.slot};
    }
    loads.push_back(std::move(load));
  }
  return loads;
}

std::set<std::string> Symbols::VisibleStores() const {
  std::set<std::string> names = stores_;
  if (parent_ != nullptr) names.merge(parent_->VisibleStores());
  return names;
}

}  // namespace vallm::tokenizer
