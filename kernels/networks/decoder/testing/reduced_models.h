/// The reduced models that tests of decoders share: those of scripts/make_golden/decoder.py with transformers' results, and random
/// quantised ones.
#ifndef WEFT_KERNELS_NETWORKS_DECODER_TESTING_REDUCED_MODELS_H
#define WEFT_KERNELS_NETWORKS_DECODER_TESTING_REDUCED_MODELS_H

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "kernels/networks/decoder/decoder_state.h"
#include "kernels/quant/dequantize.h"
#include "kernels/testing/random.h"
#include "modalities/weights/testing/model_file_writer.h"

namespace weft::testing {

inline constexpr const char* kGoldenDecoders[] = {"llama",        "llama_yarn",    "llama_linear", "mistral",
                                                  "qwen2",        "qwen3",         "gemma3",       "gpt2",
                                                  "falcon_first", "falcon_grouped"};

/// The folder of safetensors; with ".gguf" behind it, the same model in the other container.
inline std::string golden_decoder(const std::string& name) { return "assets/golden/decoder/" + name; }

/// A random llama of width 256 with two heads' groups of 32 and quantised matrices, the same one however it is
/// stored. folder: of the calling test alone.
inline std::filesystem::path write_random_llama(const std::string& folder, WeightFormat format,
                                                WeightFormat stored, uint32_t layers = 2) {
  GgufWriter writer;
  writer.add("general.architecture", "llama")
      .add_u32("llama.block_count", layers)
      .add_u32("llama.context_length", 64);
  writer.add_u32("llama.embedding_length", 256).add_u32("llama.feed_forward_length", 512);
  writer.add_u32("llama.attention.head_count", 8).add_u32("llama.attention.head_count_kv", 2);
  writer.add_f32("llama.attention.layer_norm_rms_epsilon", 1e-5f);
  uint64_t seed = 1;
  const auto matrix = [&](const std::string& name, uint64_t n, uint64_t k) {
    const auto count = static_cast<int64_t>(n * k);
    std::vector<uint8_t> bytes = random_weights(format, count, ++seed);
    if (stored != format) {
      std::vector<float> values(n * k);
      dequantize(format, bytes.data(), count, values.data());
      bytes.resize(static_cast<size_t>(weights_bytes(stored, count)));
      quantize(stored, values.data(), count, bytes.data());
    }
    writer.add_tensor(name, stored, {n, k}, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  };
  const std::vector<float> ones(256, 1.0f);
  const auto norm = [&](const std::string& name) {
    writer.add_tensor(name, WeightFormat::kF32, {256}, {reinterpret_cast<const char*>(ones.data()), 1024});
  };
  matrix("token_embd.weight", 64, 256);
  norm("output_norm.weight");
  for (uint32_t i = 0; i < layers; ++i) {
    const std::string layer = "blk." + std::to_string(i) + ".";
    norm(layer + "attn_norm.weight");
    norm(layer + "ffn_norm.weight");
    matrix(layer + "attn_q.weight", 256, 256);
    matrix(layer + "attn_k.weight", 64, 256);
    matrix(layer + "attn_v.weight", 64, 256);
    matrix(layer + "attn_output.weight", 256, 256);
    matrix(layer + "ffn_gate.weight", 512, 256);
    matrix(layer + "ffn_up.weight", 512, 256);
    matrix(layer + "ffn_down.weight", 256, 512);
  }
  const auto path = fresh_folder(folder) / "random.gguf";
  writer.save(path);
  return path;
}

/// A random adapter for every linear layer of a decoder's blocks, named as in GGUF. folder: of the calling test alone.
inline std::filesystem::path write_random_adapter(const std::string& folder, const Decoder& decoder,
                                                  int64_t rank, WeightFormat format = WeightFormat::kF32) {
  const Decoder::State& model = decoder.state();
  const FileLayout layout = model.architecture->layout(WeightContainer::kGguf);
  GgufWriter writer;
  writer.add("general.architecture", model.config.architecture).add_f32("adapter.lora.alpha", 4);
  uint64_t seed = 100;
  for (const LinearName& name : model.linears) {
    const auto part = std::ranges::find(layout.names, name.part, &PartName::part);
    const auto half = [&](const char* ending, int64_t n, int64_t k) {
      std::vector<float> values = random_normal(n * k, ++seed);
      for (float& value : values) value *= 0.1f;
      std::vector<char> bytes(static_cast<size_t>(weights_bytes(format, n * k)));
      quantize(format, values.data(), n * k, bytes.data());
      writer.add_tensor(tensor_name("", part->name, name.layer) + ".weight" + ending, format,
                        {static_cast<uint64_t>(n), static_cast<uint64_t>(k)}, {bytes.data(), bytes.size()});
    };
    half(".lora_a", rank, name.linear->w.k);
    half(".lora_b", name.linear->w.n, rank);
  }
  const auto path = fresh_folder(folder) / "adapter.gguf";
  writer.save(path);
  return path;
}

}  // namespace weft::testing
#endif
