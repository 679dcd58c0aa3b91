#include "modalities/image/opencv/text_mask.h"

#include <algorithm>
#include <cstdio>
#include <opencv2/imgproc.hpp>
#include <string>

#include "modalities/image/opencv/one_thread.h"

namespace weft {
namespace {

constexpr int kFont = cv::FONT_HERSHEY_SIMPLEX;

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

bool is_drawn(char character) {
  const auto byte = static_cast<unsigned char>(character);
  return byte == '\n' || (byte >= 0x20 && byte < 0x7F);
}

Status check_characters(std::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (is_drawn(text[i])) continue;
    char code[16];
    std::snprintf(code, sizeof code, "byte 0x%02x",
                  static_cast<unsigned>(static_cast<unsigned char>(text[i])));
    return Status(StatusCode::kUnsupported, "the font does not have a character of the text")
        .expected("ASCII letters, digits and signs")
        .got(std::string(code) + " at offset " + std::to_string(i));
  }
  return {};
}

}  // namespace

int64_t text_mask_height(const TextLayout& layout, int64_t lines) {
  return lines == 0 ? 0 : lines * line_height(layout) + 2 * layout.margin;
}

bool has_stroke_letters(std::string_view text) { return std::all_of(text.begin(), text.end(), is_drawn); }

Result<TextMask> make_text_mask(std::string_view text, const TextLayout& layout) {
  keep_opencv_to_one_thread();
  if (Status status = check_characters(text); !status.ok()) return status;
  const Pen pen(layout.size);
  const std::vector<std::string> lines =
      break_lines(text, layout, [&](std::string_view part) { return int64_t{pen.width(std::string(part))}; });
  TextMask mask;
  mask.width = layout.width;
  mask.height = text_mask_height(layout, static_cast<int64_t>(lines.size()));
  mask.coverage.resize(static_cast<size_t>(mask.width * mask.height));
  cv::Mat pixels(static_cast<int>(mask.height), static_cast<int>(mask.width), CV_8U, mask.coverage.data());
  for (size_t i = 0; i < lines.size(); ++i) {
    const int64_t baseline = layout.margin + static_cast<int64_t>(i) * line_height(layout) + layout.size;
    cv::putText(pixels, lines[i], {static_cast<int>(layout.margin), static_cast<int>(baseline)}, kFont,
                pen.scale, cv::Scalar(255), pen.thickness, cv::LINE_AA);
  }
  return mask;
}

}  // namespace weft
