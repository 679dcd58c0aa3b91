// JPEG through libjpeg(-turbo). As in png.cc, errors come with longjmp: what owns something is a member.
#include <cstddef>
#include <cstdio>
// jpeglib.h needs both of the above.
#include <jerror.h>
#include <jpeglib.h>

#include <csetjmp>
#include <cstring>
#include <vector>

#include "modalities/image/files/codecs.h"
#include "modalities/image/files/record.h"

namespace weft::files {
namespace {

constexpr int kMostScans = 500;  // of a progressive file: encoders make about ten, hostile ones thousands

/// libjpeg's error manager, with a place to jump to.
struct Failure {
  jpeg_error_mgr manager;  // first: libjpeg hands out its address
  std::jmp_buf place;
  char message[JMSG_LENGTH_MAX] = "";
  bool cancelled = false;

  Failure() {
    jpeg_std_error(&manager);
    manager.error_exit = [](j_common_ptr info) { fail(info); };
    manager.output_message = [](j_common_ptr) {};
    manager.emit_message = [](j_common_ptr info, int level) {
      if (level < 0 && is_damage(info->err->msg_code)) fail(info);
    };
  }
  static void fail(j_common_ptr info) {
    auto* self = reinterpret_cast<Failure*>(info->err);
    info->err->format_message(info, self->message);
    std::longjmp(self->place, 1);
  }
  // Warnings of libjpeg after which pixels are made up. The others concern what many cameras write.
  static bool is_damage(int code) {
    switch (code) {
      case JWRN_EXTRANEOUS_DATA:
      case JWRN_ADOBE_XFORM:
      case JWRN_JFIF_MAJOR: return false;
      default: return true;
    }
  }
};

class Reader {
 public:
  explicit Reader(Bytes file) : file_(file) {
    info_.err = &failure_.manager;
    created_ = setjmp(failure_.place) == 0;
    if (created_) jpeg_create_decompress(&info_);
  }
  ~Reader() {
    if (created_) jpeg_destroy_decompress(&info_);
    std::free(profile_);
  }
  Reader(const Reader&) = delete;

  Status read_header() {
    if (!created_) return {StatusCode::kOutOfMemory, "out of memory"};
    if (setjmp(failure_.place)) return failed();
    jpeg_mem_src(&info_, reinterpret_cast<const unsigned char*>(file_.data()), file_.size());
    jpeg_save_markers(&info_, JPEG_APP0 + 1, 0xFFFF);  // EXIF
    jpeg_read_header(&info_, TRUE);
    return {};
  }

  Result<std::vector<std::byte>> read_profile() {
    if (!created_) return Status(StatusCode::kOutOfMemory, "out of memory");
    if (setjmp(failure_.place)) return failed();
    jpeg_mem_src(&info_, reinterpret_cast<const unsigned char*>(file_.data()), file_.size());
    jpeg_save_markers(&info_, JPEG_APP0 + 2, 0xFFFF);
    jpeg_read_header(&info_, TRUE);
    unsigned size = 0;
    if (jpeg_read_icc_profile(&info_, &profile_, &size) == FALSE) size = 0;
    return copy_of(profile_, size);
  }

  ImageHeader header() const {
    ImageHeader header;
    header.format = ImageFormat::kJpeg;
    header.width = info_.image_width;
    header.height = info_.image_height;
    header.bits = info_.data_precision;
    header.channels = info_.num_components == 1 ? 1 : 3;
    if (info_.num_components == 4) header.pixels = ColorTransform::Pixels::kInks;
    for (const jpeg_marker_struct* marker = info_.marker_list; marker != nullptr; marker = marker->next) {
      if (marker->data_length < 6 || std::memcmp(marker->data, "Exif\0\0", 6) != 0) continue;
      header.orientation = exif_orientation(std::as_bytes(std::span(marker->data, marker->data_length)));
      break;
    }
    return header;
  }

  Status decode(const PixelWriter& writer, const ImageCancelled& cancelled, const ColorTransform& inks) {
    cancelled_ = &cancelled;
    if (setjmp(failure_.place)) return failure_.cancelled ? cancelled_status() : failed();
    watch_progress();
    const bool ink = info_.num_components == 4;  // CMYK or YCCK
    info_.out_color_space = ink ? JCS_CMYK : writer.channels() == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_start_decompress(&info_);
    row_.resize(static_cast<size_t>(info_.output_width) * static_cast<size_t>(info_.output_components));
    while (info_.output_scanline < info_.output_height) {
      const int64_t y = info_.output_scanline;
      JSAMPROW row = row_.data();
      if (jpeg_read_scanlines(&info_, &row, 1) != 1) break;
      if (ink) inks_to_rgb(inks);
      writer.write(y, row_.data());
    }
    jpeg_finish_decompress(&info_);
    return {};
  }

 private:
  // libjpeg calls it every few rows, and while it collects the scans of a progressive file before the first row.
  void watch_progress() {
    info_.client_data = this;
    progress_.progress_monitor = [](j_common_ptr info) {
      auto* self = static_cast<Reader*>(info->client_data);
      if (*self->cancelled_ && (*self->cancelled_)()) {
        self->failure_.cancelled = true;
        std::longjmp(self->failure_.place, 1);
      }
      if (self->info_.input_scan_number > kMostScans) {
        std::snprintf(self->failure_.message, sizeof self->failure_.message, "more than %d scans",
                      kMostScans);
        std::longjmp(self->failure_.place, 1);
      }
    };
    info_.progress = &progress_;
  }

  // The four inks, in place. Adobe's files hold them inverted, 255 for none, which is what both ways expect.
  void inks_to_rgb(const ColorTransform& colors) {
    const size_t width = info_.output_width;
    if (info_.saw_Adobe_marker == FALSE) {
      for (uint8_t& ink : row_) ink = static_cast<uint8_t>(255 - ink);
    }
    if (!colors.is_identity()) {
      rgb_.resize(3 * width);
      colors.inks_to_rgb(row_.data(), rgb_.data(), width);
      std::memcpy(row_.data(), rgb_.data(), rgb_.size());
      return;
    }
    for (size_t x = 0; x < width; ++x) {
      const uint8_t* ink = row_.data() + 4 * x;
      uint8_t rgb[3];
      for (int c = 0; c < 3; ++c) rgb[c] = static_cast<uint8_t>((unsigned{ink[c]} * ink[3] + 127) / 255);
      std::memcpy(row_.data() + 3 * x, rgb, 3);
    }
  }

  Status failed() const {
    const size_t left = info_.src != nullptr ? info_.src->bytes_in_buffer : 0;
    const size_t offset = left <= file_.size() ? file_.size() - left : file_.size();
    return at_offset(corrupt(std::string("the JPEG file is damaged: ") + failure_.message), offset);
  }

  Bytes file_;
  Failure failure_;
  jpeg_decompress_struct info_{};
  jpeg_progress_mgr progress_{};
  const ImageCancelled* cancelled_ = nullptr;
  bool created_ = false;
  std::vector<uint8_t> row_, rgb_;
  JOCTET* profile_ = nullptr;  // libjpeg's
};

class Writer {
 public:
  Writer(const ImageView& image, int64_t index, const ImageEncodeOptions& options)
      : image_(image), index_(index), options_(options) {
    info_.err = &failure_.manager;
    created_ = setjmp(failure_.place) == 0;
    if (created_) jpeg_create_compress(&info_);
    const auto size = static_cast<size_t>(image.shape.width * image.shape.channels);
    row_.resize(size);
    values_.resize(size);
    if (!options.record.empty()) packet_ = jpeg_record_segment(options.record);
    profile_ = srgb_profile(image.shape.channels);
  }
  ~Writer() {
    if (created_) jpeg_destroy_compress(&info_);
    std::free(memory_);
  }
  Writer(const Writer&) = delete;

  Result<std::string> encode(const ImageCancelled& cancelled) {
    if (Status status = compress(cancelled); !status.ok()) return status;
    return std::string(reinterpret_cast<const char*>(memory_), size_);
  }

 private:
  Status compress(const ImageCancelled& cancelled) {
    if (!created_) return {StatusCode::kOutOfMemory, "out of memory"};
    if (setjmp(failure_.place)) return {StatusCode::kInternal, std::string("libjpeg: ") + failure_.message};
    jpeg_mem_dest(&info_, &memory_, &size_);
    info_.image_width = static_cast<JDIMENSION>(image_.shape.width);
    info_.image_height = static_cast<JDIMENSION>(image_.shape.height);
    info_.input_components = static_cast<int>(image_.shape.channels);
    info_.in_color_space = image_.shape.channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_set_defaults(&info_);
    jpeg_set_quality(&info_, options_.quality, TRUE);
    info_.optimize_coding = TRUE;
    constexpr int kFullColourFrom = 90;
    if (options_.quality >= kFullColourFrom)
      info_.comp_info[0].h_samp_factor = info_.comp_info[0].v_samp_factor = 1;
    jpeg_start_compress(&info_, TRUE);
    if (!packet_.empty()) {
      jpeg_write_marker(&info_, JPEG_APP0 + 1, reinterpret_cast<const JOCTET*>(packet_.data()),
                        static_cast<unsigned>(packet_.size()));
    }
    jpeg_write_icc_profile(&info_, reinterpret_cast<const JOCTET*>(profile_.data()),
                           static_cast<unsigned>(profile_.size()));
    while (info_.next_scanline < info_.image_height) {
      if (cancelled && cancelled()) return cancelled_status();
      encode_row(image_, index_, info_.next_scanline, options_.color_space, values_.data(), row_.data());
      JSAMPROW row = row_.data();
      jpeg_write_scanlines(&info_, &row, 1);
    }
    jpeg_finish_compress(&info_);
    return {};
  }

  const ImageView& image_;
  const int64_t index_;
  const ImageEncodeOptions& options_;
  Failure failure_;
  jpeg_compress_struct info_{};
  bool created_ = false;
  std::vector<uint8_t> row_;
  std::vector<float> values_;
  std::string packet_, profile_;
  unsigned char* memory_ = nullptr;  // libjpeg's
  unsigned long size_ = 0;
};

}  // namespace

Result<ImageHeader> read_jpeg_header(Bytes file) {
  Reader reader(file);
  if (Status status = reader.read_header(); !status.ok()) return status;
  return reader.header();
}

Result<std::vector<std::byte>> read_jpeg_profile(Bytes file) { return Reader(file).read_profile(); }

Status decode_jpeg(Bytes file, const PixelWriter& writer, const ImageCancelled& cancelled,
                   const ColorTransform& inks) {
  Reader reader(file);
  Status status = reader.read_header();
  return status.ok() ? reader.decode(writer, cancelled, inks) : status;
}

Result<std::string> encode_jpeg(const ImageView& image, int64_t index, const ImageEncodeOptions& options,
                                const ImageCancelled& cancelled) {
  if (image.shape.has_alpha()) {
    return Status(StatusCode::kUnsupported, "JPEG has no transparency")
        .expected("1 or 3 channels")
        .got("4 channels")
        .hint("put the picture on a background with image.composite, or save as PNG or WebP");
  }
  if (Status status = check_record_size(options.record, ImageFormat::kJpeg); !status.ok()) return status;
  return Writer(image, index, options).encode(cancelled);
}

}  // namespace weft::files
