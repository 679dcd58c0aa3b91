#include "plugins/vision/index_nodes.h"

#include <algorithm>
#include <filesystem>
#include <new>
#include <system_error>

#include "modalities/image/files/image_file.h"
#include "modalities/weights/mapped_file.h"
#include "plugins/vision/picture_index.h"

namespace weft::vision {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kLongestPath = 4096;

// ---- vision.index ----------------------------------------------------------------------------------------------------

constexpr int64_t kDecodedBytes = int64_t{256} << 20;  // of pictures at a time

enum IndexOutput : size_t { kIndexPath, kCount, kSkipped };
constexpr weft_port kIndexOutputs[] = {
    sdk::port("path", "path", "The index."), sdk::port("count", "int", "How many pictures are in it."),
    sdk::port("skipped", "list<text>", "Files that could not be read, and why.")};
constexpr const char* kUnreadable[] = {"fail", "skip", nullptr};
constexpr weft_parameter kIndexParameters[] = {
    kModelParameter,
    sdk::parameter({.name = "folder",
                    .type = "path",
                    .help = "Its PNG, JPEG, WebP and AVIF files are read, also those in folders within it.",
                    .flags = WEFT_PARAMETER_PER_REQUEST}),
    sdk::parameter({.name = "path",
                    .type = "path",
                    .default_json = "\"pictures.index\"",
                    .help = "Of the index, below the output folder.",
                    .flags = WEFT_PARAMETER_PER_REQUEST}),
    sdk::parameter({.name = "unreadable",
                    .type = "choice",
                    .default_json = "\"fail\"",
                    .choices = kUnreadable,
                    .help = "What a file that cannot be read does."}),
    sdk::parameter({.name = "max_side",
                    .type = "int",
                    .default_json = "16384",
                    .minimum = 1,
                    .maximum = kMaxImageSide,
                    .unit = "pixels",
                    .help = "A wider or higher picture is refused before it is decoded."}),
    sdk::parameter(
        {.name = "groups",
         .type = "int",
         .minimum = 0,
         .maximum = 1 << 20,
         .help =
             "Groups of like vectors, of which a search reads some: faster, and it may miss a picture. 0: "
             "none. Unless given: of more than 100,000 pictures as many as their square root.",
         .flags = WEFT_PARAMETER_OPTIONAL})};
constexpr int64_t kMostWithoutGroups = 100'000;

// Names of the picture files below a folder, sorted; links are not followed.
Result<std::vector<std::string>> picture_files(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::recursive_directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    std::error_code ignored;
    if (at->is_symlink(ignored) || !at->is_regular_file(ignored)) continue;
    const std::string name = at->path().lexically_relative(folder).generic_string();
    if (image_format_of_name(name)) names.push_back(name);
  }
  if (error)
    return Status(StatusCode::kIoError, "the folder cannot be listed: " + error.message())
        .at(folder.string());
  std::sort(names.begin(), names.end());
  return names;
}

// ---- vision.search ---------------------------------------------------------------------------------------------------

enum SearchInput : size_t { kQueryImage, kQueryText };
constexpr weft_port kSearchInputs[] = {
    sdk::optional_port("image", "image", "What is searched for: a picture,"),
    sdk::optional_port("text", "text", "or a text; one of them.")};
enum SearchOutput : size_t { kBest, kPaths, kScores };
constexpr weft_port kSearchOutputs[] = {
    sdk::port("best", "path", "The nearest picture's file, relative to the folder that was indexed."),
    sdk::port("paths", "list<path>", "Those of the nearest pictures, nearest first."),
    sdk::port("scores", "list<float>", "Cosines of their vectors and the query's, -1 to 1.")};
constexpr weft_parameter kSearchParameters[] = {
    kModelParameter,
    sdk::parameter({.name = "index",
                    .type = "path",
                    .help = "A file of vision.index, made with the same model.",
                    .flags = WEFT_PARAMETER_PER_REQUEST}),
    sdk::parameter({.name = "top",
                    .type = "int",
                    .default_json = "10",
                    .minimum = 1,
                    .maximum = 1 << 30,
                    .help = "How many pictures, at most."}),
    sdk::parameter(
        {.name = "probes",
         .type = "int",
         .minimum = 0,
         .maximum = 1 << 20,
         .help = "Of an index with groups: how many are read. 0: all, exactly. Unless given: a sixteenth, "
                 "and at least 8.",
         .flags = WEFT_PARAMETER_OPTIONAL})};

}  // namespace

struct IndexNode::Decoded {
  std::vector<uint8_t> pixels;
  Picture picture;
  Status status;
};
struct IndexNode::Made {
  std::vector<std::string> names, skipped;
  std::vector<float> vectors;
};

IndexNode::IndexNode(const sdk::NodeConfig& config)
    : EncodingNode(config),
      skips_unreadable_(config.parameters().get_text("unreadable") == "skip"),
      max_side_(config.parameters().get_int("max_side")),
      n_groups_(config.parameters().is_set("groups") ? config.parameters().get_int("groups") : kUsualGroups) {
}

Status IndexNode::prepare(sdk::Specs, sdk::Plan plan) {
  limits_ = EncodingLimits::of(model_, -1);
  Encoder::plan(model_, limits_, host_, plan);
  plan.set_output(kIndexPath, sdk::bytes_spec(kLongestPath));
  plan.set_output(kCount, sdk::spec(WEFT_KIND_INT));
  plan.set_output(kSkipped, sdk::list_spec(WEFT_UNBOUNDED, WEFT_UNBOUNDED));
  return {};
}

Status IndexNode::run(sdk::Request& request, const sdk::Execution& execution) {
  const Result<std::string> folder =
      request.resolve_input(std::string(request.parameters().get_text("folder")) + "/");
  if (!folder.ok()) return folder.status();
  Result<sdk::OutputFile> file = request.begin_output(std::string(request.parameters().get_text("path")));
  if (!file.ok()) return file.status();
  const Result<std::vector<std::string>> names = picture_files(*folder);
  if (!names.ok()) return names.status();
  Result<Encoder> encoder = begin_encoding(execution);
  if (!encoder.ok()) return encoder.status();
  Made made;
  const auto step = static_cast<size_t>(limits_.pictures);
  for (size_t begin = 0; begin < names->size(); begin += step) {
    const std::span<const std::string> some = std::span(*names).subspan(begin);
    Status status = encode_some(request, *encoder, some.first(std::min(step, some.size())), *folder, made);
    if (!status.ok()) return status;
    request.progress(static_cast<int64_t>(std::min(begin + step, names->size())),
                     static_cast<int64_t>(names->size()), "pictures");
  }
  const auto count = static_cast<int64_t>(made.names.size());
  const int64_t usual = count > kMostWithoutGroups ? usual_groups(count) : 0;
  const int64_t n_groups = n_groups_ == kUsualGroups ? usual : std::min(n_groups_, count);
  VectorGroups groups;
  if (n_groups > 0) {
    Result<VectorGroups> found = group_vectors(made.vectors, width(), n_groups, host_.executor(),
                                               [&request] { return request.cancelled(); });
    if (!found.ok()) return found.status();
    groups = *std::move(found);
  }
  const IndexContent content{width(), model_.weights_key(), made.names, made.vectors,
                             n_groups > 0 ? &groups : nullptr};
  if (Status status = write_picture_index(file->temporary(), content); !status.ok()) return status;
  const Result<std::string> path = file->commit();
  if (!path.ok()) return path.status();
  Status status = request.set_output(kIndexPath, host_.make_path(*path));
  if (status.ok()) status = request.set_output(kCount, host_.make_int(count));
  return status.ok() ? set_list(request, kSkipped, "text", made.skipped.size(),
                                [&](size_t i) { return host_.make_text(made.skipped[i]); })
                     : status;
}

// A header's pixels, upright, in bytes.
Status IndexNode::decode(const sdk::Request& request, const std::string& path, Decoded& out) const {
  const Result<MappedFile> file = MappedFile::open(path);
  if (!file.ok()) return file.status();
  const Result<ImageHeader> header = read_image_header(file->bytes(), {.max_side = max_side_});
  if (!header.ok()) return header.status().at(path);
  const Result<ColorTransform> colors = read_color_transform(file->bytes(), *header);
  if (!colors.ok()) return colors.status().at(path);
  out.pixels.resize(static_cast<size_t>(header->shape().elements()));
  out.picture.view = packed_image_view(out.pixels.data(), WEFT_DTYPE_U8, header->shape());
  Status status = decode_image(
      file->bytes(), *header, out.picture.view, [&request] { return request.cancelled(); }, *colors);
  return status.ok() ? status : std::move(status).at(path);
}

Status IndexNode::encode_some(sdk::Request& request, Encoder& encoder, std::span<const std::string> names,
                              const std::string& folder, Made& made) const {
  std::vector<std::string> paths;
  for (const std::string& name : names) {
    Result<std::string> path = request.resolve_input((fs::path(folder) / name).string());
    if (!path.ok()) return path.status();
    paths.push_back(*std::move(path));
  }
  for (size_t begin = 0; begin < names.size();) {
    // As many at a time as fit into memory once they are decoded.
    std::vector<Decoded> decoded;
    int64_t bytes = 0;
    for (size_t i = begin; i < names.size() && (decoded.empty() || bytes < kDecodedBytes); ++i) {
      Decoded& one = decoded.emplace_back();
      one.status = decode(request, paths[i], one);
      if (request.cancelled()) return sdk::Request::cancelled_status();
      bytes += static_cast<int64_t>(one.pixels.size());
      if (one.status.ok()) continue;
      if (!skips_unreadable_ || one.status.code() == StatusCode::kOutOfMemory) return one.status;
      made.skipped.push_back(names[i] + ": " + one.status.error().message);
    }
    PictureJob job;
    job.cancelled = [&request] { return request.cancelled(); };
    for (size_t i = 0; i < decoded.size(); ++i) {
      if (!decoded[i].status.ok()) continue;
      job.pictures.push_back(decoded[i].picture);
      made.names.push_back(names[begin + i]);
    }
    std::vector<float> vectors(job.pictures.size() * static_cast<size_t>(width()));
    job.pooled = vectors.data();
    PictureJob* const jobs[] = {&job};
    Status status = encoder.encode_pictures(jobs);
    if (!status.ok()) return status;
    if (!job.status.ok()) return job.status;
    for (size_t i = 0; i < job.pictures.size(); ++i)
      normalize(vectors.data() + i * static_cast<size_t>(width()), width());
    made.vectors.insert(made.vectors.end(), vectors.begin(), vectors.end());
    begin += decoded.size();
  }
  return {};
}

Result<std::unique_ptr<SearchNode>> SearchNode::create(const sdk::NodeConfig& config) {
  if (config.input_connected(kQueryText) && !config.input_connected(kQueryImage))
    if (Status status = check_texts(config); !status.ok()) return status;
  return std::make_unique<SearchNode>(config);
}

Status SearchNode::prepare(sdk::Specs, sdk::Plan plan) {
  limits_ = EncodingLimits::of(model_, 1);
  Encoder::plan(model_, limits_, host_, plan);
  plan.set_output(kBest, sdk::bytes_spec(kLongestPath));
  plan.set_output(kPaths, sdk::list_spec(most_, kLongestPath));
  plan.set_output(kScores, sdk::list_spec(most_, WEFT_UNBOUNDED));
  return {};
}

Result<std::vector<float>> SearchNode::query_vector(sdk::Request& request,
                                                    const sdk::Execution& execution) const {
  const sdk::Value image = request.input(kQueryImage), text = request.input(kQueryText);
  if (static_cast<bool>(image) == static_cast<bool>(text))
    return Status(StatusCode::kInvalidArgument, "what is searched for is a picture or a text")
        .at("'" + name_ + "', ports 'image' and 'text'")
        .expected("one of them")
        .got(image ? "both" : "none");
  Result<Encoder> encoder = begin_encoding(execution);
  if (!encoder.ok()) return encoder.status();
  std::vector<float> vector;
  if (text) {
    if (model_.texts() == nullptr)
      return Status(StatusCode::kUnsupported, "this model has no encoder of texts").at(model_.path());
    const std::string one[] = {std::string(text.as_text())};
    Result<std::vector<float>> made = encode_texts(*encoder, request, one);
    if (!made.ok()) return made;
    vector = *std::move(made);
  } else {
    PictureJob job;
    if (Status status = append_pictures(image, "image", &job.pictures); !status.ok()) return status;
    if (job.count() != 1)
      return Status(StatusCode::kInvalidShape, "one picture is searched for at a time")
          .at("port 'image'")
          .expected("1")
          .got(std::to_string(job.count()));
    vector.resize(static_cast<size_t>(width()));
    job.pooled = vector.data();
    job.cancelled = [&request] { return request.cancelled(); };
    PictureJob* const jobs[] = {&job};
    Status status = encoder->encode_pictures(jobs);
    if (status.ok()) status = job.status;
    if (!status.ok()) return status;
  }
  normalize(vector.data(), width());
  return vector;
}

Status SearchNode::run(sdk::Request& request, const sdk::Execution& execution) {
  const Result<std::string> path = request.resolve_input(std::string(request.parameters().get_text("index")));
  if (!path.ok()) return path.status();
  const Result<PictureIndex> index = PictureIndex::open(*path);
  if (!index.ok()) return index.status();
  const bool other =
      !index->model().empty() && !model_.weights_key().empty() && index->model() != model_.weights_key();
  if (other || index->width() != width())
    return Status(StatusCode::kInvalidArgument, "the index was made with another model")
        .at(*path)
        .expected(model_.path() + ", vectors of " + std::to_string(width()))
        .got("vectors of " + std::to_string(index->width()));
  if (index->count() == 0) return Status(StatusCode::kInvalidArgument, "the index is empty").at(*path);
  const Result<std::vector<float>> query = query_vector(request, execution);
  if (!query.ok()) return query.status();
  const PictureSearch wanted{
      .most = most_,
      .probes = probes_ == kUsualProbes ? std::max<int64_t>(8, index->groups() / 16) : probes_};
  const auto matches =
      index->search(query->data(), wanted, host_.executor(), [&request] { return request.cancelled(); });
  if (!matches.ok()) return matches.status();
  const auto name = [&](size_t i) { return host_.make_path(index->name((*matches)[i].index)); };
  Status status = request.set_output(kBest, name(0));
  if (status.ok()) status = set_list(request, kPaths, "path", matches->size(), name);
  return status.ok() ? set_list(request, kScores, "float", matches->size(),
                                [&](size_t i) { return host_.make_float((*matches)[i].score); })
                     : status;
}

constexpr weft_node_type kIndexNode = sdk::node<IndexNode>(
    {.name = "vision.index",
     .help = "Keeps the vectors of all pictures of a folder in one file, to be searched.",
     .flags = WEFT_NODE_READS_FILES | WEFT_NODE_WRITES_FILES,
     .outputs = kIndexOutputs,
     .parameters = kIndexParameters});
constexpr weft_node_type kSearchNode =
    sdk::node<SearchNode>({.name = "vision.search",
                           .help = "Finds the pictures of an index that lie nearest to a text or a picture.",
                           .flags = WEFT_NODE_READS_FILES,
                           .inputs = kSearchInputs,
                           .outputs = kSearchOutputs,
                           .parameters = kSearchParameters});

}  // namespace weft::vision
