#include "pipeline/new_plugin/new_plugin.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

namespace weft {
namespace {

namespace fs = std::filesystem;

class NewPluginTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "weft_new_plugin_XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { fs::remove_all(folder_); }

  static std::string read(const fs::path& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  fs::path folder_;
  const fs::path template_ = "plugins/template";
};

TEST_F(NewPluginTest, WritesTheTemplateUnderItsNewName) {
  const Result<NewPlugin> plugin = new_plugin("sharpen_2", folder_ / "deep/er", template_);
  ASSERT_TRUE(plugin.ok()) << to_string(plugin.error());
  EXPECT_EQ(plugin->folder, folder_ / "deep/er/sharpen_2");
  ASSERT_EQ(plugin->files.size(), 2u);
  const std::string source = read(plugin->folder / "sharpen_2.cc");
  EXPECT_THAT(source, testing::HasSubstr("\"sharpen_2.shout\""));
  EXPECT_THAT(source, testing::Not(testing::HasSubstr("template")));
  EXPECT_THAT(read(plugin->folder / "CMakeLists.txt"),
              testing::HasSubstr("weft_add_plugin(sharpen_2 SOURCES sharpen_2.cc)"));
  EXPECT_EQ(plugin->next_steps.size(), 3u);
}

TEST_F(NewPluginTest, RefusesNamesThatAreNoIdentifiers) {
  for (const char* name : {"", "Sharpen", "2nd", "a-b", "../a", "a b", "a/b"}) {
    EXPECT_EQ(new_plugin(name, folder_, template_).code(), StatusCode::kInvalidArgument) << name;
  }
  EXPECT_TRUE(fs::is_empty(folder_));
}

TEST_F(NewPluginTest, NeverTouchesAFolderThatExists) {
  fs::create_directory(folder_ / "mine");
  std::ofstream(folder_ / "mine/mine.cc") << "work of weeks";
  EXPECT_EQ(new_plugin("mine", folder_, template_).code(), StatusCode::kAlreadyExists);
  EXPECT_EQ(read(folder_ / "mine/mine.cc"), "work of weeks");
}

TEST_F(NewPluginTest, LeavesNothingBehindWithoutATemplate) {
  EXPECT_EQ(new_plugin("fresh", folder_, folder_ / "nowhere").code(), StatusCode::kNotFound);
  EXPECT_FALSE(fs::exists(folder_ / "fresh"));
}

}  // namespace
}  // namespace weft
