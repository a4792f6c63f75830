// Methods of str, list, tuple, dict, int and float.
#ifndef VALLM_TOKENIZER_SERVICE_TEMPLATE_METHODS_H_
#define VALLM_TOKENIZER_SERVICE_TEMPLATE_METHODS_H_

#include <string_view>
#include <vector>

#include "tokenizer_service/template/builtin.h"
#include "tokenizer_service/template/value.h"

namespace vallm::tokenizer {

// The method `name` of the type of `object` (its first parameter is the object), or null. The
// result lives forever.
const Builtin* FindMethod(const Value& object, std::string_view name);
// Is `name` a method that would change `object`? The sandbox does not let templates call those.
bool IsUnsafeMethod(const Value& object, std::string_view name);

// The groups that FindMethod joins.
std::vector<Builtin> StrMethods();           // str_methods.cc
std::vector<Builtin> StrSearchMethods();     // str_search_methods.cc
std::vector<Builtin> StrTranslateMethods();  // str_translate.cc
std::vector<Builtin> SequenceMethods();      // container_methods.cc
std::vector<Builtin> DictMethods();          // container_methods.cc

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_TEMPLATE_METHODS_H_
