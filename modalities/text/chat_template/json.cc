#include "modalities/text/chat_template/json.h"

#define RAPIDJSON_HAS_STDSTRING 1
#include <rapidjson/document.h>
#include <rapidjson/error/en.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace weft::jinja {
namespace {

Result<Value> from_json(const rapidjson::Value& json, int depth) {
  if (depth > kMaxValueDepth) {
    return Status(StatusCode::kOutOfRange, "JSON nests too deeply")
        .expected("at most " + std::to_string(kMaxValueDepth) + " levels");
  }
  if (json.IsNull()) return Value(None{});
  if (json.IsBool()) return Value(json.GetBool());
  if (json.IsInt64()) return Value(int64_t{json.GetInt64()});
  if (json.IsNumber()) return Value(json.GetDouble());
  const auto text = [](const rapidjson::Value& v) {
    return Text(std::string(v.GetString(), v.GetStringLength()), TextOrigin::kContent);
  };
  if (json.IsString()) return Value(text(json));
  if (json.IsArray()) {
    std::vector<Value> items;
    for (const rapidjson::Value& element : json.GetArray()) {
      Result<Value> item = from_json(element, depth + 1);
      if (!item.ok()) return item;
      items.push_back(*std::move(item));
    }
    return make_list(std::move(items));
  }
  Dict dict;
  for (const auto& member : json.GetObject()) {
    Result<Value> value = from_json(member.value, depth + 1);
    if (!value.ok()) return value;
    dict.set(text(member.name), *std::move(value));
  }
  return make_dict(std::move(dict));
}

class Writer {
 public:
  Writer(Evaluator& evaluator, const JsonStyle& style) : evaluator_(evaluator), style_(style) {}

  void value(const Value& v, int depth) {
    if (!evaluator_.charge(1)) return;
    if (out_.size() > evaluator_.max_text_bytes()) {
      evaluator_.fail(StatusCode::kOutOfRange, "a string becomes too long",
                      "at most " + std::to_string(evaluator_.max_text_bytes()) + " bytes");
      return;
    }
    if (v.is_none()) {
      out_ += "null";
    } else if (const bool* b = v.get_if<bool>()) {
      out_ += *b ? "true" : "false";
    } else if (const auto integer = v.integer()) {
      out_ += std::to_string(*integer);
    } else if (const double* d = v.get_if<double>()) {
      out_ += std::isnan(*d) ? "NaN" : std::isinf(*d) ? (*d < 0 ? "-Infinity" : "Infinity") : float_text(*d);
    } else if (v.text() != nullptr) {
      string(*v.text());
    } else if (const List* list = v.list()) {
      array(*list, depth);
    } else if (const Dict* dict = v.dict()) {
      object(*dict, depth);
    } else {
      evaluator_.wrong_type("'tojson'", v, "a string, a number, a bool, none, a list or a dictionary");
    }
  }

  Text finish() { return Text(std::move(out_), origin_); }

 private:
  void line(int depth) {
    if (style_.layout == JsonStyle::Layout::kOneLine) return;
    out_ += '\n';
    for (int i = 0; i < depth; ++i) out_ += style_.indent;
  }

  void array(const List& list, int depth) {
    out_ += '[';
    for (size_t i = 0; i < list.items.size() && !evaluator_.failed(); ++i) {
      if (i > 0) out_ += style_.item_separator;
      line(depth + 1);
      value(list.items[i], depth + 1);
    }
    if (!list.items.empty()) line(depth);
    out_ += ']';
  }

  void object(const Dict& dict, int depth) {
    std::vector<const std::pair<Value, Value>*> members;
    for (const auto& entry : dict.entries) members.push_back(&entry);
    if (style_.key_order == KeyOrder::kSorted) {
      std::stable_sort(members.begin(), members.end(), [&](const auto* a, const auto* b) {
        return evaluator_.ordered_before(a->first, b->first);
      });
    }
    out_ += '{';
    for (size_t i = 0; i < members.size() && !evaluator_.failed(); ++i) {
      if (i > 0) out_ += style_.item_separator;
      line(depth + 1);
      const Value& key = members[i]->first;
      if (key.text() != nullptr) {
        string(*key.text());
      } else {  // Python writes other keys as strings
        out_ += '"';
        value(key, depth + 1);
        out_ += '"';
      }
      out_ += style_.key_separator;
      value(members[i]->second, depth + 1);
    }
    if (!members.empty()) line(depth);
    out_ += '}';
  }

  void escape(uint32_t unit) {
    char buffer[16];
    std::snprintf(buffer, sizeof buffer, "\\u%04x", unit);
    out_ += buffer;
  }

  void string(const Text& text) {
    if (text.origin() == TextOrigin::kContent) origin_ = TextOrigin::kContent;
    if (!evaluator_.charge(static_cast<int64_t>(text.size() / 16))) return;
    static constexpr std::string_view kShort = "\"\"\\\\\bb\ff\nn\rr\tt";
    const std::string_view bytes = text.bytes();
    out_ += '"';
    for (size_t i = 0; i < bytes.size();) {
      const size_t begin = i;
      const uint32_t c = next_code_point(bytes, &i);
      size_t short_form = 0;
      while (short_form < kShort.size() && static_cast<unsigned char>(kShort[short_form]) != c)
        short_form += 2;
      if (short_form < kShort.size()) {
        out_ += {'\\', kShort[short_form + 1]};
      } else if (c < 0x20 ||
                 (style_.characters == JsonStyle::Characters::kAscii && c > 0x7E && c < 0x10000)) {
        escape(c);
      } else if (style_.characters == JsonStyle::Characters::kAscii && c >= 0x10000) {
        escape(0xD800 + ((c - 0x10000) >> 10));
        escape(0xDC00 + ((c - 0x10000) & 0x3FF));
      } else {
        out_.append(bytes.substr(begin, i - begin));
      }
    }
    out_ += '"';
  }

  Evaluator& evaluator_;
  const JsonStyle& style_;
  std::string out_;
  TextOrigin origin_ = TextOrigin::kTemplate;
};

}  // namespace

Result<Value> parse_json(std::string_view json, std::string_view name) {
  rapidjson::Document document;
  document.Parse<rapidjson::kParseValidateEncodingFlag | rapidjson::kParseIterativeFlag |
                 rapidjson::kParseFullPrecisionFlag>(json.data(), json.size());
  if (document.HasParseError()) {
    return Status(StatusCode::kInvalidArgument, std::string(name) + " is not JSON")
        .at("offset " + std::to_string(document.GetErrorOffset()))
        .expected("UTF-8 JSON")
        .got(rapidjson::GetParseError_En(document.GetParseError()));
  }
  Result<Value> value = from_json(document, 0);
  if (!value.ok()) return value.status().at(std::string(name));
  return value;
}

Text dump_json(Evaluator& evaluator, const Value& value, const JsonStyle& style) {
  Writer writer(evaluator, style);
  writer.value(value, 0);
  return evaluator.failed() ? Text() : writer.finish();
}

}  // namespace weft::jinja
