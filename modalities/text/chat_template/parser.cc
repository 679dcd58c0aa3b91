#include "modalities/text/chat_template/parser.h"

#include <initializer_list>
#include <utility>

namespace weft::jinja {
namespace {

// Recursive descent. The first error is kept, and the parser then stands at the end of the tokens, where
// every loop stops; what it returns after that is discarded.
class Parser {
 public:
  Parser(Source source, std::vector<Token> tokens) : tokens_(std::move(tokens)) {
    syntax_.source = std::move(source);
  }

  Result<Syntax> run() {
    syntax_.body = body({});
    if (!status_.ok()) return std::move(status_);
    return std::move(syntax_);
  }

 private:
  // ---- tokens

  const Token& now() const { return tokens_[position_]; }
  const Token& next_token() const { return tokens_[std::min(position_ + 1, tokens_.size() - 1)]; }
  Token take() {
    Token token = std::move(tokens_[position_]);
    if (position_ + 1 < tokens_.size()) ++position_;
    return token;
  }
  bool is(TokenKind kind, std::string_view text = {}) const {
    return now().kind == kind && (text.empty() || now().text == text);
  }
  bool is_op(std::string_view op) const { return is(TokenKind::kOperator, op); }
  bool is_word(std::string_view word) const { return is(TokenKind::kName, word); }
  bool skip(TokenKind kind, std::string_view text) {
    if (!is(kind, text)) return false;
    take();
    return true;
  }
  bool skip_op(std::string_view op) { return skip(TokenKind::kOperator, op); }
  bool skip_word(std::string_view word) { return skip(TokenKind::kName, word); }

  static std::string describe(const Token& token) {
    switch (token.kind) {
      case TokenKind::kData: return "text";
      case TokenKind::kVariableBegin: return "'{{'";
      case TokenKind::kVariableEnd: return "'}}'";
      case TokenKind::kBlockBegin: return "'{%'";
      case TokenKind::kBlockEnd: return "'%}'";
      case TokenKind::kString: return "a string";
      case TokenKind::kInteger: return std::to_string(token.integer);
      case TokenKind::kFloat: return "a number";
      case TokenKind::kEnd: return "the end of the template";
      case TokenKind::kName:
      case TokenKind::kOperator: return "'" + token.text + "'";
    }
    return {};
  }

  void fail(Offset at, StatusCode code, std::string message, std::string expected = {},
            std::string got = {}) {
    if (status_.ok()) {
      status_ = Status(code, std::move(message))
                    .at(place(syntax_.source, at))
                    .expected(std::move(expected))
                    .got(std::move(got));
    }
    position_ = tokens_.size() - 1;
  }
  void expected(std::string what) {
    fail(now().at, StatusCode::kCorruptData, "a template's syntax is wrong", std::move(what),
         describe(now()));
  }
  void expect_op(std::string_view op) {
    if (!skip_op(op)) expected("'" + std::string(op) + "'");
  }
  std::string expect_name(const char* what) {
    if (now().kind == TokenKind::kName) return take().text;
    expected(what);
    return {};
  }
  void expect_block_end() {
    if (now().kind == TokenKind::kBlockEnd) {
      take();
    } else {
      expected("'%}'");
    }
  }

  // Counts the nesting of what is being parsed, and fails beyond the limit.
  class Nesting {
   public:
    explicit Nesting(Parser* parser) : parser_(parser) {
      if (++parser_->depth_ > kMaxSyntaxDepth) {
        parser_->fail(parser_->now().at, StatusCode::kOutOfRange, "a template nests too deeply",
                      "at most " + std::to_string(kMaxSyntaxDepth) + " levels of blocks and brackets");
      }
    }
    ~Nesting() { --parser_->depth_; }
    Nesting(const Nesting&) = delete;
    Nesting& operator=(const Nesting&) = delete;

   private:
    Parser* parser_;
  };

  template <typename T>
  static ExpressionPtr make(Offset at, T what) {
    return std::make_unique<Expression>(Expression{at, std::move(what)});
  }

  // ---- statements

  // Statements up to a tag with one of the names in `ends`, whose name has not been taken yet.
  Body body(std::initializer_list<std::string_view> ends) {
    const Nesting nesting(this);
    Body out;
    while (!is(TokenKind::kEnd)) {
      const Offset at = now().at;
      if (is(TokenKind::kData)) {
        out.push_back({at, Data{Text(take().text, TextOrigin::kTemplate)}});
      } else if (is(TokenKind::kVariableBegin)) {
        take();
        out.push_back({at, Print{tuple(Conditionals::kAllowed)}});
        if (!skip(TokenKind::kVariableEnd, {})) expected("'}}'");
      } else {
        take();  // the only other token outside of tags is {%
        for (const std::string_view end : ends) {
          if (is_word(end)) return out;
        }
        statement(at, &out);
      }
    }
    if (ends.size() > 0) expected("{% " + std::string(*(ends.end() - 1)) + " %}");
    return out;
  }

  void end_tag(std::string_view name) {
    skip_word(name);
    expect_block_end();
  }

  void statement(Offset at, Body* out) {
    const Token keyword = now();
    const std::string word = expect_name("a tag's name");
    if (word == "if") return out->push_back({at, if_statement()});
    if (word == "for") return out->push_back({at, for_statement()});
    if (word == "set") return set_statement(at, out);
    if (word == "macro") return out->push_back({at, macro()});
    if (word == "with") return out->push_back({at, with()});
    if (word == "filter") return out->push_back({at, filter_block()});
    if (word ==
        "generation") {  // marks what the model wrote, for training; here it is a scope like any other
      expect_block_end();
      Body inner = body({"endgeneration"});
      end_tag("endgeneration");
      return out->push_back({at, With{{}, std::move(inner)}});
    }
    if (word == "break" || word == "continue") {
      if (loops_ == 0) fail(keyword.at, StatusCode::kCorruptData, "'" + word + "' stands outside of a loop");
      if (word == "break") {
        out->push_back({at, Break{}});
      } else {
        out->push_back({at, Continue{}});
      }
      return expect_block_end();
    }
    if (!status_.ok()) return;
    const bool stray_end = word.starts_with("end") || word == "else" || word == "elif";
    fail(keyword.at, stray_end ? StatusCode::kCorruptData : StatusCode::kUnsupported,
         stray_end ? "a tag ends no block" : "this tag is not part of the template language",
         "break, continue, filter, for, generation, if, macro, raw, set or with", "'" + word + "'");
  }

  If if_statement() {
    If node;
    do {
      ExpressionPtr condition = tuple(Conditionals::kAllowed);
      expect_block_end();
      node.branches.emplace_back(std::move(condition), body({"elif", "else", "endif"}));
    } while (skip_word("elif"));
    if (skip_word("else")) {
      expect_block_end();
      node.otherwise = body({"endif"});
    }
    end_tag("endif");
    return node;
  }

  std::vector<std::string> targets() {
    std::vector<std::string> names;
    const bool parenthesised = skip_op("(");
    do {
      if (!names.empty() && now().kind != TokenKind::kName) break;  // a trailing comma
      names.push_back(expect_name("a variable's name"));
    } while (skip_op(","));
    if (parenthesised) expect_op(")");
    return names;
  }

  For for_statement() {
    For node;
    node.targets = targets();
    if (!skip_word("in")) expected("'in'");
    node.iterable = tuple(Conditionals::kRefused);
    if (skip_word("if")) node.condition = expression();
    if (is_word("recursive")) {
      fail(now().at, StatusCode::kUnsupported, "recursive loops are not part of the template language");
    }
    expect_block_end();
    ++loops_;
    node.body = body({"else", "endfor"});
    --loops_;
    if (skip_word("else")) {
      expect_block_end();
      node.otherwise = body({"endfor"});
    }
    end_tag("endfor");
    return node;
  }

  void set_statement(Offset at, Body* out) {
    std::vector<std::string> names = targets();
    std::string attribute;
    if (names.size() == 1 && skip_op(".")) {
      attribute = expect_name("an attribute's name");
      syntax_.names.insert(names[0]);
    }
    if (skip_op("=")) {
      out->push_back({at, Set{std::move(names), std::move(attribute), tuple(Conditionals::kAllowed)}});
      return expect_block_end();
    }
    if (names.size() != 1) return expected("'='");
    SetBlock node{std::move(names[0]), std::move(attribute), filters(), {}};
    expect_block_end();
    node.body = body({"endset"});
    end_tag("endset");
    out->push_back({at, std::move(node)});
  }

  std::unique_ptr<Macro> macro() {
    auto node = std::make_unique<Macro>();
    node->name = expect_name("a macro's name");
    expect_op("(");
    while (!is_op(")") && status_.ok()) {
      if (!node->parameters.empty()) expect_op(",");
      if (is_op(")")) break;
      Parameter parameter{expect_name("a parameter's name"), nullptr};
      if (skip_op("=")) {
        parameter.default_value = expression();
      } else if (!node->parameters.empty() && node->parameters.back().default_value != nullptr) {
        expected("a default value, since the parameter before has one");
      }
      node->parameters.push_back(std::move(parameter));
    }
    expect_op(")");
    expect_block_end();
    const int loops = std::exchange(loops_, 0);
    node->body = body({"endmacro"});
    loops_ = loops;
    end_tag("endmacro");
    return node;
  }

  With with() {
    With node;
    while (!is(TokenKind::kBlockEnd) && status_.ok()) {
      if (!node.variables.empty()) expect_op(",");
      std::string name = expect_name("a variable's name");
      expect_op("=");
      node.variables.emplace_back(std::move(name), expression());
    }
    expect_block_end();
    node.body = body({"endwith"});
    end_tag("endwith");
    return node;
  }

  FilterBlock filter_block() {
    FilterBlock node;
    node.filters.push_back(filter(now().at));
    for (Step& step : filters()) node.filters.push_back(std::move(step));
    expect_block_end();
    node.body = body({"endfilter"});
    end_tag("endfilter");
    return node;
  }

  std::vector<Step> filters() {
    std::vector<Step> steps;
    while (is_op("|")) {
      const Offset at = take().at;
      steps.push_back(filter(at));
    }
    return steps;
  }

  // ---- expressions, from the loosest operator to the tightest

  enum class Conditionals : uint8_t { kAllowed, kRefused };

  // One expression, or a tuple without parentheses.
  ExpressionPtr tuple(Conditionals conditionals) {
    const Nesting nesting(this);
    const Offset at = now().at;
    const auto element = [&] {
      return conditionals == Conditionals::kAllowed ? expression() : disjunction();
    };
    ExpressionPtr first = element();
    if (!is_op(",")) return first;
    ListDisplay display{{}, ListKind::kTuple};
    display.items.push_back(std::move(first));
    while (skip_op(",")) {
      if (is(TokenKind::kVariableEnd) || is(TokenKind::kBlockEnd) || is_op(")")) break;
      display.items.push_back(element());
    }
    return make(at, std::move(display));
  }

  ExpressionPtr expression() {
    const Nesting nesting(this);
    ExpressionPtr value = disjunction();
    while (is_word("if")) {
      const Offset at = take().at;
      ExpressionPtr condition = disjunction();
      ExpressionPtr otherwise = skip_word("else") ? expression() : nullptr;
      value = make(at, Conditional{std::move(condition), std::move(value), std::move(otherwise)});
      // `a if b if c if d ...` would make a tree as deep as it is long; Jinja reads it, nobody writes it.
      if (is_word("if")) expected("'else' or the end of the expression");
    }
    return value;
  }

  ExpressionPtr disjunction() {
    ExpressionPtr first = conjunction();
    if (!is_word("or")) return first;
    const Offset at = now().at;
    Or node;
    node.operands.push_back(std::move(first));
    while (skip_word("or")) node.operands.push_back(conjunction());
    return make(at, std::move(node));
  }

  ExpressionPtr conjunction() {
    ExpressionPtr first = negation();
    if (!is_word("and")) return first;
    const Offset at = now().at;
    And node;
    node.operands.push_back(std::move(first));
    while (skip_word("and")) node.operands.push_back(negation());
    return make(at, std::move(node));
  }

  ExpressionPtr negation() {
    if (!is_word("not")) return comparison();
    const Nesting nesting(this);
    const Offset at = take().at;
    return make(at, Not{negation()});
  }

  std::optional<CompareOp> compare_op() {
    static constexpr std::pair<std::string_view, CompareOp> kOps[] = {
        {"==", CompareOp::kEqual},     {"!=", CompareOp::kNotEqual}, {"<", CompareOp::kLess},
        {"<=", CompareOp::kLessEqual}, {">", CompareOp::kGreater},   {">=", CompareOp::kGreaterEqual}};
    for (const auto& [spelled, op] : kOps) {
      if (skip_op(spelled)) return op;
    }
    if (skip_word("in")) return CompareOp::kIn;
    if (is_word("not") && next_token().kind == TokenKind::kName && next_token().text == "in") {
      take();
      take();
      return CompareOp::kNotIn;
    }
    return std::nullopt;
  }

  ExpressionPtr comparison() {
    ExpressionPtr first = sum();
    const Offset at = now().at;
    Compare node;
    while (const auto op = compare_op()) node.rest.emplace_back(*op, sum());
    if (node.rest.empty()) return first;
    node.first = std::move(first);
    return make(at, std::move(node));
  }

  using Operators = std::initializer_list<std::pair<std::string_view, ArithmeticOp>>;
  ExpressionPtr arithmetic(Operators ops, ExpressionPtr (Parser::*operand)()) {
    ExpressionPtr first = (this->*operand)();
    const Offset at = now().at;
    Arithmetic node;
    const auto take_op = [&]() -> std::optional<ArithmeticOp> {
      for (const auto& [spelled, op] : ops) {
        if (skip_op(spelled)) return op;
      }
      return std::nullopt;
    };
    while (const auto found = take_op()) node.rest.emplace_back(*found, (this->*operand)());
    if (node.rest.empty()) return first;
    node.first = std::move(first);
    return make(at, std::move(node));
  }

  ExpressionPtr sum() {
    return arithmetic({{"+", ArithmeticOp::kAdd}, {"-", ArithmeticOp::kSubtract}}, &Parser::concatenation);
  }

  ExpressionPtr concatenation() {
    ExpressionPtr first = product();
    if (!is_op("~")) return first;
    const Offset at = now().at;
    Concatenation node;
    node.operands.push_back(std::move(first));
    while (skip_op("~")) node.operands.push_back(product());
    return make(at, std::move(node));
  }

  ExpressionPtr product() {
    return arithmetic({{"*", ArithmeticOp::kMultiply},
                       {"/", ArithmeticOp::kDivide},
                       {"//", ArithmeticOp::kFloorDivide},
                       {"%", ArithmeticOp::kModulo}},
                      &Parser::power);
  }
  // From left to right, as Jinja has it and Python has not.
  ExpressionPtr power() { return arithmetic({{"**", ArithmeticOp::kPower}}, &Parser::signed_value); }

  enum class Filters : uint8_t { kTake, kLeave };
  ExpressionPtr signed_value() { return signed_value(Filters::kTake); }
  ExpressionPtr signed_value(Filters filters) {
    ExpressionPtr value;
    const Offset at = now().at;
    if (is_op("-") || is_op("+")) {
      const Nesting nesting(this);
      const ArithmeticOp op = take().text == "-" ? ArithmeticOp::kSubtract : ArithmeticOp::kAdd;
      value = make(at, Sign{signed_value(Filters::kLeave), op});
    } else {
      value = primary();
    }
    return postfix(std::move(value), filters);
  }

  ExpressionPtr primary() {
    const Nesting nesting(this);
    const Offset at = now().at;
    switch (now().kind) {
      case TokenKind::kName: {
        const std::string name = take().text;
        if (name == "true" || name == "True") return make(at, Literal{Value(true)});
        if (name == "false" || name == "False") return make(at, Literal{Value(false)});
        if (name == "none" || name == "None") return make(at, Literal{Value(None{})});
        syntax_.names.insert(name);
        return make(at, Name{name});
      }
      case TokenKind::kString: {
        std::string text;
        while (is(TokenKind::kString)) text += take().text;  // adjacent strings are one
        return make(at, Literal{Value::literal(std::move(text))});
      }
      case TokenKind::kInteger: return make(at, Literal{Value(take().integer)});
      case TokenKind::kFloat: return make(at, Literal{Value(take().number)});
      default: break;
    }
    if (skip_op("(")) {
      if (skip_op(")")) return make(at, ListDisplay{{}, ListKind::kTuple});
      ExpressionPtr inner = tuple(Conditionals::kAllowed);
      expect_op(")");
      return inner;
    }
    if (skip_op("[")) return make(at, ListDisplay{items("]"), ListKind::kList});
    if (skip_op("{")) return dict(at);
    expected("a value");
    return make(at, Literal{});
  }

  std::vector<ExpressionPtr> items(std::string_view close) {
    std::vector<ExpressionPtr> out;
    while (!is_op(close) && status_.ok()) {
      if (!out.empty()) expect_op(",");
      if (!is_op(close)) out.push_back(expression());
    }
    expect_op(close);
    return out;
  }

  ExpressionPtr dict(Offset at) {
    DictDisplay node;
    while (!is_op("}") && status_.ok()) {
      if (!node.entries.empty()) expect_op(",");
      if (is_op("}")) break;
      ExpressionPtr key = expression();
      expect_op(":");
      node.entries.emplace_back(std::move(key), expression());
    }
    expect_op("}");
    return make(at, std::move(node));
  }

  // Subscripts and calls; then, unless they belong to a signed value, filters and tests.
  ExpressionPtr postfix(ExpressionPtr base, Filters filters) {
    Postfix node;
    const Offset at = base->at;
    bool plain =
        true;  // until the first filter or test, after which Jinja takes filters, tests and calls only
    for (;;) {
      const Offset step_at = now().at;
      if (plain && (is_op(".") || is_op("["))) {
        node.steps.push_back({step_at, subscript()});
      } else if (is_op("(")) {
        node.steps.push_back({step_at, Call{arguments()}});
      } else if (filters == Filters::kTake && is_op("|")) {
        take();
        node.steps.push_back(filter(step_at));
        plain = false;
      } else if (filters == Filters::kTake && is_word("is")) {
        node.steps.push_back(test(step_at));
        plain = false;
      } else {
        break;
      }
    }
    if (node.steps.empty()) return base;
    node.base = std::move(base);
    return make(at, std::move(node));
  }

  std::variant<Attribute, Item, Slice, Call, Filter, Test> subscript() {
    if (skip_op(".")) {
      if (is(TokenKind::kInteger)) return Item{make(now().at, Literal{Value(take().integer)})};
      return Attribute{expect_name("an attribute's name")};
    }
    expect_op("[");
    ExpressionPtr parts[3];
    int colons = 0;
    while (!is_op("]") && status_.ok()) {
      if (colons < 2 && skip_op(":")) {
        ++colons;
      } else if (parts[colons] == nullptr) {
        parts[colons] = expression();
      } else {
        expected("']'");
      }
    }
    if (colons == 0 && parts[0] == nullptr) expected("an index");
    expect_op("]");
    if (colons == 0) return Item{std::move(parts[0])};
    return Slice{std::move(parts[0]), std::move(parts[1]), std::move(parts[2])};
  }

  ArgumentList arguments() {
    const Nesting nesting(this);
    ArgumentList out;
    expect_op("(");
    while (!is_op(")") && status_.ok()) {
      if (!out.empty()) expect_op(",");
      if (is_op(")")) break;
      if (is_op("*") || is_op("**")) {
        fail(now().at, StatusCode::kUnsupported, "unpacked arguments are not part of the template language");
      }
      std::string name;
      if (now().kind == TokenKind::kName && next_token().kind == TokenKind::kOperator &&
          next_token().text == "=") {
        name = take().text;
        take();
      } else if (!out.empty() && !out.back().name.empty()) {
        expected("a named argument, since the one before has a name");
      }
      out.push_back({std::move(name), expression()});
    }
    expect_op(")");
    return out;
  }

  Step filter(Offset at) {
    Filter node{expect_name("a filter's name"), {}};
    if (is_op("(")) node.arguments = arguments();
    return {at, std::move(node)};
  }

  Step test(Offset at) {
    take();  // is
    Test node;
    node.polarity = skip_word("not") ? Polarity::kIsNot : Polarity::kIs;
    node.name = expect_name("a test's name");
    const bool word_ends =
        is_word("else") || is_word("or") || is_word("and") || is_word("if") || is_word("is");
    if (is_op("(")) {
      node.arguments = arguments();
    } else if ((is(TokenKind::kName) && !word_ends && !is_word("not") && !is_word("in")) ||
               is(TokenKind::kString) || is(TokenKind::kInteger) || is(TokenKind::kFloat) || is_op("[") ||
               is_op("{")) {
      node.arguments.push_back({{}, postfix(primary(), Filters::kLeave)});
    }
    return {at, std::move(node)};
  }

  Syntax syntax_;
  std::vector<Token> tokens_;
  size_t position_ = 0;
  int depth_ = 0;
  int loops_ = 0;
  Status status_;
};

}  // namespace

Result<Syntax> parse(Source source) {
  Result<std::vector<Token>> tokens = tokenize(source);
  if (!tokens.ok()) return tokens.status();
  return Parser(std::move(source), *std::move(tokens)).run();
}

}  // namespace weft::jinja
