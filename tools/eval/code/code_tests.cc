#include "tools/eval/code/code_tests.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "tools/eval/code/pickled_text.h"
#include "tools/eval/data/decompress.h"
#include "tools/eval/data/rows.h"
#include "tools/eval/text/unicode_text.h"

namespace vallm::eval {
namespace {

using nlohmann::ordered_json;

constexpr size_t kMaxTestBytes = size_t{1} << 30;
constexpr size_t kNoteBytes = 200;

// Solutions expect the names of these modules, as LiveCodeBench gives them.
constexpr char kPreamble[] = R"(
for _m in ("string re datetime collections heapq bisect copy math random statistics itertools "
           "functools operator io sys json builtins typing").split():
    exec("from %s import *" % _m, _g)
for _m in ("string re datetime collections heapq bisect copy math random statistics itertools "
           "functools operator io sys json").split():
    exec("import %s" % _m, _g)
sys.setrecursionlimit(50000)
)";

// Runs the solution as a program. sys.exit ends it and is no failure.
constexpr char kProgram[] = R"(
try:
    exec(compile(_s, "solution.py", "exec"), _g)
except SystemExit:
    pass
)";

// Calls the function and prints its result behind a mark that only this run knows. What is not
// equal to Python is kept apart: tuples within the result from lists, keys that are no text from
// text. Numbers of all kinds become the integer or float that they equal.
constexpr char kCall[] = R"(
def _number(v):
    if isinstance(v, complex) and v.imag == 0: return v.real
    for kind in (int, float):
        try:
            if kind(v) == v: return kind(v)
        except (TypeError, ValueError, OverflowError):
            pass
    return {"__other__": repr(v)[:1000]}
def _plain(v, top=False):
    if isinstance(v, tuple) and not top: return {"__tuple__": [_plain(x) for x in v]}
    if isinstance(v, (list, tuple)): return [_plain(x) for x in v]
    if isinstance(v, dict):
        return {k if isinstance(k, str) else "__key__" + repr(k): _plain(x) for k, x in v.items()}
    if v is None or isinstance(v, (bool, int, float, str)): return v
    if type(v).__module__ == "numpy" and v.ndim == 0: return _plain(v.item())
    if isinstance(v, _Number): return _number(v)
    return {"__other__": repr(v)[:1000]}
_out = sys.stdout
_args = [json.loads(line) for line in sys.stdin.read().split("\n")]
_dumps = json.dumps
from numbers import Number as _Number
exec(compile(_s, "solution.py", "exec"), _g)
_o = _g["Solution"]() if "class Solution" in _s else None
_f = getattr(_o, _fn) if _o is not None else _g[_fn]
_r = _f(*_args)
_out.write("\n" + _mark + _dumps(_plain(_r, True)) + "\n")
)";

std::string Shortened(std::string_view text) {
  if (text.size() <= kNoteBytes) return std::string(text);
  return absl::StrCat(ToAbsl(text.substr(0, kNoteBytes / 2)), "...",
                      ToAbsl(text.substr(text.size() - kNoteBytes / 2)));
}

std::string Literal(const std::string& text) {
  return ordered_json(text).dump(-1, ' ', /*ensure_ascii=*/false,
                                 ordered_json::error_handler_t::replace);
}

std::string Script(const CodeProblem& problem, const std::string& code, const std::string& mark) {
  std::string script = absl::StrCat(
      "import sys, json\n_g = {'__name__': '__main__'}\n_s = ", Literal(code), "\n", kPreamble);
  if (problem.function.empty()) return script + kProgram;
  return absl::StrCat(script, "_mark = ", Literal(mark), "\n_fn = ", Literal(problem.function),
                      "\n", kCall);
}

// A decimal number in one form, "1e2" and "100.0" alike; nothing for other text. As to Python,
// underscores say nothing.
std::optional<std::string> NormalDecimal(std::string_view with_underscores) {
  std::string text(with_underscores);
  std::erase(text, '_');
  std::string digits;
  bool negative = false;
  int64_t exponent = 0;
  size_t at = 0;
  if (at < text.size() && (text[at] == '+' || text[at] == '-')) negative = text[at++] == '-';
  bool point = false;
  bool any = false;
  for (; at < text.size() && (text[at] == '.' || (text[at] >= '0' && text[at] <= '9')); ++at) {
    if (text[at] == '.') {
      if (point) return std::nullopt;
      point = true;
      continue;
    }
    any = true;
    digits.push_back(text[at]);
    exponent -= point ? 1 : 0;
  }
  if (!any) return std::nullopt;
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    int64_t shift = 0;
    const std::string power = text.substr(at + 1);
    if (power.empty() || power.size() > 9 || !absl::SimpleAtoi(power, &shift)) return std::nullopt;
    exponent += shift;
    at = text.size();
  }
  if (at != text.size()) return std::nullopt;
  digits.erase(0, std::min(digits.find_first_not_of('0'), digits.size()));
  while (!digits.empty() && digits.back() == '0') {
    digits.pop_back();
    ++exponent;
  }
  if (digits.empty()) return "0";
  return absl::StrCat(negative ? "-" : "", digits, "e", exponent);
}

bool SameDecimals(std::string_view line, std::string_view expected) {
  const auto a = Words(line);
  const auto b = Words(expected);
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    const auto x = NormalDecimal(a[i]);
    if (!x || x != NormalDecimal(b[i])) return false;
  }
  return true;
}

bool NotNumber(const ordered_json& v) { return !v.is_number() && !v.is_boolean(); }
double AsNumber(const ordered_json& v) {
  return v.is_boolean() ? (v.get<bool>() ? 1 : 0) : v.get<double>();
}

std::string Mark() {
  std::random_device random;
  return absl::StrCat("result-", random(), "-", random(), ":");
}

// How a run failed by itself, or "".
std::string RunFailure(const RunResult& run) {
  switch (run.end) {
    case RunResult::kTimedOut:
      return "time limit exceeded";
    case RunResult::kTooMuchOutput:
      return "output limit exceeded";
    case RunResult::kTooManyThreads:
      return "thread limit exceeded";
    case RunResult::kSignalled:
      return absl::StrCat("ended by signal ", run.code);
    case RunResult::kExited:
      break;
  }
  if (run.code == 0) return "";
  const std::string_view error = Strip(run.error_output);
  return absl::StrCat("runtime error: ", Shortened(error.substr(error.rfind('\n') + 1)));
}

// A JSON text in which integers that 64 bits do not hold are strings, so that none loses digits.
std::string WithLongIntegersAsText(std::string_view json) {
  constexpr size_t kDigits = 18;  // any number of so many digits fits
  std::string out;
  bool quoted = false;
  for (size_t i = 0; i < json.size();) {
    const char c = json[i];
    if (quoted || (c != '-' && !absl::ascii_isdigit(static_cast<unsigned char>(c)))) {
      if (c == '"') quoted = !quoted;
      out += c;
      if (quoted && c == '\\' && i + 1 < json.size()) out += json[++i];
      ++i;
      continue;
    }
    const size_t end = std::min(json.find_first_not_of("+-.eE0123456789", i), json.size());
    const std::string_view number = json.substr(i, end - i);
    const bool is_long =
        number.size() > kDigits && number.find_first_of(".eE") == std::string_view::npos;
    absl::StrAppend(&out, is_long ? "\"integer " : "", ToAbsl(number), is_long ? "\"" : "");
    i = end;
  }
  return out;
}

bool ResultIs(const std::string& output, const std::string& mark, const std::string& expected) {
  const size_t at = output.rfind("\n" + mark);
  if (at == std::string::npos) return false;
  const auto parsed = [](std::string_view text) {
    return ordered_json::parse(WithLongIntegersAsText(text), nullptr, /*allow_exceptions=*/false);
  };
  const ordered_json result = parsed(Strip(std::string_view(output).substr(at + 1 + mark.size())));
  const ordered_json wanted = parsed(expected);
  return !result.is_discarded() && !wanted.is_discarded() && SameResult(result, wanted);
}

absl::StatusOr<std::vector<CodeTest>> ParseTests(const ordered_json& json) {
  if (!json.is_array()) return absl::InvalidArgumentError("is no list of tests");
  std::vector<CodeTest> tests;
  for (const ordered_json& test : json) {
    if (!test.is_object() || !test.contains("input") || !test.contains("output")) {
      return absl::InvalidArgumentError("has a test without input and output");
    }
    tests.push_back({.input = TextMember(test, "input"), .output = TextMember(test, "output")});
  }
  return tests;
}

absl::StatusOr<std::vector<CodeTest>> TestsOf(const ordered_json& row, const std::string& member) {
  if (row.contains(member) && row[member].is_array()) return ParseTests(row[member]);
  std::string text = TextMember(row, member);
  if (Strip(text).empty()) return std::vector<CodeTest>();
  ordered_json json = ordered_json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) {
    std::string packed;
    if (!absl::Base64Unescape(text, &packed)) {
      return absl::InvalidArgumentError("is neither JSON nor base64");
    }
    VALLM_ASSIGN_OR_RETURN(const std::string pickled, Inflate(packed, kMaxTestBytes));
    VALLM_ASSIGN_OR_RETURN(text, PickledText(pickled));
    json = ordered_json::parse(text, nullptr, /*allow_exceptions=*/false);
  }
  return ParseTests(json);
}

}  // namespace

absl::StatusOr<CodeProblem> ParseCodeProblem(const ordered_json& row) {
  CodeProblem problem;
  for (const char* member : {"public_test_cases", "private_test_cases"}) {
    auto tests = TestsOf(row, member);
    if (!tests.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("'", member, "' ", tests.status().message()));
    }
    problem.tests.insert(problem.tests.end(), tests->begin(), tests->end());
  }
  if (problem.tests.empty()) return absl::InvalidArgumentError("has no tests");
  const std::string text = TextMember(row, "metadata");
  const ordered_json metadata = ordered_json::parse(text.empty() ? "{}" : text, nullptr, false);
  problem.function = TextMember(metadata, "func_name");
  return problem;
}

std::string ExtractCode(std::string_view answer) {
  const auto lines = SplitAt(answer, "\n");
  std::vector<size_t> fences;
  for (size_t i = 0; i < lines.size() && fences.size() < 2; ++i) {
    if (Contains(lines[i], "```")) fences.push_back(i);
  }
  if (fences.size() < 2) return "";
  std::string code;
  for (size_t i = fences[0] + 1; i < fences[1]; ++i) {
    if (i > fences[0] + 1) code += '\n';
    code += lines[i];
  }
  return code;
}

bool SameOutput(std::string_view output, std::string_view expected) {
  const auto a = SplitAt(Strip(output), "\n");
  const auto b = SplitAt(Strip(expected), "\n");
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (Strip(a[i]) != Strip(b[i]) && !SameDecimals(a[i], b[i])) return false;
  }
  return true;
}

bool SameResult(const ordered_json& result, const ordered_json& expected) {
  if (NotNumber(result) || NotNumber(expected)) {
    if (result.is_array() && expected.is_array()) {
      return result.size() == expected.size() &&
             std::equal(result.begin(), result.end(), expected.begin(), SameResult);
    }
    if (result.is_object() && expected.is_object()) {
      return result.size() == expected.size() &&
             std::all_of(result.items().begin(), result.items().end(), [&](const auto& member) {
               return expected.contains(member.key()) &&
                      SameResult(member.value(), expected[member.key()]);
             });
    }
    return result == expected;
  }
  if (result.is_number_integer() && expected.is_number_integer()) return result == expected;
  return AsNumber(result) == AsNumber(expected);
}

absl::StatusOr<CodeVerdict> RunCodeTests(const PythonSandbox& sandbox, const CodeProblem& problem,
                                         const std::string& code, const RunLimits& limits) {
  CodeVerdict verdict;
  if (Strip(code).empty()) {
    verdict.note = "no code block";
    return verdict;
  }
  for (size_t i = 0; i < problem.tests.size(); ++i) {
    const CodeTest& test = problem.tests[i];
    const std::string mark = Mark();
    VALLM_ASSIGN_OR_RETURN(const RunResult run,
                           sandbox.Run(Script(problem, code, mark), test.input, limits));
    std::string failure = RunFailure(run);
    if (failure.empty() && !(problem.function.empty() ? SameOutput(run.output, test.output)
                                                      : ResultIs(run.output, mark, test.output))) {
      failure = absl::StrCat("wrong answer: ", Shortened(Strip(run.output)), "; expected ",
                             Shortened(Strip(test.output)));
    }
    if (failure.empty()) continue;
    verdict.note = absl::StrCat("test ", i + 1, " of ", problem.tests.size(), ": ", failure);
    return verdict;
  }
  verdict.passed = true;
  return verdict;
}

}  // namespace vallm::eval
