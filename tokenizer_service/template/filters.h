// Jinja2's filters by name, with Hugging Face's tojson.
#ifndef VALLM_TOKENIZER_SERVICE_TEMPLATE_FILTERS_H_
#define VALLM_TOKENIZER_SERVICE_TEMPLATE_FILTERS_H_

#include <string_view>
#include <vector>

#include "tokenizer_service/template/builtin.h"

namespace vallm::tokenizer {

// Null: there is no such filter. The result lives forever.
const Builtin* FindFilter(std::string_view name);

// The groups that FindFilter joins.
std::vector<Builtin> TextFilters();      // text_filters.cc
std::vector<Builtin> NumberFilters();    // number_filters.cc
std::vector<Builtin> SequenceFilters();  // sequence_filters.cc
std::vector<Builtin> SelectFilters();    // select_filters.cc: map, select, reject, ...

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_TEMPLATE_FILTERS_H_
