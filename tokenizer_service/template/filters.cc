#include "tokenizer_service/template/filters.h"

#include <iterator>

namespace vallm::tokenizer {
namespace {

BuiltinTable MakeTable() {
  std::vector<Builtin> all = TextFilters();
  for (auto* group : {&NumberFilters, &SequenceFilters, &SelectFilters}) {
    std::vector<Builtin> more = (*group)();
    all.insert(all.end(), std::make_move_iterator(more.begin()),
               std::make_move_iterator(more.end()));
  }
  return BuiltinTable(std::move(all));
}

}  // namespace

const Builtin* FindFilter(std::string_view name) {
  static const auto& table = *new BuiltinTable(MakeTable());
  return table.Find(name);
}

}  // namespace vallm::tokenizer
