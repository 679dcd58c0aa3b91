// weft-check-node LIBRARY NODE FIRST_PASS FOLDER [MODEL...]: tries one node type and writes what it finds to file
// descriptor 3, one JSON array a line: ["begin", pass], ["result", check, verdict, detail], ["end"]; see node_check.h.
#include <sys/prctl.h>
#include <unistd.h>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>

#include "pipeline/check/node_check.h"
#include "pipeline/loader/child_process.h"
#include "pipeline/loader/library_loading.h"

namespace {

void say(const nlohmann::json& line) {
  const std::string text = line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  for (size_t written = 0; written < text.size();) {
    const ssize_t n = ::write(weft::kAnswerDescriptor, text.data() + written, text.size() - written);
    if (n <= 0) ::_exit(2);
    written += static_cast<size_t>(n);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) {
    std::fputs("usage: weft-check-node LIBRARY NODE FIRST_PASS FOLDER [MODEL...] 3>findings\n", stderr);
    return 2;
  }
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const weft::Result<const weft_plugin*> plugin = weft::load_and_enter(argv[1]);
  if (!plugin.ok()) {
    std::fputs(weft::to_string(plugin.error()).c_str(), stderr);
    return 2;
  }
  weft::NodeCheckOptions options;
  options.first_pass = static_cast<size_t>(std::atoi(argv[3]));
  options.folder = argv[4];
  options.models.assign(argv + 5, argv + argc);
  weft::check_node(**plugin, argv[2], options,
                   {[](size_t pass) {
                      say({"begin", pass});
                    },
                    [](const weft::CheckResult& result) {
                      say({"result", result.check, static_cast<int>(result.verdict), result.detail});
                    }});
  say({"end"});
  ::_exit(0);  // destructors of the plugin are not under check
}
