#include "tokenizer_service/template/parser.h"

#include <algorithm>
#include <initializer_list>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status_macros.h"
#include "tokenizer_service/template/expr_parser.h"
#include "tokenizer_service/template/token_stream.h"
#include "tokenizer_service/template/unicode.h"

namespace vallm::tokenizer {
namespace {

using EndTags = std::initializer_list<const char*>;

class Parser {
 public:
  Parser(const Source& source, std::vector<Token> tokens, const Limits& limits)
      : tokens_(source, std::move(tokens)), exprs_(tokens_, limits) {}

  absl::StatusOr<TemplateAst> Run() {
    TemplateAst ast;
    VALLM_RETURN_IF_ERROR(Statements({}, &ast.body));
    ast.blocks = std::move(blocks_);
    return ast;
  }

 private:
  bool AtAny(EndTags names) const {
    return std::any_of(names.begin(), names.end(),
                       [this](const char* name) { return tokens_.IsName(name); });
  }

  // Reads until a tag in `ends` (which stays current) or, without any, the end of the template.
  absl::Status Statements(EndTags ends, StmtList* body) {
    std::unique_ptr<OutputStmt> output;
    const auto flush = [&output, body] {
      if (output != nullptr) body->push_back(std::move(output));
    };
    while (!tokens_.Is(TokenType::kEnd)) {
      const uint32_t begin = tokens_.offset();
      if (tokens_.Is(TokenType::kBlockBegin)) {
        flush();
        tokens_.Take();
        if (AtAny(ends)) return absl::OkStatus();
        VALLM_RETURN_IF_ERROR(exprs_.Enter());
        VALLM_RETURN_IF_ERROR(Statement(ends, body));
        exprs_.Leave();
        VALLM_RETURN_IF_ERROR(tokens_.Expect(TokenType::kBlockEnd));
        continue;
      }
      if (output == nullptr) output = std::make_unique<OutputStmt>(begin);
      if (tokens_.Is(TokenType::kData)) {
        output->items.push_back(
            std::make_unique<ConstExpr>(begin, Value::Str(tokens_.Take().text)));
        continue;
      }
      VALLM_RETURN_IF_ERROR(tokens_.Expect(TokenType::kVariableBegin));
      VALLM_ASSIGN_OR_RETURN(ExprPtr value, exprs_.Tuple(/*with_conditional=*/true));
      output->items.push_back(std::move(value));
      VALLM_RETURN_IF_ERROR(tokens_.Expect(TokenType::kVariableEnd));
    }
    flush();
    if (ends.size() == 0) return absl::OkStatus();
    return tokens_.Fail(
        absl::StrCat("unexpected end of template; looking for ", absl::StrJoin(ends, " or ")));
  }

  // The body of a statement, from the end of its tag. Leaves the end tag's name current.
  absl::Status Body(EndTags ends, StmtList* body) {
    tokens_.SkipOp(":");
    VALLM_RETURN_IF_ERROR(tokens_.Expect(TokenType::kBlockEnd));
    return Statements(ends, body);
  }

  // The same, and takes the end tag's name.
  absl::Status WholeBody(const char* end, StmtList* body) {
    VALLM_RETURN_IF_ERROR(Body({end}, body));
    tokens_.Take();
    return absl::OkStatus();
  }

  absl::Status Statement(EndTags ends, StmtList* out) {
    static constexpr std::pair<std::string_view, absl::Status (Parser::*)(uint32_t, StmtList*)>
        kStatements[] = {{"set", &Parser::Set},
                         {"if", &Parser::If},
                         {"for", &Parser::For},
                         {"macro", &Parser::Macro},
                         {"call", &Parser::CallBlock},
                         {"filter", &Parser::FilterBlock},
                         {"with", &Parser::With},
                         {"generation", &Parser::Generation},
                         {"break", &Parser::LoopControl},
                         {"continue", &Parser::LoopControl},
                         {"print", &Parser::Print},
                         {"block", &Parser::Block},
                         {"autoescape", &Parser::Autoescape},
                         {"include", &Parser::Unavailable},
                         {"extends", &Parser::Unavailable},
                         {"import", &Parser::Unavailable},
                         {"from", &Parser::Unavailable}};
    const uint32_t begin = tokens_.offset();
    if (!tokens_.Is(TokenType::kName)) return tokens_.Fail("tag name expected");
    for (const auto& [name, rule] : kStatements) {
      if (tokens_.IsName(name)) return (this->*rule)(begin, out);
    }
    std::string message = absl::StrCat("encountered unknown tag ", tokens_.Describe());
    if (ends.size() != 0) {
      absl::StrAppend(&message, "; looking for ", absl::StrJoin(ends, " or "));
    }
    return tokens_.Fail(message);
  }

  absl::Status Set(uint32_t begin, StmtList* out) {
    tokens_.Take();
    VALLM_ASSIGN_OR_RETURN(ExprPtr target, exprs_.Target(/*with_namespace=*/true));
    if (tokens_.SkipOp("=")) {
      auto node = std::make_unique<SetStmt>(begin);
      node->target = std::move(target);
      VALLM_ASSIGN_OR_RETURN(node->value, exprs_.Tuple(/*with_conditional=*/true));
      out->push_back(std::move(node));
      return absl::OkStatus();
    }
    auto node = std::make_unique<SetBlockStmt>(begin);
    node->target = std::move(target);
    VALLM_ASSIGN_OR_RETURN(node->filter, exprs_.Filters(nullptr, /*started=*/false));
    VALLM_RETURN_IF_ERROR(WholeBody("endset", &node->body));
    out->push_back(std::move(node));
    return absl::OkStatus();
  }

  absl::Status If(uint32_t begin, StmtList* out) {
    auto node = std::make_unique<IfStmt>(begin);
    do {
      tokens_.Take();  // if, elif
      VALLM_ASSIGN_OR_RETURN(ExprPtr test, exprs_.Tuple(/*with_conditional=*/false));
      node->branches.emplace_back(std::move(test), StmtList());
      VALLM_RETURN_IF_ERROR(Body({"elif", "else", "endif"}, &node->branches.back().second));
    } while (tokens_.IsName("elif"));
    if (tokens_.SkipName("else")) VALLM_RETURN_IF_ERROR(Body({"endif"}, &node->otherwise));
    tokens_.Take();  // endif
    out->push_back(std::move(node));
    return absl::OkStatus();
  }

  absl::Status For(uint32_t begin, StmtList* out) {
    tokens_.Take();
    auto node = std::make_unique<ForStmt>(begin);
    VALLM_ASSIGN_OR_RETURN(node->target, exprs_.Target(/*with_namespace=*/false, "in"));
    if (BindsLoop(*node->target)) {
      return tokens_.FailAt(begin, "can't assign to special loop variable in for-loop target");
    }
    VALLM_RETURN_IF_ERROR(tokens_.ExpectName("in"));
    VALLM_ASSIGN_OR_RETURN(node->iterable, exprs_.Tuple(/*with_conditional=*/false, "recursive"));
    if (tokens_.SkipName("if")) {
      VALLM_ASSIGN_OR_RETURN(node->test, exprs_.Expression());
      node->test_target = CopyTarget(*node->target);
    }
    node->recursive = tokens_.SkipName("recursive");
    ++loops_;
    VALLM_RETURN_IF_ERROR(Body({"endfor", "else"}, &node->body));
    --loops_;
    if (tokens_.Take().text == "else") VALLM_RETURN_IF_ERROR(WholeBody("endfor", &node->otherwise));
    out->push_back(std::move(node));
    return absl::OkStatus();
  }

  static bool BindsLoop(const Expr& target) {
    if (target.kind == ExprKind::kName) {
      return static_cast<const NameExpr&>(target).name.text() == "loop";
    }
    const auto& items = static_cast<const ListExpr&>(target).items;
    return std::any_of(items.begin(), items.end(),
                       [](const ExprPtr& item) { return BindsLoop(*item); });
  }

  static ExprPtr CopyTarget(const Expr& target) {
    if (target.kind == ExprKind::kName) {
      return std::make_unique<NameExpr>(target.offset, static_cast<const NameExpr&>(target).name);
    }
    auto copy = std::make_unique<ListExpr>(ExprKind::kTuple, target.offset);
    for (const ExprPtr& item : static_cast<const ListExpr&>(target).items) {
      copy->items.push_back(CopyTarget(*item));
    }
    return copy;
  }

  absl::Status LoopControl(uint32_t begin, StmtList* out) {
    const std::string name = tokens_.Take().text;
    if (loops_ == 0) return tokens_.FailAt(begin, absl::StrCat("'", name, "' outside loop"));
    out->push_back(
        std::make_unique<Stmt>(name == "break" ? StmtKind::kBreak : StmtKind::kContinue, begin));
    return absl::OkStatus();
  }

  absl::Status Signature(MacroDef* def) {
    VALLM_RETURN_IF_ERROR(tokens_.ExpectOp("("));
    std::set<std::string> seen;
    while (!tokens_.IsOp(")")) {
      if (!def->params.empty()) VALLM_RETURN_IF_ERROR(tokens_.ExpectOp(","));
      const uint32_t at = tokens_.offset();
      VALLM_ASSIGN_OR_RETURN(std::string name, exprs_.TargetName());
      if (!seen.insert(name).second) {
        return tokens_.FailAt(at, absl::StrCat("duplicate argument '", name, "'"));
      }
      if (tokens_.SkipOp("=")) {
        VALLM_ASSIGN_OR_RETURN(ExprPtr value, exprs_.Expression());
        def->defaults.push_back(std::move(value));
      } else if (!def->defaults.empty()) {
        return tokens_.Fail("non-default argument follows default argument");
      }
      def->params.push_back(std::move(name));
    }
    return tokens_.ExpectOp(")");
  }

  // The body of something that is a function of its own: loops outside cannot be left from it.
  absl::Status FunctionBody(const char* end, StmtList* body) {
    const int loops = std::exchange(loops_, 0);
    VALLM_RETURN_IF_ERROR(WholeBody(end, body));
    loops_ = loops;
    return absl::OkStatus();
  }

  absl::Status Macro(uint32_t begin, StmtList* out) {
    tokens_.Take();
    auto node = std::make_unique<MacroStmt>(begin);
    VALLM_ASSIGN_OR_RETURN(node->def.name, exprs_.TargetName());
    node->name = Value::Str(node->def.name);
    VALLM_RETURN_IF_ERROR(Signature(&node->def));
    VALLM_RETURN_IF_ERROR(FunctionBody("endmacro", &node->def.body));
    out->push_back(std::move(node));
    return absl::OkStatus();
  }

  absl::Status CallBlock(uint32_t begin, StmtList* out) {
    tokens_.Take();
    auto node = std::make_unique<CallBlockStmt>(begin);
    node->def.name = "caller";
    if (tokens_.IsOp("(")) VALLM_RETURN_IF_ERROR(Signature(&node->def));
    VALLM_ASSIGN_OR_RETURN(ExprPtr call, exprs_.Expression());
    if (call->kind != ExprKind::kCall) return tokens_.FailAt(begin, "expected call");
    node->call.reset(static_cast<CallExpr*>(call.release()));
    VALLM_RETURN_IF_ERROR(FunctionBody("endcall", &node->def.body));
    out->push_back(std::move(node));
    return absl::OkStatus();
  }

  absl::Status Generation(uint32_t begin, StmtList* out) {
    tokens_.Take();
    auto node = std::make_unique<CallBlockStmt>(begin);
    node->def.name = "caller";
    VALLM_RETURN_IF_ERROR(FunctionBody("endgeneration", &node->def.body));
    out->push_back(std::move(node));
    return absl::OkStatus();
  }

  absl::Status FilterBlock(uint32_t begin, StmtList* out) {
    tokens_.Take();
    auto node = std::make_unique<FilterBlockStmt>(begin);
    VALLM_ASSIGN_OR_RETURN(node->filter, exprs_.Filters(nullptr, /*started=*/true));
    VALLM_RETURN_IF_ERROR(WholeBody("endfilter", &node->body));
    out->push_back(std::move(node));
    return absl::OkStatus();
  }

  absl::Status With(uint32_t begin, StmtList* out) {
    tokens_.Take();
    auto node = std::make_unique<WithStmt>(begin);
    while (!tokens_.Is(TokenType::kBlockEnd)) {
      if (!node->bindings.empty()) VALLM_RETURN_IF_ERROR(tokens_.ExpectOp(","));
      VALLM_ASSIGN_OR_RETURN(ExprPtr target, exprs_.Target(/*with_namespace=*/false));
      VALLM_RETURN_IF_ERROR(tokens_.ExpectOp("="));
      VALLM_ASSIGN_OR_RETURN(ExprPtr value, exprs_.Expression());
      node->bindings.emplace_back(std::move(target), std::move(value));
    }
    VALLM_RETURN_IF_ERROR(WholeBody("endwith", &node->body));
    out->push_back(std::move(node));
    return absl::OkStatus();
  }

  absl::Status Autoescape(uint32_t begin, StmtList* out) {
    tokens_.Take();
    auto node = std::make_unique<ScopeStmt>(begin);
    VALLM_ASSIGN_OR_RETURN(node->autoescape, exprs_.Expression());
    VALLM_RETURN_IF_ERROR(WholeBody("endautoescape", &node->body));
    out->push_back(std::move(node));
    return absl::OkStatus();
  }

  absl::Status Print(uint32_t begin, StmtList* out) {
    tokens_.Take();
    auto node = std::make_unique<OutputStmt>(begin);
    while (!tokens_.Is(TokenType::kBlockEnd)) {
      if (!node->items.empty()) VALLM_RETURN_IF_ERROR(tokens_.ExpectOp(","));
      VALLM_ASSIGN_OR_RETURN(ExprPtr value, exprs_.Expression());
      node->items.push_back(std::move(value));
    }
    out->push_back(std::move(node));
    return absl::OkStatus();
  }

  absl::Status Block(uint32_t begin, StmtList* out) {
    tokens_.Take();
    auto node = std::make_unique<BlockStmt>(begin);
    VALLM_ASSIGN_OR_RETURN(node->name, tokens_.TakeName());
    if (!blocks_.emplace(node->name, node.get()).second) {
      return tokens_.FailAt(begin, absl::StrCat("block '", node->name, "' defined twice"));
    }
    node->scoped = tokens_.SkipName("scoped");
    node->required = tokens_.SkipName("required");
    VALLM_RETURN_IF_ERROR(FunctionBody("endblock", &node->body));
    tokens_.SkipName(node->name);
    out->push_back(std::move(node));
    return absl::OkStatus();
  }

  absl::Status Unavailable(uint32_t begin, StmtList* out) {
    auto node = std::make_unique<UnavailableStmt>(begin, tokens_.Take().text);
    VALLM_ASSIGN_OR_RETURN(ExprPtr unused, exprs_.Expression());
    // The rest of the tag only says how to include what is not there.
    while (!tokens_.Is(TokenType::kBlockEnd) && !tokens_.Is(TokenType::kEnd)) {
      const Token& token = tokens_.Take();
      if (token.type == TokenType::kName && token.text != "as") node->names.push_back(token.text);
    }
    out->push_back(std::move(node));
    return absl::OkStatus();
  }

  TokenStream tokens_;
  ExprParser exprs_;
  int loops_ = 0;
  std::map<std::string, const BlockStmt*> blocks_;
};

}  // namespace

absl::StatusOr<TemplateAst> ParseTemplate(const Source& source, std::vector<Token> tokens,
                                          const Limits& limits) {
  return Parser(source, std::move(tokens), limits).Run();
}

}  // namespace vallm::tokenizer
