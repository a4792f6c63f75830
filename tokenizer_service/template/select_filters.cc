// Filters that apply other filters or tests to each item: map, select, reject and their kin.
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "tokenizer_service/template/attributes.h"
#include "tokenizer_service/template/filters.h"
#include "tokenizer_service/template/iterators.h"
#include "tokenizer_service/template/repr.h"
#include "tokenizer_service/template/value_tests.h"

namespace vallm::tokenizer {
namespace {

using Result = absl::StatusOr<Value>;

// Applies `step` to each item of `source` until one fails; what it yields becomes an iterator that
// fails at the same place.
template <typename Step>
Result Generate(Runtime& runtime, const Value& source, const Step& step) {
  std::vector<Value> out;
  if (!source.Truthy()) return MakeIterator(std::move(out));
  auto items = runtime.Iterate(source);
  if (!items.ok()) return MakeIterator({}, items.status());
  for (const Value& item : items->items()) {
    absl::Status status = runtime.EnterFilter();
    if (status.ok()) status = runtime.Charge(2);
    if (status.ok()) status = step(item, &out);
    runtime.LeaveFilter();
    if (!status.ok()) return MakeIterator(std::move(out), std::move(status));
  }
  return MakeIterator(std::move(out));
}

// The arguments of the inner filter or test: the item, then what follows the name.
CallArgs InnerArgs(const Value& item, const CallArgs& args, size_t skip) {
  CallArgs inner;
  inner.positional.push_back(item);
  inner.positional.insert(inner.positional.end(), args.positional.begin() + static_cast<long>(skip),
                          args.positional.end());
  inner.keyword = args.keyword;
  return inner;
}

Result MapAttribute(Runtime& runtime, const CallArgs& args) {
  Value path = Value::Missing();
  Value fallback = Value::Missing();
  for (const auto& [name, value] : args.keyword) {
    if (name == "attribute") {
      path = value;
    } else if (name == "default") {
      fallback = value;
    } else {
      return MakeIterator({}, TemplateError("unexpected keyword argument '", name, "'"));
    }
  }
  return Generate(runtime, args.positional[0],
                  [&](const Value& item, std::vector<Value>* out) -> absl::Status {
                    VALLM_ASSIGN_OR_RETURN(Value value, GetPath(runtime, item, path, fallback));
                    out->push_back(std::move(value));
                    return absl::OkStatus();
                  });
}

bool HasKeyword(const CallArgs& args, std::string_view name) {
  for (const auto& [key, unused] : args.keyword) {
    if (key == name) return true;
  }
  return false;
}

Result Map(Runtime& runtime, CallArgs& args) {
  if (args.positional.empty()) return TemplateError("map() missing required argument: 'value'");
  if (args.positional.size() == 1 && HasKeyword(args, "attribute")) {
    return MapAttribute(runtime, args);
  }
  const bool named = args.positional.size() > 1 && args.positional[1].is_str();
  const Builtin* filter = named ? FindFilter(args.positional[1].text()) : nullptr;
  absl::Status problem;
  if (args.positional.size() < 2) {
    problem = TemplateError("map requires a filter argument");
  } else if (filter == nullptr) {
    problem = TemplateError("no filter named ", Repr(args.positional[1]));
  }
  return Generate(
      runtime, args.positional[0], [&](const Value& item, std::vector<Value>* out) -> absl::Status {
        VALLM_RETURN_IF_ERROR(problem);
        VALLM_RETURN_IF_ERROR(runtime.Charge(static_cast<int64_t>(args.positional.size())));
        VALLM_ASSIGN_OR_RETURN(Value value,
                               CallBuiltin(runtime, *filter, InnerArgs(item, args, /*skip=*/2)));
        out->push_back(std::move(value));
        return absl::OkStatus();
      });
}

template <bool kKeep, bool kByAttribute>
Result Select(Runtime& runtime, CallArgs& args) {
  if (args.positional.empty()) return TemplateError("missing required argument: 'value'");
  const size_t test_at = kByAttribute ? 2 : 1;
  absl::Status problem;
  if (args.positional.size() < test_at) {
    problem = TemplateError("missing parameter for attribute name");
  }
  const Builtin* test = nullptr;
  if (args.positional.size() > test_at) {
    const Value& name = args.positional[test_at];
    if (name.is_str()) test = FindTest(name.text());
    if (test == nullptr) problem = TemplateError("no test named ", Repr(name));
  }
  return Generate(runtime, args.positional[0],
                  [&](const Value& item, std::vector<Value>* out) -> absl::Status {
                    VALLM_RETURN_IF_ERROR(problem);
                    Value subject = item;
                    if constexpr (kByAttribute) {
                      VALLM_ASSIGN_OR_RETURN(
                          subject, GetPath(runtime, item, args.positional[1], Value::Missing()));
                    }
                    bool passes = subject.Truthy();
                    if (test != nullptr) {
                      VALLM_ASSIGN_OR_RETURN(
                          const Value verdict,
                          CallBuiltin(runtime, *test, InnerArgs(subject, args, test_at + 1)));
                      passes = verdict.Truthy();
                    }
                    if (passes == kKeep) out->push_back(item);
                    return absl::OkStatus();
                  });
}

}  // namespace

std::vector<Builtin> SelectFilters() {
  return {
      {"map", &Map, Builtin::kVariadic, {}},
      {"select", &Select<true, false>, Builtin::kVariadic, {}},
      {"reject", &Select<false, false>, Builtin::kVariadic, {}},
      {"selectattr", &Select<true, true>, Builtin::kVariadic, {}},
      {"rejectattr", &Select<false, true>, Builtin::kVariadic, {}},
  };
}

}  // namespace vallm::tokenizer
