#include "wire/options.h"

#include <yaml-cpp/yaml.h>

#include <CLI/CLI.hpp>

namespace millrace::wire {
namespace {

// --config: a flat YAML (or JSON) map of option names, without the dashes, to values.
class YamlConfig : public CLI::Config {
 public:
  std::vector<CLI::ConfigItem> from_config(std::istream& input) const override {
    YAML::Node root;
    try {
      root = YAML::Load(input);
    } catch (const YAML::Exception& error) {
      throw CLI::ConfigError(std::string("the configuration file is no valid YAML: ") + error.what());
    }
    std::vector<CLI::ConfigItem> items;
    if (root.IsNull()) return items;
    if (!root.IsMap()) throw CLI::ConfigError("the configuration file must hold a map of options");
    for (const auto& entry : root) {
      auto name = entry.first.as<std::string>("");
      if (!entry.second.IsScalar()) throw CLI::ConfigError("option '" + name + "' in the configuration file must have one plain value");
      CLI::ConfigItem item;
      item.name = name;
      item.inputs = {entry.second.Scalar()};
      items.push_back(std::move(item));
    }
    return items;
  }
  // Writing a configuration file is not offered.
  std::string to_config(const CLI::App*, bool, bool, std::string) const override { return ""; }
};

}  // namespace

std::optional<int> read_options(int argc, const char* const* argv, std::string_view version, commands::Settings& settings) {
  CLI::App app("Millrace: MongoDB Atlas Stream Processing on your own machine. Connect with mongosh.", "millrace");
  app.set_version_flag("--version", "millrace " + std::string(version));
  app.config_formatter(std::make_shared<YamlConfig>());
  app.set_config("--config", "", "YAML file with these options, without the dashes; the command line wins");
  app.allow_config_extras(CLI::config_extras_mode::error);
  app.option_defaults()->always_capture_default();
  bool no_demo = false;
  app.add_option("--bind", settings.bind, "address to listen on")->type_name("ADDR");
  app.add_option("--port", settings.port, "port to listen on; 0 lets the system choose")->type_name("N");
  app.add_option("--data-dir", settings.data_dir, "directory of definitions, checkpoints and local collections")->type_name("DIR");
  app.add_option("--connections", settings.connections_file, "JSON or YAML file of connections; read again on SIGHUP")->type_name("FILE");
  app.add_option("--log-level", settings.log_level, "trace, debug, info, warn, error, critical or off")->type_name("L");
  app.add_flag("--no-demo", no_demo, "without the ready-made processor solarDemo");
  app.add_flag("--allow-remote", settings.allow_remote, "allow --bind on an address that other machines reach; there is no login yet");
  app.add_subcommand("serve", "serve MongoDB clients (the default)")->fallthrough();
  app.require_subcommand(0, 1);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error);
  } catch (const std::exception& error) {
    std::cerr << "millrace: " << error.what() << "\n";
    return 1;
  }
  settings.version = version;
  settings.demo = !no_demo;
  settings.command_line.assign(argv, argv + argc);
  return std::nullopt;
}

}  // namespace millrace::wire
