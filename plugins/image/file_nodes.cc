#include "plugins/image/file_nodes.h"

#include <weft/abi/draft/known_files.h>
#include <weft/abi/draft/run_record.h>

#include <climits>
#include <vector>

#include "modalities/image/files/record.h"
#include "modalities/image/rows.h"
#include "modalities/weights/mapped_file.h"
#include "plugins/image/picture.h"

namespace weft::image {
namespace {

constexpr uint32_t kPerRequest = WEFT_PARAMETER_PER_REQUEST;

// ---- image.load ------------------------------------------------------------------------------------------------------

constexpr const char* kChannels[] = {"as_stored", "gray", "rgb", "rgba", nullptr};
constexpr const char* kDtypes[] = {"u8", "f32", nullptr};
constexpr const char* kProfileUses[] = {"convert", "keep", nullptr};
constexpr weft_port kLoadOutputs[] = {sdk::port("image", "image", "One picture, upright, in sRGB."),
                                      sdk::port("width", "int", "In pixels."),
                                      sdk::port("height", "int", "In pixels.")};
constexpr weft_parameter kLoadParameters[] = {
    sdk::parameter({.name = "path",
                    .type = "path",
                    .help = "A PNG, JPEG, WebP or AVIF file; relative paths start at the pipeline's folder.",
                    .flags = kPerRequest}),
    sdk::parameter({.name = "channels",
                    .type = "choice",
                    .default_json = "\"as_stored\"",
                    .choices = kChannels,
                    .help = "as_stored: 1, 3 or 4, as the file has them; else what it is converted to."}),
    sdk::parameter(
        {.name = "background",
         .type = "text",
         .default_json = "\"white\"",
         .help = "Shines through transparent parts when channels is gray or rgb: #rrggbb or a name."}),
    sdk::parameter({.name = "dtype",
                    .type = "choice",
                    .default_json = "\"u8\"",
                    .choices = kDtypes,
                    .help = "u8: 0 to 255; f32: 0 to 1, with all bits of files that have more than 8."}),
    sdk::parameter(
        {.name = "max_side",
         .type = "int",
         .default_json = "8192",
         .minimum = 1,
         .maximum = kMaxImageSide,
         .unit = "pixels",
         .help = "A wider or higher picture is refused before it is decoded; the plan counts with it."}),
    sdk::parameter({.name = "color_profile",
                    .type = "choice",
                    .default_json = "\"convert\"",
                    .choices = kProfileUses,
                    .help =
                        "convert: from the file's colour profile, if it has one, to sRGB; keep: values as "
                        "they are stored."})};

uint64_t value_bytes(weft_dtype dtype) { return dtype == WEFT_DTYPE_F32 ? 4 : 1; }

int64_t channels_named(std::string_view name) {
  return name == "gray" ? 1 : name == "rgb" ? 3 : name == "rgba" ? 4 : 0;
}

// The header of a file that is known before the run, readable and within the limits; else nothing: what is wrong with it is an
// error of the request, since the node may be skipped.
std::optional<ImageHeader> known_header(const sdk::Host& host, std::string_view path,
                                        const ImageLimits& limits) {
  const auto* files = host.extension<weft_known_files_api>(WEFT_KNOWN_FILES_ID);
  if (files == nullptr || path.empty()) return std::nullopt;
  std::string place(PATH_MAX, '\0');
  const Status found = sdk::checked([&](weft_error* error) {
    return files->resolve(files->self, std::string(path).c_str(), place.data(), place.size(), error);
  });
  if (!found.ok()) return std::nullopt;
  const Result<MappedFile> file = MappedFile::open(place.c_str());
  if (!file.ok()) return std::nullopt;
  const Result<ImageHeader> header = read_image_header(file->bytes(), limits);
  return header.ok() ? std::optional(*header) : std::nullopt;
}

// From the file's channels to those asked for, row by row, over `background`.
Status convert(const sdk::Request& request, const ImageView& from, const ImageView& to,
               const Rgba& background) {
  const auto width = static_cast<size_t>(from.shape.width);
  std::vector<float> stored(width * 4), wanted(width * 4);
  for (int64_t y = 0; y < from.shape.height; ++y) {
    if (request.cancelled()) return sdk::Request::cancelled_status();
    read_row(from, 0, y, stored.data());
    if (from.shape.has_alpha()) {
      for (size_t i = 0; i < stored.size(); ++i) {
        const float alpha = stored[i | 3];
        if (i % 4 != 3) stored[i] = stored[i] * alpha + background[i % 4] * (1 - alpha);
      }
    }
    convert_channels(stored.data(), from.shape.channels, wanted.data(), to.shape.channels, from.shape.width);
    write_row(to, 0, y, wanted.data());
  }
  return {};
}

// ---- image.save ------------------------------------------------------------------------------------------------------

constexpr const char* kFormats[] = {"auto", "png", "jpeg", "webp", "avif", nullptr};
constexpr const char* kMetadata[] = {"pipeline", "none", nullptr};
constexpr weft_port kSaveInputs[] = {
    sdk::optional_port("image", "image", "What to write. Several pictures of one size make several files."),
    sdk::optional_port("images", "list<image>", "What to write besides, or instead.")};
constexpr weft_port kSaveOutputs[] = {sdk::port("path", "path", "Where the (first) file is."),
                                      sdk::port("paths", "list<path>", "Where all of them are.")};
constexpr weft_parameter kSaveParameters[] = {
    sdk::parameter({.name = "path",
                    .type = "path",
                    .help =
                        "Below the output folder; folders are made as needed. Several pictures get numbers: "
                        "cat.png becomes cat_1.png, cat_2.png ...",
                    .flags = kPerRequest}),
    sdk::parameter({.name = "format",
                    .type = "choice",
                    .default_json = "\"auto\"",
                    .choices = kFormats,
                    .help = "auto: as the path ends."}),
    sdk::parameter({.name = "quality",
                    .type = "int",
                    .default_json = "90",
                    .minimum = 1,
                    .maximum = 100,
                    .help = "Of JPEG, WebP and AVIF; higher is better and larger."}),
    sdk::parameter({.name = "lossless",
                    .type = "bool",
                    .default_json = "false",
                    .help = "Keeps every bit in WebP and AVIF. PNG always does, JPEG never."}),
    sdk::parameter({.name = "compression",
                    .type = "int",
                    .default_json = "6",
                    .minimum = 0,
                    .maximum = 9,
                    .help = "Of PNG: 0 is largest and fastest, 9 smallest and slowest."}),
    sdk::parameter(
        {.name = "metadata",
         .type = "choice",
         .default_json = "\"pipeline\"",
         .choices = kMetadata,
         .help = "pipeline: the file holds the pipeline, its inputs and seeds, so that `weft run FILE` "
                 "makes it again; none: nothing but the picture."})};

Result<ImageFormat> format_for(std::string_view parameter, std::string_view path) {
  const std::string name = parameter == "auto" ? std::string(path) : "." + std::string(parameter);
  const std::optional<ImageFormat> format = image_format_of_name(name);
  if (!format) {
    return Status(StatusCode::kInvalidArgument, "the path does not say which format to write")
        .expected("a path that ends in .png, .jpg, .jpeg, .webp or .avif")
        .got("'" + std::string(path) + "'")
        .hint("or choose one with \"format\"");
  }
  if (!is_supported(*format)) {
    return Status(StatusCode::kUnsupported, std::string("this build has no ") + to_string(*format))
        .hint("install libavif-dev and build again, or save as PNG or WebP");
  }
  return *format;
}

// "a/cat.png" and 2: "a/cat_2.png".
std::string numbered(const std::string& path, int64_t number) {
  const size_t dot = path.rfind('.');
  const size_t slash = path.rfind('/');
  const bool has_ending = dot != std::string::npos && (slash == std::string::npos || dot > slash);
  const size_t end = has_ending ? dot : path.size();
  return path.substr(0, end) + "_" + std::to_string(number) + path.substr(end);
}

std::string record_of(const sdk::Request& request) {
  const auto* api = request.host().extension<weft_run_record_api>(WEFT_RUN_RECORD_ID);
  if (api == nullptr) return {};
  size_t size = 0;
  const char* text = api->text(request.get(), &size);
  return std::string(text, size);
}

Result<std::vector<Picture>> pictures_to_save(const sdk::Request& request) {
  std::vector<Picture> pictures;
  const auto add = [&](const sdk::Value& value, const std::string& where) -> Status {
    Result<Picture> picture = picture_of(value);
    if (!picture.ok()) return picture.status().at(where);
    pictures.push_back(*std::move(picture));
    return {};
  };
  if (const sdk::Value image = request.input(0)) {
    if (Status status = add(image, "port 'image'"); !status.ok()) return status;
  }
  if (const sdk::Value images = request.input(1)) {
    for (size_t i = 0; i < images.size(); ++i) {
      Status status = add(images.item(i), "port 'images', element " + std::to_string(i));
      if (!status.ok()) return status;
    }
  }
  if (pictures.empty()) {
    return Status(StatusCode::kInvalidArgument, "there is no picture to save")
        .hint("connect \"image\" or \"images\"");
  }
  return pictures;
}

}  // namespace

Result<std::unique_ptr<LoadNode>> LoadNode::create(const sdk::NodeConfig& config) {
  const sdk::Parameters parameters = config.parameters();
  auto node = std::make_unique<LoadNode>();
  node->channels_ = channels_named(parameters.get_text("channels"));
  node->dtype_ = parameters.get_text("dtype") == "f32" ? WEFT_DTYPE_F32 : WEFT_DTYPE_U8;
  node->limits_.max_side = parameters.get_int("max_side");
  node->keeps_profile_ = parameters.get_text("color_profile") == "keep";
  const Result<Rgba> background = parse_color(parameters.get_text("background"));
  if (!background.ok()) return background.status().at("parameter 'background'");
  node->background_ = *background;
  const std::optional<ImageHeader> header =
      known_header(config.host(), parameters.get_text("path"), node->limits_);
  if (header) node->planned_ = header->shape();
  return node;
}

Status LoadNode::prepare(sdk::Specs, sdk::Plan plan) {
  const int64_t side = limits_.max_side;
  const ImageShape bound = planned_.value_or(ImageShape{1, side, side, 4});
  const int64_t channels = channels_ != 0 ? channels_ : bound.channels;
  plan.set_output(0, picture_spec(dtype_, 1, bound.height, bound.width, channels));
  if (planned_ && channels != bound.channels) {  // converted from what is decoded
    plan.set_workspace_bytes(static_cast<uint64_t>(bound.elements()) * value_bytes(dtype_));
  }
  plan.set_output(1, sdk::spec(WEFT_KIND_INT));
  plan.set_output(2, sdk::spec(WEFT_KIND_INT));
  return {};
}

Status LoadNode::run(sdk::Request& request, const sdk::Execution& execution) {
  const Result<std::string> path = request.resolve_input(std::string(request.parameters().get_text("path")));
  if (!path.ok()) return path.status();
  const Result<MappedFile> file = MappedFile::open(*path);
  if (!file.ok()) return file.status();
  const Result<ImageHeader> header = read_image_header(file->bytes(), limits_);
  if (!header.ok()) {
    Status status = header.status().at(*path);
    return header.code() == StatusCode::kOutOfRange
               ? std::move(status).hint("max_side allows more, if the file can be trusted")
               : status;
  }
  if (planned_ && *planned_ != header->shape()) {
    return Status(StatusCode::kOutOfRange, "the picture has changed since the run was planned")
        .at(*path)
        .expected(to_string(*planned_))
        .got(to_string(header->shape()));
  }
  PictureType type{header->shape(), dtype_, ColorSpace::kSrgb};
  if (channels_ != 0) type.shape.channels = channels_;
  const Result<NewPicture> picture = new_picture(request, execution, type, "picture");
  if (!picture.ok()) return picture.status();
  Status status = decode(request, execution, file->bytes(), *header, picture->view);
  if (!status.ok()) return std::move(status).at(*path);
  status = request.set_output(0, finish(request, *picture));
  if (status.ok()) status = request.set_output(1, request.host().make_int(header->width));
  if (status.ok()) status = request.set_output(2, request.host().make_int(header->height));
  return status;
}

// Into `picture`, by way of the channels that the file has.
Status LoadNode::decode(sdk::Request& request, const sdk::Execution& execution,
                        std::span<const std::byte> file, const ImageHeader& header,
                        const ImageView& picture) const {
  Result<ColorTransform> colors = keeps_profile_ ? ColorTransform() : read_color_transform(file, header);
  if (!colors.ok())
    return colors.status().hint("\"color_profile\": \"keep\" takes the values as they are stored");
  const ImageCancelled cancelled = [&request] { return request.cancelled(); };
  if (picture.shape == header.shape()) return decode_image(file, header, picture, cancelled, *colors);
  sdk::Buffer buffer;
  void* memory = execution.workspace();
  const uint64_t bytes = static_cast<uint64_t>(header.shape().elements()) * value_bytes(dtype_);
  if (bytes > execution.workspace_bytes()) {  // the plan did not know the file
    Result<sdk::Buffer> allocated = request.host().allocate(bytes, execution.stream(), "stored picture");
    if (!allocated.ok()) return allocated.status();
    buffer = *std::move(allocated);
    memory = buffer.data();
  }
  const ImageView stored = packed_image_view(memory, dtype_, header.shape());
  const Status status = decode_image(file, header, stored, cancelled, *colors);
  return status.ok() ? convert(request, stored, picture, background_) : status;
}

Status SaveNode::prepare(sdk::Specs, sdk::Plan plan) {
  constexpr int64_t kLongestPath = 4096;
  plan.set_output(0, sdk::bytes_spec(kLongestPath));
  plan.set_output(1, sdk::list_spec(WEFT_UNBOUNDED, kLongestPath));
  return {};
}

Status SaveNode::run(sdk::Request& request, const sdk::Execution&) {
  const sdk::Parameters parameters = request.parameters();
  const std::string path(parameters.get_text("path"));
  const Result<ImageFormat> format = format_for(parameters.get_text("format"), path);
  if (!format.ok()) return format.status();
  const Result<std::vector<Picture>> pictures = pictures_to_save(request);
  if (!pictures.ok()) return pictures.status();
  ImageEncodeOptions options;
  options.format = *format;
  options.quality = static_cast<int>(parameters.get_int("quality"));
  options.lossless = parameters.get_bool("lossless");
  options.compression = static_cast<int>(parameters.get_int("compression"));
  if (parameters.get_text("metadata") == "pipeline") options.record = record_of(request);
  if (const Status status = check_record_size(options.record, *format); !status.ok()) {
    request.host().log(WEFT_LOG_WARNING,
                       path + ": how it was made is left out: " + to_string(status.error()));
    options.record.clear();
  }

  int64_t total = 0, number = 0;
  for (const Picture& picture : *pictures) total += picture.shape().count;
  std::vector<sdk::Value> paths;
  for (const Picture& picture : *pictures) {
    options.color_space = picture.color_space;
    for (int64_t i = 0; i < picture.shape().count; ++i) {
      const Result<std::string> bytes =
          encode_image(picture.view, i, options, [&request] { return request.cancelled(); });
      if (!bytes.ok()) return bytes.status();
      Result<sdk::Value> written = request.save(total == 1 ? path : numbered(path, ++number), *bytes);
      if (!written.ok()) return written.status();
      paths.push_back(*std::move(written));
    }
  }
  Status status = request.set_output(0, paths.front());
  return status.ok() ? request.set_output(1, request.host().make_list(paths, "path")) : status;
}

constexpr weft_node_type kLoadNode = sdk::node<LoadNode>({.name = "image.load",
                                                          .help = "Reads a PNG, JPEG, WebP or AVIF file.",
                                                          .flags = WEFT_NODE_READS_FILES,
                                                          .outputs = kLoadOutputs,
                                                          .parameters = kLoadParameters});
constexpr weft_node_type kSaveNode = sdk::node<SaveNode>({.name = "image.save",
                                                          .help = "Writes pictures into the output folder.",
                                                          .flags = WEFT_NODE_WRITES_FILES,
                                                          .inputs = kSaveInputs,
                                                          .outputs = kSaveOutputs,
                                                          .parameters = kSaveParameters});

}  // namespace weft::image
