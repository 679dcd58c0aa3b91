// LLaVA and Gemma 3 against transformers, on the reduced random models of scripts/make_golden/vision_language.py: a picture's rows, and the
// decoder's logits with them; that bits depend on neither threads nor chunks; what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "kernels/networks/decoder/decoder.h"
#include "kernels/networks/testing/golden.h"
#include "kernels/networks/vision_language/picture_embedder.h"
#include "kernels/testing/workspace.h"
#include "modalities/weights/testing/model_file_writer.h"

namespace weft {
namespace {

using ::testing::AllOf;
using testing::demand;
using testing::error;
using ::testing::HasSubstr;
using testing::take;
using testing::Workspace;

std::string folder_of(const std::string& model) { return "assets/golden/vision_language/" + model; }

struct Model {
  Model(const std::string& folder, DType compute, uint32_t n_threads = 2)
      : threads(n_threads),
        file(take(WeightFile::open(folder))),
        decoder(take(Decoder::open(file))),
        pictures(take(PictureEmbedder::open(file, decoder.config().width, compute))) {
    demand(decoder.load(store, "golden", threads.executor()));
    demand(pictures.load(store, "golden", threads.executor()));
  }
  // Of each picture of `pixels`, one after another.
  std::vector<float> rows(std::span<const float> pixels) const {
    const int64_t values = pictures.image_size() * pictures.image_size() * 3;
    const int64_t n = static_cast<int64_t>(pixels.size()) / values,
                  each = pictures.n_rows() * pictures.text_width();
    std::vector<float> rows(static_cast<size_t>(n * each), NAN);
    Workspace workspace(pictures.workspace_bytes(threads.executor().max_threads()));
    for (int64_t i = 0; i < n; ++i)
      demand(pictures.forward(pixels.data() + i * values, rows.data() + i * each, workspace.span(),
                              threads.executor()));
    return rows;
  }
  // chunk: tokens at a time; a picture is not cut where it must come whole.
  std::vector<float> logits(std::span<const int32_t> tokens, std::span<const int32_t> wanted,
                            std::span<const float> rows, int64_t chunk) const {
    const KvLayout layout = decoder.kv_layout(KvFormat::kF32);
    KvCache cache = take(KvCache::create(layout, 8 * layout.page_bytes()));
    KvSequence sequence = cache.new_sequence();
    const int64_t vocabulary = decoder.config().vocabulary;
    std::vector<float> all(wanted.size() * static_cast<size_t>(vocabulary), NAN);
    const auto n = static_cast<int64_t>(tokens.size());
    Workspace workspace(decoder.workspace_bytes(n));
    size_t done = 0;
    for (int64_t begin = 0, row = 0; begin < n;) {
      int64_t end = std::min(n, begin + chunk);
      const auto is_picture = [&](int64_t i) {
        return i < n && tokens[static_cast<size_t>(i)] == pictures.config().image_token;
      };
      while (decoder.config().pictures_see_themselves && is_picture(end - 1) && is_picture(end)) ++end;
      std::vector<EmbeddedRows> embedded;
      for (int64_t i = begin; i < end; ++i) {
        if (!is_picture(i)) continue;
        if (embedded.empty() || embedded.back().begin + embedded.back().count != i - begin)
          embedded.push_back({i - begin, 0, rows.data() + row * pictures.text_width()});
        ++embedded.back().count;
        ++row;
      }
      std::vector<int32_t> here;
      for (int32_t r : wanted)
        if (r >= begin && r < end) here.push_back(r - static_cast<int32_t>(begin));
      const DecoderChunk part{
          &sequence, tokens.subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin)), embedded};
      demand(decoder.forward({.chunks = {&part, 1}, .logits_rows = here},
                             {.logits = all.data() + done * static_cast<size_t>(vocabulary)},
                             workspace.span(), threads.executor()));
      done += here.size();
      begin = end;
    }
    return all;
  }

  testing::Threads threads;
  WeightFile file;
  HeapWeightStore store;
  Decoder decoder;
  PictureEmbedder pictures;
};

class VisionLanguageGolden : public ::testing::TestWithParam<const char*> {};

TEST_P(VisionLanguageGolden, AgreesWithTransformers) {
  const testing::GoldenTensors e(folder_of(GetParam()));
  for (const DType compute : {DType::kF32, DType::kBF16}) {
    const Model model(folder_of(GetParam()), compute);
    const std::vector<float> rows = model.rows(e.span<float>("pixels"));
    EXPECT_LT(error(rows, e.span<float>("rows")), testing::allowed(compute));
    const std::vector<float> logits =
        model.logits(e.span<int32_t>("tokens"), e.span<int32_t>("logits_rows"), rows, 1000);
    EXPECT_LT(error(logits, e.span<float>("logits")), testing::allowed(compute));
  }
}

TEST_P(VisionLanguageGolden, BitsDoNotDependOnThreadsOrChunks) {
  const testing::GoldenTensors e(folder_of(GetParam()));
  const std::span<const int32_t> tokens = e.span<int32_t>("tokens"), wanted = e.span<int32_t>("logits_rows");
  for (const DType compute : {DType::kF32, DType::kBF16}) {
    const Model two(folder_of(GetParam()), compute);
    const std::vector<float> rows = two.rows(e.span<float>("pixels"));
    const std::vector<float> logits = two.logits(tokens, wanted, rows, 1000);
    for (int64_t chunk : {1, 13}) EXPECT_EQ(two.logits(tokens, wanted, rows, chunk), logits) << chunk;
    for (uint32_t n_threads : {1, 3}) {
      const Model other(folder_of(GetParam()), compute, n_threads);
      EXPECT_EQ(other.rows(e.span<float>("pixels")), rows);
      EXPECT_EQ(other.logits(tokens, wanted, rows, 31), logits);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Models, VisionLanguageGolden, ::testing::Values("llava", "gemma3"),
                         [](const auto& model) { return std::string(model.param); });

// What opening says of a model's files with config.json's `from` written as `to`.
std::string refusal(const std::string& model, const std::string& from, const std::string& to) {
  const std::filesystem::path folder = testing::fresh_folder("vision_language_refusal");
  std::filesystem::copy_file(folder_of(model) + "/model.safetensors", folder / "model.safetensors");
  std::ifstream in(folder_of(model) + "/config.json");
  std::string config{std::istreambuf_iterator<char>(in), {}};
  const size_t at = config.find(from);
  if (at == std::string::npos) return "no such key";
  testing::write_file(folder / "config.json", config.replace(at, from.size(), to));
  const WeightFile file = take(WeightFile::open(folder));
  if (!has_vision_tower(file.metadata())) return "no tower";
  const Result<PictureEmbedder> pictures = PictureEmbedder::open(file, 32, DType::kF32);
  return pictures.ok() ? "accepted" : to_string(pictures.error());
}

TEST(VisionLanguageOpen, NamesWhatIsWrong) {
  EXPECT_EQ(refusal("llava", "\"dtype\"", "\"dtype\""), "accepted");
  EXPECT_EQ(refusal("llava", "\"llava\"", "\"llama\""), "no tower");
  EXPECT_THAT(refusal("llava", "\"clip_vision_model\"", "\"pixtral\""),
              AllOf(HasSubstr("pixtral"), HasSubstr("clip_vision_model")));
  EXPECT_THAT(refusal("llava", "\"vision_feature_layer\": -2", "\"vision_feature_layer\": [-2, -3]"),
              HasSubstr("vision_feature_layer"));
  EXPECT_THAT(refusal("llava", "\"vision_feature_layer\": -2", "\"vision_feature_layer\": -9"),
              HasSubstr("one of the tower's 3 layers"));
  EXPECT_THAT(refusal("llava", "strategy\": \"default\"", "strategy\": \"most\""),
              HasSubstr("default or full"));
  EXPECT_THAT(refusal("llava", "\"hidden_size\": 24", "\"hidden_size\": 36"), HasSubstr("[24"));
  EXPECT_THAT(refusal("gemma3", "\"mm_tokens_per_image\": 16", "\"mm_tokens_per_image\": 9"),
              HasSubstr("a square whose side divides"));
  EXPECT_THAT(refusal("gemma3", "\"hidden_size\": 24", "\"hidden_size\": 48"), HasSubstr("[24"));
}

TEST(VisionLanguageOpen, ATowerThatDoesNotFitTheProjectorOrTheDecoderIsRefused) {
  const WeightFile file = take(WeightFile::open(folder_of("llava")));
  const Result<PictureEmbedder> pictures = PictureEmbedder::open(file, 48, DType::kF32);
  ASSERT_FALSE(pictures.ok());
  EXPECT_EQ(pictures.code(), StatusCode::kInvalidShape);
  EXPECT_THAT(to_string(pictures.error()),
              AllOf(HasSubstr("the projector"), HasSubstr("'linear_1.weight' is [32, 24], not [48, 24]")));
}

// Vicuna's and Gemma's text_config are written by what differs from the defaults of their config classes.
TEST(VisionLanguageOpen, AShortTextConfigMeansTheDefaults) {
  const auto refusal_of_decoder = [](const std::string& model, const std::string& text_config) {
    const std::filesystem::path folder = testing::fresh_folder("vision_language_defaults");
    std::filesystem::copy_file(folder_of(model) + "/model.safetensors", folder / "model.safetensors");
    testing::write_file(folder / "config.json",
                        R"({"model_type": ")" + model + R"(", "text_config": )" + text_config + "}");
    const WeightFile file = take(WeightFile::open(folder));
    const Result<Decoder> decoder = Decoder::open(file);
    return decoder.ok() ? std::string("accepted") : to_string(decoder.error());
  };
  EXPECT_THAT(refusal_of_decoder("llava", R"({"model_type": "llama"})"), HasSubstr("[1504, 4096]"));
  EXPECT_THAT(refusal_of_decoder("gemma3", R"({"model_type": "gemma3_text", "sliding_window": 1024})"),
              HasSubstr("[1508, 2304]"));
}

}  // namespace
}  // namespace weft
