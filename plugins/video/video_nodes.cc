#include "plugins/video/video_nodes.h"

#include <algorithm>
#include <vector>

#include "modalities/image/image.h"
#include "modalities/image/rows.h"
#include "modalities/weights/mapped_file.h"

namespace weft::video {
namespace {

constexpr uint32_t kPerRequest = WEFT_PARAMETER_PER_REQUEST;

// ---- video.load ------------------------------------------------------------------------------------------------------

constexpr weft_port kLoadOutputs[] = {
    sdk::port("frames", "image", "All frames as one batch, RGB bytes."),
    sdk::port("count", "int", "How many they are."),
    sdk::port("frames_per_second", "float", "On average; 0 if the file does not say.")};
constexpr weft_parameter kLoadParameters[] = {
    sdk::parameter({.name = "path",
                    .type = "path",
                    .help = "MP4, MOV, WebM, Matroska or GIF; relative paths start at the pipeline's folder.",
                    .flags = kPerRequest}),
    sdk::parameter({.name = "max_frames",
                    .type = "int",
                    .default_json = "1000",
                    .minimum = 1,
                    .maximum = 100000,
                    .unit = "frames",
                    .help = "A longer video is refused."}),
    sdk::parameter({.name = "max_side",
                    .type = "int",
                    .default_json = "4096",
                    .minimum = 1,
                    .maximum = 16384,
                    .unit = "pixels",
                    .help = "A wider or higher video is refused before it is decoded."}),
    sdk::parameter({.name = "max_megabytes",
                    .type = "int",
                    .default_json = "2048",
                    .minimum = 1,
                    .maximum = 1048576,
                    .unit = "MB",
                    .help = "Most memory that the frames may take."})};

struct Counted {
  int64_t frames = 0, width = 0, height = 0;
  double rate = 0;
};

/// Decodes the whole file once, only to know how many frames there are: containers do not say it reliably.
Result<Counted> count_frames(const sdk::Request& request, const MappedFile& file, const VideoLimits& limits,
                             int64_t max_bytes) {
  Result<VideoReader> reader =
      VideoReader::open(file.bytes(), limits, [&request] { return request.cancelled(); });
  if (!reader.ok()) return reader.status();
  Counted counted{0, reader->width(), reader->height(), 0};
  const int64_t frame_bytes = counted.width * counted.height * 3;
  while (true) {
    const Result<bool> more = reader->read(nullptr);
    if (!more.ok()) return more.status();
    counted.rate = reader->frames_per_second();
    if (!*more) break;
    ++counted.frames;
    if (counted.frames > max_bytes / frame_bytes) {
      return Status(StatusCode::kOutOfRange, "the frames take more memory than allowed")
          .expected("at most " + std::to_string(max_bytes / 1'000'000) + " MB")
          .got(std::to_string(counted.frames) + " frames of " + std::to_string(frame_bytes) +
               " bytes, and more")
          .hint("max_megabytes allows more");
    }
    request.progress(counted.frames, 0, "frames");
  }
  if (counted.frames == 0) return Status(StatusCode::kCorruptData, "the video has no frames");
  return counted;
}

// ---- video.save ------------------------------------------------------------------------------------------------------

constexpr const char* kFormats[] = {"auto", "mp4", "webm", "gif", nullptr};
constexpr weft_port kSaveInputs[] = {
    sdk::optional_port("frames", "image", "The frames, as one batch."),
    sdk::optional_port("images", "list<image>",
                       "Further frames, of the same size; they follow those of frames.")};
constexpr weft_port kSaveOutputs[] = {sdk::port("path", "path", "Where the file is."),
                                      sdk::port("count", "int", "How many frames it has.")};
constexpr weft_parameter kSaveParameters[] = {
    sdk::parameter({.name = "path",
                    .type = "path",
                    .help = "Below the output folder: .mp4 is H.264, .webm is VP9, .gif is GIF.",
                    .flags = kPerRequest}),
    sdk::parameter({.name = "format",
                    .type = "choice",
                    .default_json = "\"auto\"",
                    .choices = kFormats,
                    .help = "auto: as the path ends."}),
    sdk::parameter({.name = "frames_per_second",
                    .type = "float",
                    .default_json = "24",
                    .minimum = 0.01,
                    .maximum = 1000,
                    .help = "GIF rounds to hundredths of a second a frame."}),
    sdk::parameter({.name = "quality",
                    .type = "int",
                    .default_json = "75",
                    .minimum = 1,
                    .maximum = 100,
                    .help = "Of MP4 and WebM; higher is better and larger."})};

struct Frame {
  ImageView view;
  int64_t index;
};

Result<std::vector<Frame>> frames_of(const sdk::Value& batch, const sdk::Value& list) {
  std::vector<Frame> frames;
  const auto add = [&](const sdk::Value& value, const std::string& where) -> Status {
    const Result<ImageView> view = image_view(value.as_tensor());
    if (!view.ok()) return view.status().at(where);
    if (!frames.empty()) {
      const ImageShape& first = frames[0].view.shape;
      if (view->shape.width != first.width || view->shape.height != first.height) {
        return Status(StatusCode::kInvalidShape, "the frames have different sizes")
            .at(where)
            .expected(std::to_string(first.width) + " x " + std::to_string(first.height))
            .got(std::to_string(view->shape.width) + " x " + std::to_string(view->shape.height))
            .hint("image.resize gives them one size");
      }
    }
    for (int64_t i = 0; i < view->shape.count; ++i) frames.push_back({*view, i});
    return {};
  };
  Status status;
  if (batch) status = add(batch, "port 'frames'");
  for (size_t i = 0; status.ok() && list && i < list.size(); ++i) {
    status = add(list.item(i), "port 'images', element " + std::to_string(i));
  }
  if (!status.ok()) return status;
  if (frames.empty()) {
    return Status(StatusCode::kInvalidArgument, "there is no frame to save")
        .hint("connect \"frames\" or \"images\"");
  }
  return frames;
}

/// As RGB bytes; alpha is dropped.
void to_rgb(const Frame& frame, std::vector<float>& stored, std::vector<float>& rgb,
            std::vector<uint8_t>& bytes) {
  const ImageShape& shape = frame.view.shape;
  for (int64_t y = 0; y < shape.height; ++y) {
    read_row(frame.view, frame.index, y, stored.data());
    convert_channels(stored.data(), shape.channels, rgb.data(), 3, shape.width);
    uint8_t* row = bytes.data() + y * shape.width * 3;
    for (int64_t i = 0; i < shape.width * 3; ++i) row[i] = to_byte(rgb[static_cast<size_t>(i)]);
  }
}

}  // namespace

LoadNode::LoadNode(const sdk::NodeConfig& config) {
  limits_.max_frames = config.parameters().get_int("max_frames");
  limits_.max_side = config.parameters().get_int("max_side");
  max_bytes_ = config.parameters().get_int("max_megabytes") * 1'000'000;
}

Status LoadNode::prepare(sdk::Specs, sdk::Plan plan) {
  // The bounds of a video all at once would be far beyond any video: the plan lists it as not known.
  const int64_t shape[] = {WEFT_UNBOUNDED, limits_.max_side, limits_.max_side, 3};
  plan.set_output(0, sdk::tensor_spec(WEFT_DTYPE_U8, shape));
  plan.set_output(1, sdk::spec(WEFT_KIND_INT));
  plan.set_output(2, sdk::spec(WEFT_KIND_FLOAT));
  return {};
}

Status LoadNode::run(sdk::Request& request, const sdk::Execution& execution) {
  const Result<std::string> path = request.resolve_input(std::string(request.parameters().get_text("path")));
  if (!path.ok()) return path.status();
  const Result<MappedFile> file = MappedFile::open(*path);
  if (!file.ok()) return file.status();
  const Result<Counted> counted = count_frames(request, *file, limits_, max_bytes_);
  if (!counted.ok()) return counted.status().at(*path);
  const int64_t shape[] = {counted->frames, counted->height, counted->width, 3};
  Result<sdk::NewTensor> frames =
      request.host().allocate_tensor(WEFT_DTYPE_U8, shape, execution.stream(), "video");
  if (!frames.ok()) return frames.status();
  Result<VideoReader> reader =
      VideoReader::open(file->bytes(), limits_, [&request] { return request.cancelled(); });
  if (!reader.ok()) return reader.status().at(*path);
  const int64_t frame_bytes = counted->width * counted->height * 3;
  for (int64_t i = 0; i < counted->frames; ++i) {
    const Result<bool> more = reader->read(frames->data<uint8_t>() + i * frame_bytes);
    if (!more.ok()) return more.status().at(*path);
    if (!*more)
      return Status(StatusCode::kInternal, "the video was shorter when it was read again").at(*path);
  }
  Status status = request.set_output(0, request.host().make_tensor(frames->buffer, frames->view, "image",
                                                                   image_attributes(ColorSpace::kSrgb)));
  if (status.ok()) status = request.set_output(1, request.host().make_int(counted->frames));
  if (status.ok()) status = request.set_output(2, request.host().make_float(counted->rate));
  return status;
}

Status SaveNode::prepare(sdk::Specs, sdk::Plan plan) {
  plan.set_output(0, sdk::bytes_spec(4096));
  plan.set_output(1, sdk::spec(WEFT_KIND_INT));
  return {};
}

Status SaveNode::run(sdk::Request& request, const sdk::Execution&) {
  const std::string path(request.parameters().get_text("path"));
  const std::string_view chosen = request.parameters().get_text("format");
  const std::optional<VideoFormat> format =
      video_format_of_name(chosen == "auto" ? path : "." + std::string(chosen));
  if (!format) {
    return Status(StatusCode::kInvalidArgument, "the path does not say which format to write")
        .expected("a path that ends in .mp4, .webm or .gif")
        .got("'" + path + "'")
        .hint("or choose one with \"format\"");
  }
  const sdk::Value batch = request.input(0), list = request.input(1);
  const Result<std::vector<Frame>> frames = frames_of(batch, list);
  if (!frames.ok()) return frames.status();
  const ImageShape& shape = (*frames)[0].view.shape;
  VideoOptions options;
  options.format = *format;
  options.width = shape.width;
  options.height = shape.height;
  options.frames_per_second = request.parameters().get_float("frames_per_second");
  options.quality = static_cast<int>(request.parameters().get_int("quality"));
  Result<VideoWriter> writer = VideoWriter::open(options);
  if (!writer.ok()) return writer.status();

  const auto row = static_cast<size_t>(shape.width);
  std::vector<float> stored(row * 4), rgb(row * 3);
  std::vector<uint8_t> bytes(row * 3 * static_cast<size_t>(shape.height));
  const auto count = static_cast<int64_t>(frames->size());
  for (int64_t i = 0; i < count; ++i) {
    if (request.cancelled()) return sdk::Request::cancelled_status();
    to_rgb((*frames)[static_cast<size_t>(i)], stored, rgb, bytes);
    if (Status status = writer->write(bytes.data()); !status.ok()) return status;
    request.progress(i + 1, count, "frames");
  }
  const Result<std::string> video = writer->finish();
  if (!video.ok()) return video.status();
  Status status = request.set_output(0, request.save(path, *video));
  return status.ok() ? request.set_output(1, request.host().make_int(count)) : status;
}

constexpr weft_node_type kLoadNode = sdk::node<LoadNode>({.name = "video.load",
                                                          .help = "Reads the frames of a video.",
                                                          .flags = WEFT_NODE_READS_FILES,
                                                          .outputs = kLoadOutputs,
                                                          .parameters = kLoadParameters});
constexpr weft_node_type kSaveNode = sdk::node<SaveNode>({.name = "video.save",
                                                          .help = "Writes pictures as a video.",
                                                          .flags = WEFT_NODE_WRITES_FILES,
                                                          .inputs = kSaveInputs,
                                                          .outputs = kSaveOutputs,
                                                          .parameters = kSaveParameters});

}  // namespace weft::video
