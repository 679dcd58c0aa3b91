#include "pipeline/graph/json_tree.h"

#include <rapidjson/reader.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <unordered_set>

#include "pipeline/graph/literal.h"

namespace weft {
namespace {

// RapidJSON's own streams may be copied while parsing, and then cannot be asked where the reader is.
class TextStream {
 public:
  using Ch = char;
  explicit TextStream(std::string_view text) : text_(text) {}
  char Peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  char Take() { return at_ < text_.size() ? text_[at_++] : '\0'; }
  size_t Tell() const { return at_; }
  char* PutBegin() { return nullptr; }
  void Put(char) {}
  void Flush() {}
  size_t PutEnd(char*) { return 0; }

 private:
  std::string_view text_;
  size_t at_ = 0;
};

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

}  // namespace

// RapidJSON's handler. Values come without their position: a scalar ends where the reader is and begins at the first
// byte after the previous token that is not a blank, a comma or a colon.
class JsonTreeBuilder {
 public:
  using Ch = char;

  JsonTreeBuilder(std::string_view text, const JsonLimits& limits, const TextStream& stream)
      : text_(text), limits_(limits), stream_(stream) {
    tree_.strings_ = std::make_unique<char[]>(text.size() + 1);
  }

  bool Null() { return scalar(JsonKind::kNull, {}); }
  bool Bool(bool value) { return scalar(JsonKind::kBool, value ? "true" : "false"); }
  bool RawNumber(const char* text, rapidjson::SizeType size, bool) {
    return scalar(JsonKind::kNumber, keep({text, size}));
  }
  bool String(const char* text, rapidjson::SizeType size, bool) {
    if (!check_string({text, size})) return false;
    return scalar(JsonKind::kString, keep({text, size}));
  }
  bool Key(const char* text, rapidjson::SizeType size, bool) {
    if (!check_string({text, size})) return false;
    key_begin_ = token_begin();
    key_ = keep({text, size});
    previous_end_ = static_cast<uint32_t>(stream_.Tell());
    return true;
  }
  bool StartObject() { return open(JsonKind::kObject); }
  bool StartArray() { return open(JsonKind::kArray); }
  bool EndObject(rapidjson::SizeType) {
    find_duplicates(open_.back().id);
    return close();
  }
  bool EndArray(rapidjson::SizeType) { return close(); }
  // Numbers arrive as text; RapidJSON wants these to exist.
  bool Int(int) { return false; }
  bool Uint(unsigned) { return false; }
  bool Int64(int64_t) { return false; }
  bool Uint64(uint64_t) { return false; }
  bool Double(double) { return false; }

  JsonTree take() { return std::move(tree_); }
  const std::optional<JsonError>& error() const { return error_; }

 private:
  struct Open {
    JsonId id, last_child;
  };

  uint32_t token_begin() const {
    uint32_t at = previous_end_;
    while (at < text_.size() && (is_blank(text_[at]) || text_[at] == ',' || text_[at] == ':')) ++at;
    return at;
  }

  bool fail(std::string message, std::string expected, std::string hint) {
    error_ = JsonError{token_begin(), std::move(message), std::move(expected), std::move(hint)};
    return false;
  }

  bool check_string(std::string_view text) {
    if (text.size() > limits_.string_bytes) {
      return fail("a text of " + std::to_string(text.size()) + " bytes",
                  "at most " + std::to_string(limits_.string_bytes) + " bytes",
                  "read it from a file instead");
    }
    if (text.find('\0') != std::string_view::npos) return fail("a text with a NUL character", {}, {});
    return true;
  }

  std::string_view keep(std::string_view text) {
    char* place = tree_.strings_.get() + used_;
    std::memcpy(place, text.data(), text.size());
    used_ += text.size();
    return {place, text.size()};
  }

  bool add(JsonKind kind, std::string_view text, uint32_t begin, uint32_t end) {
    if (tree_.nodes_.size() >= limits_.values) {
      return fail("more than " + std::to_string(limits_.values) + " values", {}, {});
    }
    const JsonId id = static_cast<JsonId>(tree_.nodes_.size());
    JsonNode node;
    node.kind = kind;
    node.begin = begin;
    node.end = end;
    node.text = text;
    if (!open_.empty()) {
      Open& parent = open_.back();
      node.parent = parent.id;
      node.key = key_;
      node.key_begin = key_begin_;
      if (parent.last_child == kNoJson) tree_.nodes_[parent.id].first_child = id;
      else tree_.nodes_[parent.last_child].next = id;
      ++tree_.nodes_[parent.id].n_children;
      parent.last_child = id;
    }
    key_ = {};
    tree_.nodes_.push_back(node);
    return true;
  }

  bool scalar(JsonKind kind, std::string_view text) {
    const uint32_t begin = token_begin(), end = static_cast<uint32_t>(stream_.Tell());
    if (!add(kind, text, begin, end)) return false;
    previous_end_ = end;
    return true;
  }

  bool open(JsonKind kind) {
    if (open_.size() >= limits_.depth) {
      return fail("arrays and objects nested deeper than " + std::to_string(limits_.depth), {}, {});
    }
    const uint32_t begin = token_begin();
    if (!add(kind, {}, begin, begin)) return false;
    open_.push_back({static_cast<JsonId>(tree_.nodes_.size() - 1), kNoJson});
    previous_end_ = begin + 1;
    return true;
  }

  bool close() {  // the reader still stands on the bracket
    previous_end_ = static_cast<uint32_t>(stream_.Tell()) + 1;
    tree_.nodes_[open_.back().id].end = previous_end_;
    open_.pop_back();
    return true;
  }

  void find_duplicates(JsonId object) {
    const JsonNode& node = tree_.nodes_[object];
    if (node.n_children < 2) return;
    std::unordered_set<std::string_view> seen;
    seen.reserve(node.n_children);
    for (JsonId child = node.first_child; child != kNoJson; child = tree_.nodes_[child].next) {
      if (!seen.insert(tree_.nodes_[child].key).second) tree_.duplicates_.push_back(child);
    }
  }

  std::string_view text_;
  JsonLimits limits_;
  const TextStream& stream_;
  JsonTree tree_;
  std::vector<Open> open_;
  std::string_view key_;
  uint32_t key_begin_ = 0, previous_end_ = 0;
  size_t used_ = 0;
  std::optional<JsonError> error_;
};

namespace {

// What a person probably did, from the bytes where the reader stopped.
JsonError explain(std::string_view text, size_t offset, rapidjson::ParseErrorCode code) {
  JsonError error;
  offset = std::min(offset, text.size());
  const char at = offset < text.size() ? text[offset] : '\0';
  size_t before = offset;
  while (before > 0 && is_blank(text[before - 1])) --before;
  const char previous = before > 0 ? text[before - 1] : '\0';
  error.offset = static_cast<uint32_t>(offset);
  const auto say = [&](std::string message, std::string expected = {}, std::string hint = {}) {
    error.message = std::move(message);
    error.expected = std::move(expected);
    error.hint = std::move(hint);
    return error;
  };
  const bool in_text = code == rapidjson::kParseErrorStringEscapeInvalid ||
                       code == rapidjson::kParseErrorStringInvalidEncoding;
  if (in_text && offset < text.size() && static_cast<unsigned char>(at) < 0x20) {
    return say("a line break or control character in a text", {},
               "write \\n for a line break, \\t for a tab");
  }
  switch (code) {
    case rapidjson::kParseErrorStringUnicodeEscapeInvalidHex:
      return say("a \\u without four hexadecimal digits");
    case rapidjson::kParseErrorStringUnicodeSurrogateInvalid:
      return say("half of a surrogate pair in a text");
    case rapidjson::kParseErrorStringEscapeInvalid:
      return say("an unknown escape in a text", "\\\" \\\\ \\/ \\b \\f \\n \\r \\t or \\uXXXX",
                 "write \\\\ for a backslash");
    case rapidjson::kParseErrorStringMissQuotationMark:
      return say("a text without its closing quotation mark");
    case rapidjson::kParseErrorStringInvalidEncoding: return say("a text that is not valid UTF-8");
    case rapidjson::kParseErrorNumberTooBig: return say("a number that is too large");
    case rapidjson::kParseErrorNumberMissFraction: return say("a number without digits after its point");
    case rapidjson::kParseErrorNumberMissExponent: return say("a number without digits after its e");
    default: break;
  }
  if (offset < text.size() && (at == '/' || at == '#')) {
    return say("a comment", {}, "JSON has none: write it as the \"help\" of the pipeline, node or input");
  }
  if (previous == ',' && (at == '}' || at == ']')) {
    error.offset = static_cast<uint32_t>(before - 1);
    return say(std::string("a comma before the closing '") + at + "'", {}, "remove the comma");
  }
  if (offset >= text.size()) return say("the file ends here", "more: a bracket is not closed");
  switch (code) {
    case rapidjson::kParseErrorDocumentRootNotSingular:
      return say("more text after the end of the JSON value");
    case rapidjson::kParseErrorObjectMissName:
      return say("no member name", "a name in double quotes", at == '\'' ? "use double quotes" : "");
    case rapidjson::kParseErrorObjectMissColon: return say("no ':' after a member name", "':'");
    case rapidjson::kParseErrorObjectMissCommaOrCurlyBracket:
      return say("an object that goes on", "',' or '}'");
    case rapidjson::kParseErrorArrayMissCommaOrSquareBracket:
      return say("an array that goes on", "',' or ']'");
    default: break;
  }
  return say("not a JSON value", "a text in double quotes, a number, true, false, null, [ or {",
             at == '\'' ? "use double quotes" : "");
}

std::optional<JsonError> check_encoding(std::string_view text) {
  const auto starts = [&](std::string_view prefix) { return text.substr(0, prefix.size()) == prefix; };
  if (starts("\xEF\xBB\xBF")) {
    return JsonError{0, "a byte order mark at the beginning", {}, "save the file as UTF-8 without one"};
  }
  if (starts("\xFF\xFE") || starts("\xFE\xFF")) {
    return JsonError{0, "a file in UTF-16", "UTF-8", "save the file as UTF-8"};
  }
  if (const size_t nul = text.find('\0'); nul != std::string_view::npos) {
    return JsonError{static_cast<uint32_t>(nul), "a NUL byte", {}, {}};
  }
  if (std::all_of(text.begin(), text.end(), is_blank))
    return JsonError{0, "the file is empty", "a JSON object", {}};
  return std::nullopt;
}

}  // namespace

std::variant<JsonTree, JsonError> JsonTree::parse(std::string_view text, const JsonLimits& limits) {
  if (text.size() > limits.bytes || text.size() >= UINT32_MAX - 1) {
    return JsonError{0,
                     "a file of " + std::to_string(text.size()) + " bytes",
                     "at most " + std::to_string(limits.bytes) + " bytes",
                     {}};
  }
  if (std::optional<JsonError> error = check_encoding(text)) return *error;
  TextStream stream(text);
  JsonTreeBuilder builder(text, limits, stream);
  rapidjson::Reader reader;
  constexpr unsigned kFlags = rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag |
                              rapidjson::kParseNumbersAsStringsFlag;
  const rapidjson::ParseResult result = reader.Parse<kFlags>(stream, builder);
  if (builder.error()) return *builder.error();
  if (result.IsError()) return explain(text, result.Offset(), result.Code());
  return builder.take();
}

std::vector<JsonId> JsonTree::children(JsonId id) const {
  std::vector<JsonId> result;
  result.reserve(nodes_[id].n_children);
  for (JsonId child = nodes_[id].first_child; child != kNoJson; child = nodes_[child].next)
    result.push_back(child);
  return result;
}

JsonId JsonTree::find(JsonId object, std::string_view key) const {
  for (JsonId child = nodes_[object].first_child; child != kNoJson; child = nodes_[child].next) {
    if (nodes_[child].key == key) return child;
  }
  return kNoJson;
}

std::string JsonTree::pointer(JsonId id) const {
  std::vector<std::string> steps;
  for (; nodes_[id].parent != kNoJson; id = nodes_[id].parent) {
    const JsonNode& parent = nodes_[nodes_[id].parent];
    if (parent.kind == JsonKind::kArray) {
      size_t index = 0;
      for (JsonId child = parent.first_child; child != id; child = nodes_[child].next) ++index;
      steps.push_back(std::to_string(index));
      continue;
    }
    std::string step;
    for (char c : nodes_[id].key) step += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
    steps.push_back(std::move(step));
  }
  std::string pointer;
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) pointer += "/" + *step;
  return pointer;
}

std::string JsonTree::compact(JsonId id) const {
  const JsonNode& node = nodes_[id];
  switch (node.kind) {
    case JsonKind::kNull: return "null";
    case JsonKind::kBool:
    case JsonKind::kNumber: return std::string(node.text);
    case JsonKind::kString: return json_string(node.text);
    case JsonKind::kArray:
    case JsonKind::kObject: break;
  }
  const bool object = node.kind == JsonKind::kObject;
  std::string text(1, object ? '{' : '[');
  for (JsonId child = node.first_child; child != kNoJson; child = nodes_[child].next) {
    if (child != node.first_child) text += ',';
    if (object) text += json_string(nodes_[child].key) + ':';
    text += compact(child);
  }
  return text + (object ? '}' : ']');
}

LineIndex::LineIndex(std::string_view text) : text_(text), starts_{0} {
  for (size_t at = text.find('\n'); at != std::string_view::npos; at = text.find('\n', at + 1)) {
    starts_.push_back(static_cast<uint32_t>(at + 1));
  }
}

SourcePosition LineIndex::position(uint32_t offset) const {
  const auto next = std::upper_bound(starts_.begin(), starts_.end(), offset);
  const uint32_t line = static_cast<uint32_t>(next - starts_.begin());
  return {line, offset - starts_[line - 1] + 1};
}

std::pair<std::string, uint32_t> LineIndex::excerpt(uint32_t offset, size_t width) const {
  const uint32_t start = starts_[position(offset).line - 1];
  size_t end = std::min(text_.find('\n', start), text_.size());
  if (end > start && text_[end - 1] == '\r') --end;
  const auto inside_character = [&](size_t at) {
    return at > start && at < end && (static_cast<unsigned char>(text_[at]) & 0xC0) == 0x80;
  };
  const size_t place = std::min<size_t>(offset, end);
  size_t first = place > start + width / 2 ? place - width / 2 : start;
  size_t last = std::min(end, first + width);
  while (inside_character(first)) ++first;
  while (inside_character(last)) --last;
  return {std::string(text_.substr(first, last - first)), static_cast<uint32_t>(place - first)};
}

namespace {

bool same_number(std::string_view a, std::string_view b) {
  double x = 0, y = 0;
  const auto read_a = std::from_chars(a.data(), a.data() + a.size(), x);
  const auto read_b = std::from_chars(b.data(), b.data() + b.size(), y);
  constexpr double kExact = 9007199254740992.0;  // 2^53: beyond it different integers may be one double
  const bool exact = read_a.ec == std::errc() && read_b.ec == std::errc() && std::abs(x) < kExact;
  return exact ? x == y : a == b;
}

bool same_value(const JsonTree& a, JsonId in_a, const JsonTree& b, JsonId in_b) {
  const JsonNode &x = a[in_a], &y = b[in_b];
  if (x.kind != y.kind || x.n_children != y.n_children) return false;
  if (x.kind == JsonKind::kNumber) return same_number(x.text, y.text);
  if (x.kind == JsonKind::kObject) {
    const std::vector<JsonId> members = a.children(in_a);
    return std::all_of(members.begin(), members.end(), [&](JsonId member) {
      const JsonId other = b.find(in_b, a[member].key);
      return other != kNoJson && same_value(a, member, b, other);
    });
  }
  if (x.kind != JsonKind::kArray) return x.text == y.text;
  JsonId other = y.first_child;
  for (JsonId item = x.first_child; item != kNoJson; item = a[item].next, other = b[other].next) {
    if (!same_value(a, item, b, other)) return false;
  }
  return true;
}

}  // namespace

bool same_json(std::string_view a, std::string_view b) {
  if (a == b) return true;
  constexpr JsonLimits kLimits{SIZE_MAX, 1000, SIZE_MAX, SIZE_MAX};
  const auto x = JsonTree::parse(a, kLimits), y = JsonTree::parse(b, kLimits);
  const auto *tree_x = std::get_if<JsonTree>(&x), *tree_y = std::get_if<JsonTree>(&y);
  return tree_x != nullptr && tree_y != nullptr && same_value(*tree_x, 0, *tree_y, 0);
}

const char* describe(JsonKind kind) {
  switch (kind) {
    case JsonKind::kNull: return "null";
    case JsonKind::kBool: return "a bool";
    case JsonKind::kNumber: return "a number";
    case JsonKind::kString: return "a text";
    case JsonKind::kArray: return "an array";
    case JsonKind::kObject: return "an object";
  }
  return "a value";
}

}  // namespace weft
