/// The syntax tree of a template. Operators of equal precedence stand side by side in one node, and so do the
/// subscripts, calls, filters and tests after a value: a tree is only as deep as the template's brackets and
/// blocks.
#ifndef WEFT_MODALITIES_TEXT_CHAT_TEMPLATE_SYNTAX_H
#define WEFT_MODALITIES_TEXT_CHAT_TEMPLATE_SYNTAX_H

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "modalities/text/chat_template/lexer.h"
#include "modalities/text/chat_template/value.h"

namespace weft::jinja {

struct Expression;
using ExpressionPtr = std::unique_ptr<Expression>;
struct Statement;
using Body = std::vector<Statement>;

struct Argument {
  std::string name;  ///< empty for a positional one
  ExpressionPtr value;
};
using ArgumentList = std::vector<Argument>;

// What may follow a value.
struct Attribute {
  std::string name;
};
struct Item {
  ExpressionPtr key;
};
struct Slice {
  ExpressionPtr begin, end, step;  ///< null where left out
};
struct Call {
  ArgumentList arguments;
};
struct Filter {
  std::string name;
  ArgumentList arguments;
};
enum class Polarity : uint8_t { kIs, kIsNot };
struct Test {
  std::string name;
  ArgumentList arguments;
  Polarity polarity;
};
struct Step {
  Offset at;
  std::variant<Attribute, Item, Slice, Call, Filter, Test> what;
};

enum class ArithmeticOp : uint8_t { kAdd, kSubtract, kMultiply, kDivide, kFloorDivide, kModulo, kPower };
enum class CompareOp : uint8_t { kEqual, kNotEqual, kLess, kLessEqual, kGreater, kGreaterEqual, kIn, kNotIn };

struct Literal {
  Value value;
};
struct Name {
  std::string name;
};
struct ListDisplay {
  std::vector<ExpressionPtr> items;
  ListKind kind;
};
struct DictDisplay {
  std::vector<std::pair<ExpressionPtr, ExpressionPtr>> entries;
};
struct Conditional {
  ExpressionPtr condition, then, otherwise;  ///< otherwise: null where left out
};
struct And {
  std::vector<ExpressionPtr> operands;
};
struct Or {
  std::vector<ExpressionPtr> operands;
};
struct Not {
  ExpressionPtr operand;
};
struct Sign {
  ExpressionPtr operand;
  ArithmeticOp op;  ///< kAdd or kSubtract
};
struct Compare {
  ExpressionPtr first;
  std::vector<std::pair<CompareOp, ExpressionPtr>> rest;  ///< a < b < c means a < b and b < c
};
struct Arithmetic {
  ExpressionPtr first;
  std::vector<std::pair<ArithmeticOp, ExpressionPtr>> rest;  ///< from left to right
};
struct Concatenation {
  std::vector<ExpressionPtr> operands;
};
struct Postfix {
  ExpressionPtr base;
  std::vector<Step> steps;
};

struct Expression {
  Offset at;
  std::variant<Literal, Name, ListDisplay, DictDisplay, Conditional, And, Or, Not, Sign, Compare, Arithmetic,
               Concatenation, Postfix>
      what;
};

struct Data {
  Text text;
};
struct Print {
  ExpressionPtr value;
};
struct If {
  std::vector<std::pair<ExpressionPtr, Body>> branches;
  Body otherwise;
};
struct For {
  std::vector<std::string> targets;
  ExpressionPtr iterable;
  ExpressionPtr condition;  ///< null without one
  Body body;
  Body otherwise;
};
struct Set {
  std::vector<std::string> targets;
  std::string attribute;  ///< of the namespace targets[0]; empty for variables
  ExpressionPtr value;
};
struct SetBlock {
  std::string target;
  std::string attribute;
  std::vector<Step> filters;
  Body body;
};
struct Parameter {
  std::string name;
  ExpressionPtr default_value;  ///< null without one
};
struct Macro {
  std::string name;
  std::vector<Parameter> parameters;
  Body body;
};
struct With {
  std::vector<std::pair<std::string, ExpressionPtr>> variables;
  Body body;
};
struct FilterBlock {
  std::vector<Step> filters;
  Body body;
};
struct Break {};
struct Continue {};

struct Statement {
  Offset at;
  std::variant<Data, Print, If, For, Set, SetBlock, std::unique_ptr<Macro>, With, FilterBlock, Break,
               Continue>
      what;
};

/// A parsed template.
struct Syntax {
  Source source;
  Body body;
  std::set<std::string, std::less<>> names;  ///< every name that an expression reads
};

}  // namespace weft::jinja
#endif
