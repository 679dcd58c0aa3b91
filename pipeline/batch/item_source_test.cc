#include "pipeline/batch/item_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

namespace weft {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ItemSources : public ::testing::Test {
 protected:
  ItemSources() {
    std::string pattern = (fs::temp_directory_path() / "weft-items-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    graph_.inputs = {{"topic", "text", {}, "", false, {}}, {"seed", "int", "1", "", false, {}}};
  }
  ~ItemSources() override { fs::remove_all(folder_); }

  std::string file(const std::string& name, const std::string& content) {
    std::ofstream(folder_ / name, std::ios::binary) << content;
    return (folder_ / name).string();
  }

  /// Each item as "id|name=value ...|error", without the folder.
  std::vector<std::string> read(ItemSource& source) {
    std::vector<std::string> items;
    for (;;) {
      Result<std::optional<SourceItem>> next = source.next();
      if (!next.ok()) {
        items.push_back("error: " + to_string(next.error()));
        return items;
      }
      if (!*next) return items;
      std::string text = (*next)->id + "|";
      for (const auto& [name, value] : (*next)->inputs) {
        text += name + "=" + (value.json.empty() ? value.text : value.json) + " ";
      }
      if ((*next)->error) text += "|" + (*next)->error->message;
      items.push_back(text);
      places_.push_back((*next)->place);
    }
  }
  std::vector<std::string> read(const std::string& path) {
    auto source = open_items(path, graph_);
    if (!source.ok()) return {"error: " + to_string(source.error())};
    return read(**source);
  }

  fs::path folder_;
  Graph graph_;
  std::vector<std::string> places_;
};

TEST_F(ItemSources, JsonLinesGiveInputsAndIds) {
  const std::string path = file("a.jsonl",
                                "\xEF\xBB\xBF{\"topic\": \"the sea\", \"seed\": 7}\r\n\n"
                                "{\"id\": \"x\", \"topic\": \"a \\\"fox\\\"\"}\n{\"id\": 4}");
  EXPECT_THAT(read(path), ElementsAre("|seed=7 topic=\"the sea\" ", "x|topic=\"a \\\"fox\\\"\" ", "4|"));
  EXPECT_THAT(places_, ElementsAre(path + ":1", path + ":3", path + ":4"));
}

TEST_F(ItemSources, ABrokenLineIsOneBadItem) {
  const std::string path = file("a.jsonl", "{\"topic\": \"a\"}\n{\"topic\": }\n[1]\n{\"a\":1,\"a\":2}\n{}\n");
  const std::vector<std::string> items = read(path);
  ASSERT_EQ(items.size(), 5u);
  EXPECT_THAT(items[1], HasSubstr("the line is no JSON"));
  EXPECT_THAT(places_[1], HasSubstr("a.jsonl:2:"));
  EXPECT_THAT(items[2], HasSubstr("an item is a JSON object"));
  EXPECT_THAT(items[3], HasSubstr("'a' stands twice"));
  EXPECT_EQ(items[4], "|");
}

TEST_F(ItemSources, AListOfItemsIsSaidToBeOne) {
  auto source = open_items(file("a.json", "[{\"topic\": \"a\"},\n {\"topic\": \"b\"}]\n"), graph_);
  EXPECT_THAT((*(*source)->next())->error->hint, HasSubstr("without a list around them"));
  source = open_items(file("a.json", "[{\"topic\": \"a\"}]"), graph_);
  EXPECT_THAT((*(*source)->next())->error->hint, HasSubstr("without a list around them"));
}

TEST_F(ItemSources, CsvFollowsRfc4180) {
  const std::string path = file("a.csv",
                                "id,topic,seed\n"
                                "1,\"a, \"\"b\"\"\nsecond line\",7\n"
                                "\n"
                                "2, blanks stay ,8\r\n"
                                "3,short\n"
                                "4,,9");
  EXPECT_THAT(read(path),
              ElementsAre("1|seed=7 topic=a, \"b\"\nsecond line ", "2|seed=8 topic= blanks stay  ",
                          "||the row does not have a field for each column", "4|seed=9 topic= "));
  EXPECT_THAT(places_, ElementsAre(path + ":2", path + ":5", path + ":6", path + ":7"));
}

TEST_F(ItemSources, CsvNamesWhatIsWrong) {
  const struct {
    const char *content, *message;
  } cases[] = {
      {"", "the CSV file is empty"},
      {"topc\nx\n", "has no input 'topc'"},
      {"topic;seed\nx;1\n", "columns are separated by commas"},
      {"topic,topic\nx,y\n", "two columns are named 'topic'"},
      {"topic\n\"a\"b\"\n", "a.csv:2:4: a quote stands where none may"},
      {"topic\nx\n\"never closed\nand more\n", "the row that it belongs to begins on line 3"},
  };
  for (const auto& c : cases) {
    const std::vector<std::string> items = read(file("a.csv", c.content));
    ASSERT_FALSE(items.empty());
    EXPECT_THAT(items.back(), HasSubstr(c.message));
  }
}

TEST_F(ItemSources, AFolderGivesItsFilesToTheOnlyPath) {
  graph_.inputs.push_back({"photo", "path", {}, "", false, {}});
  file("b.png", "");
  file("a.png", "");
  file(".hidden", "");
  fs::create_directory(folder_ / "sub");
  EXPECT_THAT(read(folder_.string()), ElementsAre("a.png|photo=" + (folder_ / "a.png").string() + " ",
                                                  "b.png|photo=" + (folder_ / "b.png").string() + " "));
  graph_.inputs.push_back({"mask", "path", {}, "", false, {}});
  EXPECT_THAT(read(folder_.string())[0], HasSubstr("it is not clear which input"));
  EXPECT_THAT(read("mask=" + folder_.string())[0], HasSubstr("mask="));
}

TEST_F(ItemSources, PathsStartAtTheFolderOfTheItems) {
  graph_.inputs = {{"photo", "path", {}, "", false, {}}};
  file("a.png", "");
  const std::string path = file("a.jsonl", "{\"photo\": \"a.png\"}\n{\"photo\": \"elsewhere.png\"}\n");
  EXPECT_THAT(read(path),
              ElementsAre("|photo=" + (folder_ / "a.png").string() + " ", "|photo=elsewhere.png "));
  graph_.inputs = {{"photos", "list<path>", {}, "", false, {}}};
  EXPECT_THAT(read(file("b.jsonl", "{\"photos\": [\"a.png\", \"elsewhere.png\", 1]}\n")),
              ElementsAre("|photos=[\"" + (folder_ / "a.png").string() + "\",\"elsewhere.png\",1] "));
}

TEST_F(ItemSources, AGridHasEveryCombination) {
  std::vector<MatrixAxis> axes = {*parse_matrix_axis("seed=1..2", graph_),
                                  *parse_matrix_axis("topic=ink,oil", graph_)};
  auto alone = expand_matrix(nullptr, axes);
  EXPECT_THAT(read(**alone), ElementsAre("|seed=1 topic=ink ", "|seed=1 topic=oil ", "|seed=2 topic=ink ",
                                         "|seed=2 topic=oil "));
  auto inner = open_items(file("a.jsonl", "{\"topic\": \"a\"}\n{\"seed\": 3}\n"), graph_);
  auto both = expand_matrix(*std::move(inner), {axes[0]});
  EXPECT_THAT(read(**both), ElementsAre("|seed=1 topic=\"a\" ", "|seed=2 topic=\"a\" ",
                                        "|seed=3 |'seed' is set by the item and by --matrix seed"));
}

TEST_F(ItemSources, AxesThatAreNoneAreRefused) {
  for (const char* text : {"", "seed", "=1", "seed=", "sed=1..3", "seed=3..1", "seed=1..99999999"}) {
    EXPECT_FALSE(parse_matrix_axis(text, graph_).ok()) << text;
  }
  EXPECT_THAT(parse_matrix_axis("seed=1..x", graph_)->values, ElementsAre("1..x"));
  const MatrixAxis axis = *parse_matrix_axis("seed=-1..1", graph_);
  EXPECT_THAT(axis.values, ElementsAre("-1", "0", "1"));
  EXPECT_EQ(expand_matrix(nullptr, {axis, axis}).code(), StatusCode::kInvalidArgument);
}

TEST_F(ItemSources, AFileThatIsMissingIsSaidSo) {
  EXPECT_EQ(open_items((folder_ / "none.jsonl").string(), graph_).code(), StatusCode::kNotFound);
}

}  // namespace
}  // namespace weft
