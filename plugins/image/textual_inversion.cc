#include "plugins/image/textual_inversion.h"

#include <nlohmann/json.hpp>

#include <string>

#include "kernels/layers/weight_source.h"
#include "modalities/weights/json_file.h"
#include "modalities/weights/weight_file.h"

namespace weft::image {
namespace {

/// The vectors of a file for an encoder of `width`, appended to `values`; returns how many.
Result<int32_t> read_vectors(const std::filesystem::path& path, int64_t width, std::vector<float>& values) {
  Result<WeightFile> file = WeightFile::open(path);
  if (!file.ok()) return file.status();
  std::string found;
  const WeightSource source = WeightSource::all_of(*file);
  for (const auto& [name, tensor] : source.tensors()) {
    const std::vector<int64_t> shape = tensor.shape();
    const bool fits = (shape.size() == 1 || shape.size() == 2) && shape.back() == width;
    const int64_t count = tensor.count() / width;
    if (fits && count >= 1 && count <= 64) {
      const size_t before = values.size();
      values.resize(before + static_cast<size_t>(tensor.count()));
      source.read_stored(name, values.data() + before);
      return static_cast<int32_t>(count);
    }
    found += (found.empty() ? "" : ", ") + name + " " + shape_text(shape);
  }
  return Status(StatusCode::kInvalidShape, "no learned vectors for this text encoder")
      .at(path.string())
      .expected("a tensor [1 to 64, " + std::to_string(width) + "]")
      .got(found.empty() ? "no tensor" : found);
}

}  // namespace

Result<LearnedEmbeddings> read_learned_embeddings(std::string_view json, const std::filesystem::path& folder,
                                                  int64_t width, TokenId first_id) {
  const auto refuse = [](std::string got) {
    return Status(StatusCode::kInvalidArgument, "the embeddings cannot be read")
        .at("model parameter 'embeddings'")
        .expected("a list of objects with \"name\" and \"path\"")
        .got(std::move(got));
  };
  const nlohmann::json list = nlohmann::json::parse(json, nullptr, false);
  if (!list.is_array()) return refuse(std::string(json));
  LearnedEmbeddings result;
  for (const nlohmann::json& item : list) {
    const auto text = [&](const char* key) {
      return item.is_object() && item.contains(key) && item[key].is_string() ? item[key].get<std::string>()
                                                                             : std::string();
    };
    const std::string name = text("name"), path = text("path");
    if (name.empty() || path.empty() || item.size() != 2) return refuse(item.dump());
    const Result<int32_t> count = read_vectors(folder / path, width, result.values);
    if (!count.ok()) return count.status();
    result.tokens.push_back({name, first_id, *count});
    first_id += *count;
  }
  return result;
}

Result<std::optional<int64_t>> read_sample_size(const std::filesystem::path& config) {
  const Result<rapidjson::Document> document = read_json_file(config, kMaxConfigBytes);
  if (!document.ok()) return document.status();
  if (!document->IsObject()) return std::optional<int64_t>();
  const auto found = document->FindMember("sample_size");
  const bool is_size = found != document->MemberEnd() && found->value.IsInt() && found->value.GetInt() > 0 &&
                       found->value.GetInt() <= 4096;
  return is_size ? std::optional<int64_t>(found->value.GetInt()) : std::optional<int64_t>();
}

}  // namespace weft::image
