// LLaVA and Gemma 3 on a device, simt:0 unless WEFT_TEST_DEVICE names another, against the numbers of transformers: a picture goes from
// tower to projector to decoder within the device's memory.
#include <gtest/gtest.h>

#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "kernels/networks/decoder/device_decoder.h"
#include "kernels/networks/testing/golden.h"
#include "kernels/networks/testing/on_device.h"
#include "kernels/networks/vision_language/picture_embedder.h"

namespace weft::testing {
namespace {

constexpr int64_t kPages = 8;

struct Model {
  Model(const std::string& name, DType compute)
      : expected("assets/golden/vision_language/" + name),
        threads(2),
        file(take(WeightFile::open("assets/golden/vision_language/" + name))),
        stream(take(DeviceStream::create(take(ComputeDevice::open(device_name()))))),
        passes(stream),
        decoder(take(DeviceDecoder::open(file))),
        pictures(take(PictureEmbedder::open(file, decoder.config().width, compute))) {
    demand(decoder.load(stream));
    demand(pictures.load_on(stream, threads.executor()));
    workspace = memory(pictures.device_workspace_bytes());
  }
  DeviceBuffer memory(int64_t bytes) const {
    return take(DeviceBuffer::allocate(stream, static_cast<uint64_t>(bytes), "test"));
  }
  const float* pixels(int64_t picture) const {
    return expected.span<float>("pixels").data() +
           picture * pictures.image_size() * pictures.image_size() * 3;
  }
  /// Of each picture, one after another, on the device.
  std::vector<DeviceBuffer> rows_on_device(int64_t n) {
    std::vector<DeviceBuffer> rows;
    for (int64_t i = 0; i < n; ++i) {
      rows.push_back(memory(pictures.rows_bytes()));
      demand(pictures.forward_on(passes, pixels(i), reinterpret_cast<float*>(rows.back().data()),
                                 all_of(workspace)));
    }
    return rows;
  }
  std::vector<float> read(const std::vector<DeviceBuffer>& rows) const {
    const auto each = static_cast<size_t>(pictures.rows_bytes() / 4);
    std::vector<float> values(rows.size() * each, NAN);
    for (size_t i = 0; i < rows.size(); ++i)
      demand(stream.copy_to_host(values.data() + i * each, rows[i].data(), each * 4));
    demand(stream.synchronize());
    return values;
  }
  /// Of the golden prompt, cut at the given places.
  std::vector<float> logits(const std::vector<DeviceBuffer>& rows, const std::vector<int64_t>& cuts) const {
    const std::span<const int32_t> tokens = expected.span<int32_t>("tokens");
    const KvLayout layout = decoder.kv_layout(KvFormat::kF32);
    const DeviceBuffer pages = memory(kPages * layout.page_bytes());
    KvCache cache = take(device_kv_cache(layout, pages, stream));
    const auto n = static_cast<int64_t>(tokens.size());
    auto scratch =
        take(decoder.make_scratch(stream, {.tokens = n, .logits_rows = n, .page_entries = kPages}));
    KvSequence sequence = cache.new_sequence();
    const auto vocabulary = static_cast<size_t>(decoder.config().vocabulary);
    std::vector<float> values(expected.span<int32_t>("logits_rows").size() * vocabulary, NAN);
    size_t picture = 0, done = 0;
    for (const int64_t end : cuts) {
      const int64_t begin = sequence.length();
      std::vector<EmbeddedRows> embedded;
      for (int64_t i = begin; i < end; ++i) {
        if (!is_picture(i)) continue;
        const auto* of_picture = reinterpret_cast<const float*>(rows[picture++].data());
        embedded.push_back({i - begin, pictures.n_rows(), of_picture, RowsMemory::kDevice});
        i += pictures.n_rows() - 1;
      }
      std::vector<int32_t> here;
      for (const int32_t row : expected.span<int32_t>("logits_rows"))
        if (row >= begin && row < end) here.push_back(static_cast<int32_t>(row - begin));
      const DecoderChunk chunk{
          &sequence, tokens.subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin)), embedded};
      DeviceDecoderOutputs outputs;
      outputs.logits = values.data() + done * vocabulary;
      demand(decoder.forward({.chunks = {&chunk, 1}, .logits_rows = here}, outputs, scratch));
      done += here.size();
    }
    return values;
  }
  bool is_picture(int64_t place) const {
    return expected.span<int32_t>("tokens")[static_cast<size_t>(place)] == pictures.config().image_token;
  }
  /// The prompt's pieces of up to 16 tokens, which no tensor core rounds: a picture is one.
  std::vector<int64_t> few_rows() const {
    const auto n = static_cast<int64_t>(expected.span<int32_t>("tokens").size());
    std::vector<int64_t> cuts;
    for (int64_t begin = 0, end; begin < n; begin = end) {
      const int64_t most = is_picture(begin) ? pictures.n_rows() : 16;
      for (end = begin + 1; end < n && end < begin + most && is_picture(end) == is_picture(begin);) ++end;
      cuts.push_back(end);
    }
    return cuts;
  }

  GoldenTensors expected;
  Threads threads;
  WeightFile file;
  DeviceStream stream;
  DevicePasses passes;
  DeviceDecoder decoder;
  PictureEmbedder pictures;
  DeviceBuffer workspace;
};

class DeviceVisionLanguage : public ::testing::TestWithParam<const char*> {};

TEST_P(DeviceVisionLanguage, AgreesWithTransformers) {
  for (const DType compute : {DType::kF32, DType::kBF16}) {
    Model model(GetParam(), compute);
    const std::vector<DeviceBuffer> rows = model.rows_on_device(2);
    EXPECT_LT(error(model.read(rows), model.expected.span<float>("rows")), allowed(compute));
    // The decoder's weights are bf16, and so are products of many rows.
    const auto n = static_cast<int64_t>(model.expected.span<int32_t>("tokens").size());
    const std::vector<int64_t> cuts = compute == DType::kF32 ? model.few_rows() : std::vector<int64_t>{n};
    EXPECT_LT(error(model.logits(rows, cuts), model.expected.span<float>("logits")), allowed(compute));
  }
}

// The first picture's passes are queued, the second one's captured, further ones launched.
TEST_P(DeviceVisionLanguage, FurtherPicturesKeepTheirBits) {
  Model model(GetParam(), DType::kF32);
  const std::vector<float> first = model.read(model.rows_on_device(2));
  for (int i = 0; i < 2; ++i) EXPECT_EQ(model.read(model.rows_on_device(2)), first) << i;
}

INSTANTIATE_TEST_SUITE_P(Models, DeviceVisionLanguage, ::testing::Values("llava", "gemma3"),
                         [](const auto& model) { return std::string(model.param); });

TEST(DeviceVisionLanguagePasses, RefuseWhatTheyCannotDo) {
  Model model("gemma3", DType::kF32);
  const DeviceBuffer rows = model.memory(model.pictures.rows_bytes());
  const auto code = [&](std::span<std::byte> workspace, const StopRequest& stop = {}) {
    auto* to = reinterpret_cast<float*>(rows.data());
    return model.pictures.forward_on(model.passes, model.pixels(0), to, workspace, stop).code();
  };
  const std::span<std::byte> all = all_of(model.workspace);
  EXPECT_EQ(code(all.first(all.size() - 64)), StatusCode::kOutOfMemory);
  EXPECT_EQ(code(all, {[](void*) { return true; }, nullptr}), StatusCode::kCancelled);
  EXPECT_EQ(code(all), StatusCode::kOk);
  DeviceBuffer small = model.memory(model.pictures.device_weights_bytes() - 1);
  EXPECT_EQ(model.pictures.load_on(model.stream, model.threads.executor(), {}, std::move(small)).code(),
            StatusCode::kOutOfMemory);
  model.pictures.unload();
  EXPECT_EQ(code(all), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace weft::testing
