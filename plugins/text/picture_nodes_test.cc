// text.chat with pictures, on the reduced random models of scripts/make_golden/vision_language.py: the prompts' tokens and the answers are
// those of transformers, whatever else is in the batch; what is refused, and how.
#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "kernels/networks/testing/golden.h"
#include "modalities/image/files/image_file.h"
#include "modalities/weights/testing/model_file_writer.h"
#include "plugins/image/testing/picture_values.h"
#include "plugins/text/generate_node.h"

namespace weft::text {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::weft::testing::GoldenTensors;
using ::weft::testing::take;

const std::string kGolden = "assets/golden/vision_language/";
const std::string kFiles = "assets/golden/images/files/";
constexpr const char* kQuestions[] = {"What is in these pictures?", "A list, please."};
constexpr const char* kQuestion = "What is this?";

const weft_node_type kChat = sdk::node<ChatNode>({.name = "text.chat",
                                                  .help = "",
                                                  .flags = WEFT_NODE_PURE,
                                                  .inputs = generation_inputs(),
                                                  .outputs = generation_outputs(),
                                                  .parameters = chat_parameters()});
enum Port : size_t { kTokensOut = 1, kLogprobsOut, kMessagesOut = 5 };

// A question about two pictures, and its answer.
nlohmann::json early_turns() {
  nlohmann::json parts = nlohmann::json::array({{{"type", "image"}}, {{"type", "image"}}});
  parts.push_back({{"type", "text"}, {"text", kQuestions[0]}});
  return nlohmann::json::array(
      {{{"role", "user"}, {"content", parts}}, {{"role", "assistant"}, {"content", "Yes."}}});
}

std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

class PictureNodes : public image::testing::NodeTest {
 protected:
  void use_model(const std::string& folder, const std::string& precision = "f32") {
    model_ = load_model<LanguageModel>(folder, parameters(precision));
  }
  static std::map<std::string, ParameterValue> parameters(const std::string& precision = "f32") {
    return {{"precision", precision}, {"lora", "[]"}, {"device", "cpu"}};
  }

  Value file(const std::string& name) {
    const std::string bytes = read_file(kFiles + name);
    const auto data = std::as_bytes(std::span(bytes));
    const ImageHeader header = take(read_image_header(data, {}));
    std::vector<uint8_t> pixels(static_cast<size_t>(header.shape().elements()));
    ::weft::testing::demand(
        decode_image(data, header, packed_image_view(pixels.data(), WEFT_DTYPE_U8, header.shape()), {}));
    return picture<uint8_t>(header.shape(), pixels);
  }
  // Both of the golden pictures, as a list.
  Value files() { return *Value::list({file("rgb.png"), file("gray.png")}, "image"); }
  static Value text(const std::string& utf8) { return *Value::text(utf8); }
  static Value json(const std::string& text) { return *Value::bytes(text, "json"); }
  // Inputs by port: prompt, messages, system, tools, image, images.
  std::vector<Value> about(const std::string& question, const std::string& name) {
    return {text(question), {}, {}, {}, file(name), {}};
  }
  std::vector<Value> about_both() {
    return {text(kQuestions[1]), json(early_turns().dump()), {}, {}, {}, files()};
  }

  static std::map<std::string, std::string> greedy(std::map<std::string, std::string> more = {}) {
    more.insert({{"temperature", "0"}, {"max_tokens", "6"}, {"kv_type", "\"f32\""}, {"seed", "1"}});
    return more;
  }
  static std::vector<int32_t> ids(const Value& list) {
    std::vector<int32_t> tokens;
    for (size_t i = 0; i < list.size(); ++i)
      tokens.push_back(static_cast<int32_t>(value_api()->get_int(list.item(i).get())));
    return tokens;
  }
  std::vector<int32_t> answer(std::vector<Value> inputs,
                              std::map<std::string, std::string> parameters = greedy()) {
    const NodeResult result = run(kChat, std::move(inputs), std::move(parameters));
    ::weft::testing::demand(result.status);
    return ids(result.outputs[kTokensOut]);
  }
  std::string refusal(std::vector<Value> inputs, std::map<std::string, std::string> parameters = greedy()) {
    const NodeResult result = run(kChat, std::move(inputs), std::move(parameters));
    return result.status.ok() ? "accepted" : to_string(result.status.error());
  }

  std::unique_ptr<LanguageModel> model_;
};

std::vector<int32_t> golden_ids(const GoldenTensors& tensors, const char* name) {
  const std::span<const int32_t> ids = tensors.span<int32_t>(name);
  return {ids.begin(), ids.end()};
}

class PictureChat : public PictureNodes, public ::testing::WithParamInterface<const char*> {
 protected:
  std::string folder() const { return kGolden + GetParam(); }
};

TEST_P(PictureChat, ItsTokensAreThoseOfTheProcessor) {
  use_model(folder());
  const GoldenTensors expected(folder());
  PromptSource one;
  one.prompt = kQuestion;
  one.n_pictures = 1;
  one.format = PromptFormat::kChat;
  EXPECT_EQ(take(make_prompt(*model_, one)), golden_ids(expected, "one_tokens"));
  const std::string messages = early_turns().dump();
  PromptSource both;
  both.messages_json = messages;
  both.prompt = kQuestions[1];
  both.n_pictures = 2;
  both.format = PromptFormat::kChat;
  EXPECT_EQ(take(make_prompt(*model_, both)), golden_ids(expected, "tokens"));
  // Without places in messages, pictures belong to the user's last turn.
  const std::string plain = R"([{"role": "user", "content": "What is in these pictures?"}])";
  both.messages_json = plain;
  both.prompt = {};
  const std::vector<TokenId> first = take(make_prompt(*model_, both)), all = golden_ids(expected, "tokens");
  EXPECT_TRUE(std::equal(first.begin(), first.begin() + 40, all.begin()));
}

TEST_P(PictureChat, ItsPixelsAreThoseOfTheProcessor) {
  use_model(folder());
  const GoldenTensors expected(folder());
  const PictureProcessor& processor = model_->pictures()->processor;
  const std::span<const float> want = expected.span<float>("pixels");
  std::vector<float> got(want.size());
  const auto each = static_cast<std::ptrdiff_t>(got.size() / 2);
  std::vector<Picture> pictures;
  const Value both = files();
  ::weft::testing::demand(append_pictures(sdk::Value::share(value_api(), both.get()), "images", &pictures));
  for (const int i : {0, 1})
    processor.run(pictures[static_cast<size_t>(i)], 0, got.data() + i * each, [] { return false; });
  const float byte = processor.scale / *std::ranges::min_element(processor.deviation);
  for (size_t i = 0; i < want.size(); ++i) ASSERT_NEAR(got[i], want[i], byte * 1.001) << i;
}

TEST_P(PictureChat, AnswersAsTransformersDoes) {
  use_model(folder());
  const GoldenTensors expected(folder());
  EXPECT_EQ(answer(about(kQuestion, "rgb.png")), golden_ids(expected, "one_answer"));
  EXPECT_EQ(answer(about_both()), golden_ids(expected, "answer"));
}

TEST_P(PictureChat, TheAnswerDoesNotDependOnTheBatch) {
  use_model(folder());
  std::vector<NodeRequest> requests = {{about(kQuestion, "rgb.png")},
                                       {about(kQuestion, "gray.png")},
                                       {about_both()},
                                       {about(kQuestion, "rgb.png")},
                                       {{text("Hello")}},
                                       {about("Hello", "rgb.png")}};
  requests[4].inputs.resize(6);
  const auto with_logprobs = [](std::map<std::string, std::string> more = {}) {
    more.insert({"logprobs", "3"});
    return greedy(std::move(more));
  };
  std::vector<std::string> alone;
  for (const NodeRequest& request : requests) {
    const NodeResult result = run(kChat, request.inputs, with_logprobs());
    ::weft::testing::demand(result.status);
    alone.emplace_back(result.outputs[kLogprobsOut].bytes_view());
  }
  EXPECT_NE(alone[0], alone[1]);  // the picture matters
  for (const Arrival arrival : {Arrival::kTogether, Arrival::kOneByOne}) {
    NodeRunnerOptions options;
    options.parameters_json = with_logprobs({{"model", "\"m\""}, {"max_batch", "3"}});
    options.models = models_;
    NodeRunner runner = take(NodeRunner::create(host_, kChat, std::move(options)));
    const std::vector<NodeResult> together = take(runner.run(requests, std::chrono::seconds(60), arrival));
    EXPECT_THAT(runner.violations(), ::testing::IsEmpty());
    for (size_t i = 0; i < requests.size(); ++i) {
      ASSERT_TRUE(together[i].status.ok()) << to_string(together[i].status.error());
      EXPECT_EQ(together[i].outputs[kLogprobsOut].bytes_view(), alone[i]) << i;
    }
  }
}

TEST_P(PictureChat, TheConversationShowsThePicturesAndGoesOn) {
  use_model(folder());
  const NodeResult first = run(kChat, about(kQuestion, "rgb.png"), greedy());
  ::weft::testing::demand(first.status);
  const auto messages = nlohmann::json::parse(first.outputs[kMessagesOut].bytes_view());
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_EQ(messages[0]["content"][0]["type"], "image");
  EXPECT_EQ(messages[0]["content"][1]["text"], kQuestion);
  EXPECT_EQ(answer({text("And this?"), json(messages.dump()), {}, {}, file("rgb.png"), {}}).size(), 6u);
  EXPECT_THAT(refusal({text("And this?"), json(messages.dump()), {}, {}, {}, {}}),
              HasSubstr("the messages show more pictures than there are"));
}

TEST_P(PictureChat, MarksInContentAreContent) {
  use_model(folder());
  const std::string mark = model_->pictures()->mark;
  EXPECT_EQ(answer(about("Is " + mark + " here?", "rgb.png")).size(), 6u);
  EXPECT_THAT(refusal(about("Is " + mark + " here?", "rgb.png"), greedy({{"parse_special", "true"}})),
              AllOf(HasSubstr("more places for pictures than there are pictures"), HasSubstr("got 2")));
}

TEST_P(PictureChat, APromptThatIsTooLongSaysWhatAPictureTakes) {
  use_model(folder());
  const std::string error =
      refusal(about(kQuestion, "rgb.png"), greedy({{"n_ctx", "24"}, {"truncate", "\"middle\""}}));
  EXPECT_THAT(error, AllOf(HasSubstr("the prompt is too long"), HasSubstr("each takes 16 tokens")));
}

INSTANTIATE_TEST_SUITE_P(Models, PictureChat, ::testing::Values("llava", "gemma3"),
                         [](const auto& model) { return std::string(model.param); });

// A copy of a model's folder, its files changed by name: an empty text removes one.
std::string changed(const std::string& model, const std::map<std::string, std::string>& files) {
  const std::filesystem::path folder = ::weft::testing::fresh_folder("picture_nodes");
  for (const auto& entry : std::filesystem::directory_iterator(kGolden + model))
    std::filesystem::copy_file(entry.path(), folder / entry.path().filename());
  for (const auto& [name, content] : files) {
    if (content.empty()) std::filesystem::remove(folder / name);
    else ::weft::testing::write_file(folder / name, content);
  }
  return folder.string();
}

TEST_F(PictureNodes, AModelWithoutATowerSeesNoPictures) {
  const auto config = nlohmann::json::parse(read_file(kGolden + "llava/config.json"));
  use_model(changed("llava", {{"config.json", config["text_config"].dump()}}));
  EXPECT_THAT(refusal(about(kQuestion, "rgb.png")),
              AllOf(HasSubstr("this model sees no pictures"), HasSubstr("LLaVA")));
}

TEST_F(PictureNodes, ATemplateThatShowsNoPicturesIsRefused) {
  use_model(
      changed("llava", {{"chat_template.jinja", "{% for m in messages %}{{ m['content'] }}{% endfor %}"}}));
  EXPECT_THAT(refusal(about(kQuestion, "rgb.png")),
              HasSubstr("the model's chat template does not show the pictures"));
}

TEST_F(PictureNodes, OldFoldersKeepTheTemplateOfTheProcessorInJson) {
  const std::string text = read_file(kGolden + "llava/chat_template.jinja");
  use_model(changed("llava", {{"chat_template.jinja", ""},
                              {"chat_template.json", nlohmann::json{{"chat_template", text}}.dump()}}));
  EXPECT_EQ(answer(about(kQuestion, "rgb.png")), golden_ids(GoldenTensors(kGolden + "llava"), "one_answer"));
}

TEST_F(PictureNodes, WrongFoldersAreRefusedByName) {
  const auto refusal_of = [&](const std::map<std::string, std::string>& files) {
    const Result<std::unique_ptr<LanguageModel>> model =
        open_model<LanguageModel>(changed("llava", files), parameters());
    return model.ok() ? std::string("accepted") : to_string(model.error());
  };
  auto config = nlohmann::json::parse(read_file(kGolden + "llava/config.json"));
  auto processor = nlohmann::json::parse(read_file(kGolden + "llava/preprocessor_config.json"));
  EXPECT_EQ(refusal_of({}), "accepted");
  EXPECT_THAT(refusal_of({{"preprocessor_config.json", ""}}), HasSubstr("preprocessor_config.json"));
  processor["crop_size"]["height"] = 30;
  EXPECT_THAT(refusal_of({{"preprocessor_config.json", processor.dump()}}),
              AllOf(HasSubstr("another size than the vision tower reads"), HasSubstr("24 x 24")));
  config["image_token_index"] = 7;
  EXPECT_THAT(refusal_of({{"config.json", config.dump()}}),
              HasSubstr("a token for pictures that the tokenizer has not"));
  config["vision_config"]["hidden_size"] = 36;
  EXPECT_THAT(refusal_of({{"config.json", config.dump()}}), HasSubstr("image encoder"));
}

}  // namespace
}  // namespace weft::text
