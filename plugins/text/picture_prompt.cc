#include "plugins/text/picture_prompt.h"

#include <algorithm>
#include <string>
#include <string_view>

namespace weft::text {
namespace {

using Json = nlohmann::ordered_json;

int64_t shown_in(const Json& message) {
  const auto content = message.find("content");
  if (content == message.end() || !content->is_array()) return 0;
  return std::ranges::count_if(*content, [](const Json& part) {
    return part.is_object() && part.contains("type") && part["type"] == "image";
  });
}

void to_parts(Json& message) {
  const auto content = message.find("content");
  if (content == message.end() || !content->is_string()) return;
  Json parts = Json::array();
  parts.push_back({{"type", "text"}, {"text", content->get<std::string>()}});
  *content = std::move(parts);
}

Status miscounted(const char* message, int64_t there, int64_t shown) {
  return Status(StatusCode::kInvalidArgument, message)
      .expected(std::to_string(there))
      .got(std::to_string(shown))
      .hint(
          "give as many pictures at the ports 'image' and 'images' as the messages show, or let none show "
          "any");
}

}  // namespace

Status show_pictures(Json& messages, int64_t n_pictures) {
  int64_t shown = 0;
  Json* last = nullptr;
  for (Json& message : messages) {
    shown += shown_in(message);
    if (message["role"] == "user") last = &message;
  }
  if (shown > n_pictures)
    return miscounted("the messages show more pictures than there are", n_pictures, shown);
  if (shown == n_pictures) return {};
  if (last == nullptr)
    return Status(StatusCode::kInvalidArgument,
                  "a picture belongs to a message of the user, and there is none");
  if (shown_in(*last) > 0)
    return miscounted("the messages show fewer pictures than there are", n_pictures, shown);
  to_parts(*last);
  Json& content = (*last)["content"];
  if (!content.is_array()) content = Json::array();
  content.insert(content.begin(), static_cast<size_t>(n_pictures - shown), Json{{"type", "image"}});
  return {};
}

void contents_to_parts(Json& messages) {
  for (Json& message : messages) to_parts(message);
}

Result<TrustedText> place_pictures(const RenderedChat& chat, ControlText control_text,
                                   const PictureReader* reader, int64_t n_pictures) {
  TrustedText out;
  int64_t placed = 0;
  for (const RenderedChat::Run& run : chat.runs) {
    std::string_view rest = std::string_view(chat.text).substr(run.begin, run.end - run.begin);
    const bool trusted = run.origin == TextOrigin::kTemplate || control_text == ControlText::kIsToken;
    const size_t begin = out.text.size();
    for (size_t at; trusted && reader && (at = rest.find(reader->mark)) != std::string_view::npos;) {
      out.text += rest.substr(0, at);
      if (++placed <= n_pictures) out.text += reader->in_place;
      rest.remove_prefix(at + reader->mark.size());
    }
    out.text += rest;
    if (trusted) out.ranges.push_back({begin, out.text.size()});
  }
  if (placed > n_pictures && reader)
    return miscounted("the prompt has more places for pictures than there are pictures", n_pictures, placed);
  if (placed < n_pictures)
    return Status(StatusCode::kUnsupported, "the model's chat template does not show the pictures")
        .expected(std::to_string(n_pictures) + " places for them")
        .got(std::to_string(placed));
  return out;
}

Result<std::vector<int64_t>> picture_places(std::span<const TokenId> tokens, const PictureReader& reader,
                                            int64_t n_pictures) {
  std::vector<int64_t> places;
  const int64_t n = static_cast<int64_t>(tokens.size()), rows = reader.network.n_rows();
  int64_t stray = 0;
  for (int64_t i = 0; i < n;) {
    int64_t end = i;
    while (end < n && end < i + rows && tokens[static_cast<size_t>(end)] == reader.image_token()) ++end;
    if (end - i == rows) places.push_back(i);
    else stray += end - i;
    i = std::max(end, i + 1);
  }
  if (stray == 0 && static_cast<int64_t>(places.size()) == n_pictures) return places;
  return Status(StatusCode::kInvalidArgument, "the prompt's image tokens do not make its pictures")
      .expected(std::to_string(n_pictures) + " times " + std::to_string(rows))
      .got(std::to_string(places.size()) + " times, and " + std::to_string(stray) + " tokens besides");
}

}  // namespace weft::text
