#include "pipeline/batch/report.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "pipeline/batch/identity.h"
#include "pipeline/batch/journal.h"
#include "pipeline/graph/json_tree.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

constexpr const char* kHead = R"(<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Weft batch</title><style>
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 90rem; padding: 0 1rem;
       color: #222; background: #fafafa; }
main { display: grid; grid-template-columns: repeat(auto-fill, minmax(18rem, 1fr)); gap: 1rem; }
article { background: #fff; border: 1px solid #ddd; border-radius: 6px; padding: .8rem; overflow: hidden; }
article.failed { border-color: #c33; }
h2 { font-size: 1rem; margin: 0 0 .5rem; overflow-wrap: anywhere; }
img, video { max-width: 100%; height: auto; display: block; margin-bottom: .5rem; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; max-height: 16rem; overflow: auto; margin: 0 0 .5rem;
      font: inherit; }
table { border-collapse: collapse; font-size: .85rem; width: 100%; }
th { text-align: left; font-weight: 600; padding: 0 .6rem 0 0; vertical-align: top; white-space: nowrap; }
td { overflow-wrap: anywhere; width: 100%; }
.reason { color: #a22; }
nav a { margin-right: .6rem; }
@media (prefers-color-scheme: dark) { body { background: #181818; color: #ddd; }
  article { background: #222; border-color: #444; } .reason { color: #f88; } a { color: #8bf; } }
</style></head><body>
)";

std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : text) {
    switch (c) {
      case '&': result += "&amp;"; break;
      case '<': result += "&lt;"; break;
      case '>': result += "&gt;"; break;
      case '"': result += "&quot;"; break;
      case '\'': result += "&#39;"; break;
      default: result += c;
    }
  }
  return result;
}

/// A relative path as a URL; each byte that is not plain is written as %XX.
std::string url(std::string_view path) {
  std::string result;
  for (const char c : path) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("/-_.~").find(c) != std::string_view::npos;
    if (plain) {
      result += c;
      continue;
    }
    char code[4];
    std::snprintf(code, sizeof code, "%%%02X", static_cast<unsigned>(static_cast<unsigned char>(c)));
    result += code;
  }
  return result;
}

std::string seconds_text(double seconds) {
  char text[32];
  std::snprintf(text, sizeof text, seconds < 10 ? "%.3f s" : "%.1f s", seconds);
  return text;
}

bool ends_with_any(const std::string& path, std::initializer_list<const char*> endings) {
  std::string lower = path;
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
  return std::any_of(endings.begin(), endings.end(), [&](const char* end) { return lower.ends_with(end); });
}

std::string file_html(const std::string& path, const std::string& name) {
  const std::string place = url(path);
  if (ends_with_any(path, {".png", ".jpg", ".jpeg", ".webp", ".gif", ".avif", ".svg"})) {
    return "<a href=\"" + place + "\"><img loading=\"lazy\" alt=\"" + escaped(name) + "\" src=\"" + place +
           "\"></a>\n";
  }
  if (ends_with_any(path, {".mp4", ".webm"})) {
    return "<video controls preload=\"none\" src=\"" + place + "\"></video>\n";
  }
  return "<p><a href=\"" + place + "\">" + escaped(name) + "</a></p>\n";
}

/// Rows of a table from a JSON object; nested ones as "outer.inner".
void add_rows(const JsonTree& tree, JsonId object, const std::string& prefix, std::string& html) {
  for (const JsonId id : tree.children(object)) {
    const std::string name = prefix + std::string(tree[id].key);
    if (tree.kind(id) == JsonKind::kObject) {
      add_rows(tree, id, name + ".", html);
      continue;
    }
    const std::string text =
        tree.kind(id) == JsonKind::kString ? std::string(tree[id].text) : tree.compact(id);
    html += "<tr><th>" + escaped(name) + "</th><td>" + escaped(text) + "</td></tr>\n";
  }
}

std::variant<JsonTree, JsonError> parse(const std::string& json) {
  return JsonTree::parse(json, {json.size(), 64, json.size(), 10'000'000});
}

void add_rows(const std::string& json, const std::string& prefix, std::string& html) {
  const auto parsed = parse(json);
  const auto* tree = std::get_if<JsonTree>(&parsed);
  if (tree && tree->kind(0) == JsonKind::kObject) add_rows(*tree, 0, prefix, html);
}

/// Texts as they are, other values as JSON; a path to one of the item's files is shown with the file.
std::string outputs_html(const RecordedItem& item) {
  const auto parsed = parse(item.outputs_json);
  const auto* tree = std::get_if<JsonTree>(&parsed);
  if (!tree || tree->kind(0) != JsonKind::kObject) return "";
  std::string html;
  for (const JsonId id : tree->children(0)) {
    const bool is_text = tree->kind(id) == JsonKind::kString;
    const std::string text = is_text ? std::string((*tree)[id].text) : tree->compact(id);
    const bool is_file = std::any_of(item.files.begin(), item.files.end(), [&](const ItemFile& file) {
      return text.ends_with("items/" + item.item.name + "/" + file.path);
    });
    if (!is_file) html += "<pre title=\"" + escaped((*tree)[id].key) + "\">" + escaped(text) + "</pre>\n";
  }
  return html;
}

std::string item_html(const RecordedItem& item) {
  const bool failed = item.state == ItemOutcome::State::kFailed;
  std::string html = std::string("<article") + (failed ? " class=\"failed\"" : "") + "><h2>" +
                     escaped(item.item.name) + "</h2>\n";
  if (failed) html += "<p class=\"reason\">" + escaped(to_string(item.error)) + "</p>\n";
  for (const ItemFile& file : item.files) {
    html += file_html("items/" + item.item.name + "/" + file.path, file.path);
  }
  html += outputs_html(item) + "<table>\n";
  add_rows(item.item.inputs_json, "", html);
  add_rows(item.seeds_json, "", html);
  html += "<tr><th>time</th><td>" + seconds_text(item.seconds) + "</td></tr>\n</table>\n";
  std::string nodes;
  add_rows(item.timings_json, "", nodes);
  if (!nodes.empty())
    html += "<details><summary>nodes, in seconds</summary><table>\n" + nodes + "</table></details>\n";
  return html + "</article>\n";
}

/// Journals to show: the merged one where there is one, else those of the shards.
std::vector<fs::path> shown_journals(const fs::path& folder) {
  std::vector<fs::path> journals = find_journals(folder);
  const auto whole = std::find(journals.begin(), journals.end(), folder / "journal.sqlite");
  return whole == journals.end() ? journals : std::vector<fs::path>{*whole};
}

struct Summary {
  BatchCounts counts;
  std::string pipeline;  // its file
};

Result<Summary> summarize(const std::vector<fs::path>& journals) {
  Summary summary;
  for (const fs::path& file : journals) {
    Result<Journal> journal = Journal::open_to_read(file);
    if (!journal.ok()) return journal.status();
    const Result<BatchCounts> counts = journal->counts();
    const Result<Facts> facts = journal->facts();
    if (!counts.ok()) return counts.status();
    if (!facts.ok()) return facts.status();
    summary.counts.items += counts->items;
    summary.counts.done += counts->done;
    summary.counts.failed += counts->failed;
    for (const auto& [name, value] : *facts) {
      if (name.starts_with("pipeline ")) summary.pipeline = name.substr(9);
    }
  }
  return summary;
}

std::string page_name(size_t page) {
  return page == 1 ? "report.html" : "report-" + std::to_string(page) + ".html";
}

class Pages {
 public:
  Pages(fs::path folder, Summary summary, TemporaryFiles& temporaries)
      : folder_(std::move(folder)), summary_(std::move(summary)), temporaries_(temporaries) {
    const uint64_t shown = summary_.counts.done + summary_.counts.failed;
    n_pages_ = std::max<size_t>((shown + kItemsPerPage - 1) / kItemsPerPage, 1);
  }

  Status add(const RecordedItem& item) {
    // A batch that runs meanwhile may have more records than were counted; they go to the last page.
    if (n_on_page_ == kItemsPerPage && page_ < n_pages_) {
      if (Status status = end_page(); !status.ok()) return status;
    }
    if (!file_) {
      if (Status status = begin_page(); !status.ok()) return status;
    }
    ++n_on_page_;
    ++n_items_;
    return file_->write(item_html(item));
  }

  Result<WrittenReport> finish() {
    if (!file_) {
      if (Status status = begin_page(); !status.ok()) return status;
    }
    if (Status status = end_page(); !status.ok()) return status;
    return WrittenReport{folder_ / page_name(1), page_, n_items_};
  }

 private:
  Status begin_page() {
    ++page_;
    n_on_page_ = 0;
    Result<DurableFile> file = DurableFile::create(temporaries_, folder_ / page_name(page_));
    if (!file.ok()) return file.status();
    file_.emplace(std::move(*file));
    const BatchCounts& counts = summary_.counts;
    std::string html = kHead;
    html += "<h1>" + escaped(fs::path(summary_.pipeline).filename().string()) + "</h1>\n<p>" +
            std::to_string(counts.done) + " of " + std::to_string(counts.items) + " items done, " +
            std::to_string(counts.failed) + " failed, " + std::to_string(counts.pending()) + " to do</p>\n";
    if (n_pages_ > 1) {
      html += "<nav>";
      for (size_t page = 1; page <= n_pages_; ++page) {
        html += "<a href=\"" + page_name(page) + "\">" + std::to_string(page) + "</a>";
      }
      html += "</nav>\n";
    }
    return file_->write(html + "<main>\n");
  }

  Status end_page() {
    Status status = file_->write("</main></body></html>\n");
    if (status.ok()) status = file_->commit();
    file_.reset();
    return status;
  }

  const fs::path folder_;
  const Summary summary_;
  TemporaryFiles& temporaries_;
  size_t n_pages_ = 1, page_ = 0, n_on_page_ = 0, n_items_ = 0;
  std::optional<DurableFile> file_;
};

}  // namespace

Result<WrittenReport> write_report(const fs::path& named, TemporaryFiles& temporaries) {
  const fs::path folder = batch_folder(named);
  const std::vector<fs::path> journals = shown_journals(folder);
  if (journals.empty()) {
    return Status(StatusCode::kNotFound, "there is no batch in this folder").at(folder.string());
  }
  Result<Summary> summary = summarize(journals);
  if (!summary.ok()) return summary.status();
  Pages pages(folder, *std::move(summary), temporaries);
  for (const fs::path& file : journals) {
    Result<Journal> journal = Journal::open_to_read(file);
    if (!journal.ok()) return journal.status();
    const Status status = journal->for_each_record([&](const RecordedItem& item) { return pages.add(item); });
    if (!status.ok()) return status;
  }
  return pages.finish();
}

}  // namespace weft
