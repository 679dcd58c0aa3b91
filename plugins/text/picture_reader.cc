#include "plugins/text/picture_reader.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace weft::text {
namespace {

// Gemma 3's text has an empty line before and behind a picture.
constexpr const char* kAround = "\n\n";

Result<std::string> spelling(const Tokenizer& tokenizer, int32_t token, const WeightFile& file) {
  const bool known = token >= 0 && token < tokenizer.vocabulary_size();
  const TokenType type = known ? tokenizer.token_type(token) : TokenType::kUnknown;
  if (type == TokenType::kControl || type == TokenType::kUserDefined)
    return std::string(tokenizer.token_piece(token));
  return Status(StatusCode::kCorruptData, "config.json names a token for pictures that the tokenizer has not")
      .at(file.path().string())
      .expected("a special token among " + std::to_string(tokenizer.vocabulary_size()))
      .got(std::to_string(token));
}

int64_t pixels_bytes(const PictureReader& reader) {
  const int64_t side = reader.network.image_size();
  return (side * side * 3 * 4 + 63) / 64 * 64;
}

bool same_pixels(const Picture& a, int64_t a_index, const Picture& b, int64_t b_index) {
  const ImageShape &s = a.shape(), &t = b.shape();
  if (s.height != t.height || s.width != t.width || s.channels != t.channels ||
      a.view.dtype != b.view.dtype || a.color_space != b.color_space)
    return false;
  const int64_t element = a.view.dtype == WEFT_DTYPE_U8 ? 1 : 4;
  const auto row_bytes = static_cast<size_t>(s.width * s.channels * element);
  for (int64_t y = 0; y < s.height; ++y)
    if (std::memcmp(a.view.row<std::byte>(a_index, y), b.view.row<std::byte>(b_index, y), row_bytes) != 0)
      return false;
  return true;
}

}  // namespace

Result<std::optional<PictureReader>> PictureReader::open(const WeightFile& file, const Tokenizer& tokenizer,
                                                         int64_t text_width, DType compute) {
  if (!has_vision_tower(file.metadata())) return std::optional<PictureReader>();
  Result<PictureEmbedder> network = PictureEmbedder::open(file, text_width, compute);
  if (!network.ok()) return network.status();
  const std::filesystem::path path = file.folder() / "preprocessor_config.json";
  Result<PictureProcessor> processor = PictureProcessor::read(path);
  if (!processor.ok()) return processor.status();
  const int64_t side = network->image_size();
  if (processor->height != side || processor->width != side)
    return Status(StatusCode::kCorruptData,
                  "the processor makes pictures of another size than the vision tower reads")
        .at(path.string())
        .expected(std::to_string(side) + " x " + std::to_string(side))
        .got(std::to_string(processor->width) + " x " + std::to_string(processor->height));
  const VisionLanguageConfig& config = network->config();
  Result<std::string> image = spelling(tokenizer, config.image_token, file);
  if (!image.ok()) return image.status();
  std::string mark = *image, in_place;
  for (int64_t i = 0; i < network->n_rows(); ++i) in_place += *image;
  if (config.begin_token >= 0) {
    Result<std::string> begin = spelling(tokenizer, config.begin_token, file);
    Result<std::string> end = spelling(tokenizer, config.end_token, file);
    if (!begin.ok()) return begin.status();
    if (!end.ok()) return end.status();
    mark = *begin;
    in_place = kAround + *begin + in_place + *end + kAround;
  }
  return std::optional<PictureReader>(
      PictureReader{*processor, *std::move(network), std::move(mark), std::move(in_place)});
}

int64_t PictureReader::tokens_of_picture() const {
  constexpr int64_t kMostAround =
      16;  // begin, end, line breaks, and what a space before a special token becomes
  return network.n_rows() + kMostAround;
}

int64_t PictureReader::workspace_bytes(uint32_t n_threads) const {
  return pixels_bytes(*this) + network.workspace_bytes(n_threads);
}

Result<EncodedPictures> EncodedPictures::begin(const PictureReader& reader, const ModelDevice* device,
                                               const sdk::Host& host, const sdk::Execution& execution) {
  EncodedPictures pictures(reader, host, execution);
  const auto of_pixels = static_cast<size_t>(pixels_bytes(reader));
  if (device == nullptr) {
    if (pictures.workspace_.size() < of_pixels)
      return Status(StatusCode::kOutOfMemory, "the workspace is too small for a picture");
    pictures.pixels_ = pictures.workspace_.first(of_pixels);
    pictures.workspace_ = pictures.workspace_.subspan(of_pixels);
    return pictures;
  }
  Result<sdk::Buffer> memory = host.allocate(of_pixels, execution.stream(), "host workspace");
  if (!memory.ok()) return memory.status();
  pictures.pixels_ = {static_cast<std::byte*>(memory->data()), of_pixels};
  pictures.host_memory_ = *std::move(memory);
  pictures.device_ = device->id;
  pictures.passes_ = device->passes(host, execution.stream());
  return pictures;
}

Status EncodedPictures::encode(float* rows, const StopRequest& stop) {
  const auto* pixels = reinterpret_cast<const float*>(pixels_.data());
  return passes_ ? reader_.network.forward_on(*passes_, pixels, rows, workspace_, stop)
                 : reader_.network.forward(pixels, rows, workspace_, host_.executor(), stop);
}

Result<std::shared_ptr<const PictureRows>> EncodedPictures::of(const Picture& picture, int64_t index,
                                                               const std::function<bool()>& cancelled) {
  std::erase_if(encoded_, [](const auto& rows) { return rows.expired(); });
  for (const auto& known : encoded_)
    if (std::shared_ptr<const PictureRows> rows = known.lock();
        rows && same_pixels(rows->picture, rows->index, picture, index))
      return rows;
  Result<sdk::Buffer> memory =
      host_.allocate(static_cast<uint64_t>(reader_.network.rows_bytes()), stream_, "picture", device_);
  if (!memory.ok()) return memory.status();
  reader_.processor.run(picture, index, reinterpret_cast<float*>(pixels_.data()), cancelled);
  const auto is_cancelled = [](void* function) {
    return (*static_cast<const std::function<bool()>*>(function))();
  };
  const StopRequest stop{is_cancelled, const_cast<void*>(static_cast<const void*>(&cancelled))};
  if (Status done = encode(static_cast<float*>(memory->data()), stop); !done.ok()) return done;
  auto encoded = std::make_shared<const PictureRows>(PictureRows{picture, index, *std::move(memory)});
  encoded_.push_back(encoded);
  return std::shared_ptr<const PictureRows>(encoded);
}

}  // namespace weft::text
