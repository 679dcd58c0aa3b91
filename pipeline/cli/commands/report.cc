/// weft report: a page with what a batch has made.
#include "pipeline/batch/report.h"

#include <memory>

#include "pipeline/cli/commands/commands.h"
#include "pipeline/cli/exit_code.h"
#include "pipeline/cli/report.h"
#include "pipeline/cli/run_session.h"

namespace weft::cli {
namespace {

int report(const std::string& folder) {
  Cancellation cancellation;
  const Result<WrittenReport> written = write_report(folder, cancellation.temporaries());
  if (!written.ok()) return report_error(written.error());
  print(written->page.string() + ": " + std::to_string(written->n_items) + " items on " +
        std::to_string(written->n_pages) + (written->n_pages == 1 ? " page\n" : " pages\n"));
  return kSuccess;
}

std::function<int()> declare(Arguments& arguments) {
  auto folder = std::make_shared<std::string>("out");
  arguments.optional_positional("FOLDER", *folder, "What --out of weft batch named; default: out");
  return [folder] { return report(*folder); };
}

}  // namespace

const Command kReportCommand = {
    "report", "write a page with what a batch has made",
    "FOLDER/report.html shows the pictures, texts, parameters and timings of every "
    "item, and why others failed. It opens without a network.",
    "weft report build/topics", declare};

}  // namespace weft::cli
