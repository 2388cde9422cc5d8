#include "wire/options.h"

#include <yaml-cpp/yaml.h>

#include <CLI/CLI.hpp>
#include <iostream>

#include "commands/coverage.h"
#include "engine/runtime/bench.h"
#include "engine/testing/test_command.h"

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
      throw CLI::ConfigError(std::string("the configuration file is no valid YAML: ") +
                             error.what());
    }
    std::vector<CLI::ConfigItem> items;
    if (root.IsNull()) return items;
    if (!root.IsMap()) throw CLI::ConfigError("the configuration file must hold a map of options");
    for (const auto& entry : root) {
      auto name = entry.first.as<std::string>("");
      if (!entry.second.IsScalar())
        throw CLI::ConfigError("option '" + name +
                               "' in the configuration file must have one plain value");
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

int bench_exit_code(const engine::BenchOptions& options) {
  if (options.job.empty() && options.pipeline_file.empty()) {
    std::cerr << "millrace bench: --job or --pipeline is required\n";
    return 1;
  }
  auto line = engine::run_bench(options);
  if (!line.ok()) {
    std::cerr << "millrace bench: " << line.status().message() << "\n";
    return 1;
  }
  std::cout << *line << "\n";
  return 0;
}

CLI::App* add_test_command(CLI::App& app, engine::TestOptions& options) {
  CLI::App* command = app.add_subcommand(
      "test", "run case files of stream processors on virtual time, without a server");
  command->add_option("paths", options.paths, "case files, or directories with *.json files")
      ->required()
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->type_name("PATH...");
  command->add_option("--junit", options.junit_file, "write a JUnit report")->type_name("FILE");
  command->add_option("--filter", options.filter, "only cases whose name or file contains TEXT")
      ->type_name("TEXT");
  command->add_flag("--update", options.update, "record what comes out as what is expected");
  command->add_flag("--list", options.list, "only list the cases");
  command->add_flag("-v,--verbose", options.verbose, "a line for each case");
  return command;
}

}  // namespace

std::optional<int> read_options(int argc, const char* const* argv, std::string_view version,
                                commands::Settings& settings) {
  CLI::App app(
      "Millrace: MongoDB Atlas Stream Processing on your own machine. Connect with mongosh.",
      "millrace");
  app.set_version_flag("--version", "millrace " + std::string(version));
  app.config_formatter(std::make_shared<YamlConfig>());
  app.set_config("--config", "",
                 "YAML file with these options, without the dashes; the command line wins")
      ->type_name("FILE");
  app.allow_config_extras(CLI::config_extras_mode::error);
  app.option_defaults()->always_capture_default()->multi_option_policy(
      CLI::MultiOptionPolicy::TakeLast);
  bool no_demo = false;
  app.add_option("--bind", settings.bind, "address to listen on")->type_name("ADDR");
  app.add_option("--port", settings.port, "port to listen on; 0 lets the system choose")
      ->type_name("N");
  app.add_option("--data-dir", settings.data_dir,
                 "directory of definitions, checkpoints and local collections")
      ->type_name("DIR");
  app.add_option("--connections", settings.connections_file,
                 "JSON or YAML file of connections; read again on SIGHUP")
      ->type_name("FILE");
  app.add_option("--log-level", settings.log_level,
                 "trace, debug, info, warn, error, critical or off")
      ->type_name("L");
  app.add_flag("--no-demo", no_demo, "without the ready-made processor solarDemo");
  app.add_flag("--allow-remote", settings.allow_remote,
               "allow --bind on an address that other machines reach; there is no login yet");
  app.add_option("--stream-metadata", settings.stream_metadata,
                 "_ts and _stream_meta in documents: auto, always or never")
      ->check(CLI::IsMember({"auto", "always", "never"}))
      ->type_name("MODE");
  app.add_option("--checkpoint-interval-ms", settings.checkpoint_interval_ms,
                 "how often running processors are checkpointed")
      ->check(CLI::Range(10, 600'000))
      ->type_name("MS");
  app.add_option("--memory-limit-mb", settings.memory_limit_mb,
                 "state that one processor may hold; beyond it fails with 418")
      ->check(CLI::PositiveNumber)
      ->type_name("MB");
  app.add_flag("--enforce-tier-limits", settings.enforce_tier_limits,
               "hold processors to the memory of their tier, as Atlas does");
  app.add_subcommand("serve", "serve MongoDB clients (the default)")->fallthrough();
  engine::BenchOptions bench;
  CLI::App* bench_command = app.add_subcommand(
      "bench",
      "run a pipeline over the lines of a file, in process, on one core, and print its speed");
  auto* job = bench_command->add_option(
      "--job", bench.job, "j1 (stateless), j2 (tumbling window) or j3 (hopping window)");
  bench_command
      ->add_option("--pipeline", bench.pipeline_file,
                   "Extended JSON array of stages without source and sink")
      ->excludes(job)
      ->type_name("FILE");
  bench_command->add_option("--input", bench.input_file, "one JSON document a line")
      ->required()
      ->type_name("FILE");
  bench_command->add_option("--events", bench.events, "stop after so many; 0 reads all")
      ->type_name("N");
  engine::TestOptions test;
  CLI::App* test_command = add_test_command(app, test);
  CLI::App* coverage_command = app.add_subcommand(
      "coverage", "list every operator, stage, command and connection type, and what is supported");
  app.require_subcommand(0, 1);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    int code = app.exit(error);
    // For `test` 1 means that a case failed, and 2 that none could be judged.
    bool testing = argc > 1 && std::string_view(argv[1]) == "test";
    return testing && code != 0 ? 2 : code;
  } catch (const std::exception& error) {
    std::cerr << "millrace: " << error.what() << "\n";
    return 1;
  }
  if (bench_command->parsed()) return bench_exit_code(bench);
  if (coverage_command->parsed()) {
    std::cout << commands::coverage_report();
    return 0;
  }
  if (test_command->parsed()) return engine::run_test_command(test, std::cout, std::cerr);
  settings.version = version;
  settings.demo = !no_demo;
  settings.command_line.assign(argv, argv + argc);
  return std::nullopt;
}

}  // namespace millrace::wire
