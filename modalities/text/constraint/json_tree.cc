#include "modalities/text/constraint/json_tree.h"

#include <rapidjson/error/en.h>
#include <rapidjson/memorystream.h>
#include <rapidjson/reader.h>

#include <algorithm>
#include <cstdio>
#include <unordered_set>

#include "modalities/text/constraint/json_number_range.h"

namespace weft::constraint {
namespace {

class TreeBuilder : public rapidjson::BaseReaderHandler<rapidjson::UTF8<>, TreeBuilder> {
 public:
  explicit TreeBuilder(int max_depth) : max_depth_(max_depth) {}

  bool Null() { return add(Json()); }
  bool Bool(bool b) { return add(Json(b ? Json::Kind::kTrue : Json::Kind::kFalse)); }
  bool RawNumber(const char* text, rapidjson::SizeType size, bool) {
    return add(Json(Json::Kind::kNumber, std::string(text, size)));
  }
  bool String(const char* text, rapidjson::SizeType size, bool) {
    return add(Json::string(std::string(text, size)));
  }
  bool Key(const char* text, rapidjson::SizeType size, bool) {
    keys_.back() = std::string(text, size);
    if (!seen_.back().insert(keys_.back()).second) doubled_ = keys_.back();
    return doubled_.empty();
  }
  bool StartObject() { return open(Json::Kind::kObject); }
  bool StartArray() { return open(Json::Kind::kArray); }
  bool EndObject(rapidjson::SizeType) { return close(); }
  bool EndArray(rapidjson::SizeType) { return close(); }

  Json take() { return std::move(root_); }
  const std::string& doubled() const { return doubled_; }
  bool too_deep() const { return too_deep_; }

 private:
  bool open(Json::Kind kind) {
    too_deep_ = open_.size() >= static_cast<size_t>(max_depth_);
    open_.emplace_back(kind);
    keys_.emplace_back();
    seen_.emplace_back();
    return !too_deep_;
  }
  bool close() {
    Json done = std::move(open_.back());
    open_.pop_back();
    keys_.pop_back();
    seen_.pop_back();
    return add(std::move(done));
  }
  bool add(Json value) {
    if (open_.empty()) {
      root_ = std::move(value);
    } else if (open_.back().is_array()) {
      open_.back().items.push_back(std::move(value));
    } else {
      open_.back().members.push_back({keys_.back(), std::move(value)});
    }
    return true;
  }

  const int max_depth_;
  std::vector<Json> open_;
  std::vector<std::string> keys_;
  std::vector<std::unordered_set<std::string>> seen_;
  Json root_;
  std::string doubled_;
  bool too_deep_ = false;
};

void append_json(const Json& json, std::string* out) {
  const auto append_string = [&](const std::string& text) {
    *out += '"';
    for (const char c : text) {
      static constexpr std::string_view kShort = "\"\"\\\\\bb\ff\nn\rr\tt";
      size_t i = 0;
      while (i < kShort.size() && kShort[i] != c) i += 2;
      if (i < kShort.size()) {
        *out += {'\\', kShort[i + 1]};
      } else if (static_cast<unsigned char>(c) < 0x20) {
        char buffer[8];
        std::snprintf(buffer, sizeof buffer, "\\u%04x", static_cast<unsigned>(static_cast<unsigned char>(c)));
        *out += buffer;
      } else {
        *out += c;
      }
    }
    *out += '"';
  };
  switch (json.kind) {
    case Json::Kind::kNull: *out += "null"; break;
    case Json::Kind::kFalse: *out += "false"; break;
    case Json::Kind::kTrue: *out += "true"; break;
    case Json::Kind::kNumber: *out += json.text; break;
    case Json::Kind::kString: append_string(json.text); break;
    case Json::Kind::kArray:
      *out += '[';
      for (size_t i = 0; i < json.items.size(); ++i) {
        if (i > 0) *out += ',';
        append_json(json.items[i], out);
      }
      *out += ']';
      break;
    case Json::Kind::kObject:
      *out += '{';
      for (size_t i = 0; i < json.members.size(); ++i) {
        if (i > 0) *out += ',';
        append_string(json.members[i].name);
        *out += ':';
        append_json(json.members[i].value, out);
      }
      *out += '}';
      break;
  }
}

}  // namespace

Json::Json(Kind of_kind, std::string of_text) : kind(of_kind), text(std::move(of_text)) {}
Json::Json(const Json&) = default;
Json::Json(Json&&) noexcept = default;
Json& Json::operator=(const Json&) = default;
Json& Json::operator=(Json&&) noexcept = default;
Json::~Json() = default;

Json Json::string(std::string text) { return Json(Kind::kString, std::move(text)); }

Json Json::array(std::vector<Json> items) {
  Json out(Kind::kArray);
  out.items = std::move(items);
  return out;
}

Json Json::object(std::vector<JsonMember> members) {
  Json out(Kind::kObject);
  out.members = std::move(members);
  return out;
}

const Json* Json::find(std::string_view name) const {
  for (const JsonMember& member : members) {
    if (member.name == name) return &member.value;
  }
  return nullptr;
}

bool equal(const Json& a, const Json& b) {
  if (a.kind != b.kind) return false;
  switch (a.kind) {
    case Json::Kind::kNumber: {
      const auto x = Decimal::parse(a.text), y = Decimal::parse(b.text);
      return x && y ? compare(*x, *y) == 0 : a.text == b.text;
    }
    case Json::Kind::kString: return a.text == b.text;
    case Json::Kind::kArray:
      return std::equal(a.items.begin(), a.items.end(), b.items.begin(), b.items.end(), equal);
    case Json::Kind::kObject:
      return a.members.size() == b.members.size() &&
             std::all_of(a.members.begin(), a.members.end(), [&](const auto& m) {
               const Json* other = b.find(m.name);
               return other != nullptr && equal(m.value, *other);
             });
    case Json::Kind::kNull:
    case Json::Kind::kFalse:
    case Json::Kind::kTrue: break;
  }
  return true;
}

std::string to_json_text(const Json& json) {
  std::string out;
  append_json(json, &out);
  return out;
}

const char* kind_name(const Json& json) {
  switch (json.kind) {
    case Json::Kind::kNull: return "null";
    case Json::Kind::kFalse: return "false";
    case Json::Kind::kTrue: return "true";
    case Json::Kind::kNumber: return "a number";
    case Json::Kind::kString: return "a string";
    case Json::Kind::kArray: return "an array";
    case Json::Kind::kObject: return "an object";
  }
  return "";
}

Result<Json> parse_json_tree(std::string_view text, int max_depth) {
  rapidjson::MemoryStream stream(text.data(), text.size());
  rapidjson::Reader reader;
  TreeBuilder builder(max_depth);
  const rapidjson::ParseResult parsed =
      reader.Parse<rapidjson::kParseValidateEncodingFlag | rapidjson::kParseIterativeFlag |
                   rapidjson::kParseNumbersAsStringsFlag>(stream, builder);
  if (parsed.IsError()) {
    const std::string where = "offset " + std::to_string(parsed.Offset());
    if (builder.too_deep()) {
      return Status(StatusCode::kOutOfRange, "JSON nests too deeply")
          .at(where)
          .expected("at most " + std::to_string(max_depth) + " levels");
    }
    if (!builder.doubled().empty()) {
      return Status(StatusCode::kCorruptData, "an object has the member '" + builder.doubled() + "' twice")
          .at(where);
    }
    return Status(StatusCode::kCorruptData, "not JSON")
        .at(where)
        .got(rapidjson::GetParseError_En(parsed.Code()));
  }
  return builder.take();
}

}  // namespace weft::constraint
