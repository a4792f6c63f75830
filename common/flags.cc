#include "common/flags.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "common/version.h"

namespace vallm {
namespace {

// Reads a flat YAML map of option names to scalars or lists of scalars. Errors are thrown as
// CLI11's own, which FlagParser::Parse catches.
class YamlConfig final : public CLI::Config {
 public:
  // `app` has the options, and must outlive this.
  explicit YamlConfig(const CLI::App& app) : app_(app) {}

  std::vector<CLI::ConfigItem> from_config(std::istream& input) const override {
    std::vector<CLI::ConfigItem> items;
    try {
      const YAML::Node root = YAML::Load(input);
      if (root.IsNull()) return items;
      if (!root.IsMap()) throw CLI::ConfigError("the config file must be a YAML map");
      for (const auto& entry : root)
        items.push_back(ToItem(entry.first.as<std::string>(), entry.second));
    } catch (const YAML::Exception& e) {
      throw CLI::ConfigError(std::string("the config file is not valid YAML: ") + e.what());
    }
    return items;
  }

  std::string to_config(const CLI::App*, bool, bool, std::string) const override { return ""; }

 private:
  CLI::ConfigItem ToItem(std::string key, const YAML::Node& value) const {
    std::replace(key.begin(), key.end(), '_', '-');
    if (app_.get_option_no_throw("--" + key) == nullptr) {
      throw CLI::ConfigError("the config file has '" + key + "', and there is no option --" + key);
    }
    CLI::ConfigItem item;
    item.name = std::move(key);
    if (value.IsScalar()) {
      item.inputs.push_back(value.as<std::string>());
    } else if (value.IsSequence()) {
      for (const auto& element : value) item.inputs.push_back(element.as<std::string>());
    } else {
      throw CLI::ConfigError("config key '" + item.name +
                             "' must be a scalar or a list of scalars");
    }
    return item;
  }

  const CLI::App& app_;
};

std::string EnvironmentName(const std::string& long_name) {
  std::string name = "VALLM_";
  for (char c : long_name) {
    name += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return name;
}

// Kubernetes describes each Service of a namespace to its pods in variables: a Service called
// "vallm" sets VALLM_PORT=tcp://10.0.0.1:8000, which was never meant for the flag of that name.
bool IsServiceLink(const char* value) {
  const std::string_view text = value == nullptr ? "" : value;
  for (const std::string_view scheme : {"tcp://", "udp://", "sctp://"}) {
    if (text.substr(0, scheme.size()) == scheme) return true;
  }
  return false;
}

}  // namespace

CLI::Validator Timeout() {
  constexpr double kYear = 365.0 * 86400;
  return CLI::Validator(
      [](std::string& text) -> std::string {
        double seconds = 0;
        // Written so that NaN fails it.
        if (CLI::detail::lexical_cast(text, seconds) && seconds >= 0 && seconds <= kYear) return "";
        return "'" + text + "' is not a number of seconds from 0 to 31536000";
      },
      "SECONDS");
}

FlagParser::FlagParser(const std::string& program, const std::string& description,
                       const std::string& examples)
    : app_(description, program) {
  app_.set_version_flag("--version", std::string("vallm ") + kVersion);
  app_.set_config("--config", "", "YAML file with any of these options (dashes or underscores)");
  app_.config_formatter(std::make_shared<YamlConfig>(app_));
  app_.allow_config_extras(false);
  app_.get_formatter()->column_width(44);
  if (!examples.empty()) app_.footer("Examples:\n" + examples);
}

std::optional<int> FlagParser::Parse(int argc, char** argv) {
  for (CLI::Option* option : app_.get_options()) {
    if (option->get_lnames().empty() || !option->get_envname().empty()) continue;
    const std::string& name = option->get_lnames().front();
    if (name == "help" || name == "version") continue;
    const std::string variable = EnvironmentName(name);
    if (!IsServiceLink(std::getenv(variable.c_str()))) option->envname(variable);
  }
  try {
    app_.parse(argc, argv);
    return std::nullopt;
  } catch (const CLI::ParseError& e) {
    const int code = app_.exit(e);
    return code == 0 ? 0 : 2;
  }
}

}  // namespace vallm
