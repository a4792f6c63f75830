#include "tools/eval/math/expression.h"

#include <array>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "tools/eval/math/expression_tokens.h"
#include "tools/eval/text/unicode_text.h"

namespace vallm::eval {

// One operation on its children: "+", "*", "/", "^", "neg", "root" (degree, radicand), "binom",
// "!", "log" (base, argument), a function's name; or a number, or a variable.
struct Expression::Node {
  enum Kind { kNumber, kVariable, kOperation };
  Kind kind = kNumber;
  Value value;
  std::string name;
  std::vector<std::shared_ptr<const Node>> children;
};

namespace {

using Value = Expression::Value;
using Node = Expression::Node;
using NodePtr = std::shared_ptr<const Node>;

constexpr int kMaxDepth = 100;
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kPi = 3.141592653589793;

NodePtr Number(Value value) {
  return std::make_shared<const Node>(
      Node{.kind = Node::kNumber, .value = value, .name = {}, .children = {}});
}
NodePtr Operation(std::string name, std::vector<NodePtr> children) {
  return std::make_shared<const Node>(Node{.kind = Node::kOperation,
                                           .value = {},
                                           .name = std::move(name),
                                           .children = std::move(children)});
}

class Parser {
 public:
  Parser(std::vector<MathToken> tokens, std::set<std::string>* variables)
      : tokens_(std::move(tokens)), variables_(variables) {}

  absl::StatusOr<NodePtr> Whole() {
    VALLM_ASSIGN_OR_RETURN(NodePtr root, Sum());
    if (Here().kind != MathToken::kEnd) return Unexpected();
    return root;
  }

 private:
  const MathToken& Here() const { return tokens_[at_]; }
  const MathToken& Ahead(size_t n) const { return tokens_[std::min(at_ + n, tokens_.size() - 1)]; }
  bool IsSign(char c) const { return Here().kind == MathToken::kSign && Here().text[0] == c; }
  bool IsCommand(std::string_view name) const {
    return Here().kind == MathToken::kCommand && Here().text == name;
  }
  bool TakeSign(char c) {
    const bool is = IsSign(c);
    at_ += is ? 1 : 0;
    return is;
  }
  bool TakeCommand(std::string_view name) {
    const bool is = IsCommand(name);
    at_ += is ? 1 : 0;
    return is;
  }
  absl::Status Unexpected() const {
    return absl::InvalidArgumentError(
        absl::StrCat("unexpected '", Here().text, "' at offset ", Here().offset));
  }
  absl::Status Expect(char c) { return TakeSign(c) ? absl::OkStatus() : Unexpected(); }

  absl::StatusOr<NodePtr> Sum() {
    if (++depth_ > kMaxDepth) return absl::InvalidArgumentError("nested too deep");
    VALLM_ASSIGN_OR_RETURN(NodePtr sum, Product());
    while (IsSign('+') || IsSign('-')) {
      const bool minus = IsSign('-');
      ++at_;
      VALLM_ASSIGN_OR_RETURN(NodePtr term, Product());
      if (minus) term = Operation("neg", {std::move(term)});
      sum = Operation("+", {std::move(sum), std::move(term)});
    }
    --depth_;
    return sum;
  }

  bool AtFactor() const {
    switch (Here().kind) {
      case MathToken::kNumber:
      case MathToken::kName:
        return true;
      case MathToken::kCommand:
        return Here().text != "cdot" && Here().text != "times" && Here().text != "div" &&
               Here().text != "rfloor" && Here().text != "rceil" && Here().text != "rvert";
      case MathToken::kSign:
        return IsSign('(') || IsSign('[') || IsSign('{') || (IsSign('|') && bars_ == 0);
      case MathToken::kEnd:
        return false;
    }
    return false;
  }

  absl::StatusOr<NodePtr> Product() {
    VALLM_ASSIGN_OR_RETURN(NodePtr product, Signed());
    while (true) {
      if (TakeSign('*') || TakeCommand("cdot") || TakeCommand("times")) {
        TakeSign('*');  // plain "**" would be a power; two stars of a product do no harm
        VALLM_ASSIGN_OR_RETURN(NodePtr factor, Signed());
        product = Operation("*", {std::move(product), std::move(factor)});
      } else if (TakeSign('/') || TakeSign(':') || TakeCommand("div")) {
        VALLM_ASSIGN_OR_RETURN(NodePtr divisor, Signed());
        product = Operation("/", {std::move(product), std::move(divisor)});
      } else if (AtFactor()) {
        VALLM_ASSIGN_OR_RETURN(NodePtr factor, Power());
        product = Operation("*", {std::move(product), std::move(factor)});
      } else {
        return product;
      }
    }
  }

  absl::StatusOr<NodePtr> Signed() {
    if (TakeSign('-')) {
      if (++depth_ > kMaxDepth) return absl::InvalidArgumentError("nested too deep");
      VALLM_ASSIGN_OR_RETURN(NodePtr operand, Signed());
      --depth_;
      return Operation("neg", {std::move(operand)});
    }
    if (TakeSign('+')) return Signed();
    return Power();
  }

  absl::StatusOr<NodePtr> Power() {
    if (++depth_ > kMaxDepth) return absl::InvalidArgumentError("nested too deep");
    VALLM_ASSIGN_OR_RETURN(NodePtr base, Primary());
    while (TakeSign('!')) base = Operation("!", {std::move(base)});
    if (TakeSign('^')) {
      if (TakeCommand("circ")) {
        --depth_;
        return base;  // degrees
      }
      VALLM_ASSIGN_OR_RETURN(NodePtr exponent, Signed());
      base = Operation("^", {std::move(base), std::move(exponent)});
    }
    while (TakeSign('!')) base = Operation("!", {std::move(base)});
    --depth_;
    return base;
  }

  // An argument of \frac, \sqrt or an index: a group, or one token (one digit of a number).
  absl::StatusOr<NodePtr> Argument() {
    if (TakeSign('{')) {
      VALLM_ASSIGN_OR_RETURN(NodePtr inner, Sum());
      VALLM_RETURN_IF_ERROR(Expect('}'));
      return inner;
    }
    return Primary();
  }

  absl::StatusOr<NodePtr> Bracketed(char close) {
    const int bars = std::exchange(bars_, 0);
    VALLM_ASSIGN_OR_RETURN(NodePtr inner, Sum());
    bars_ = bars;
    VALLM_RETURN_IF_ERROR(Expect(close));
    return inner;
  }

  absl::StatusOr<NodePtr> Primary() {
    const MathToken token = Here();
    if (token.kind == MathToken::kNumber) return NumberOrMixed();
    if (token.kind == MathToken::kName) {
      ++at_;
      if (token.text == "e") return Number(std::exp(1.0));
      if (token.text == "i") return Number(Value(0, 1));
      return Variable(token.text);
    }
    if (token.kind == MathToken::kCommand) return Command();
    if (TakeSign('(')) return Bracketed(')');
    if (TakeSign('[')) return Bracketed(']');
    if (TakeSign('{')) return Bracketed('}');
    if (TakeSign('|')) {
      ++bars_;
      VALLM_ASSIGN_OR_RETURN(NodePtr inner, Sum());
      --bars_;
      VALLM_RETURN_IF_ERROR(Expect('|'));
      return Operation("abs", {std::move(inner)});
    }
    return Unexpected();
  }

  // A number, or a mixed one: 3\frac{1}{2} is 3.5 where both parts are integers.
  absl::StatusOr<NodePtr> NumberOrMixed() {
    const std::string digits = Here().text;
    ++at_;
    const NodePtr number = Number(std::strtod(digits.c_str(), nullptr));
    if (!IsCommand("frac") || Contains(digits, ".") || !IntegersFollowFrac()) return number;
    VALLM_ASSIGN_OR_RETURN(NodePtr fraction, Command());
    return Operation("+", {number, std::move(fraction)});
  }

  bool IntegersFollowFrac() const {
    static constexpr std::string_view kShape = "{n}{n}";
    for (size_t i = 0; i < kShape.size(); ++i) {
      const MathToken& token = Ahead(i + 1);
      const bool fits = kShape[i] == 'n'
                            ? token.kind == MathToken::kNumber
                            : token.kind == MathToken::kSign && token.text[0] == kShape[i];
      if (!fits) return false;
    }
    return Ahead(kShape.size() + 1).kind == MathToken::kEnd ||
           !(Ahead(kShape.size() + 1).kind == MathToken::kSign &&
             Ahead(kShape.size() + 1).text[0] == '^');
  }

  // A variable with its index, if it has one: x_1, x_{max}.
  absl::StatusOr<NodePtr> Variable(std::string name) {
    if (TakeSign('_')) {
      name += "_";
      if (TakeSign('{')) {
        while (!IsSign('}')) {
          if (Here().kind == MathToken::kEnd) return Unexpected();
          name += Here().text;
          ++at_;
        }
        ++at_;
      } else {
        name += Here().text;
        ++at_;
      }
    }
    variables_->insert(name);
    return std::make_shared<const Node>(
        Node{.kind = Node::kVariable, .value = {}, .name = std::move(name), .children = {}});
  }

  absl::StatusOr<NodePtr> Command() {
    const std::string name = Here().text;
    ++at_;
    if (name == "frac" || name == "dfrac" || name == "tfrac" || name == "cfrac" ||
        name == "binom" || name == "dbinom") {
      VALLM_ASSIGN_OR_RETURN(NodePtr first, Argument());
      VALLM_ASSIGN_OR_RETURN(NodePtr second, Argument());
      const bool quotient = Contains(name, "frac");
      return Operation(quotient ? "/" : "binom", {std::move(first), std::move(second)});
    }
    if (name == "sqrt") return Root();
    if (name == "pi") return Number(kPi);
    if (name == "infty") return Number(kInfinity);
    if (name == "lfloor" || name == "lceil") {
      VALLM_ASSIGN_OR_RETURN(NodePtr inner, Sum());
      const bool floor = name == "lfloor";
      if (!TakeCommand(floor ? "rfloor" : "rceil")) return Unexpected();
      return Operation(floor ? "floor" : "ceil", {std::move(inner)});
    }
    if (name == "lvert") {
      VALLM_ASSIGN_OR_RETURN(NodePtr inner, Sum());
      if (!TakeCommand("rvert")) return Unexpected();
      return Operation("abs", {std::move(inner)});
    }
    if (IsMathFunction(name)) return Function(name);
    static constexpr std::array<std::string_view, 5> kStyles = {"mathrm", "text", "mathbf",
                                                                "operatorname", "mathit"};
    for (const std::string_view style : kStyles) {
      if (name == style) return Argument();
    }
    // Relations, arrows and sets are not expressions; Greek letters are.
    static constexpr std::array<std::string_view, 24> kGreek = {
        "alpha", "beta", "gamma",   "delta",  "epsilon", "varepsilon", "zeta", "eta",
        "theta", "iota", "kappa",   "lambda", "mu",      "nu",         "xi",   "rho",
        "sigma", "tau",  "upsilon", "phi",    "varphi",  "chi",        "psi",  "omega"};
    for (const std::string_view letter : kGreek) {
      if (name == letter) return Variable(name);
    }
    --at_;
    return Unexpected();
  }

  absl::StatusOr<NodePtr> Root() {
    NodePtr degree = Number(2);
    if (TakeSign('[')) {
      VALLM_ASSIGN_OR_RETURN(degree, Bracketed(']'));
    }
    VALLM_ASSIGN_OR_RETURN(NodePtr radicand, Argument());
    return Operation("root", {std::move(degree), std::move(radicand)});
  }

  // \sin^2 x, \log_2 8, \ln(x): the argument is a bracket, or what is multiplied by being next to
  // it.
  absl::StatusOr<NodePtr> Function(const std::string& name) {
    NodePtr base, power;
    if (TakeSign('_')) {
      VALLM_ASSIGN_OR_RETURN(base, Index());
    }
    if (TakeSign('^')) {
      VALLM_ASSIGN_OR_RETURN(power, TakeSign('-') ? Negative() : Argument());
    }
    NodePtr argument;
    if (IsSign('(') || IsSign('{')) {
      VALLM_ASSIGN_OR_RETURN(argument, Primary());
    } else {
      VALLM_ASSIGN_OR_RETURN(argument, Power());
      while (AtFactor() && !(Here().kind == MathToken::kCommand && IsMathFunction(Here().text)) &&
             !IsSign('(')) {
        VALLM_ASSIGN_OR_RETURN(NodePtr factor, Power());
        argument = Operation("*", {std::move(argument), std::move(factor)});
      }
    }
    NodePtr result = base != nullptr ? Operation("log", {std::move(base), std::move(argument)})
                                     : Operation(name, {std::move(argument)});
    if (power != nullptr) result = Operation("^", {std::move(result), std::move(power)});
    return result;
  }

  // What stands behind a '_': without braces it is one digit, and \\log_28 the logarithm of 8.
  absl::StatusOr<NodePtr> Index() {
    MathToken& token = tokens_[at_];
    if (token.kind != MathToken::kNumber || token.text.size() < 2) return Argument();
    const NodePtr digit = Number(token.text[0] - '0');
    token.text.erase(0, 1);
    return digit;
  }

  absl::StatusOr<NodePtr> Negative() {
    VALLM_ASSIGN_OR_RETURN(NodePtr operand, Argument());
    return Operation("neg", {std::move(operand)});
  }

  std::vector<MathToken> tokens_;
  std::set<std::string>* variables_;
  size_t at_ = 0;
  int depth_ = 0;
  int bars_ = 0;  // open absolute values: the next bar closes one
};

Value Gamma(Value n) {
  return n.imag() == 0 ? Value(std::tgamma(n.real() + 1)) : Value(kNaN, kNaN);
}

Value PowerOf(Value base, Value exponent) {
  if (exponent == Value(0)) return 1;
  if (base == Value(0)) return exponent.real() > 0 ? Value(0) : Value(kInfinity);
  if (base.imag() == 0 && exponent.imag() == 0 &&
      (base.real() > 0 || exponent.real() == std::floor(exponent.real()))) {
    return std::pow(base.real(), exponent.real());
  }
  return std::pow(base, exponent);
}

Value RootOf(Value degree, Value radicand) {
  // The real root where there is one: the cube root of -8 is -2.
  const double n = degree.real();
  const bool odd = std::fmod(n, 2) != 0 && n == std::floor(n);
  if (radicand.imag() == 0 && radicand.real() < 0 && odd) {
    return -std::pow(-radicand.real(), 1 / n);
  }
  return PowerOf(radicand, Value(1) / degree);
}

Value FunctionOf(const std::string& name, Value x) {
  if (name == "neg") return -x;
  if (name == "abs") return std::abs(x);
  if (name == "!") return Gamma(x);
  if (name == "floor") return std::floor(x.real());
  if (name == "ceil") return std::ceil(x.real());
  if (name == "sin") return std::sin(x);
  if (name == "cos") return std::cos(x);
  if (name == "tan") return std::tan(x);
  if (name == "cot") return Value(1) / std::tan(x);
  if (name == "sec") return Value(1) / std::cos(x);
  if (name == "csc") return Value(1) / std::sin(x);
  if (name == "sinh") return std::sinh(x);
  if (name == "cosh") return std::cosh(x);
  if (name == "tanh") return std::tanh(x);
  if (name == "exp") return std::exp(x);
  if (name == "ln" || name == "log") return std::log(x);
  if (name == "lg") return std::log10(x);
  if (name == "arcsin" || name == "asin") return std::asin(x);
  if (name == "arccos" || name == "acos") return std::acos(x);
  if (name == "arctan" || name == "atan") return std::atan(x);
  return {kNaN, kNaN};
}

Value Evaluate(const Node& node, const Expression::Point& point) {
  if (node.kind == Node::kNumber) return node.value;
  if (node.kind == Node::kVariable) return point(node.name);
  std::vector<Value> values;
  for (const NodePtr& child : node.children) values.push_back(Evaluate(*child, point));
  if (values.size() == 1) return FunctionOf(node.name, values[0]);
  const Value& a = values[0];
  const Value& b = values[1];
  if (node.name == "+") return a + b;
  if (node.name == "*") {
    return a.imag() == 0 && b.imag() == 0 ? Value(a.real() * b.real()) : a * b;
  }
  if (node.name == "/") {
    return a.imag() == 0 && b.imag() == 0 ? Value(a.real() / b.real()) : a / b;
  }
  if (node.name == "^") return PowerOf(a, b);
  if (node.name == "root") return RootOf(a, b);
  if (node.name == "log") return std::log(b) / std::log(a);
  return Gamma(a) / (Gamma(b) * Gamma(a - b));  // binom
}

bool IsFinite(Value v) { return std::isfinite(v.real()) && std::isfinite(v.imag()); }

bool Near(Value a, Value b, double tolerance) {
  return std::abs(a - b) <= tolerance * std::max({std::abs(a), std::abs(b)});
}

// A number that is the same for the same variable and round: 0.3 to 2.8, of both signs.
Value Probe(const std::string& variable, int round) {
  uint64_t hash = 14695981039346656037U + static_cast<uint64_t>(round) * 0x9E3779B97F4A7C15U;
  for (const char c : variable) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211U;
  hash ^= hash >> 29;
  const double size = 0.3 + 2.5 * static_cast<double>(hash % 9973) / 9973;
  return round % 2 == 0 ? size : -size;
}

}  // namespace

absl::StatusOr<Expression> Expression::Parse(std::string_view text) {
  VALLM_ASSIGN_OR_RETURN(std::vector<MathToken> tokens, MathTokens(text));
  Expression expression;
  VALLM_ASSIGN_OR_RETURN(expression.root_,
                         Parser(std::move(tokens), &expression.variables_).Whole());
  return expression;
}

Expression::Value Expression::At(const Point& point) const { return Evaluate(*root_, point); }

bool SameValue(const Expression& a, const Expression& b) {
  if (a.variables().empty() && b.variables().empty()) {
    const Value x = a.At([](const std::string&) { return Value(kNaN); });
    const Value y = b.At([](const std::string&) { return Value(kNaN); });
    if (x == y) return true;  // infinities too
    if (!IsFinite(x) || !IsFinite(y)) return false;
    const bool real =
        std::abs(x.imag()) <= 1e-12 * std::abs(x) && std::abs(y.imag()) <= 1e-12 * std::abs(y);
    return Near(x, y, real ? 1e-4 : 1e-9) ||
           (std::abs(x) < 1e-12 && std::abs(y) < 1e-12);  // differences that cancel
  }
  constexpr int kRounds = 12;
  constexpr int kEnough = 4;
  int compared = 0;
  for (int round = 0; round < kRounds; ++round) {
    const auto point = [round](const std::string& variable) { return Probe(variable, round); };
    const Value x = a.At(point);
    const Value y = b.At(point);
    if (!IsFinite(x) || !IsFinite(y)) {
      if (IsFinite(x) != IsFinite(y)) return false;
      continue;
    }
    if (!Near(x, y, 1e-9) && std::abs(x - y) > 1e-11) return false;
    ++compared;
  }
  return compared >= kEnough;
}

}  // namespace vallm::eval
