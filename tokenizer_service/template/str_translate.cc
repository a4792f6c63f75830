// str.maketrans and str.translate.
#include <memory>
#include <utility>

#include "common/status_macros.h"
#include "common/strings.h"
#include "tokenizer_service/template/attributes.h"
#include "tokenizer_service/template/methods.h"
#include "tokenizer_service/template/number_format.h"
#include "tokenizer_service/template/unicode.h"

namespace vallm::tokenizer {
namespace {

using Result = absl::StatusOr<Value>;

Value Ordinal(char32_t c) { return Value::Int(static_cast<int64_t>(c)); }

// From a dict whose keys are characters or their numbers.
absl::Status AddEntries(Runtime& runtime, const Value& mapping, DictCell* table) {
  if (!mapping.is_dict()) {
    return TemplateError("if you give only one argument to maketrans it must be a dict");
  }
  VALLM_RETURN_IF_ERROR(runtime.Charge(static_cast<int64_t>(mapping.dict().size())));
  for (const auto& [key, value] : mapping.dict().entries()) {
    if (key.is_integral()) {
      table->Set(key, value);
    } else if (key.is_str() && key.str().length() == 1) {
      size_t pos = 0;
      table->Set(Ordinal(NextCodePoint(key.text(), &pos)), value);
    } else {
      return TemplateError("keys in translate table must be strings of length 1 or integers");
    }
  }
  return absl::OkStatus();
}

// From two texts of one length, and a third of characters to leave out.
absl::Status AddPairs(Runtime& runtime, const CallArgs& args, DictCell* table) {
  VALLM_ASSIGN_OR_RETURN(const std::string_view from, StrArg(args, 1, ""));
  VALLM_ASSIGN_OR_RETURN(const std::string_view to, StrArg(args, 2, ""));
  VALLM_ASSIGN_OR_RETURN(const std::string_view left_out, StrArg(args, 3, ""));
  VALLM_RETURN_IF_ERROR(runtime.Charge(static_cast<int64_t>(from.size() + left_out.size())));
  if (CountCodePoints(from) != CountCodePoints(to)) {
    return TemplateError("the first two maketrans arguments must have equal length");
  }
  size_t at = 0;
  for (size_t pos = 0; pos < from.size();) {
    const char32_t c = NextCodePoint(from, &pos);
    table->Set(Ordinal(c), Ordinal(NextCodePoint(to, &at)));
  }
  for (size_t pos = 0; pos < left_out.size();) {
    table->Set(Ordinal(NextCodePoint(left_out, &pos)), Value());
  }
  return absl::OkStatus();
}

Result MakeTranslation(Runtime& runtime, CallArgs& args) {
  auto table = std::make_unique<DictCell>();
  VALLM_RETURN_IF_ERROR(args.positional[2].is_missing()
                            ? AddEntries(runtime, args.positional[1], table.get())
                            : AddPairs(runtime, args, table.get()));
  return runtime.MakeDict(std::move(table));
}

Result Translate(Runtime& runtime, CallArgs& args) {
  const std::string_view text = args.positional[0].text();
  const Value& table = args.positional[1];
  if (!table.is_dict() && !table.is_str() && !table.is_list_or_tuple()) {
    return TemplateError("'", ToAbsl(table.TypeName()), "' object is not subscriptable");
  }
  std::string out;
  for (size_t pos = 0; pos < text.size();) {
    const size_t begin = pos;
    const Value key = Ordinal(NextCodePoint(text, &pos));
    VALLM_ASSIGN_OR_RETURN(const Value found, GetItem(runtime, table, key));
    if (found.is_undefined()) {
      out.append(text.substr(begin, pos - begin));
    } else if (found.is_str()) {
      out.append(found.text());
    } else if (found.is_integral()) {
      VALLM_ASSIGN_OR_RETURN(const std::string character, CharacterText(found));
      out += character;
    } else if (!found.is_none()) {
      return TemplateError("character mapping must return integer, None or str");
    }
    VALLM_RETURN_IF_ERROR(runtime.CheckStringSize(static_cast<double>(out.size())));
  }
  return runtime.MakeStr(std::move(out), args.positional[0].str().markup());
}

}  // namespace

std::vector<Builtin> StrTranslateMethods() {
  return {{"maketrans", &MakeTranslation, 2, {"self", "x", "y", "z"}},
          {"translate", &Translate, 2, {"self", "table"}}};
}

}  // namespace vallm::tokenizer
