/// The nodes without a model: text.load, text.template, text.save; and templates of models that show tools.
#include <filesystem>

#include "tests/text/model_variant.h"
#include "tests/text/text_pipeline.h"

namespace weft::testing {
namespace {

using ::testing::HasSubstr;

class TextFiles : public TextPipelineTest {
 protected:
  void SetUp() override {}  // no model is needed
  static Json node(const std::string& uses, const Json& with, const Json& in = Json::object()) {
    return {{"uses", uses}, {"with", with}, {"in", in}};
  }
  /// The outputs of load -> template -> save.
  Result<Json> load_and_save(const std::string& from, const std::string& to) {
    return run(
        {{"models", Json::object()},
         {"nodes",
          {{"load", node("text.load", {{"path", from}})},
           {"fill", node("text.template", {{"template", "<{{ text }}> {{{{x}} {{n}} {{flag}}"}},
                         {{"text", "load.text"}, {"n", "inputs.n"}, {"flag", "inputs.flag"}})},
           {"save", node("text.save", {{"path", to}}, {{"text", "fill.text"}})}}},
         {"inputs",
          {{"n", {{"type", "float"}, {"default", 0.5}}}, {"flag", {{"type", "bool"}, {"default", true}}}}},
         {"outputs", {{"text", "fill.text"}, {"path", "save.path"}}}});
  }
};

TEST_F(TextFiles, AreReadFilledInAndWritten) {
  write("in.txt", "Grüße, 世界\r\n");
  const Result<Json> got = load_and_save("in.txt", "deep/er/out.txt");
  ASSERT_TRUE(got.ok()) << to_string(got.error());
  EXPECT_EQ((*got)["text"], "<Grüße, 世界\r\n> {{x}} 0.5 true");
  EXPECT_EQ(read("out/deep/er/out.txt"), "<Grüße, 世界\r\n> {{x}} 0.5 true");
  EXPECT_THAT((*got)["path"].get<std::string>(), HasSubstr("deep/er/out.txt"));
}

TEST_F(TextFiles, OutsideOfTheOutputFolderAreRefusedAndNothingIsWritten) {
  write("in.txt", "x");
  for (const char* path : {"../out.txt", "/tmp/weft-escape.txt", "a/../../out.txt"}) {
    const Result<Json> got = load_and_save("in.txt", path);
    EXPECT_EQ(got.code(), StatusCode::kPermissionDenied) << path;
    EXPECT_FALSE(std::filesystem::exists(folder() / "out.txt")) << path;
    EXPECT_FALSE(std::filesystem::exists("/tmp/weft-escape.txt")) << path;
  }
}

TEST_F(TextFiles, ThatAreMissingOrNoTextAreNamed) {
  Result<Json> got = load_and_save("missing.txt", "out.txt");
  ASSERT_EQ(got.code(), StatusCode::kNotFound);
  EXPECT_THAT(to_string(got.error()), HasSubstr("missing.txt"));
  write("latin1.txt",
        "Gr\xFC\xDF"
        "e");
  got = load_and_save("latin1.txt", "out.txt");
  ASSERT_EQ(got.code(), StatusCode::kCorruptData);
  EXPECT_THAT(to_string(got.error()), HasSubstr("latin1.txt, offset 2"));
  EXPECT_FALSE(std::filesystem::exists(folder() / "out/out.txt"));
}

TEST_F(TextFiles, TemplatesThatNameNoInputAreRefused) {
  Json pipeline = {
      {"models", Json::object()},
      {"nodes", {{"n", node("text.template", {{"template", "a\n{{nmae}}"}}, {{"name", "inputs.name"}})}}},
      {"inputs", {{"name", {{"type", "text"}, {"default", "Ada"}}}}}};
  Result<Json> got = run(pipeline);
  ASSERT_EQ(got.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(to_string(got.error()), HasSubstr("parameter 'template', line 2"));
  EXPECT_THAT(to_string(got.error()), HasSubstr("expected one of name, got nmae"));
  pipeline["nodes"]["n"]["with"]["template"] = "{{name";
  got = run(pipeline);
  ASSERT_EQ(got.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(to_string(got.error()), HasSubstr("has no }}"));
}

class TextTools : public TextPipelineTest {};

// SmolLM2's own template does not show tools; this one does.
TEST_F(TextTools, ReachTheModelThroughItsTemplate) {
  write_variant(
      find_model(kSmolLm2),
      {.texts =
           {{"tokenizer.chat_template",
             "{% if tools %}{% for tool in tools %}{{ tool.function.name }}: {{ tool.function | tojson }}\n"
             "{% endfor %}{% endif %}{% for m in messages %}{{ m.content }}\n{% endfor %}"}},
       .layers = 2},
      folder() / "tools.gguf");
  const auto read = [&](const Json& with) {
    Json pipeline = pipeline_of("text.chat", with, {"logprobs"});
    pipeline["models"] = {{"m", {{"path", "tools.gguf"}}}};
    return outputs(pipeline)["logprobs"];
  };
  const Json tools = Json::parse(
      R"([{"type": "function", "function": {"name": "weather", "parameters": {"z": 1, "a": 2}}}])");
  const Json parameters = {{"seed", 1}, {"temperature", 0}, {"max_tokens", 2}, {"logprobs", 5}};
  const auto with = [&](const Json& more) {
    Json all = parameters;
    all.update(more);
    return all;
  };
  // The same tokens as if the template's text had been the message.
  const std::string shown =
      "weather: {\"name\": \"weather\", \"parameters\": {\"z\": 1, \"a\": 2}}\nIs it raining?";
  EXPECT_EQ(read(with({{"prompt", "Is it raining?"}, {"tools", tools}})), read(with({{"prompt", shown}})));
  EXPECT_NE(read(with({{"prompt", "Is it raining?"}, {"tools", tools}})),
            read(with({{"prompt", "Is it raining?"}})));
}

TEST_F(TextTools, AModelWithoutATemplateIsRefusedBeforeItIsLoaded) {
  write_variant(find_model(kSmolLm2), {.texts = {{"tokenizer.chat_template", ""}}, .layers = 1},
                folder() / "plain.gguf");
  Json pipeline = pipeline_of("text.chat", {{"prompt", "Hi"}, {"seed", 1}}, {});
  pipeline["models"] = {{"m", {{"path", "plain.gguf"}}}};
  const Result<Json> got = run(pipeline);
  ASSERT_EQ(got.code(), StatusCode::kNotFound);
  EXPECT_THAT(to_string(got.error()), HasSubstr("plain.gguf: this model has no chat template"));
  EXPECT_THAT(to_string(got.error()), HasSubstr("test.json:"))
      << "the node's place: it is the plan that refuses";
}

}  // namespace
}  // namespace weft::testing
