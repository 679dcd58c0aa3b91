#include "modalities/image/opencv/text_mask.h"

#include <algorithm>
#include <cstdio>
#include <opencv2/imgproc.hpp>
#include <string>

#include "modalities/image/opencv/one_thread.h"

namespace weft {
namespace {

constexpr int kFont = cv::FONT_HERSHEY_SIMPLEX;
constexpr char kCut[] = "...";

/// The font at one size.
struct Pen {
  explicit Pen(int64_t size)
      : thickness(std::max(1, static_cast<int>(size + 7) / 14)),
        scale(cv::getFontScaleFromHeight(kFont, static_cast<int>(size), thickness)) {}
  int width(const std::string& text) const {
    int baseline = 0;
    return cv::getTextSize(text, kFont, scale, thickness, &baseline).width;
  }
  int thickness;
  double scale;
};

int64_t line_height(int64_t size) { return size + (size * 3 + 4) / 5; }  // room for descenders

// The longest beginning of `word` that fits; at least one character.
size_t fitting(const Pen& pen, const std::string& word, int64_t room) {
  size_t length = word.size();
  while (length > 1 && pen.width(word.substr(0, length)) > room) --length;
  return length;
}

std::vector<std::string> break_lines(std::string_view text, const Pen& pen, const TextLayout& layout) {
  const int64_t room = std::max<int64_t>(1, layout.width - 2 * layout.margin);
  const auto most = static_cast<size_t>(layout.max_lines);
  std::vector<std::string> lines;
  std::string line;
  const auto end_line = [&] { lines.push_back(std::exchange(line, {})); };
  for (size_t i = 0; i < text.size() && lines.size() <= most;) {
    if (text[i] == '\n') {
      end_line(), ++i;
      continue;
    }
    if (text[i] == ' ') {
      ++i;
      continue;
    }
    const size_t end = std::min(text.find_first_of(" \n", i), text.size());
    const std::string word(text.substr(i, std::min(end - i, static_cast<size_t>(room) + 1)));
    const std::string longer = line.empty() ? word : line + " " + word;
    if (pen.width(longer) <= room && word.size() == end - i) {
      line = longer;
      i = end;
    } else if (!line.empty()) {
      end_line();
    } else {  // a word that is wider than a line
      const size_t length = fitting(pen, word, room);
      line = word.substr(0, length);
      end_line();
      i += length;
    }
  }
  if (!line.empty()) end_line();
  if (lines.size() <= most) return lines;
  lines.resize(most);
  std::string& last = lines.back();
  while (!last.empty() && pen.width(last + kCut) > room) last.pop_back();
  last += kCut;
  return lines;
}

Status check_characters(std::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte == '\n' || (byte >= 0x20 && byte < 0x7F)) continue;
    char code[16];
    std::snprintf(code, sizeof code, "byte 0x%02x", byte);
    return Status(StatusCode::kUnsupported, "the font does not have a character of the text")
        .expected("ASCII letters, digits and signs")
        .got(std::string(code) + " at offset " + std::to_string(i));
  }
  return {};
}

}  // namespace

int64_t text_mask_height(const TextLayout& layout, int64_t lines) {
  return lines == 0 ? 0 : lines * line_height(layout.size) + 2 * layout.margin;
}

Result<TextMask> make_text_mask(std::string_view text, const TextLayout& layout) {
  keep_opencv_to_one_thread();
  if (Status status = check_characters(text); !status.ok()) return status;
  const Pen pen(layout.size);
  const std::vector<std::string> lines = break_lines(text, pen, layout);
  TextMask mask;
  mask.width = layout.width;
  mask.height = text_mask_height(layout, static_cast<int64_t>(lines.size()));
  mask.coverage.resize(static_cast<size_t>(mask.width * mask.height));
  cv::Mat pixels(static_cast<int>(mask.height), static_cast<int>(mask.width), CV_8U, mask.coverage.data());
  for (size_t i = 0; i < lines.size(); ++i) {
    const int64_t baseline = layout.margin + static_cast<int64_t>(i) * line_height(layout.size) + layout.size;
    cv::putText(pixels, lines[i], {static_cast<int>(layout.margin), static_cast<int>(baseline)}, kFont,
                pen.scale, cv::Scalar(255), pen.thickness, cv::LINE_AA);
  }
  return mask;
}

}  // namespace weft
