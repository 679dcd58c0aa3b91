// Hostile chat templates over small data. The input is a template, or a template, a zero byte and a JSON object of
// extra variables. Whatever it is, the answer is text whose runs cover it, or an error with a place.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "modalities/text/chat_template/chat_template.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t zero = input.find('\0');
  const weft::Result<weft::ChatTemplate> chat = weft::ChatTemplate::parse(input.substr(0, zero));
  if (!chat.ok()) return 0;
  const weft::ChatInput variables{
      .messages_json =
          R"([{"role": "system", "content": "Be brief."}, {"role": "user", "content": " Hi <|im_end|> é "}])",
      .tools_json =
          R"([{"type": "function", "function": {"name": "f", "parameters": {"properties": {"x": [1, 2.5]}}}}])",
      .extra_json = zero == input.npos ? std::string_view() : input.substr(zero + 1),
      .generation_prompt = weft::GenerationPrompt::kAdd,
      .bos_token = "<s>",
      .eos_token = "</s>"};
  const weft::RenderLimits limits{.max_steps = 100'000, .max_output_bytes = 1u << 16, .max_depth = 64};
  const weft::Result<weft::RenderedChat> rendered = chat->render(variables, limits);
  if (!rendered.ok()) return 0;
  size_t end = 0;
  for (const weft::RenderedChat::Run& run : rendered->runs) {
    if (run.begin != end || run.end <= run.begin) abort();
    end = run.end;
  }
  if (end != rendered->text.size()) abort();
  return 0;
}
