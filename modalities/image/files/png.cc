// PNG through libpng. libpng reports errors with longjmp: nothing with a destructor may be made between a setjmp and what
// can fail, so that everything that owns something is a member of the Reader or Writer around it.
#include <png.h>
#include <zlib.h>

#include <algorithm>
#include <bit>
#include <csetjmp>
#include <cstring>
#include <vector>

#include "modalities/image/files/codecs.h"

namespace weft::files {
namespace {

constexpr size_t kHeaderBytes = 33;                  // signature and IHDR
constexpr png_alloc_size_t kLargestChunk = 8 << 20;  // in memory, of those that are kept at all

/// What both directions share: the error that libpng reported.
struct Failure {
  char message[256] = "";

  static void report(png_structp png, png_const_charp text) {
    auto* self = static_cast<Failure*>(png_get_error_ptr(png));
    std::snprintf(self->message, sizeof self->message, "%s", text);
    png_longjmp(png, 1);
  }
  static void ignore(png_structp, png_const_charp) {}
};

class Reader {
 public:
  explicit Reader(Bytes file) : file_(file) {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, &failure_, Failure::report, Failure::ignore);
    if (png_ != nullptr) info_ = png_create_info_struct(png_);
  }
  ~Reader() { png_destroy_read_struct(&png_, &info_, nullptr); }
  Reader(const Reader&) = delete;

  /// Everything up to the first pixels.
  Status read_info() {
    if (info_ == nullptr) return {StatusCode::kOutOfMemory, "out of memory"};
    if (setjmp(png_jmpbuf(png_))) return failed();
    png_set_read_fn(png_, this, read);
    png_set_user_limits(png_, kMaxImageSide, kMaxImageSide);
    png_set_chunk_malloc_max(png_, kLargestChunk);
    // Texts are not used, profiles are read by read_png_profile: they are not inflated here.
    static constexpr png_byte kUnused[] = "iCCP\0iTXt\0tEXt\0zTXt\0sPLT";
    png_set_keep_unknown_chunks(png_, PNG_HANDLE_CHUNK_NEVER, kUnused, 5);
    png_read_info(png_, info_);
    return {};
  }

  ImageHeader header() const {
    ImageHeader header;
    header.format = ImageFormat::kPng;
    header.width = png_get_image_width(png_, info_);
    header.height = png_get_image_height(png_, info_);
    header.bits = png_get_bit_depth(png_, info_);
    const int color = png_get_color_type(png_, info_);
    const bool alpha = (color & PNG_COLOR_MASK_ALPHA) != 0 || png_get_valid(png_, info_, PNG_INFO_tRNS) != 0;
    header.channels = alpha ? 4 : (color & PNG_COLOR_MASK_COLOR) != 0 ? 3 : 1;
    png_uint_32 size = 0;
    png_bytep exif = nullptr;
    if (png_get_eXIf_1(png_, info_, &size, &exif) != 0) {
      header.orientation = exif_orientation(std::as_bytes(std::span(exif, size)));
    }
    return header;
  }

  Status decode(const PixelWriter& writer, const ImageCancelled& cancelled) {
    if (setjmp(png_jmpbuf(png_))) return failed();
    set_transforms(writer.channels());
    const int passes = png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    const size_t row_bytes = png_get_rowbytes(png_, info_);
    const bool wide = png_get_bit_depth(png_, info_) == 16;
    // The passes of an interlaced file each need all rows of the one before.
    pixels_.resize(row_bytes * static_cast<size_t>(passes == 1 ? 1 : writer.height()));
    for (int pass = 0; pass < passes; ++pass) {
      for (int64_t y = 0; y < writer.height(); ++y) {
        if (cancelled && cancelled()) return cancelled_status();
        png_byte* row = pixels_.data() + (passes == 1 ? 0 : row_bytes * static_cast<size_t>(y));
        png_read_row(png_, row, nullptr);
        if (pass + 1 < passes) continue;
        if (wide) writer.write(y, reinterpret_cast<const uint16_t*>(row));
        else writer.write(y, row);
      }
    }
    png_read_end(png_, nullptr);
    return {};
  }

 private:
  // To 8 or 16 bits of 1, 3 or 4 channels.
  void set_transforms(int64_t channels) {
    png_set_expand(png_);
    if (channels >= 3) png_set_gray_to_rgb(png_);
    if constexpr (std::endian::native == std::endian::little) png_set_swap(png_);
  }

  static void read(png_structp png, png_bytep to, size_t size) {
    auto* self = static_cast<Reader*>(png_get_io_ptr(png));
    if (size > self->file_.size() - self->offset_) png_error(png, "the file ends early");
    std::memcpy(to, self->file_.data() + self->offset_, size);
    self->offset_ += size;
  }

  Status failed() const {
    return at_offset(corrupt(std::string("the PNG file is damaged: ") + failure_.message), offset_);
  }

  Bytes file_;
  size_t offset_ = 0;
  Failure failure_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  std::vector<png_byte> pixels_;
};

class Writer {
 public:
  Writer(const ImageView& image, int64_t index, const ImageEncodeOptions& options)
      : image_(image), index_(index), options_(options) {
    png_ = png_create_write_struct(PNG_LIBPNG_VER_STRING, &failure_, Failure::report, Failure::ignore);
    if (png_ != nullptr) info_ = png_create_info_struct(png_);
    const auto size = static_cast<size_t>(image.shape.width * image.shape.channels);
    row_.resize(size);
    values_.resize(size);
  }
  ~Writer() { png_destroy_write_struct(&png_, &info_); }
  Writer(const Writer&) = delete;

  Status encode(const ImageCancelled& cancelled) {
    if (info_ == nullptr) return {StatusCode::kOutOfMemory, "out of memory"};
    if (setjmp(png_jmpbuf(png_))) return {StatusCode::kInternal, std::string("libpng: ") + failure_.message};
    png_set_write_fn(png_, this, write, nullptr);
    png_set_compression_level(png_, options_.compression);
    const int64_t channels = image_.shape.channels;
    const int color = channels == 1   ? PNG_COLOR_TYPE_GRAY
                      : channels == 3 ? PNG_COLOR_TYPE_RGB
                                      : PNG_COLOR_TYPE_RGBA;
    png_set_IHDR(png_, info_, static_cast<png_uint_32>(image_.shape.width),
                 static_cast<png_uint_32>(image_.shape.height), 8, color, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_set_sRGB(png_, info_, PNG_sRGB_INTENT_PERCEPTUAL);
    set_record();
    png_write_info(png_, info_);
    for (int64_t y = 0; y < image_.shape.height; ++y) {
      if (cancelled && cancelled()) return cancelled_status();
      encode_row(image_, index_, y, options_.color_space, values_.data(), row_.data());
      png_write_row(png_, row_.data());
    }
    png_write_end(png_, nullptr);
    return {};
  }

  std::string take_file() { return std::move(file_); }

 private:
  // Uncompressed, so that programs find it without a library (record.h does).
  void set_record() {
    if (options_.record.empty()) return;
    char key[] = "weft", none[] = "";
    png_text text{};
    text.compression = PNG_ITXT_COMPRESSION_NONE;
    text.key = key;
    text.lang = none;
    text.lang_key = none;
    text.text = const_cast<char*>(options_.record.c_str());
    text.itxt_length = options_.record.size();
    png_set_text(png_, info_, &text, 1);
  }

  static void write(png_structp png, png_bytep data, size_t size) {
    auto* self = static_cast<Writer*>(png_get_io_ptr(png));
    self->file_.append(reinterpret_cast<const char*>(data), size);
  }

  const ImageView& image_;
  const int64_t index_;
  const ImageEncodeOptions& options_;
  Failure failure_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  std::vector<uint8_t> row_;
  std::vector<float> values_;
  std::string file_;
};

uint32_t big_endian(Bytes file, size_t offset) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<uint32_t>(file[offset + i]);
  return value;
}

// A zlib stream, at most `limit` bytes of it and one more.
Result<std::vector<std::byte>> inflated(Bytes stream, size_t limit) {
  std::vector<std::byte> out(limit + 1);
  z_stream zlib{};
  if (inflateInit(&zlib) != Z_OK) return Status(StatusCode::kOutOfMemory, "out of memory");
  zlib.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(stream.data()));
  zlib.avail_in = static_cast<uInt>(stream.size());
  zlib.next_out = reinterpret_cast<Bytef*>(out.data());
  zlib.avail_out = static_cast<uInt>(out.size());
  const int code = inflate(&zlib, Z_FINISH);
  const bool full = zlib.avail_out == 0;
  out.resize(out.size() - zlib.avail_out);
  inflateEnd(&zlib);
  if (code != Z_STREAM_END && !full) return corrupt("the colour profile of the PNG file cannot be inflated");
  return out;
}

// The contents of the chunk iCCP, which stands before the pixels; empty if there is none.
Result<Bytes> find_profile_chunk(Bytes file) {
  constexpr size_t kAround = 12;  // length, name, check sum
  for (size_t offset = 8; offset + kAround <= file.size();) {
    const size_t size = big_endian(file, offset);
    if (size > file.size() - offset - kAround) break;
    if (std::memcmp(file.data() + offset + 4, "IDAT", 4) == 0) break;
    if (std::memcmp(file.data() + offset + 4, "iCCP", 4) == 0) {
      const auto* named = reinterpret_cast<const Bytef*>(file.data() + offset + 4);
      if (crc32(0, named, static_cast<uInt>(size + 4)) != big_endian(file, offset + 8 + size))
        return at_offset(corrupt("the check sum of the PNG file's colour profile is wrong"), offset);
      return file.subspan(offset + 8, size);
    }
    offset += kAround + size;
  }
  return Bytes();
}

}  // namespace

Result<std::vector<std::byte>> read_png_profile(Bytes file) {
  const Result<Bytes> chunk = find_profile_chunk(file);
  if (!chunk.ok()) return chunk.status();
  if (chunk->empty()) return std::vector<std::byte>();
  const auto name_end = std::find(chunk->begin(), chunk->end(), std::byte{0});
  const auto stream =
      static_cast<size_t>(name_end - chunk->begin()) + 2;  // a zero and the method follow the name
  if (stream > chunk->size()) return corrupt("the colour profile of the PNG file has no contents");
  return inflated(chunk->subspan(stream), kMaxProfileBytes);
}

Result<ImageHeader> read_png_header(Bytes file, const ImageLimits& limits) {
  if (file.size() < kHeaderBytes) {
    return at_offset(corrupt("the PNG file ends within its header"), file.size());
  }
  ImageHeader sizes;
  sizes.width = big_endian(file, 16);
  sizes.height = big_endian(file, 20);
  if (sizes.width > limits.max_side || sizes.height > limits.max_side)
    return sizes;  // refused: read no further
  Reader reader(file);
  if (Status status = reader.read_info(); !status.ok()) return status;
  return reader.header();
}

Status decode_png(Bytes file, const PixelWriter& writer, const ImageCancelled& cancelled) {
  Reader reader(file);
  Status status = reader.read_info();
  return status.ok() ? reader.decode(writer, cancelled) : status;
}

Result<std::string> encode_png(const ImageView& image, int64_t index, const ImageEncodeOptions& options,
                               const ImageCancelled& cancelled) {
  Writer writer(image, index, options);
  if (Status status = writer.encode(cancelled); !status.ok()) return status;
  return writer.take_file();
}

}  // namespace weft::files
