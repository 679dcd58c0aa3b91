#include "pipeline/cli/arguments.h"

#include <unistd.h>

#include <CLI/CLI.hpp>

#include "pipeline/cli/byte_size.h"
#include "pipeline/cli/command.h"
#include "pipeline/cli/exit_code.h"
#include "pipeline/cli/report.h"
#include "pipeline/cli/terminal.h"
#include "pipeline/graph/diagnostic.h"

namespace weft::cli {
namespace {

/// Help in the program's own form: usage, summary, details, arguments, options, examples, at most 80 columns wide.
class HelpFormatter : public CLI::Formatter {
 public:
  explicit HelpFormatter(const Command& command) : command_(command) {}

  std::string make_help(const CLI::App* app, std::string, CLI::AppFormatMode) const override {
    std::string text = wrap(usage(*app), kWidth, 12) + "\n\n" + wrap(command_.summary, kWidth, 0) + "\n";
    if (!command_.details.empty()) text += "\n" + wrap(command_.details, kWidth, 0) + "\n";
    text += section(*app, "Arguments", [](const CLI::Option* option) { return option->get_positional(); });
    text += section(*app, "Options", [](const CLI::Option* option) { return option->nonpositional(); });
    text += "\nExamples:\n";
    std::string_view examples = command_.examples;
    while (!examples.empty()) {
      const size_t end = std::min(examples.find('\n'), examples.size());
      text += "  " + std::string(examples.substr(0, end)) + "\n";
      examples.remove_prefix(std::min(end + 1, examples.size()));
    }
    return text;
  }

 private:
  static constexpr size_t kWidth = 80, kColumn = 26;

  std::string usage(const CLI::App& app) const {
    std::string text = "Usage: weft " + std::string(command_.name) + " [options]";
    for (const CLI::Option* option : app.get_options()) {
      if (!option->get_positional()) continue;
      std::string name = option->get_name();
      if (option->get_items_expected_max() > 1) name += "...";
      text += option->get_required() ? " " + name : " [" + name + "]";
    }
    return text;
  }

  template <typename Wanted>
  static std::string section(const CLI::App& app, const char* title, Wanted wanted) {
    std::string text;
    for (const CLI::Option* option : app.get_options()) {
      if (!wanted(option)) continue;
      std::string left =
          "  " + (option->get_positional() ? option->get_name() : option->get_name(false, true));
      if (!option->get_positional() && option->get_items_expected_max() > 0)
        left += " " + option->get_type_name();
      left.resize(std::max(left.size() + 2, kColumn), ' ');
      text += wrap(left + option->get_description(), kWidth, kColumn) + "\n";
    }
    return text.empty() ? text : "\n" + std::string(title) + ":\n" + text;
  }

  const Command& command_;
};

std::vector<std::string> option_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

}  // namespace

Arguments::Arguments(const Command& command)
    : command_(command), app_(std::make_unique<CLI::App>(std::string(command.summary))) {
  app_->formatter(std::make_shared<HelpFormatter>(command));
  app_->set_help_flag("-h,--help", "Print this and exit");
}
Arguments::Arguments(Arguments&&) noexcept = default;
Arguments::~Arguments() = default;

void Arguments::positional(const char* name, std::string& value, const char* help) {
  app_->add_option(name, value, help)->required();
}

void Arguments::optional_positional(const char* name, std::string& value, const char* help) {
  app_->add_option(name, value, help);
}

void Arguments::positionals(const char* name, std::vector<std::string>& values, int minimum,
                            const char* help) {
  auto* option = app_->add_option(name, values, help);
  if (minimum > 0) option->required()->expected(minimum, CLI::detail::expected_max_vector_size);
}

void Arguments::flag(const char* names, bool& value, const char* help) { app_->add_flag(names, value, help); }

void Arguments::option(const char* names, std::string& value, const char* metavar, const char* help) {
  app_->add_option(names, value, help)->type_name(metavar);
}

void Arguments::option(const char* names, std::vector<std::string>& values, const char* metavar,
                       const char* help) {
  app_->add_option(names, values, help)->type_name(metavar)->expected(1)->take_all()->delimiter('\0');
}

void Arguments::option(const char* names, int64_t& value, int64_t minimum, int64_t maximum,
                       const char* metavar, const char* help) {
  app_->add_option(names, value, help)
      ->check(CLI::Range(minimum, maximum).description(""))
      ->type_name(metavar);
}

void Arguments::option(const char* names, double& value, double minimum, double maximum, const char* metavar,
                       const char* help) {
  app_->add_option(names, value, help)
      ->check(CLI::Range(minimum, maximum).description(""))
      ->type_name(metavar);
}

void Arguments::choice(const char* names, std::string& value, const std::vector<std::string>& choices,
                       const char* help) {
  std::string metavar;
  for (const std::string& choice : choices) metavar += (metavar.empty() ? "" : "|") + choice;
  const auto check = [choices, metavar](const std::string& text) -> std::string {
    if (std::find(choices.begin(), choices.end(), text) != choices.end()) return "";
    const std::string near = nearest_name(text, choices);
    return "expected " + metavar + ", got '" + text + "'" +
           (near.empty() ? "" : "; did you mean " + near + "?");
  };
  auto* option = app_->add_option(names, value, help)->check(check);
  if (!option->get_positional()) option->type_name(metavar);
}

void Arguments::bytes(const char* names, std::optional<uint64_t>& value, const char* help) {
  const auto assign = [&value](const std::vector<std::string>& given) {
    const Result<uint64_t> size = parse_byte_size(given.front());
    if (!size.ok()) throw CLI::ValidationError(to_string(size.error()));
    value = *size;
    return true;
  };
  app_->add_option(names, assign, help)->type_name("SIZE");
}

std::optional<int> Arguments::parse(std::vector<std::string> arguments) {
  // CLI11 takes the arguments from the back, and takes what follows an option for its value even if it looks like a flag.
  std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
  try {
    app_->parse(reversed);
    return std::nullopt;
  } catch (const CLI::CallForHelp&) {
    print(app_->help());
    return kSuccess;
  } catch (const CLI::ExtrasError&) {
    // Its message lists everything left over; the first unknown one is what was mistyped.
    for (const std::string& left : app_->remaining()) {
      if (left.rfind("-", 0) != 0) return report_usage(command_.name, "unexpected argument '" + left + "'");
      const std::string near = nearest_name(left.substr(0, left.find('=')), option_names(*app_));
      return report_usage(command_.name,
                          "unknown option " + left + (near.empty() ? "" : "; did you mean " + near + "?"));
    }
    return report_usage(command_.name, "unexpected arguments");
  } catch (const CLI::Error& error) {
    return report_usage(command_.name, error.what());
  }
}

}  // namespace weft::cli
